"""Categories of the benchmark in which the model does worse than on the whole, beyond chance."""

from eval.result import GroupScore
from memory.records import Evidence
from roles.evidence.case import Case


def find(case: Case) -> Evidence | None:
    """Groups whose 95 % interval excludes the overall score on the bad side; None with fewer than two groups."""
    feedback = case.experiment.feedback
    if feedback is None or len(feedback.groups) < 2:
        return None
    up = case.survey.task.metric.direction == "up"
    worst_first = sorted(feedback.groups, key=lambda group: group.score if up else -group.score)
    weak = [group for group in worst_first if (group.high < feedback.score if up else group.low > feedback.score)]
    named = f": {_in_words(*weak)}." if weak else f"; the worst is {_in_words(worst_first[0])}."
    return Evidence(
        name="categories",
        claim=f"{len(weak)} of {len(worst_first)} categories score worse than the overall feedback score of "
        f"{feedback.score:.3f} beyond chance{named}",
        count=len(weak),
        of=len(worst_first),
        figures={group.group: group.score for group in feedback.groups},
    )


def _in_words(*groups: GroupScore) -> str:
    return ", ".join(f"{g.group} ({g.score:.2f} over {g.n} items, 95 % {g.low:.2f} to {g.high:.2f})" for g in groups)
