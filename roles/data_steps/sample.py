"""Keep a number of rows, chosen at random but reproducibly."""

from collections import Counter, defaultdict
from typing import Self

from pydantic import Field, model_validator

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, holds
from tasks.record import digest


class Sample(DataStep):
    """Keep at most `rows` rows, evenly over the values of `by` (a field, or `source`) when it is given.

    With `shares` the values get unequal parts, such as those of the benchmark's groups. With `prefer`, rows for which
    that condition holds are taken first.
    """

    rows: int = Field(gt=0, description="rows to keep")
    source: str | None = Field(default=None, description="only rows of this source are sampled; others pass")
    by: str | None = Field(default=None, description="field over whose values the rows are spread evenly, or `source`")
    shares: dict[str, float] = Field(
        default_factory=dict,
        description="parts of the values of `by`, in any unit; a value that is not named gets none, and where one has "
        "too few rows, fewer are kept",
    )
    prefer: str | None = Field(
        default=None, description="Jinja condition over the fields, such as `subject in ['tax', 'funds']`"
    )
    seed: int = Field(default=0, description="another seed keeps other rows")

    @model_validator(mode="after")
    def _shares_of_something(self) -> Self:
        if self.shares and self.by is None:
            raise ValueError("`shares` needs `by`: the field whose values they are of")
        if self.shares and (min(self.shares.values()) < 0 or sum(self.shares.values()) <= 0):
            raise ValueError("`shares` must be 0 or more, and one of them more than 0")
        return self

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep the rows with the lowest hashes, in their order."""
        candidates = [i for i, row in enumerate(rows) if self.source in (None, row.source)]
        strata: dict[str, list[int]] = defaultdict(list)
        for index in candidates:
            strata["" if self.by is None else value_of(rows[index], self.by)].append(index)
        for members in strata.values():
            members.sort(key=lambda i: (not self._preferred(rows[i]), place(rows[i], self.seed, context)))
        if self.shares:
            chosen = {i for name, n in self._quotas().items() for i in strata.get(name, [])[:n]}
        else:
            chosen = set(_round_robin([strata[name] for name in sorted(strata)], self.rows))
        dropped = set(candidates) - chosen
        kept = [row for index, row in enumerate(rows) if index not in dropped]
        return Applied(kept, Counter({"not sampled": len(dropped)}) if dropped else Counter())

    def _quotas(self) -> dict[str, int]:
        """Rows of each value: whole numbers whose sum is `rows`, by largest remainders."""
        whole = sum(self.shares.values())
        exact = {name: self.rows * share / whole for name, share in self.shares.items()}
        quotas = {name: int(part) for name, part in exact.items()}
        short = self.rows - sum(quotas.values())
        for name in sorted(exact, key=lambda name: (quotas[name] - exact[name], name))[:short]:
            quotas[name] += 1
        return quotas

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
