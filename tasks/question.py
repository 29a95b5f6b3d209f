"""A question with its solution as decontamination compares them: do two questions have the same answer or options?"""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cached_property

from tasks.text import words

_THOUSANDS = re.compile(r"(?<=\d)[ ,'\u2019](?=\d{3}(?!\d))")
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r" [a-z] ")


class Question:
    """A question, its answer and its options in the forms that are compared; texts are `tasks.text.words`."""

    def __init__(self, question: str, answer: str, options: Sequence[str]) -> None:
        self.question = question
        """As it is written."""
        self.text = words(question)
        self._answer = words(answer)
        self._options = options

    @cached_property
    def options(self) -> list[str]:
        """The texts of the options."""
        return [words(option) for option in self._options]

    @cached_property
    def shown(self) -> str:
        """Question and options in one text."""
        return words(" ".join([self.question, *self._options]))

    @cached_property
    def numbers(self) -> Counter[str]:
        """The words with a digit, parts of formulas included; `1,000` and `1000` are the same."""
        plain = _THOUSANDS.sub("", unicodedata.normalize("NFKC", self.question))
        return Counter(word for word in words(plain).split() if _DIGIT.search(word))

    @cached_property
    def letter(self) -> str:
        """The answer when it is a letter, with a blank on either side; or `""`."""
        return self._answer if _LETTER.fullmatch(self._answer) else ""

    @cached_property
    def answer(self) -> str:
        """The answer in words, or the option that its letter names; `""` when that is not known."""
        if not self.letter:
            return self._answer
        position = ord(self.letter.strip()) - ord("a")
        return self.options[position] if position < len(self.options) else ""


def numbers_agree(row: Question, item: Question) -> bool:
    """Neither question replaces a number of the other one; a row may add some ("Exercise 12")."""
    return item.numbers <= row.numbers or row.numbers <= item.numbers


def same_answer(row: Question, item: Question) -> bool:
    """The row's answer holds the item's. A letter stands for its option; without options letters are compared."""
    if item.answer and item.answer in row.answer:
        return True
    if row.options:
        return False
    if row.letter and same_options(row, item):  # in its question, in whatever order
        return True
    return bool(item.letter) and (row.letter or row.answer).endswith(item.letter)


def same_options(row: Question, item: Question) -> bool:
    """The row lists the options of the item or has them in its question; one of four may be another one."""
    missing = sum(option not in row.shown for option in item.options)
    return bool(item.options) and missing <= len(item.options) // 4
