"""The reference occurs in the answer."""

from typing import Literal

from pydantic import Field

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.text import words


class Contains(Record):
    """1 when the reference occurs in the answer as whole words after normalisation, else 0.

    In a task file: `scorer: {name: contains, max_words: 20}`.
    """

    name: Literal["contains"] = "contains"
    max_words: int = Field(default=50, gt=0)
    """A longer answer is unparsed: otherwise listing everything would win."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when no words of the reference are left after normalisation."""
        answer = words(prediction)
        if not 0 < len(answer.split()) <= self.max_words:
            return ItemScore(score=0, parsed=False)
        reference = words(sample.answer)
        if not reference:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no words")
        return ItemScore(score=float(reference in answer), parsed=True, extracted=prediction.strip())

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description=f"A text of at most {self.max_words} words that holds the answer.",
            example="duration",
        )


SCORER = Contains
