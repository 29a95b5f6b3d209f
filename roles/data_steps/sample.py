"""Keep a number of rows, chosen at random but reproducibly."""

from collections import Counter, defaultdict

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext
from tasks.record import digest


class Sample(DataStep):
    """Keep at most `rows` rows, evenly over the values of `by` (a field, or `source`) when it is given."""

    rows: int = Field(gt=0, description="rows to keep")
    source: str | None = Field(default=None, description="only rows of this source are sampled; others pass")
    by: str | None = Field(default=None, description="field over whose values the rows are spread evenly, or `source`")
    seed: int = Field(default=0, description="another seed keeps other rows")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the rows with the lowest hashes, in their order."""
        candidates = [i for i, row in enumerate(rows) if self.source in (None, row.source)]
        strata: dict[str, list[int]] = defaultdict(list)
        for index in candidates:
            strata[self._stratum(rows[index])].append(index)
        for members in strata.values():
            members.sort(key=lambda i: digest([self.seed, context.seed, rows[i].source, rows[i].row]))
        chosen = set(_round_robin([strata[name] for name in sorted(strata)], self.rows))
        dropped = set(candidates) - chosen
        kept = [row for index, row in enumerate(rows) if index not in dropped]
        return Applied(kept, Counter({"not sampled": len(dropped)}) if dropped else Counter())

    def _stratum(self, row: DataRow) -> str:
        if self.by is None:
            return ""
        return row.source if self.by == "source" else str(row.fields.get(self.by, ""))


def _round_robin(strata: list[list[int]], wanted: int) -> list[int]:
    """Take one from each stratum in turn until enough are taken or none are left."""
    taken: list[int] = []
    for depth in range(max((len(members) for members in strata), default=0)):
        for members in strata:
            if depth < len(members) and len(taken) < wanted:
                taken.append(members[depth])
    return taken


STEP = Sample
