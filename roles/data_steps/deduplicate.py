"""Drop rows that repeat an earlier one."""

from collections import Counter

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext
from tasks.text import normalise


class Deduplicate(DataStep):
    """Keep the first of rows that are equal after normalisation (case, punctuation and blanks do not count)."""

    source: str | None = Field(default=None, description="only rows of this source are compared; others pass")
    fields: tuple[str, ...] = Field(
        default=(), description="fields that are compared; empty means all but `id`. Rows without them pass"
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep first occurrences, in order."""
        removed: Counter[str] = Counter()
        seen: set[tuple[str, ...]] = set()
        kept: list[DataRow] = []
        for row in rows:
            key = self._key(row) if self.source in (None, row.source) else None
            if key is not None and key in seen:
                removed["duplicate"] += 1
                continue
            if key is not None:
                seen.add(key)
            kept.append(row)
        return Applied(kept, removed)

    def _key(self, row: DataRow) -> tuple[str, ...] | None:
        names = self.fields or tuple(sorted(name for name in row.fields if name != "id"))
        if not all(name in row.fields for name in names):
            return None
        scope = () if self.fields else (row.source,)
        return (*scope, *(normalise(str(row.fields[name])) for name in names))


STEP = Deduplicate
