"""What is right among the answers that can be read: tells knowledge from form."""

from eval.result import ItemResult
from memory.records import Evidence, Experiment
from roles.evidence.case import Case


def find(case: Case) -> Evidence | None:
    """How right the readable answers to feedback items are, beside the parent's; None when none can be read."""
    readable, score = _among_readable(case.items)
    if not readable:
        return None
    claim = f"{readable} of {sum(len(item.scores) for item in case.items)} answers can be read and score {score:.3f}"
    figures = {"score": round(score, 4)}
    before, parent_score = _among_readable(case.parent_items)
    if before and case.parent.number != case.experiment.number:
        claim += f"; of {_name(case.parent)} {before}, scoring {parent_score:.3f}"
        figures["parent"] = round(parent_score, 4)
        was = {item.id: item for item in case.parent_items}
        common = [(item, was[item.id]) for item in case.items if item.id in was]
        fixed = [old for item, old in common if item.score > old.score]
        unread = sum(not all(old.parsed) for old in fixed)
        if fixed:
            claim += f". Of {len(fixed)} items that score more than before {unread} could not be read then"
            figures |= {"fixed": float(len(fixed)), "fixed_unread": float(unread)}
    return Evidence(
        name="readable",
        claim=f"{claim}.",
        count=readable,
        of=sum(len(item.scores) for item in case.items),
        figures=figures,
    )


def _among_readable(items: tuple[ItemResult, ...]) -> tuple[int, float]:
    """How many answers can be read, and their mean score."""
    scores = [score for item in items for score, parsed in zip(item.scores, item.parsed, strict=True) if parsed]
    return len(scores), sum(scores) / len(scores) if scores else 0.0


def _name(experiment: Experiment) -> str:
    return f"experiment {experiment.number}" if experiment.number else "the untouched model"
