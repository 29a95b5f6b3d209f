"""Finding benchmark items among training rows, on content fields.

A leak is the same question *and* the same answer, or the same options: a new question about the same fact is legal.
The same question is found exactly, after normalisation, or by a shared run of 13 words (Brown et al. 2020, appendix C),
of 50 characters in Chinese, Japanese and Korean; a benchmark question shorter than that counts when all of it recurs.
"""

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Literal

from tasks.record import Record
from tasks.task import Sample
from tasks.text import normalise, words

WORDS = 13
CHARACTERS = 50
SHORTEST = 4
"""A question of fewer words is compared exactly only."""
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_NUMBER = re.compile(r"\d*\.?\d+")

Reason = Literal["exact", "n-gram"]


class Content(Record):
    """What is compared of a training row."""

    question: str
    answer: str
    options: tuple[str, ...] = ()


class Decontaminator:
    """An index over the benchmark that tells whether a training row leaks it."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._exact: dict[str, list[Sample]] = defaultdict(list)
        self._grams: dict[tuple[str, ...], list[Sample]] = defaultdict(list)
        self._lengths: dict[tuple[str, ...], set[int]] = defaultdict(set)  # by the first words of the run
        for sample in samples:
            self._exact[normalise(sample.content)].append(sample)
            for gram in _grams(_tokens(sample.content)):
                self._grams[gram].append(sample)
                self._lengths[gram[:SHORTEST]].add(len(gram))

    def leak(self, content: Content) -> Reason | None:
        """`exact` or `n-gram` when the row repeats a benchmark item, else None."""
        if any(_same_solution(content, sample) for sample in self._exact.get(normalise(content.question), ())):
            return "exact"
        tokens = _tokens(content.question)
        for start in range(len(tokens) - SHORTEST + 1):
            for length in self._lengths.get(tuple(tokens[start : start + SHORTEST]), ()):
                found = self._grams.get(tuple(tokens[start : start + length]), ())
                if any(_same_solution(content, sample) for sample in found):
                    return "n-gram"
        return None


def _tokens(text: str) -> list[str]:
    """Words; in Chinese, Japanese and Korean single characters, whatever stands around them."""
    return words(text).split()


def _grams(tokens: list[str]) -> set[tuple[str, ...]]:
    size = CHARACTERS if 2 * sum(bool(_CJK.match(token)) for token in tokens) > len(tokens) else WORDS
    if len(tokens) < size:
        return {tuple(tokens)} if len(tokens) >= SHORTEST else set()
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}


def _same_solution(content: Content, sample: Sample) -> bool:
    """The row gives the item away: the same options, or the item's answer without other numbers in the question."""
    if sample.options and content.options:
        theirs = {normalise(option) for option in sample.options}
        if {normalise(option) for option in content.options} == theirs:
            return True
    answer = f" {normalise(content.answer)} "
    if not any(f" {normalise(solution)} " in answer for solution in _solutions(sample)):
        return False
    return _numbers(sample.content) <= _numbers(content.question)


def _solutions(sample: Sample) -> list[str]:
    """The reference and, where it is the letter of an option, the text of that option."""
    letter = sample.answer.strip(" ().").upper()
    position = ord(letter) - ord("A") if len(letter) == 1 else -1
    return [sample.answer, *sample.options[position : position + 1]] if position >= 0 else [sample.answer]


def _numbers(text: str) -> set[str]:
    return set(_NUMBER.findall(normalise(text)))
