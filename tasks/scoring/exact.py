"""Exact match after normalisation."""

from typing import Literal

from pydantic import Field

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import after_marker, first_line, normalise


class Exact(Record):
    """1 when the answer equals the reference after normalisation, else 0.

    In a task file: `scorer: {name: exact, marker: "Final Answer:"}`. A reference that holds the marker is cut like a
    prediction.
    """

    name: Literal["exact"] = "exact"
    ignore_case: bool = True
    """Compare casefolded text."""
    ignore_punctuation: bool = True
    """Compare words only; the sign and the decimal point of a number still count."""
    marker: str | None = Field(default=None, min_length=1)
    """Compare the rest of the line after the last occurrence (any case); an answer without it is unparsed."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when nothing of the reference is left after normalisation."""
        answer = self._extract(prediction)
        if not answer or not self._normalise(answer):
            return ItemScore(score=0, parsed=False)
        reference = self._normalise(self._extract(sample.answer) or sample.answer)
        if not reference:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} is empty after normalisation")
        return ItemScore(score=float(self._normalise(answer) == reference), parsed=True, extracted=answer)

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        if self.marker is None:
            return AnswerContract(description="Nothing but the answer itself.", example="net present value")
        return AnswerContract(
            description=f"The answer follows {self.marker!r} on the same line; the last occurrence counts.",
            example=f"{self.marker} net present value",
        )

    def _extract(self, text: str) -> str | None:
        if self.marker is None:
            return text.strip()
        rest = after_marker(text, self.marker)
        return None if rest is None else first_line(rest)

    def _normalise(self, text: str) -> str:
        return normalise(text, ignore_case=self.ignore_case, ignore_punctuation=self.ignore_punctuation)


SCORER = Exact
