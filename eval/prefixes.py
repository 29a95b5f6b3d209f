"""Which prompts begin alike: a few-shot prompt repeats its examples before every question.

What is shared is computed once (`eval/decoding.py`), so sequences that share much are kept together.
"""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

FEWEST = 4
"""Sequences that make a group worth its own beginning."""


class Group(NamedTuple):
    """Sequences that begin alike."""

    shared: int
    """Elements of the common beginning."""
    members: list[int]
    """Positions in the sequences that were given."""


def by_prefix(sequences: Sequence[list[int]], least: int) -> list[Group]:
    """Group sequences of tokens by their beginning.

    All share some beginning, if only that of the chat template. Those that share at least `least` elements more with
    their neighbours in dictionary order form groups of their own; the others stay together.

    Returns:
        Groups that hold each position once; members are in the order given. A group shares no more than what leaves
        each of its members one element.
    """
    order = sorted(range(len(sequences)), key=lambda i: sequences[i])
    if not order:
        return []
    everywhere = _shared(sequences[order[0]], sequences[order[-1]])
    runs: list[list[int]] = [[order[0]]]
    for one, other in itertools.pairwise(order):
        if _shared(sequences[one], sequences[other]) >= everywhere + least:
            runs[-1].append(other)
        else:
            runs.append([other])
    large = [run for run in runs if len(run) >= FEWEST]
    rest = [i for run in runs if len(run) < FEWEST for i in run]
    return [_group(sequences, members) for members in [*large, rest] if members]


def _group(sequences: Sequence[list[int]], members: list[int]) -> Group:
    ordered = sorted(members, key=lambda i: sequences[i])
    shared = _shared(sequences[ordered[0]], sequences[ordered[-1]])
    shortest = min(len(sequences[i]) for i in members)
    return Group(max(0, min(shared, shortest - 1)), sorted(members))


def _shared(one: list[int], other: list[int]) -> int:
    """Elements that both begin with; of the first and last in dictionary order, what all between share."""
    different = (place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
    return next(different, min(len(one), len(other)))
