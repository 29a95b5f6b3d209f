"""Does a question in Chinese ask in other words what a benchmark item asks? By the characters that the two share.

An English embedder knows few Chinese characters, and cosines of its vectors hardly tell a paraphrase from another
question; characters do, because terms cannot be reworded. All runs of one to three characters of the item are weighted
by how rare they are among the items; the share of this weight that recurs in the row is the recall, the share of the
row's own weight the precision. Japanese and Korean are compared in the same way.

What is asked for depends on what else the two have in common: least when the options are the same, most when the
answer is a number or a combination of labels. A row of which one piece of the item is a large part quotes the item.
`tasks/paraphrase.py` says where thresholds were chosen.
"""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.question import Question, is_cjk, same_options, same_solution
from tasks.resemblance import quotes

LONGEST = 3
"""Characters of a run."""


class Threshold(NamedTuple):
    """Shares from which on a question with the item's solution is the item."""

    recall: float
    precision: float


SAME_OPTIONS = Threshold(0.06, 0.03)
"""The answer is in words, and the options are the same."""
TELLING = Threshold(0.15, 0.08)
"""The answer is in words."""
BARE = Threshold(0.3, 0.2)
"""The answer says little."""


class Rewordings:
    """The items of a benchmark in Chinese, Japanese or Korean, and which questions ask one of them in other words."""

    def __init__(self, items: Iterable[Question]) -> None:
        self._items = [item for item in items if item.answer and is_cjk(item.text)]
        parts = [_parts(item.text) for item in self._items]
        holding = Counter(part for each in parts for part in each)
        self._unknown = math.log(len(parts) + 1)
        self._weights = {part: self._unknown - math.log(count + 1) for part, count in holding.items()}
        self._totals = np.array([self._weight(each) for each in parts])
        positions: dict[str, list[int]] = defaultdict(list)
        for position, each in enumerate(parts):
            for part in each:
                positions[part].append(position)
        self._positions: dict[str, NDArray[np.int64]] = {part: np.array(found) for part, found in positions.items()}

    def among(self, rows: Sequence[Question]) -> list[bool]:
        """Whether each row is an item in other words."""
        return [bool(self._items) and is_cjk(row.bare.text) and self._is_one(row) for row in rows]

    def _is_one(self, row: Question) -> bool:
        parts = _parts(row.bare.text)
        known = [part for part in parts if part in self._positions]
        if not known:
            return False
        positions = [self._positions[part] for part in known]
        weights = np.repeat([self._weights[part] for part in known], [len(each) for each in positions])
        shared = np.bincount(np.concatenate(positions), weights=weights, minlength=len(self._items))
        total = self._weight(parts)
        return any(
            self._enough(row, self._items[item], shared[item] / self._totals[item], shared[item] / total)
            for item in np.flatnonzero(shared >= SAME_OPTIONS.recall * self._totals)
            if self._totals[item] and total and same_solution(row, self._items[item])
        )

    def _enough(self, row: Question, item: Question, recall: float, precision: float) -> bool:
        least = BARE if not item.telling else SAME_OPTIONS if same_options(row, item) else TELLING
        if recall < least.recall or precision < least.precision:
            return False
        return not quotes(row.bare.text, item.text)

    def _weight(self, parts: Iterable[str]) -> float:
        return sum(self._weights.get(part, self._unknown) for part in parts)


def _parts(text: str) -> set[str]:
    """Runs of one to three words of a text in the form of `tasks.question.compared`: a character is a word."""
    tokens = text.split()
    return {
        " ".join(tokens[start : start + length])
        for length in range(1, LONGEST + 1)
        for start in range(len(tokens) - length + 1)
    }
