"""The row that data steps pass on, and the interface of a step."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import JsonValue

from roles.data_steps.models import ModelAccess, Models
from tasks.failure import InputError
from tasks.record import Record
from tasks.task import Task
from tasks.template import render

Service = Literal["gateway", "engine"]


class DataRow(Record):
    """A row on its way from a raw source to training data."""

    source: str
    """The source it came from."""
    row: int
    """Its number in that source, from 1."""
    fields: dict[str, Any]
    """Raw fields; after `format`: `prompt`, `answer`, `options`, `content`, `task_format`."""
    repeat: int = 0
    """0; from 1 on for the repetitions that `balance` makes of a row, which the gate lets pass."""


class StepContext(NamedTuple):
    """What a step may know besides its rows."""

    task: Task
    seed: int
    models: Models | None = None
    """What it may ask; None where there is nothing."""


def of_source(rows: Sequence[DataRow], source: str | None) -> list[int]:
    """Positions of the rows of a source, or of all rows without one.

    Raises:
        InputError: there are rows, but none of that source.
    """
    found = [position for position, row in enumerate(rows) if source in (None, row.source)]
    if rows and not found:
        known = ", ".join(sorted({row.source for row in rows}))
        raise InputError(f"no row is of source '{source}'; there are: {known}")
    return found


def check_field(rows: Sequence[DataRow], name: str) -> None:
    """Check that at least one of the rows has a field.

    Raises:
        InputError: there are rows, but none has it.
    """
    if rows and not any(name in row.fields for row in rows):
        known = ", ".join(dict.fromkeys(name for row in rows for name in row.fields))
        raise InputError(f"no row has the field '{name}'; there are: {known}")


def holds(condition: str, row: DataRow) -> bool:
    """Whether a Jinja condition is true of a row; false where it names a field that the row lacks.

    Raises:
        InputError: the condition is not a Jinja expression.
    """
    try:
        return render(f"{{{{ 1 if ({condition}) else 0 }}}}", row.fields) == "1"
    except InputError as error:
        if "is undefined" in str(error):
            return False
        raise


class Applied(NamedTuple):
    """What a step leaves."""

    rows: list[DataRow]
    removed: Counter[str]
    """Rows dropped, by reason."""
    changed: Mapping[str, int] = {}
    """Rows altered but kept, by what was done."""


class DataStep(Record):
    """A step of a data recipe; see `roles/data_steps/__init__.py`."""

    version: ClassVar[int] = 1
    asks: ClassVar[Service | None] = None
    """The service whose socket it needs."""

    def depends_on(self, access: ModelAccess) -> JsonValue:
        """What decides its output besides its rows and parameters: the model that it asks; None without one.

        Raises:
            StageError: CONFIG, there is no model of the kind that it asks.
        """
        return None

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Turn rows into rows; deterministic in its arguments."""
        raise TypeError(f"{type(self).__name__} does not run as a step of its own")
