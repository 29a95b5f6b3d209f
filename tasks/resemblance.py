"""How much of one text recurs in another, in runs of six characters.

Texts are compared as `tasks.text.words` leaves them. Counting characters that lie in a shared run, and not the runs
themselves, makes a typo cost one character instead of six; the order of the runs does not matter.
"""

import zlib
from collections import defaultdict
from collections.abc import Sequence, Set
from difflib import SequenceMatcher

import numpy as np
from numpy.typing import NDArray

RUN = 6
SKETCH = 64
"""Runs that are kept of a text to find it again."""
QUOTED = 0.4
"""Share of a text that is one piece of an item when it quotes the item."""


def runs(text: str) -> set[str]:
    """All runs of six characters."""
    return {text[i : i + RUN] for i in range(len(text) - RUN + 1)}


def recurrence(text: str, found: Set[str]) -> float:
    """Share of the characters of `text` that lie in one of the runs `found` of another text."""
    covered = end = 0  # `end` is where the covered part ends so far
    for start in range(len(text) - RUN + 1):
        if text[start : start + RUN] in found:
            covered += start + RUN - max(start, end)
            end = start + RUN
    return covered / len(text) if text else 0.0


def quotes(text: str, item: str) -> bool:
    """Whether one piece of an item is a large part of a text, which then quotes it rather than saying it otherwise."""
    return longest_shared(item, text) >= QUOTED * len(text)


def longest_shared(one: str, other: str) -> int:
    """Characters of the longest piece that stands in both texts."""
    return SequenceMatcher(None, one, other, autojunk=False).find_longest_match().size


class Sketches:
    """Finds those of many texts that may recur in another one.

    Of each text the 64 runs with the smallest hash stand for all of them (Broder 1997): the share of these that
    another text holds estimates the share of all, whatever the lengths.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._sizes = np.zeros(len(texts))
        postings: dict[str, list[int]] = defaultdict(list)
        for position, text in enumerate(texts):
            sketch = sorted(runs(text), key=_hash)[:SKETCH]
            self._sizes[position] = len(sketch) or 1
            for run in sketch:
                postings[run].append(position)
        self._postings: dict[str, NDArray[np.int64]] = {run: np.array(found) for run, found in postings.items()}

    def candidates(self, found: Set[str], share: float) -> list[int]:
        """Positions of the texts of whose runs about this share is among `found`, or more."""
        hits = [self._postings[run] for run in found if run in self._postings]
        if not hits:
            return []
        counts = np.bincount(np.concatenate(hits), minlength=len(self._sizes))
        return np.flatnonzero(counts >= share * self._sizes).tolist()


def _hash(run: str) -> tuple[int, str]:
    return zlib.crc32(run.encode()), run
