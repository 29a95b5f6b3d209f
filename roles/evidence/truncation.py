"""What did not fit: answers cut at the token limit, and training rows longer than a row may be."""

from memory.records import Evidence
from roles.evidence.case import Case
from roles.evidence.lengths import count_words

_TOO_LONG = "gate: longer than"
"""How the gate's reason begins in `TrainingData.removed`."""


def find(case: Case) -> Evidence | None:
    """Items cut and rows dropped for their length; None when there are neither items nor rows."""
    data, items = case.experiment.data, case.items
    if data is None and not items:
        return None
    cut = [item for item in items if item.truncated]
    silent = sum(not any(item.completions) for item in cut)
    unread = sum(not all(item.parsed) for item in cut)
    too_long = sum(n for reason, n in data.removed.items() if reason.startswith(_TOO_LONG)) if data else 0
    longest = max((count_words(item.answer) for item in items), default=0)
    claim = f"{too_long} training rows were dropped because they were too long"
    if items:
        claim += (
            f", and {len(cut)} of {len(items)} feedback answers are incomplete (at most "
            f"{case.survey.task.max_new_tokens} tokens are generated, the longest expected answer has {longest} words)"
        )
    if cut:
        claim += f"; {unread} of these cannot be read, {silent} because the prompt left no room for an answer"
    figures = {
        "rows_too_long": too_long,
        "prompts_too_long": silent,
        "unread": unread,
        "longest_answer_words": longest,
        "longest_answer_characters": max((len(item.answer) for item in items), default=0),
        "longest_row_characters": max((len(row.answer) for row in case.rows), default=0),
    }
    return Evidence(
        name="truncation",
        claim=f"{claim}.",
        count=len(cut),
        of=len(items),
        figures={name: float(value) for name, value in figures.items()},
    )
