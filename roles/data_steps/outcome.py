"""What became of rows about which a model was asked."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from roles.data_steps.row import Applied, DataRow

NOT_ASKED = "not asked about"


def drawn(positions: list[int], most: int | None, seeds: list[int]) -> list[int]:
    """At most so many of some positions, drawn by seed and in their order; all without a number."""
    if most is None or most >= len(positions):
        return positions
    chosen = np.random.default_rng(seeds).permutation(len(positions))[:most]
    return sorted(positions[place] for place in chosen)


class Outcome(NamedTuple):
    """New fields and faults, by the position of the row they belong to."""

    positions: frozenset[int]
    """Rows of the source; the others pass."""
    made: dict[int, list[dict[str, Any]]]
    faults: dict[int, list[str]]

    @classmethod
    def of(cls, positions: Sequence[int]) -> "Outcome":
        """Nothing yet."""
        return cls(frozenset(positions), defaultdict(list), defaultdict(list))

    def keep(self, position: int, fields: dict[str, Any]) -> None:
        """Note the fields of a new row, unless there is an equal one."""
        if fields not in self.made[position]:
            self.made[position].append(fields)

    def fault(self, position: int, reason: str) -> None:
        """Note an answer of no use, or why there is none."""
        self.faults[position].append(reason)

    def joined(self, rows: Sequence[DataRow], *, keep_original: bool, beside: bool) -> Applied:
        """The rows with those that were made in the place of theirs.

        A row of which nothing was made is removed for its first fault; a fault of another answer is told as a change.

        Args:
            keep_original: leave such rows as they were.
            beside: with `keep_original` leave all rows, before what was made of them.
        """
        kept: list[DataRow] = []
        removed: Counter[str] = Counter()
        changed: Counter[str] = Counter()
        for position, row in enumerate(rows):
            made, faults = self.made.get(position, []), self.faults.get(position) or [NOT_ASKED]
            if position not in self.positions or (keep_original and (beside or not made)):
                kept.append(row)
            if position not in self.positions:
                continue
            kept += [row.model_copy(update={"fields": fields}) for fields in made]
            changed["written"] += len(made)
            if not made and keep_original:
                changed[f"left as it was: {faults[0]}"] += 1
            elif not made:
                removed[faults[0]] += 1
            changed.update(f"further answer: {fault}" for fault in (self.faults.get(position, []))[not made :])
        return Applied(kept, removed, {what: count for what, count in changed.items() if count})
