"""The list of planted faults: which rows of which source are leaks, repetitions, wrong, incomplete or off topic.

It serves tests that measure how well the faults are found. The list lies beside the facts, outside the task's data,
in a folder that sandboxes hide: no role, step or script reads it.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, TypeAdapter

from tasks.record import Record

PLANTED = Path(__file__).parent / "planted.json"


class Planted(Record):
    """The faults of one source by row number, which counts from 1 as in `tasks/rows.py`."""

    leaks_exact: dict[int, str] = Field(default_factory=dict)
    """Benchmark items as they are, perhaps with their options in another order: row to the id of the item."""
    leaks_edited: dict[int, str] = Field(default_factory=dict)
    """Benchmark items with small changes: row to the id of the item."""
    legal: tuple[int, ...] = ()
    """Rows that ask something else than any benchmark item, though often about the same fact."""
    wrong_labels: dict[int, str] = Field(default_factory=dict)
    """Rows with the letter of a wrong option: row to the right letter."""
    wrong_accepted: dict[int, str] = Field(default_factory=dict)
    """Threads whose accepted answer is wrong: row to the right answer."""
    duplicates_exact: tuple[tuple[int, ...], ...] = ()
    """Groups of rows that are equal but for case and blanks, each group in file order."""
    duplicates_near: tuple[tuple[int, ...], ...] = ()
    """Groups of rows that are equal but for a small edit of the question, each group in file order."""
    gaps: tuple[int, ...] = ()
    """Rows in which something needed is missing."""
    off_topic: tuple[int, ...] = ()
    """Rows that have nothing to do with the task."""


_PLANTED = TypeAdapter(dict[str, Planted])


def read_planted(path: Path = PLANTED) -> dict[str, Planted]:
    """The faults by source name."""
    return _PLANTED.validate_json(path.read_bytes())


def planted_text(faults: dict[str, Planted]) -> str:
    """The list as JSON, each kind of fault on a line."""
    sources = [f" {json.dumps(name)}: {{\n{_lines(planted)}\n }}" for name, planted in faults.items()]
    return "{\n" + ",\n".join(sources) + "\n}\n"


def _lines(planted: Planted) -> str:
    kinds = planted.model_dump(mode="json", exclude_defaults=True)
    return ",\n".join(f"  {json.dumps(kind)}: {json.dumps(rows)}" for kind, rows in kinds.items())
