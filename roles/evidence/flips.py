"""Feedback items that came out otherwise than in the parent."""

from eval.verdict import mcnemar
from memory.records import Evidence
from roles.evidence.case import Case


def find(case: Case) -> Evidence | None:
    """Items fixed and broken against the parent; None when the two share no items."""
    before = {item.id: item.score for item in case.parent_items}
    sign = 1 if case.survey.task.metric.direction == "up" else -1
    changes = [sign * (item.score - before[item.id]) for item in case.items if item.id in before]
    if not changes:
        return None
    fixed, broken = sum(change > 0 for change in changes), sum(change < 0 for change in changes)
    p = mcnemar(fixed, broken)
    parent = f"experiment {case.parent.number}" if case.parent.number else "the untouched model"
    claim = f"{fixed + broken} of {len(changes)} feedback items changed against {parent}"
    if fixed + broken:
        claim += (
            f": {fixed} were fixed and {broken} broken; by chance alone a split at least this uneven has probability "
            f"{p:.3g} (exact sign test)"
        )
    return Evidence(
        name="flips",
        claim=f"{claim}.",
        count=fixed + broken,
        of=len(changes),
        figures={"fixed": float(fixed), "broken": float(broken), "p": round(p, 5)},
    )
