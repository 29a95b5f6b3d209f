"""What the findings look at: an experiment, its parent, its feedback items, its training rows and its losses."""

from typing import Any, NamedTuple

from eval.result import ItemResult
from memory.records import Experiment
from roles.briefing import Survey


class TrainedRow(NamedTuple):
    """A training row with its origin."""

    prompt: str
    answer: str
    options: tuple[str, ...]
    content: str
    """The row's own text without the prompt's frame."""
    task_format: bool
    """Rendered by the task's own prompt."""
    source: str
    row: int
    """Number of the raw row in its source, from 1."""
    raw: dict[str, Any]
    """The fields of the raw row it was made from; empty when it was made by a script."""


class Case(NamedTuple):
    """One experiment, open on the table."""

    survey: Survey
    experiment: Experiment
    parent: Experiment
    """The experiment it started from; the untouched model for a first draft."""
    items: tuple[ItemResult, ...]
    """Feedback items as the experiment answered them; empty when it was not evaluated."""
    parent_items: tuple[ItemResult, ...]
    rows: tuple[TrainedRow, ...]
    """What it was trained on; empty when no data were made."""
    losses: tuple[float, ...]
    """One value an optimiser step."""
