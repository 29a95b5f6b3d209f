"""Finding benchmark items among training rows, on content fields.

A leak is the same question *and* the same answer, with the same numbers: a new question about the same fact is legal,
even with the same options. The same question is found

- exactly, after normalisation;
- by a shared run of 13 words (Brown et al. 2020, appendix C), of 50 characters in Chinese, Japanese and Korean; a
  benchmark question shorter than that counts when all of it recurs;
- lightly edited, when most of its characters recur in runs of six (`tasks/resemblance.py`), and half of those around
  the longest shared piece: a row that quotes a definition and asks something else about it lacks the words around it;
- paraphrased, in English, by the cosine of sentence vectors (`tasks/embedding.py`). A row that repeats a long piece
  is a quotation, which the rule before judges. Other languages rely on characters.

A question that stands in a row word for word is also a leak with the item's options and another answer.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from tasks.embedding import SentenceEmbedder
from tasks.question import Question, numbers_agree, same_answer, same_options
from tasks.record import Record
from tasks.resemblance import Sketches, longest_shared, recurrence, runs
from tasks.task import Sample
from tasks.text import normalise

WORDS = 13
CHARACTERS = 50
SHORTEST = 4
"""A question of fewer words is compared exactly only."""
RECURRING = 0.75
RECURRING_CJK = 0.65
"""Share of a question's characters that an edited copy holds."""
MISSING = 10
"""Characters that an edited copy may lack in any case: a word."""
REWORDED = 0.45
"""Share of a question's characters that a paraphrase holds at least."""
COSINE = 0.85
"""Of the sentence vectors of a paraphrase."""
QUOTED = 0.4
"""Share of a row that is one piece of the item when it quotes rather than paraphrases."""
SUSPECT = 0.15
"""Share of an item's runs in a row from which on the two are compared."""
EMBEDDED = 1000
"""Longer texts are not embedded: the embedder reads 256 tokens."""
_CJK = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")

Reason = Literal["exact", "n-gram", "paraphrase"]


class Content(Record):
    """What is compared of a training row."""

    question: str
    answer: str
    options: tuple[str, ...] = ()


class Decontaminator:
    """An index over the benchmark that tells which training rows leak it."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._items = [Question(sample.content, sample.answer, sample.options) for sample in samples]
        self._exact: dict[str, list[Question]] = defaultdict(list)
        self._grams: dict[tuple[str, ...], list[Question]] = defaultdict(list)
        self._lengths: dict[tuple[str, ...], set[int]] = defaultdict(set)  # by the first words of the run
        for item in self._items:
            self._exact[normalise(item.question)].append(item)
            for gram in _grams(item.text.split()):
                self._grams[gram].append(item)
                self._lengths[gram[:SHORTEST]].add(len(gram))
        self._sketches = Sketches([item.text if len(item.text.split()) >= SHORTEST else "" for item in self._items])
        self._embedder = SentenceEmbedder()

    def leaks(self, contents: Iterable[Content]) -> list[Reason | None]:
        """How each row repeats a benchmark item; None when it repeats none.

        Raises:
            InputError: the sentence embedder is needed and not installed.
        """
        rows = [Question(content.question, content.answer, content.options) for content in contents]
        reasons: list[Reason | None] = []
        suspects: list[tuple[int, Question]] = []
        for number, row in enumerate(rows):
            reason = self._copied(row)
            near = [] if reason else self._near(row)
            if any(_is_edited(row, item, share) for item, share in near):
                reason = "n-gram"
            elif near:
                suspects += [(number, item) for item, share in near if _may_be_reworded(row, item, share)]
            reasons.append(reason)
        for number in self._paraphrases(rows, suspects):
            reasons[number] = "paraphrase"
        return reasons

    def _copied(self, row: Question) -> Reason | None:
        if any(_gives_away(row, item) for item in self._exact.get(normalise(row.question), ())):
            return "exact"
        return "n-gram" if any(_gives_away(row, item) for item in self._sharing_a_run(row)) else None

    def _sharing_a_run(self, row: Question) -> set[Question]:
        tokens = row.text.split()
        found: set[Question] = set()
        for start in range(len(tokens) - SHORTEST + 1):
            for length in self._lengths.get(tuple(tokens[start : start + SHORTEST]), ()):
                found.update(self._grams.get(tuple(tokens[start : start + length]), ()))
        return found

    def _near(self, row: Question) -> list[tuple[Question, float]]:
        """Items with the row's solution that have some text in common with it, and the share of their text it holds."""
        found = runs(row.text)
        near = (self._items[position] for position in self._sketches.candidates(found, SUSPECT))
        return [(item, recurrence(item.text, found)) for item in near if _same_solution(row, item)]

    def _paraphrases(self, rows: Sequence[Question], suspects: Sequence[tuple[int, Question]]) -> set[int]:
        """Numbers of the rows that ask in other words what the item asks that they are suspected of."""
        pairs = [(number, rows[number], item) for number, item in suspects]
        texts = sorted({one.question for _, row, item in pairs for one in (row, item)})
        vectors = dict(zip(texts, self._embedder.embed(texts), strict=True))
        return {
            number
            for number, row, item in pairs
            if vectors[row.question] @ vectors[item.question] >= COSINE and not _quotes(row, item)
        }


def _gives_away(row: Question, item: Question) -> bool:
    """Of a row with a run of the item: by the item's answer, or by its options when the whole question stands there."""
    whole = item.text in row.text and same_options(row, item)
    return numbers_agree(row, item) and (whole or same_answer(row, item))


def _same_solution(row: Question, item: Question) -> bool:
    return numbers_agree(row, item) and same_answer(row, item)


def _is_edited(row: Question, item: Question, share: float) -> bool:
    """Most of the item recurs, and of what surrounds the longest shared piece at least half, or nearly all."""
    if share < (RECURRING_CJK if _is_cjk(item.text.split()) else RECURRING):
        return False
    missing = (1 - share) * len(item.text)
    outside = len(item.text) - longest_shared(item.text, row.text)
    return missing <= max(outside / 2, MISSING)


def _may_be_reworded(row: Question, item: Question, share: float) -> bool:
    """Enough of the item recurs, and the embedder reads texts of this length and script."""
    return share >= REWORDED and all(len(one.question) <= EMBEDDED and _is_ascii(one.question) for one in (row, item))


def _quotes(row: Question, item: Question) -> bool:
    return longest_shared(item.text, row.text) >= QUOTED * len(row.text)


def _is_ascii(text: str) -> bool:
    return sum(map(str.isascii, text)) >= 0.9 * len(text)


def _is_cjk(tokens: Sequence[str]) -> bool:
    return 2 * sum(bool(_CJK.match(token)) for token in tokens) > len(tokens)


def _grams(tokens: list[str]) -> set[tuple[str, ...]]:
    size = CHARACTERS if _is_cjk(tokens) else WORDS
    if len(tokens) < size:
        return {tuple(tokens)} if len(tokens) >= SHORTEST else set()
    return {tuple(tokens[i : i + size]) for i in range(len(tokens) - size + 1)}
