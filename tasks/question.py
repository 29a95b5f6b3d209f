"""A question with its solution as decontamination compares them: do two questions have the same answer or options?

Numbers are compared however they are written: `1,000`, `1 000`, `1{,}000` and `1000.0` are the same, and so are `three`
and `3`.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cached_property

from tasks.text import words

_THOUSANDS = re.compile(r"(?<=\d)(?:[ ,'\u2019]|\{,\}|,?\\[,!])(?=\d{3}(?!\d))")
_LAYOUT = re.compile(r"\\(?:[dtc]?frac|left|right|text|mathrm|boxed|displaystyle|q?quad)(?![a-zA-Z])")
"""Commands of LaTeX that say how a formula looks."""
_DIGIT = re.compile(r"\d")
_LETTER = re.compile(r" [a-z] ")
_UNITS = [
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
]  # not "one", which is a pronoun too
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_VALUES = {word: value for value, word in enumerate(_UNITS, start=2)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}


class Question:
    """A question, its answer and its options in the forms that are compared; texts are those of `compared`."""

    def __init__(self, question: str, answer: str, options: Sequence[str]) -> None:
        self.question = question
        """As it is written."""
        self.text = compared(question)
        self._written = answer
        self._options = options

    @cached_property
    def options(self) -> list[str]:
        """The texts of the options."""
        return [compared(option) for option in self._options]

    @cached_property
    def shown(self) -> str:
        """Question and options in one text."""
        return compared(" ".join([self.question, *self._options]))

    @cached_property
    def numbers(self) -> Counter[str]:
        """The words with a digit, without their sign, parts of formulas included."""
        return Counter(word.lstrip("-") for word in self.text.split() if _DIGIT.search(word))

    @cached_property
    def letter(self) -> str:
        """The answer when it is a letter, with a blank on either side; or `""`."""
        return self.solution if _LETTER.fullmatch(self.solution) else ""

    @cached_property
    def solution(self) -> str:
        """The answer as it is given: a text or a letter."""
        return compared(self._written)

    @cached_property
    def answer(self) -> str:
        """The answer in words, or the option that its letter names; `""` when that is not known."""
        if not self.letter:
            return self.solution
        position = ord(self.letter.strip()) - ord("a")
        return self.options[position] if position < len(self.options) else ""


def compared(text: str) -> str:
    """The words of a text, as `tasks.text.words` gives them, with numbers written in one way."""
    text = unicodedata.normalize("NFKC", text)
    if "\\" in text:
        text = _LAYOUT.sub(" ", text)
    tokens = words(_THOUSANDS.sub("", text)).split()
    return f" {' '.join(_numbers(tokens))} " if tokens else ""


def _numbers(tokens: Sequence[str]) -> Iterator[str]:
    tens = 0
    for token in tokens:
        value = _VALUES.get(token, 1 if token == "one" and tens else 0)
        if tens and not 0 < value < 10:
            yield str(tens)
            tens = 0
        if value >= 20:
            tens = value
        elif value:
            yield str(tens + value)
            tens = 0
        else:
            yield _decimal(token) if "." in token else token
    if tens:
        yield str(tens)


def _decimal(number: str) -> str:
    """`7.50` as `7.5`, `.5` as `0.5`, `3.0` as `3`."""
    sign, number = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return f"{sign}{whole or '0'}{'.' if fraction else ''}{fraction}"


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
