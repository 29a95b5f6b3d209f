"""What the rows of a corpus say about the options of one another.

Every row is a witness for the rows that ask nearly the same: for the option that its own answer states. A row of a
glossary is one too, where its term stands in the question and its definition is an option. Computations of the same
wording are witnesses for the formula that leads to the result (`roles/data_steps/formulas.py`).
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from roles.data_steps.formulas import Computation, results
from tasks.text import number_key, words

SHARED = 0.1
"""Questions have at least this cosine of their words, rare words weighted, whatever their sentence vectors say."""
CONTRAST = 0.7
"""Share of common words from which on an exchanged word makes another question (`fixed` for `random effects`)."""
STATES = 0.8
"""Cosine of the words of a text and of an option that says the same."""
LONGEST_TERM = 20
"""Words of an answer that is looked for in questions."""
_NEGATIONS = {"no", "not", "never", "without", "except", "least", "cannot", "nor", "neither", "false", "incorrect"}


class Answered(NamedTuple):
    """A question with its answer, and its options if it has any."""

    question: str
    answer: str
    """The text of an option, its letter, or free text."""
    options: tuple[str, ...] = ()
    source: str = ""
    """Answers of one source are trusted alike."""


class Testimony(NamedTuple):
    """What a witness says of a row."""

    option: int
    """The number of the option that it states, from 0."""
    sure: float
    """How sure it is that it was asked the same, from 0 to 1."""
    source: str | None
    """None for a formula."""


class Witness(NamedTuple):
    """A question and its answer; rows that repeat both are one witness."""

    question: str
    asked: str
    """The words of the question."""
    said: str
    """The words of the answer, or of the option that it names."""
    source: str

    @property
    def sense(self) -> tuple[object, ...]:
        """Its numbers and negations: with others a question asks something else."""
        return (*sorted(number_key(self.question)), *sorted(_NEGATIONS.intersection(self.asked.split())))


def answer_number(answer: str, options: Sequence[str]) -> int | None:
    """The number of the option that an answer names by its text or its letter, from 0; None when it names none."""
    text = words(answer)
    for number, option in enumerate(options):
        if words(option) == text:
            return number
    letter = text.strip()
    number = ord(letter) - ord("a") if len(letter) == 1 else -1
    return number if 0 <= number < len(options) else None


def exchanged(answer: str, options: Sequence[str], number: int) -> str:
    """An answer that names an option, naming another one: by its text, or by its letter as before."""
    if any(words(option) == words(answer) for option in options):
        return options[number]
    letter = chr(ord("A") + number)
    return re.sub("[a-z]", letter.lower(), re.sub("[A-Z]", letter, answer))


class Court:
    """The rows of a corpus as witnesses for one another."""

    def __init__(self, rows: Sequence[Answered]) -> None:
        numbers = {row: answer_number(one.answer, one.options) for row, one in enumerate(rows)}
        self.named = {row: number for row, number in numbers.items() if number is not None}
        """The number of the option that a row has as its answer, by row."""
        self.witnesses: list[Witness] = []
        self.place: list[int] = []
        """The number of the witness that a row is, by row."""
        self._options = [[words(option) for option in row.options] for row in rows]
        stated = [one.options[self.named[row]] if row in self.named else one.answer for row, one in enumerate(rows)]
        self._results = results(
            [Computation(one.question, text, one.options) for one, text in zip(rows, stated, strict=True)]
        )
        places: dict[tuple[str, str], int] = {}
        for row, one in enumerate(rows):
            witness = Witness(one.question, words(one.question), words(stated[row]), one.source)
            self.place.append(places.setdefault((witness.asked, witness.said), len(places)))
            if len(places) > len(self.witnesses):
                self.witnesses.append(witness)
        counts = Counter(word for one in self.witnesses for word in set((one.asked + one.said).split()))
        self._weights = {word: self._rarity(count) for word, count in counts.items()}
        self._terms = self._by_term()

    def _by_term(self) -> dict[str, list[int]]:
        """Witnesses with a short answer by the rarest word of it."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, witness in enumerate(self.witnesses):
            said = witness.said.split()
            if 0 < len(said) <= LONGEST_TERM:
                found[max(said, key=lambda word: (self._weight(word), word))].append(number)
        return found

    def may_ask_the_same(self, one: int, other: int) -> bool:
        """Whether the questions of two witnesses may ask the same, by their words."""
        a, b = (set(self.witnesses[number].asked.split()) for number in (one, other))
        contrast = bool(a - b and b - a) and len(a & b) >= CONTRAST * len(a | b)
        return not contrast and self._cosine(a, b) >= SHARED

    def testimonies(self, row: int, neighbours: Mapping[int, float]) -> list[Testimony]:
        """What all witnesses say of a row.

        Args:
            neighbours: witnesses by number, and how sure they are to be asked the same, from 0 to 1.
        """
        options = self._options[row]
        said: list[tuple[int | None, float, str | None]] = [
            (self._stated(self.witnesses[number].said, options), sure, self.witnesses[number].source)
            for number, sure in neighbours.items()
        ]
        said += [
            (self._equal(self.witnesses[number].asked, options), 1.0, self.witnesses[number].source)
            for number in self._defining(row)
        ]
        said.append((self._results.get(row), 1.0, None))
        return [Testimony(option, sure, source) for option, sure, source in said if option is not None]

    def _defining(self, row: int) -> list[int]:
        """Witnesses whose answer is a term in the question of a row."""
        own = self.place[row]
        asked = self.witnesses[own].asked
        near = {number for word in set(asked.split()) for number in self._terms.get(word, ())}
        return sorted(number for number in near if number != own and self.witnesses[number].said in asked)

    def _stated(self, text: str, options: Sequence[str]) -> int | None:
        """The option that a text names last, or else the one that says the same."""
        if text in options:
            return options.index(text)
        ends = {
            number: (text.rfind(option) + len(option), len(option))
            for number, option in enumerate(options)
            if option and option in text
        }
        return max(ends, key=ends.__getitem__) if ends else self._equal(text, options)

    def _equal(self, text: str, options: Sequence[str]) -> int | None:
        """The option that says the same as a text in nearly the same words; None where several do."""
        bag = set(text.split())
        alike = [self._cosine(bag, set(option.split())) for option in options]
        best = max(alike, default=0.0)
        return alike.index(best) if best >= STATES and alike.count(best) == 1 else None

    def _cosine(self, one: set[str], other: set[str]) -> float:
        """Of two sets of words, weighted by rarity."""
        common, a, b = (math.fsum(map(self._weight, bag)) for bag in (one & other, one, other))
        return common / math.sqrt(a * b) if common else 0.0

    def _weight(self, word: str) -> float:
        return self._weights.get(word, self._rarity(0))

    def _rarity(self, count: int) -> float:
        """The squared inverse document frequency of a word that so many witnesses use."""
        return (math.log((len(self.witnesses) + 1) / (count + 1)) + 1) ** 2
