"""Keep a number of rows, chosen at random but reproducibly."""

from collections import Counter, defaultdict

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, holds
from tasks.record import digest


class Sample(DataStep):
    """Keep at most `rows` rows, evenly over the values of `by` (a field, or `source`) when it is given.

    With `prefer`, rows for which that condition holds are taken first.
    """

    rows: int = Field(gt=0, description="rows to keep")
    source: str | None = Field(default=None, description="only rows of this source are sampled; others pass")
    by: str | None = Field(default=None, description="field over whose values the rows are spread evenly, or `source`")
    prefer: str | None = Field(
        default=None, description="Jinja condition over the fields, such as `subject in ['tax', 'funds']`"
    )
    seed: int = Field(default=0, description="another seed keeps other rows")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the rows with the lowest hashes, in their order."""
        candidates = [i for i, row in enumerate(rows) if self.source in (None, row.source)]
        strata: dict[str, list[int]] = defaultdict(list)
        for index in candidates:
            strata["" if self.by is None else value_of(rows[index], self.by)].append(index)
        for members in strata.values():
            members.sort(key=lambda i: (not self._preferred(rows[i]), place(rows[i], self.seed, context)))
        chosen = set(_round_robin([strata[name] for name in sorted(strata)], self.rows))
        dropped = set(candidates) - chosen
        kept = [row for index, row in enumerate(rows) if index not in dropped]
        return Applied(kept, Counter({"not sampled": len(dropped)}) if dropped else Counter())

    def _preferred(self, row: DataRow) -> bool:
        return self.prefer is not None and holds(self.prefer, row)


def place(row: DataRow, seed: int, context: StepContext) -> str:
    """Where a row stands in the random order of a seed, for steps that take the first ones: the same rows each time."""
    again = [row.repeat] if row.repeat else []
    return digest([seed, context.seed, row.source, row.row, *again])


def value_of(row: DataRow, by: str) -> str:
    """A field of a row as text, or its source for `source`; empty where there is none."""
    value = row.source if by == "source" else row.fields.get(by)
    return "" if value is None else str(value)


def _round_robin(strata: list[list[int]], wanted: int) -> list[int]:
    """Take one from each stratum in turn until enough are taken or none are left."""
    taken: list[int] = []
    for depth in range(max((len(members) for members in strata), default=0)):
        for members in strata:
            if depth < len(members) and len(taken) < wanted:
                taken.append(members[depth])
    return taken


STEP = Sample
