"""ROUGE-L (Lin 2004, https://aclanthology.org/W04-1013) as the `rouge-score` package computes it."""

from functools import cache
from typing import Any, Literal

from tasks.failure import InputError
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample

MAX_CHARACTERS = 20_000
"""Longer answers are unparsed: the table of the longest common subsequence grows with both lengths."""


class RougeL(Record):
    """The F measure of the longest common subsequence of words. The package reads a-z and 0-9 only.

    In a task file: `scorer: {name: rouge_l, stemmer: true}`.
    """

    name: Literal["rouge_l"] = "rouge_l"
    stemmer: bool = False
    """Compare Porter stems instead of words."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when the reference has no words, InputError without the package `rouge-score`."""
        if len(prediction) > MAX_CHARACTERS or not _has_words(prediction):
            return ItemScore(score=0, parsed=False)
        if not _has_words(sample.answer):
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} has no words in a-z or 0-9")
        measures = _scorer(self.stemmer).score(sample.answer, prediction)
        return ItemScore(score=float(measures["rougeL"].fmeasure), parsed=True, extracted=prediction.strip())

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(
            description=f"Free text of at most {MAX_CHARACTERS} characters, about as long as the reference.",
            example="The revenue grew because prices rose.",
        )


def _has_words(text: str) -> bool:
    return any(character.isascii() and character.isalnum() for character in text)


@cache
def _scorer(stemmer: bool) -> Any:
    try:
        from rouge_score.rouge_scorer import RougeScorer
    except ImportError:
        raise InputError("the scorer rouge_l needs a package: pip install rouge-score") from None
    return RougeScorer(["rougeL"], use_stemmer=stemmer)


SCORER = RougeL
