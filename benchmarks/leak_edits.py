"""The six edits by which a leaked question differs from the benchmark's: what it asks stays."""

import random
import re
from collections.abc import Callable, Sequence

from tasks.decontaminate import SHORTEST
from tasks.question import compared

Edit = Callable[[str, random.Random, Sequence[str]], str | None]
"""Takes a question, a source of chance and other questions of its benchmark; None where the edit does not fit."""

_NUMBER = re.compile(r"(?<![\w.,\\/^{}!])\d+(?:\.\d+)?(?![\w.,\\!{}]*\d|\w|[}/%])")
_WORD = re.compile(r"(?<![\w\\{'$^-])[A-Za-z]{4,}(?![\w'}$^-])")
_PAIR = re.compile(r"[\u4e00-\u9fff]{2}")
_SENTENCE = re.compile(r"(?<=[.?!])\s+(?=[^a-z])|(?<=[\u3002\uff1f\uff1b])(?=.)")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def exact(text: str, rng: random.Random, others: Sequence[str]) -> str:
    """No edit."""
    return text


def case_and_blanks(text: str, rng: random.Random, others: Sequence[str]) -> str:
    """Upper case; tabs and line breaks for blanks."""
    return re.sub(r"\s+", lambda _: rng.choice(("  ", "\n", " \t ")), text.upper()) + "\n"


def one_word(text: str, rng: random.Random, others: Sequence[str]) -> str | None:
    """A word of four letters or more, or two Chinese characters, gives way to one of another question."""
    pattern = _PAIR if _CHINESE.search(text) else _WORD
    if len(compared(text).split()) < SHORTEST:  # nothing would be left of it
        return None
    places = list(pattern.finditer(text))
    found = [word for other in rng.sample(others, min(20, len(others))) for word in pattern.findall(other)]
    if not places or not found:
        return None
    place = rng.choice(places)
    return text[: place.start()] + rng.choice(found) + text[place.end() :]


def number_format(text: str, rng: random.Random, others: Sequence[str]) -> str | None:
    """`1200` becomes `1,200` or `1 200`, `7` becomes `7.0`, `2.5` becomes `2.50`."""

    def other(match: re.Match[str]) -> str:
        number = match.group()
        if "." in number:
            return number + "0"
        if len(number) < 4:
            return number + ".0"
        return f"{int(number):,}".replace(",", rng.choice((",", " ")))

    changed = _NUMBER.sub(other, text)
    return changed if changed != text else None


def sentence_order(text: str, rng: random.Random, others: Sequence[str]) -> str | None:
    """The last sentence comes first."""
    *before, last = [part for part in _SENTENCE.split(text) if part.strip()] or [text]
    return " ".join([last, *before]) if before else None


def prefix(text: str, rng: random.Random, others: Sequence[str]) -> str:
    """A sentence before it."""
    if _CHINESE.search(text):
        return rng.choice(("请认真阅读下面的题目：", "第12题. ", "模拟试卷（三）第5题：")) + text  # noqa: RUF001
    return rng.choice(("Read this with care and think first. ", "Exercise 12. ", "Here is the next question: ")) + text


EDITS: dict[str, Edit] = {
    "exact": exact,
    "case and white space": case_and_blanks,
    "one word changed": one_word,
    "number format": number_format,
    "sentence order": sentence_order,
    "prefix added": prefix,
}
