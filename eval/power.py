"""What a comparison can see: the effect that it finds, and the parts of its variance."""

import math
from collections.abc import Sequence
from statistics import NormalDist, variance

import numpy as np

from eval.resampling import ROUNDING, Estimate, item_weights, standard_error
from eval.result import ItemResult
from tasks.record import Record
from tasks.task import Metric

DISCORDANT = 0.25
"""Share of items on which two checkpoints differ, before anything is known."""
POWER = 0.8

Pairs = Sequence[tuple[ItemResult, ItemResult]]
"""An item as the candidate and as the incumbent answered it."""


class Components(Record):
    """The variance of the paired difference of one item, split in two."""

    between: float
    """Over items: what only more items make smaller."""
    within: float
    """Over completions of an item, for one completion on each side: more completions make it smaller too."""


def components(pairs: Pairs) -> Components | None:
    """The two parts of the variance, by the method of moments (analysis of variance of a one-way random effect).

    None with fewer than two items or completions. Two checkpoints with k completions an item differ, on n items, with
    variance (between + within / k) / n.
    """
    samples = min(len(side.scores) for pair in pairs for side in pair)
    if len(pairs) < 2 or samples < 2:
        return None
    within = sum(_within(pair) for pair in pairs) / len(pairs)
    total = variance(new.score - old.score for new, old in pairs)
    return Components(between=max(0.0, total - within / samples), within=within)


def sampling_share(pairs: Pairs, found: Estimate, metric: Metric) -> float | None:
    """Share of the effect's variance that comes from drawing completions; None with one completion an item."""
    if min(len(side.scores) for pair in pairs for side in pair) < 2:
        return None
    weights = item_weights([new.group for new, _ in pairs], metric)
    drawn = sum(
        weight**2 * _within(pair) / len(pair[0].scores) for weight, pair in zip(weights.tolist(), pairs, strict=True)
    )
    total = standard_error(found) ** 2
    return round(min(1.0, drawn / total), 3) if total > ROUNDING else None


def detectable_effect(
    n: int, alpha: float, *, between: float = DISCORDANT, within: float = 0.0, samples: int = 1, power: float = POWER
) -> float:
    """The difference that a paired comparison of `n` items with `samples` completions each finds with a given power.

    Normal approximation: (z_alpha + z_power) standard errors. With greedy answers that are right or wrong the variance
    between items is the share of items that change (Connor 1987).
    """
    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return min(1.0, z * math.sqrt((between + within / samples) / n))


def _within(pair: tuple[ItemResult, ItemResult]) -> float:
    return float(sum(np.var(side.scores, ddof=1) for side in pair))
