"""What the module of each source gives: rows, the faults planted in them, and what a careful reader can learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tasks.starter.planted import Planted


@dataclass(frozen=True)
class SourceTable:
    """The rows of one source in file order."""

    rows: Sequence[Mapping[str, Any]]
    planted: Planted
    aspects: frozenset[str] = frozenset()
    """Ids of facts whose aspect is answered rightly in a sound row."""
    definitions: frozenset[str] = frozenset()
    """Ids of facts whose definition is given rightly in a sound row."""
