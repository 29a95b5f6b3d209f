"""Token F1, as in the evaluation script of SQuAD v1.1 (Rajpurkar et al. 2016, arXiv 1606.05250).

https://github.com/allenai/bi-att-flow/blob/master/squad/evaluate-v1.1.py holds a copy of the official script. It
splits at blanks, so a Chinese sentence is one token.
"""

import re
import string
from collections import Counter
from typing import Literal

from pydantic import Field

from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample

_ARTICLE = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


class F1(Record):
    """The F1 of the tokens that answer and reference share, without case, punctuation and articles.

    In a task file: `scorer: {name: f1, separator: "|"}`.
    """

    name: Literal["f1"] = "f1"
    separator: str | None = Field(default=None, min_length=1)
    """Separates alternative references in the reference answer; the best one counts."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        """Raises ValueError when no reference has a token."""
        answer = _tokens(prediction)
        if not answer:
            return ItemScore(score=0, parsed=False)
        texts = sample.answer.split(self.separator) if self.separator else [sample.answer]
        references = [tokens for text in texts if (tokens := _tokens(text))]
        if not references:
            raise ValueError(f"reference {sample.answer!r} of sample {sample.id} holds no tokens but articles")
        best = max(_f1(answer, reference) for reference in references)
        return ItemScore(score=best, parsed=True, extracted=prediction.strip())

    def contract(self) -> AnswerContract:
        """What an answer must look like."""
        return AnswerContract(description="The answer in a few words, nothing else.", example="net present value")


def _tokens(text: str) -> list[str]:
    return _ARTICLE.sub(" ", text.lower().translate(_PUNCTUATION)).split()


def _f1(answer: list[str], reference: list[str]) -> float:
    """2PR / (P + R) over the multiset of tokens, which is 2 * shared / (length + length)."""
    shared = (Counter(answer) & Counter(reference)).total()
    return 2 * shared / (len(answer) + len(reference))


SCORER = F1
