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
_LAYOUT = re.compile(r"\\(?:[dtc]?frac|left|right|text|mathrm|boxed|displaystyle|q?quad)(?![a-zA-Z])", re.IGNORECASE)
"""Commands of LaTeX that say how a formula looks."""
_DIGIT = re.compile(r"\d")
_FORMULA = re.compile(r"\$([^$]*)\$|\\\[(.{,2000}?)\\\]|\\\((.{,2000}?)\\\)", re.DOTALL)
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_SYMBOL = re.compile(r"[A-Za-z]+")
LETTERS = "ABCDEFGH"
_LABEL = r"\(?{}[.):\u3001\uff0e\uff1a\uff09][ \t]*(?=\S)"
_OPTIONS = re.compile(
    rf"\n[ \t]*{_LABEL.format('A')}[^\n]*\n[ \t]*{_LABEL.format('B')}"
    rf"|\s{_LABEL.format('A')}[^\n]{{,300}}?\s{_LABEL.format('B')}[^\n]{{,300}}?\s{_LABEL.format('C')}"
)
"""Where options begin in a prompt: on lines of their own, or three at least in one line."""
_OPTION = re.compile(rf"\s{_LABEL.format('([A-H])')}(.*?)(?=\s{_LABEL.format('[B-H]')}|\n|$)")
_HEADING = re.compile(r"\s*(?:question|problem|\u9898\u76ee|\u95ee\u9898)\s*\d*\s*[:.\uff1a]\s*", re.IGNORECASE)
_EMPTY = frozenset(["above", "both", "following", "neither", "none", "only", "true", "false", "these"])
"""Words of answers such as `(i) and (iii) only`."""
_LETTER = re.compile(r" [a-z] ")
_UNITS = (
    "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
    "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: value for value, word in enumerate(_UNITS, start=1)} | {
    word: 10 * value for value, word in enumerate(_TENS, start=2)
}


SEVERAL = 2
"""Different numbers that tell a problem from others in the same words."""


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
        """The texts of the options; those that its question lists where none are given."""
        return [compared(option) for option in self._options or self._listed()]

    def _listed(self) -> list[str]:
        start = _OPTIONS.search(self.question)
        found = _OPTION.findall(self.question, start.start()) if start else []
        count = next((place for place, (letter, _) in enumerate(found) if letter != LETTERS[place]), len(found))
        return [text for _, text in found[:count]]

    @cached_property
    def shown(self) -> str:
        """Question and options in one text; each in its own form, so that `498`, `500` does not become 498,500."""
        return "".join([self.text, *map(compared, self._options)])

    @cached_property
    def bare(self) -> "Question":
        """The question alone, without `Question:` before it and without options and what follows them."""
        start = _OPTIONS.search(self.question)
        text = self.question[: start.start()] if start else self.question
        heading = _HEADING.match(text)
        text = (text[heading.end() :] if heading else text).strip()
        return Question(text, self._written, self._options) if text and text != self.question.strip() else self

    @cached_property
    def numbers(self) -> Counter[str]:
        """The words with a digit, without their sign, parts of formulas included; `three` is one, too."""
        return Counter(word.lstrip("-") for word in self.text.split() if _DIGIT.search(word))

    @cached_property
    def digits(self) -> Counter[str]:
        """The numbers that are written in digits."""
        tokens = _words(self.question)
        return Counter(_decimal(token).lstrip("-") for token in tokens if _DIGIT.search(token))

    @cached_property
    def symbols(self) -> set[str]:
        """Variables and commands of formulas in LaTeX."""
        formulas = _FORMULA.findall(self.question) if "$" in self.question or "\\" in self.question else ()
        return {symbol for parts in formulas for symbol in _SYMBOL.findall(" ".join(parts))}

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

    @cached_property
    def telling(self) -> bool:
        """Whether the answer says which question it belongs to: no number, letter, `yes` or combination of labels."""
        if _DIGIT.search(self.answer):
            return False
        return any(_CJK.match(word) or len(word) >= 4 for word in set(self.answer.split()) - _EMPTY)


def compared(text: str) -> str:
    """The words of a text, as `tasks.text.words` gives them, with numbers written in one way."""
    tokens = list(_numbers(_words(text)))
    return f" {' '.join(tokens)} " if tokens else ""


def _words(text: str) -> list[str]:
    text = " ".join(unicodedata.normalize("NFKC", text).split())
    if "\\" in text:
        text = _LAYOUT.sub(" ", text)
    return words(_THOUSANDS.sub("", text)).split()


def _numbers(tokens: Sequence[str]) -> Iterator[str]:
    tens = 0
    for token in tokens:
        value = _VALUES.get(token, 0)
        if tens and not 0 < value < 10:
            yield str(tens)
            tens = 0
        if value >= 20:
            tens = value
        elif value:
            yield str(tens + value)
            tens = 0
        else:
            yield _decimal(token)
    if tens:
        yield str(tens)


def _decimal(number: str) -> str:
    """`7.50` as `7.5`, `.5` as `0.5`, `3.0` as `3`."""
    if "." not in number:
        return number
    sign, number = ("-", number[1:]) if number.startswith("-") else ("", number)
    whole, _, fraction = number.partition(".")
    fraction = fraction.rstrip("0")
    return f"{sign}{whole or '0'}{'.' if fraction else ''}{fraction}"


def is_cjk(text: str) -> bool:
    """Whether most words of a text, each character counted as one, are Chinese, Japanese or Korean."""
    tokens = text.split()
    return 2 * sum(bool(_CJK.match(token)) for token in tokens) > len(tokens)


def numbers_agree(row: Question, item: Question) -> bool:
    """Neither question replaces a number of the other one; a row may add some ("Exercise 12")."""
    return item.numbers <= row.numbers or row.numbers <= item.numbers


def same_numbers(row: Question, item: Question) -> bool:
    """The item is a problem with several numbers and without options, and the row has all of them.

    Such a question asked in the same words has no other answer, whatever the row says.
    """
    return not item.options and len(item.numbers) >= SEVERAL and item.numbers <= row.numbers


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


def same_solution(row: Question, item: Question) -> bool:
    """Of questions in different words: the same answer, and neither replaces a number or a symbol of the other one.

    Numbers in words do not count, because `three-digit` may be `from 100 to 999`. A row whose question gives the answer
    away asks something else; options that stand there are left out.
    """
    bare = row.bare
    return (
        (item.digits <= bare.digits or bare.digits <= item.digits)
        and same_answer(row, item)
        and (item.symbols <= bare.symbols or bare.symbols <= item.symbols)
        and (item.answer not in bare.text or item.answer in item.text or same_options(bare, item))
    )
