"""Give open questions options, so that they look like a multiple-choice benchmark."""

from collections import Counter, defaultdict
from collections.abc import Sequence

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext
from tasks.failure import InputError
from tasks.record import digest
from tasks.text import normalise


class Choices(DataStep):
    """Add a list of options to the rows of a source: the row's own answer among the answers of other rows.

    A `format` step with `prompt: task` can then render them like the benchmark. Wrong options come from rows with the
    same value of `by`, where a field is named: they are harder to tell apart and teach more. Rows without enough
    different answers around them are dropped. Pays where a multiple-choice benchmark meets sources without options.
    """

    source: str = Field(description="the source whose rows get options")
    answer: str = Field(description="field that holds the right answer; short texts make good options")
    by: str | None = Field(
        default=None, description="field whose value right and wrong options share, such as a subject"
    )
    number: int = Field(default=4, ge=2, le=10, description="options of a row, the right one included")
    into: str = Field(default="options", description="field that receives the list")
    longest: int = Field(default=100, gt=0, description="characters of an answer; rows with longer ones are dropped")
    seed: int = Field(default=0, description="another seed draws other options")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Add the options; other sources pass."""
        own = [row for row in rows if row.source == self.source]
        if own and not any(self._answer(row) for row in own):
            raise InputError(f"no row of '{self.source}' has the field '{self.answer}'")
        pools: dict[str, list[str]] = defaultdict(list)
        for row in own:
            pools[self._pool(row)].append(self._answer(row))
        removed: Counter[str] = Counter()
        kept: list[DataRow] = []
        for row in rows:
            made = self._made(row, pools, context) if row.source == self.source else row
            if isinstance(made, str):
                removed[made] += 1
            else:
                kept.append(made)
        return Applied(kept, removed)

    def _made(self, row: DataRow, pools: dict[str, list[str]], context: StepContext) -> DataRow | str:
        """The row with its options, or why it has none."""
        answer = self._answer(row)
        if not answer or len(answer) > self.longest:
            return f"no short {self.answer}"
        wrong = self._wrong(row, answer, pools[self._pool(row)], context)
        if len(wrong) < self.number - 1:
            return "too few other answers"
        options = sorted([answer, *wrong], key=lambda option: self._place(row, option, "order", context))
        return row.model_copy(update={"fields": {**row.fields, self.into: options}})

    def _wrong(self, row: DataRow, answer: str, pool: Sequence[str], context: StepContext) -> list[str]:
        """Different answers, none of which holds another."""
        chosen = [answer]
        for option in sorted(set(pool), key=lambda option: self._place(row, option, "choice", context)):
            if len(chosen) < self.number and len(option) <= self.longest and not _clashes(option, chosen):
                chosen.append(option)
        return chosen[1:]

    def _place(self, row: DataRow, option: str, purpose: str, context: StepContext) -> str:
        return digest([purpose, self.seed, context.seed, row.source, row.row, option])

    def _answer(self, row: DataRow) -> str:
        return str(row.fields.get(self.answer) or "").strip()

    def _pool(self, row: DataRow) -> str:
        return str(row.fields.get(self.by, "")) if self.by else ""


def _clashes(option: str, chosen: Sequence[str]) -> bool:
    text = normalise(option)
    others = [normalise(other) for other in chosen]
    return not text or any(text in other or other in text for other in others)


STEP = Choices
