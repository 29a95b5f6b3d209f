"""Cases for the tests of the evidence: items, rows and losses of an experiment, as few as a test needs."""

from collections.abc import Sequence
from typing import Any

import situations as s

from eval.result import ItemResult
from memory.records import Experiment, TrainingConfig
from roles.evidence.case import Case, TrainedRow

OPTIONS = ("red wine", "blue cheese", "green tea", "black coffee")


def row(answer: str = OPTIONS[0], number: int = 1, **changes: Any) -> TrainedRow:
    """A multiple-choice row of `exams` in the task's form."""
    content = changes.get("content", f"What is poured out of bottle {number}?")
    fields: dict[str, Any] = {
        "prompt": f"Question: {content}",
        "options": OPTIONS,
        "content": content,
        "task_format": True,
        "source": "exams",
        "row": number,
        "raw": {"question": content, "colour": "red"},
    }
    return TrainedRow(answer=answer, **(fields | changes))


def item(
    number: int, completion: str = "red", *, score: float = 1.0, parsed: bool = True, **changes: Any
) -> ItemResult:
    """A feedback item, answered once."""
    fields: dict[str, Any] = {
        "id": f"q{number}",
        "group": "red",
        "prompt": "Which colour has the sky at dusk?",
        "answer": "red",
        "completions": (completion,),
        "scores": (score,),
        "parsed": (parsed,),
        "truncated": False,
    }
    return ItemResult(**(fields | changes))


def unread(number: int, completion: str, **changes: Any) -> ItemResult:
    """A feedback item whose answer does not parse."""
    return item(number, completion, score=0.0, parsed=False, **changes)


def case(
    *,
    items: Sequence[ItemResult] = (),
    parent_items: Sequence[ItemResult] = (),
    rows: Sequence[TrainedRow] = (),
    losses: Sequence[float] = (),
    groups: Sequence[str] = ("red", "blue"),
    experiment: Experiment | None = None,
    **survey: Any,
) -> Case:
    """A case over the sources of `situations.py`; without anything it is an experiment that failed at once."""
    nothing = Experiment(run="r", task="toy", domain="colours", model="tiny", number=1)
    task = s.card(groups=dict.fromkeys(groups, 40))
    return Case(
        survey=s.survey(**({"task": task} | survey)),
        experiment=experiment or nothing,
        parent=s.untouched(),
        items=tuple(items),
        parent_items=tuple(parent_items),
        rows=tuple(rows),
        losses=tuple(losses),
    )


def trained(losses: Sequence[float], *, rows: int, batch_size: int = 1) -> Case:
    """A training over `rows` rows with these losses."""
    experiment = s.trial(1, rows=rows, config=TrainingConfig(batch_size=batch_size))
    return case(losses=losses, experiment=experiment)


def full_case() -> Case:
    """A case about which every finding has something to say."""
    table = (s.group("blue", 0.1, 0.4), s.group("red", 0.8, 0.95))
    return case(
        items=[item(1), unread(2, "B", group="blue"), unread(3, "", truncated=True)],
        parent_items=[item(1, score=0.0), item(2), unread(3, "?")],
        rows=[row(number=number) for number in range(1, 21)],
        losses=[3.0 - 0.05 * step for step in range(50)],
        experiment=s.trial(1, groups=table, rows=200),
    )
