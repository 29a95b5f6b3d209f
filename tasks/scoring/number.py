"""Numeric answers, for example those of GSM8K (Cobbe et al. 2021, arXiv 2110.14168), which follow `####`."""

import math
from collections import deque
from typing import Literal

from pydantic import Field

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import after_marker, numbers


class Number(Record):
    """1 when the answer is within the tolerance of the reference, else 0. What counts as a number: `tasks/text.py`.

    The answer is the first number after the last marker, or the last number of the text. In a task file:
    `scorer: {name: number, marker: "####"}`. The reference may be `72`, `1,234` or a solution that ends in `#### 72`.
    """

    name: Literal["number"] = "number"
    marker: str | None = Field(default=None, min_length=1)
    """The answer is the number that follows the last occurrence (any case)."""
    require_marker: bool = False
    """With a marker set: an answer without it is unparsed, instead of read as its last number."""
    tolerance: float = Field(default=1e-6, ge=0)
    """Largest absolute difference that still counts as equal."""
    relative: float = Field(default=0, ge=0)
    """Largest difference as a part of the reference (0.01: one percent); the wider of the two bounds holds."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference is no number."""
        answer = self._extract(prediction, require_marker=self.require_marker)
        if answer is None:
            return ItemScore(score=0, parsed=False)
        reference = self._extract(sample.answer, require_marker=False)
        if reference is None:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no number")
        text, value = answer
        bound = max(self.tolerance, self.relative * abs(reference[1]))
        return ItemScore(score=float(abs(value - reference[1]) <= bound), parsed=True, extracted=text)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        if self.marker is None:
            return AnswerContract(description="The last number of the text is the answer.", example="The answer is 72.")
        return AnswerContract(
            description=f"The answer is a number that follows {self.marker!r}.", example=f"{self.marker} 72"
        )

    def _extract(self, text: str, *, require_marker: bool) -> tuple[str, float] | None:
        rest = after_marker(text, self.marker) if self.marker else None
        if rest is not None:
            found = next(numbers(rest), None)
        elif self.marker and require_marker:
            found = None
        else:
            found = next(iter(deque(numbers(text), maxlen=1)), None)
        return found if found and math.isfinite(found[1]) else None


SCORER = Number
