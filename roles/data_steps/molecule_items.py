"""Turn molecules into questions with exact answers."""

import random
from collections import Counter

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from tasks.failure import InputError
from tasks.molecule_items import MAKERS, made
from tasks.record import digest

TRIES = 8
"""Other random choices before a molecule is given up for a kind of question."""


class MoleculeItems(DataStep):
    """Make questions about the molecules of a source, whose answers RDKit knows: the raw rows become items of the task.

    Kinds are sub-tasks of ChemCoTBench: `fg_count`, `ring_count`, `Murcko_scaffold`, `ring_system_scaffold`,
    `equivalence` (reading); `add`, `delete`, `sub` (editing); `logp`, `qed`, `solubility` (optimising). A `format` step
    with `prompt: task` and `answer: "{{ answer }}"` must follow. Each molecule is used once, for the kinds in turn, so
    that the kinds are even.
    """

    source: str = Field(description="the source whose rows hold molecules")
    field: str = Field(default="smiles", description="field with the SMILES")
    kinds: tuple[str, ...] = Field(min_length=1, description="sub-tasks to make questions for")
    rows: int = Field(default=2000, gt=0, description="questions to make at most")
    seed: int = Field(default=0, description="another seed makes other questions")

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Replace the rows of the source by questions; other sources pass."""
        unknown = [kind for kind in self.kinds if kind not in MAKERS]
        if unknown:
            raise InputError(f"unknown kinds {', '.join(unknown)}; known: {', '.join(MAKERS)}")
        positions = of_source(rows, self.source)
        own = [rows[position] for position in positions]
        check_field(own, self.field)
        others = [str(row.fields[self.field]) for row in own if row.fields.get(self.field)]
        removed: Counter[str] = Counter()
        kept: list[DataRow] = [row for row in rows if row.source != self.source]
        done = 0
        for row in own:
            if done == self.rows:
                removed["more than wanted"] += 1
                continue
            item = self._item(row, self.kinds[done % len(self.kinds)], others, context)
            if item is None:
                removed["no question can be made"] += 1
                continue
            kept.append(item)
            done += 1
        return Applied(kept, removed)

    def _item(self, row: DataRow, kind: str, others: list[str], context: StepContext) -> DataRow | None:
        smiles = str(row.fields.get(self.field) or "")
        rng = random.Random(digest([self.seed, context.seed, kind, smiles]))
        for _ in range(TRIES):
            fields = made(kind, smiles, rng, others)
            if fields is not None:
                return row.model_copy(update={"fields": {**row.fields, **fields}})
        return None


STEP = MoleculeItems
