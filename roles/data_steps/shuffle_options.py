"""Put the options of multiple-choice rows into another order."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
from pydantic import Field, model_validator

from roles.data_steps.row import Applied, DataRow, DataStep, StepContext, check_field, of_source
from tasks.record import digest

LETTERS = "ABCDEFGHIJ"
TRIES = 10
"""Orders that are drawn for each copy; of the different ones the first are taken."""


class ShuffleOptions(DataStep):
    """Put the options of multiple-choice rows into another order, so that no place is right more often than others.

    Options stand in fields of their own (`options: [A, B, C, D]`) or in one field that holds a list. An answer that is
    the letter of an option becomes its new letter; an answer that is its text stays. With `copies` a row is there
    several times, each time in another order: more rows to learn from, and the model cannot go by the place. Put it
    before `format`; the gate takes rows whose options stand in another order for different ones.
    """

    source: str = Field(description="the source whose rows are shuffled; other rows pass")
    options: tuple[str, ...] = Field(
        min_length=1, max_length=len(LETTERS), description="fields of the options in order, or one field with a list"
    )
    answer: str = Field(default="answer", description="field with the letter or the text of the right option")
    copies: int = Field(default=1, ge=1, le=8, description="rows that are made of each, in different orders")
    keep_original: bool = Field(default=False, description="the row as it was stays, before those made of it")
    seed: int = Field(default=0, description="another seed gives other orders")

    @model_validator(mode="after")
    def _no_option_twice(self) -> Self:
        if len(set(self.options)) < len(self.options):
            raise ValueError("options names a field twice")
        return self

    def apply(self, rows: list[DataRow], context: StepContext) -> Applied:
        """Shuffle the rows of the source.

        Raises:
            InputError: no row is of the source, or none has the fields.
        """
        own = of_source(rows, self.source)
        for name in (*self.options, self.answer):
            check_field([rows[position] for position in own], name)
        kept: list[DataRow] = []
        removed: Counter[str] = Counter()
        shuffles = 0
        for row in rows:
            if row.source != self.source:
                kept.append(row)
                continue
            made = self._made(row, context.seed)
            if not made:
                removed["without options and an answer among them"] += 1
                continue
            kept += [row, *made] if self.keep_original else made
            shuffles += len(made)
        return Applied(kept, removed, {"in another order": shuffles} if shuffles else {})

    def _made(self, row: DataRow, seed: int) -> list[DataRow]:
        """The row in other orders; nothing when its options or its answer cannot be read."""
        found = self._read(row.fields)
        if found is None:
            return []
        texts, right = found
        draw = np.random.default_rng(int(digest([self.seed, seed, row.source, row.row])[:8], 16))
        drawn = [tuple(draw.permutation(len(texts)).tolist()) for _ in range(TRIES * self.copies)]
        as_it_was = (tuple(range(len(texts))),) if self.keep_original else ()
        orders = [order for order in dict.fromkeys(drawn) if order not in as_it_was]
        written = [self._written(row.fields, texts, right, order) for order in orders[: self.copies]]
        return [row.model_copy(update={"fields": fields}) for fields in written]

    def _read(self, fields: dict[str, Any]) -> tuple[list[str], int] | None:
        """The options and the place of the right one."""
        if len(self.options) == 1:
            listed = fields.get(self.options[0])
            texts = list(map(str, listed)) if isinstance(listed, list | tuple) else []
        else:
            texts = [str(fields.get(name) or "") for name in self.options]
        answer = str(fields.get(self.answer) or "").strip()
        if len(texts) < 2 or len(texts) > len(LETTERS) or not all(texts) or not answer:
            return None
        if answer.upper() in LETTERS[: len(texts)] and answer not in texts:
            return texts, LETTERS.index(answer.upper())
        return (texts, texts.index(answer)) if answer in texts else None

    def _written(self, fields: dict[str, Any], texts: list[str], right: int, order: Sequence[int]) -> dict[str, Any]:
        """The fields with the options in another order."""
        turned = [texts[place] for place in order]
        options = {self.options[0]: turned} if len(self.options) == 1 else dict(zip(self.options, turned, strict=True))
        is_letter = str(fields[self.answer]).strip() not in texts
        answer = {self.answer: LETTERS[order.index(right)]} if is_letter else {}
        return {**fields, **options, **answer}


STEP = ShuffleOptions
