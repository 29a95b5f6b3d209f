"""Does a question ask in other words what a benchmark item asks? English, by the meaning of its words.

A paraphrase has the item's answer and no other numbers. Among such questions it is told from another question about
the same fact in two steps:

- the cosine of two sentence vectors (`tasks/embedding.py`) finds the items that come into question;
- alignment: each token of the item is matched with the most similar token of the row, in context, and the mean
  similarity, weighted by how rare a token is among the items, says how much of the item the row says (the recall of
  BERTScore, Zhang et al. 2020). The mean of a text is taken off its token vectors first, because what all tokens of a
  text share is its subject, which other questions about the fact share, too.

A question that uses a term where the item describes the thing (the term is the answer of another item) mostly asks
about the fact in its own way; it has to say more of the item to count. An answer that is a number or a letter says
little, so both similarities must be higher.

The thresholds were chosen on one half of `tests/tasks/paraphrases.jsonl` and on one half of each corpus whose rows are
legal, `REWORDED` when the other halves had been seen, too; `benchmarks/decontamination.py` reports on both.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.embedding import CachedEmbedder, SentenceEmbedder, Tokens, Vectors
from tasks.question import Question, numbers_agree, same_solution
from tasks.resemblance import quotes
from tasks.terms import Owners, Terms


class Threshold(NamedTuple):
    """Similarities from which on a question with the item's solution is a paraphrase."""

    cosine: float
    alignment: float


WORDED = Threshold(0.40, 0.37)
"""The answer is in words."""
NAMING = Threshold(0.40, 0.49)
"""The answer is in words, and the row names what the item describes."""
NUMERIC = Threshold(0.60, 0.45)
"""The answer is a number or a letter."""
REWORDED = 0.3
"""Alignment of the tokens that do not stand in the row: less, and the row fills in a template otherwise."""
TEMPLATE = 0.8
"""Alignment of two questions that differ in little else when they differ in a number."""
ENDING = 12
"""Words of an answer among which its result must stand when that is a number."""
LONGEST = 1000
"""Characters of a text that is compared: the embedder reads 256 tokens."""
FEWEST = 4
"""Words of a question that can be paraphrased."""
PORTION = 4096
"""Rows that are embedded at a time."""


class Aligned(NamedTuple):
    """How similar the tokens of an item are to those of a row."""

    all: float
    reworded: float
    """Those that do not stand in the row; 1 when all do."""


class Weighted(NamedTuple):
    """The tokens of an item."""

    ids: NDArray[np.int64]
    vectors: Vectors
    weights: Vectors


class Paraphrases:
    """The items of a benchmark, and which questions ask one of them in other words."""

    def __init__(self, items: Iterable[Question], folder: Path | None) -> None:
        """Cheap: nothing is embedded before it is needed.

        Args:
            folder: where sentence vectors are kept; None keeps them in memory.
        """
        self._items = [item for item in items if item.answer and _readable(item)]
        self._thresholds = [WORDED if item.telling else NUMERIC for item in self._items]
        self._embedder = CachedEmbedder(SentenceEmbedder(), folder)
        self._model = SentenceEmbedder()
        self._weighted: dict[int, Weighted] = {}

    def among(self, rows: Sequence[Question]) -> list[bool]:
        """Whether each row is a paraphrase of an item.

        Raises:
            InputError: the sentence embedder is needed and not installed.
        """
        solving = {number: items for number, row in enumerate(rows) if (items := self._solved(row))}
        found = [False] * len(rows)
        for start in range(0, len(solving), PORTION):
            part = dict(islice(solving.items(), start, start + PORTION))
            for number in self._found(rows, part):
                found[number] = True
        return found

    def _solved(self, row: Question) -> list[int]:
        """Items with the row's solution. The index spares `same_solution` most items: it finds the answers of all that
        can have it, their letter, or one of the options of which at most a quarter may be missing."""
        if not self._items or not _readable(row.bare):
            return []
        found = self._answering.of(row.answer)
        if not row.options:
            found |= self._lettered.of(row.solution[-3:])
            if row.letter:
                found |= self._optional.of(row.shown)
        items = ((number, self._items[number]) for number in sorted(found))
        return [number for number, item in items if same_solution(row, item) and self._answers(row, item)]

    def _found(self, rows: Sequence[Question], solving: Mapping[int, Sequence[int]]) -> Iterator[int]:
        """Numbers of the paraphrases among rows that solve these items."""
        suspects: dict[int, list[int]] = {}
        vectors = self._embedder.embed([rows[number].bare.question for number in solving])
        for (number, items), cosines in zip(solving.items(), vectors @ self._vectors.T, strict=True):
            if near := [item for item in items if cosines[item] >= self._thresholds[item].cosine]:
                suspects[number] = near
        self._weigh({item for near in suspects.values() for item in near})
        numbers = list(suspects)
        for position, tokens in self._model.tokens([rows[number].bare.question for number in numbers]):
            number = numbers[position]
            if any(self._says(rows[number], tokens, item) for item in suspects[number]):
                yield number

    def _says(self, row: Question, tokens: Tokens, number: int) -> bool:
        """Whether a row with the item's solution says enough of it, in words of its own."""
        item, text = self._items[number], row.bare.text
        threshold = self._thresholds[number]
        if threshold is WORDED and self._terms.named(text) - self._terms.named(item.text):
            threshold = NAMING
        aligned = self._aligned(tokens, number)
        if aligned.all < threshold.alignment or aligned.reworded < REWORDED:
            return False
        if aligned.all >= TEMPLATE and not numbers_agree(row.bare, item):
            return False
        return not quotes(text, item.text)

    def _answers(self, row: Question, item: Question) -> bool:
        """Whether the row's answer is the item's: no longer term that holds it, no number on the way to it."""
        text = row.answer
        if text in ("", item.answer):
            return True
        if not item.telling:
            return item.answer in f" {' '.join(text.split()[-ENDING:])} "
        for term in self._terms.named(text):
            text = text.replace(term, " ") if item.answer in term and item.answer != term else text
        return item.answer in text

    def _aligned(self, tokens: Tokens, number: int) -> Aligned:
        item = self._weighted[number]
        if not len(tokens.ids):
            return Aligned(0.0, 0.0)
        nearest = (_own(tokens.vectors) @ item.vectors.T).max(axis=0)
        reworded = item.weights * np.isin(item.ids, tokens.ids, invert=True)
        return Aligned(_mean(nearest, item.weights), _mean(nearest, reworded))

    def _weigh(self, items: Iterable[int]) -> None:
        """Read the tokens of items that were not looked at before."""
        new = [item for item in sorted(items) if item not in self._weighted]
        for position, tokens in self._model.tokens([self._items[item].question for item in new]):
            weights = np.array([self._rarity[token] for token in tokens.ids], np.float32)
            self._weighted[new[position]] = Weighted(np.array(tokens.ids), _own(tokens.vectors), weights)

    @cached_property
    def _vectors(self) -> Vectors:
        return self._embedder.embed([item.question for item in self._items])

    @cached_property
    def _rarity(self) -> dict[int, float]:
        """Weight of a token among the items."""
        texts = self._model.ids([item.question for item in self._items])
        holding = Counter(token for ids in texts for token in set(ids))
        return {token: math.log((len(texts) + 1) / (count + 1)) for token, count in holding.items()}

    @cached_property
    def _terms(self) -> Terms:
        return Terms(item.answer for item in self._items if item.telling)

    @cached_property
    def _answering(self) -> Owners:
        return Owners((item.answer, number) for number, item in enumerate(self._items))

    @cached_property
    def _lettered(self) -> Owners:
        return Owners((item.letter, number) for number, item in enumerate(self._items))

    @cached_property
    def _optional(self) -> Owners:
        """By as many options as may be missing, and one."""
        return Owners(
            (option, number)
            for number, item in enumerate(self._items)
            for option in item.options[: len(item.options) // 4 + 1]
        )


def _readable(question: Question) -> bool:
    """Whether the embedder reads a text of this length and script."""
    text = question.question
    plain = len(text.encode("ascii", "ignore"))
    return len(text) <= LONGEST and question.text.count(" ") > FEWEST and plain >= 0.9 * len(text)


def _own(vectors: Vectors) -> Vectors:
    """Token vectors without what they share, of length 1."""
    own = vectors - vectors.mean(axis=0)
    return own / (np.linalg.norm(own, axis=1, keepdims=True) + 1e-9)


def _mean(values: Vectors, weights: Vectors) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total else 1.0
