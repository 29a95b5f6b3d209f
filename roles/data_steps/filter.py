"""Keep the rows that satisfy simple conditions."""

from collections import Counter

from pydantic import Field

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, holds


class Filter(DataStep):
    """Drop rows with an empty required field, a length out of bounds, or a false condition."""

    source: str | None = Field(default=None, description="only rows of this source are examined; others pass")
    require: tuple[str, ...] = Field(default=(), description="fields that must be present and not blank")
    field: str | None = Field(default=None, description="field whose length in characters is bounded")
    min_characters: int = Field(default=0, ge=0)
    max_characters: int | None = Field(default=None, gt=0)
    where: str | None = Field(
        default=None, description="Jinja expression over the fields, such as `answer in ['A', 'B', 'C', 'D']`"
    )

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Keep rows without a fault; the reason of each drop names the field or condition."""
        removed: Counter[str] = Counter()
        kept: list[DataRow] = []
        for row in rows:
            fault = self._fault(row) if self.source in (None, row.source) else None
            if fault:
                removed[fault] += 1
            else:
                kept.append(row)
        return Applied(kept, removed)

    def _fault(self, row: DataRow) -> str | None:
        for name in self.require:
            if not _text(row, name).strip():
                return f"no {name}"
        if self.field is not None:
            length = len(_text(row, self.field))
            if length < self.min_characters:
                return f"{self.field} too short"
            if self.max_characters is not None and length > self.max_characters:
                return f"{self.field} too long"
        return f"not {self.where}" if self.where and not holds(self.where, row) else None


def _text(row: DataRow, name: str) -> str:
    """A field as text; nothing when it is missing, null or an empty list. Zero and false are values."""
    value = row.fields.get(name)
    return "" if value is None or value == [] or value == {} else str(value)


STEP = Filter
