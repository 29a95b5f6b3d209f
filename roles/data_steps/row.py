"""The row that data steps pass on, and the interface of a step."""

from collections import Counter
from typing import Any, ClassVar, NamedTuple

from tasks.record import Record
from tasks.task import Task


class DataRow(Record):
    """A row on its way from a raw source to training data."""

    source: str
    """The source it came from."""
    row: int
    """Its number in that source, from 1."""
    fields: dict[str, Any]
    """Raw fields; after `format`: `prompt`, `answer`, `options`, `content`, `task_format`."""


class StepContext(NamedTuple):
    """What a step may know besides its rows."""

    task: Task
    seed: int


class Applied(NamedTuple):
    """What a step leaves."""

    rows: list[DataRow]
    removed: Counter[str]
    """Rows dropped, by reason."""


class DataStep(Record):
    """A step of a data recipe; see `roles/data_steps/__init__.py`."""

    version: ClassVar[int] = 1

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Turn rows into rows; deterministic in its arguments."""
        raise TypeError(f"{type(self).__name__} does not run as a step of its own")
