"""Set the shares of the sources."""

from collections import Counter
from fractions import Fraction
from typing import Annotated

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, of_source
from roles.data_steps.sample import place

Share = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Mix(DataStep):
    """Keep as many rows of each source as its share says; rows of sources without a share are dropped.

    Pays to hold a large source back, or to try how much of another form than the benchmark's helps. The shares hold
    exactly but for rounding, so the scarcest source bounds the total: to keep more rows, lower its share.
    """

    shares: dict[str, Share] = Field(
        min_length=1, description="share of each source, such as 0.7 and 0.3; only their proportions count"
    )
    rows: int | None = Field(default=None, gt=0, description="rows to keep at most; null for all that the shares allow")
    seed: int = Field(default=0, description="another seed keeps other rows")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the first rows of each source in the order of the seed; the rows that stay keep their order."""
        if not rows:
            return Applied(rows, Counter())
        members = {source: of_source(rows, source) for source in sorted(self.shares)}
        sizes = self._sizes({source: len(positions) for source, positions in members.items()})
        kept: set[int] = set()
        for source, positions in members.items():
            positions.sort(key=lambda position: place(rows[position], self.seed, context))
            kept.update(positions[: sizes[source]])
        removed = Counter(
            f"{row.source}: {'over its share' if row.source in self.shares else 'no share'}"
            for position, row in enumerate(rows)
            if position not in kept
        )
        return Applied([row for position, row in enumerate(rows) if position in kept], removed)

    def _sizes(self, available: dict[str, int]) -> dict[str, int]:
        """Rows of each source, by largest remainders: parts are rounded down, the largest fractions up to the total."""
        whole = sum(Fraction(str(share)) for share in self.shares.values())
        shares = {source: Fraction(str(self.shares[source])) / whole for source in available}
        total = min(int(available[source] / share) for source, share in shares.items())
        total = total if self.rows is None else min(total, self.rows)
        sizes = {source: int(share * total) for source, share in shares.items()}
        for source in sorted(shares, key=lambda source: sizes[source] - shares[source] * total):
            if sum(sizes.values()) < total:
                sizes[source] += 1
        return sizes


STEP = Mix
