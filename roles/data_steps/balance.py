"""Even out the values of a field."""

import math
from collections import Counter, defaultdict
from fractions import Fraction
from typing import Literal

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from roles.data_steps.sample import place, value_of


class Balance(DataStep):
    """Bring the values of a field (a category, a label, the source) nearer to equal numbers of rows.

    Pays when a model neglects what few rows show. `undersample` drops rows of the common values: no row is seen twice,
    but rows are lost. `oversample` repeats rows of the rare values, which costs training time and invites learning them
    by heart; put it after `deduplicate`, which would drop the repetitions. Rows without a value pass.
    """

    by: str = Field(description="field whose values are evened out, or `source`")
    source: str | None = Field(default=None, description="only rows of this source are balanced; others pass")
    how: Literal["undersample", "oversample"] = Field(
        default="undersample", description="drop rows of common values, or repeat rows of rare ones"
    )
    ratio: float = Field(
        default=1.0, ge=1, description="the most common value may have this many times the rows of the rarest one"
    )
    least: int = Field(
        default=1, ge=1, description="values with fewer rows are left as they are and set no measure for the others"
    )
    most: int = Field(default=4, ge=2, description="`oversample` leaves a row at most this many times")
    seed: int = Field(default=0, description="another seed drops or repeats other rows")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Drop or repeat rows, in their order; a repetition follows its row."""
        members = self._members(rows)
        for positions in members.values():
            positions.sort(key=lambda position: place(rows[position], self.seed, context))
        sizes = [len(positions) for positions in members.values()]
        if not sizes:
            return Applied(rows, Counter())
        ratio = Fraction(str(self.ratio))
        if self.how == "undersample":
            return self._undersample(rows, members, math.floor(min(sizes) * ratio))
        return self._oversample(rows, members, math.ceil(max(sizes) / ratio))

    def _members(self, rows: list[DataRow]) -> dict[str, list[int]]:
        """The positions of the rows of each value that counts."""
        chosen = of_source(rows, self.source)
        if self.by != "source":
            check_field([rows[position] for position in chosen], self.by)
        members: dict[str, list[int]] = defaultdict(list)
        for position in chosen:
            members[value_of(rows[position], self.by)].append(position)
        return {value: found for value, found in sorted(members.items()) if value.strip() and len(found) >= self.least}

    def _undersample(self, rows: list[DataRow], members: dict[str, list[int]], size: int) -> Applied:
        dropped = {position for positions in members.values() for position in positions[size:]}
        removed = Counter(
            {f"too many of {self.by} {value}": len(found) - size for value, found in members.items() if found[size:]}
        )
        return Applied([row for position, row in enumerate(rows) if position not in dropped], removed)

    def _oversample(self, rows: list[DataRow], members: dict[str, list[int]], size: int) -> Applied:
        times: Counter[int] = Counter()
        changed: dict[str, int] = {}
        for value, positions in members.items():
            missing = min(size, self.most * len(positions)) - len(positions)
            for number in range(missing):
                times[positions[number % len(positions)]] += 1
            if missing > 0:
                changed[f"repeated of {self.by} {value}"] = missing
        return Applied(_repeated(rows, times), Counter(), changed)


def _repeated(rows: list[DataRow], times: Counter[int]) -> list[DataRow]:
    """The rows, each followed by as many repetitions as are due; `repeat` tells those of one row apart."""
    latest: dict[tuple[str, int], int] = {}
    for row in rows:
        latest[row.source, row.row] = max(row.repeat, latest.get((row.source, row.row), 0))
    kept: list[DataRow] = []
    for position, row in enumerate(rows):
        kept.append(row)
        for _ in range(times[position]):
            latest[row.source, row.row] += 1
            kept.append(row.model_copy(update={"repeat": latest[row.source, row.row]}))
    return kept


STEP = Balance
