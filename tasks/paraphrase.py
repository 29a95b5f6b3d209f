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
legal; `benchmarks/decontamination.py` reports on the other halves.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.embedding import CachedEmbedder, SentenceEmbedder, Tokens, Vectors
from tasks.question import Question, numbers_agree, same_solution
from tasks.resemblance import longest_shared


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
REWORDED = 0.22
"""Alignment of the tokens that do not stand in the row: less, and the row fills in a template otherwise."""
TEMPLATE = 0.8
"""Alignment of two questions that differ in little else when they differ in a number."""
QUOTED = 0.4
"""Share of a row that is one piece of the item when it quotes the item rather than paraphrases it."""
ENDING = 12
"""Words of an answer among which its result must stand when that is a number."""
LONGEST = 1000
"""Characters of a text that is compared: the embedder reads 256 tokens."""
FEWEST = 4
"""Words of a question that can be paraphrased."""
_ROWS = 4096
"""Rows that are compared with all items at a time."""


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
        self._embedder = CachedEmbedder(SentenceEmbedder(), folder)
        self._model = SentenceEmbedder()

    def among(self, rows: Sequence[Question]) -> list[bool]:
        """Whether each row is a paraphrase of an item.

        Raises:
            InputError: the sentence embedder is needed and not installed.
        """
        readable = [number for number, row in enumerate(rows) if self._items and _readable(row.bare)]
        found = [False] * len(rows)
        for start in range(0, len(readable), _ROWS):
            part = readable[start : start + _ROWS]
            for position in self._found([rows[number] for number in part]):
                found[part[position]] = True
        return found

    def _found(self, rows: Sequence[Question]) -> set[int]:
        """Positions of the paraphrases."""
        cosines = self._embedder.embed([row.bare.question for row in rows]) @ self._vectors.T
        suspects: dict[int, list[int]] = defaultdict(list)
        for row, item in np.argwhere(cosines >= self._least).tolist():
            if same_solution(rows[row], self._items[item]):
                suspects[row].append(item)
        numbers = list(suspects)
        texts = [rows[number].bare.question for number in numbers]
        return {
            numbers[position]
            for position, tokens in self._model.tokens(texts)
            if any(self._says(rows[numbers[position]], tokens, item) for item in suspects[numbers[position]])
        }

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
        return self._answers(row, item) and longest_shared(item.text, text) < QUOTED * len(text)

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

    def _aligned(self, tokens: Tokens, number: int) -> "Aligned":
        item = self._tokens[number]
        if not len(tokens.ids):
            return Aligned(0.0, 0.0)
        nearest = (_own(tokens.vectors) @ item.vectors.T).max(axis=0)
        reworded = item.weights * np.isin(item.ids, tokens.ids, invert=True)
        return Aligned(_mean(nearest, item.weights), _mean(nearest, reworded))

    @cached_property
    def _vectors(self) -> Vectors:
        return self._embedder.embed([item.question for item in self._items])

    @cached_property
    def _tokens(self) -> "list[Weighted]":
        """The tokens of each item."""
        found = sorted(self._model.tokens([item.question for item in self._items]), key=lambda pair: pair[0])
        items = [tokens for _, tokens in found]
        holding = Counter(token for tokens in items for token in set(tokens.ids))
        weight = {token: math.log((len(items) + 1) / (count + 1)) for token, count in holding.items()}
        return [
            Weighted(
                np.array(tokens.ids),
                _own(tokens.vectors),
                np.array([weight[token] for token in tokens.ids], np.float32),
            )
            for tokens in items
        ]

    @cached_property
    def _thresholds(self) -> list[Threshold]:
        return [WORDED if item.telling else NUMERIC for item in self._items]

    @cached_property
    def _least(self) -> Vectors:
        return np.array([threshold.cosine for threshold in self._thresholds], dtype=np.float32)

    @cached_property
    def _terms(self) -> "Terms":
        return Terms(
            item.answer for item, threshold in zip(self._items, self._thresholds, strict=True) if threshold is WORDED
        )


class Terms:
    """Terms that may stand in texts; all in the form of `tasks.question.compared`."""

    def __init__(self, terms: Iterable[str]) -> None:
        self._terms: dict[str, list[str]] = defaultdict(list)  # by their first word
        for term in sorted({term for term in terms if len(term.strip()) > 1}):
            self._terms[term.split()[0]].append(term)

    def named(self, text: str) -> set[str]:
        """The terms that a text names."""
        return {term for word in set(text.split()) for term in self._terms.get(word, ()) if term in text}


def _readable(question: Question) -> bool:
    """Whether the embedder reads a text of this length and script."""
    text = question.question
    return len(text) <= LONGEST and question.text.count(" ") > FEWEST and sum(map(str.isascii, text)) >= 0.9 * len(text)


def _own(vectors: Vectors) -> Vectors:
    """Token vectors without what they share, of length 1."""
    own = vectors - vectors.mean(axis=0)
    return own / (np.linalg.norm(own, axis=1, keepdims=True) + 1e-9)


def _mean(values: Vectors, weights: Vectors) -> float:
    total = float(weights.sum())
    return float(values @ weights) / total if total else 1.0
