"""What a comparison can see: the effect that it finds, and the parts of its variance."""

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from eval.resampling import ROUNDING, Estimate, item_weights, standard_error
from eval.result import ItemResult
from tasks.task import Metric

DISCORDANT = 0.25
"""Share of items on which two checkpoints differ, before anything is known."""
DRAWN = 0.5
"""Share of that variance which is the chance of drawing, where answers are drawn."""
POWER = 0.8

Pairs = Sequence[tuple[ItemResult, ItemResult]]
"""An item as the candidate and as the incumbent answered it."""


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


def detectable_effect(n: int, alpha: float, *, samples: int = 1) -> float:
    """The difference that a paired comparison of `n` independent items finds with `POWER`, before anything is known.

    The variance of a paired difference is taken to be the share of items that change (Connor 1987, to first order). Of
    answers that are drawn, `samples` an item, a half of it is taken to be the chance of drawing.
    """
    drawn = DRAWN if samples > 1 else 0.0
    return min(1.0, detectable(math.sqrt(DISCORDANT * (1 - drawn + drawn / samples) / n), alpha))


def detectable(standard_error: float, alpha: float) -> float:
    """The difference that is found with `POWER` at a one-sided error rate, by normal approximation."""
    return (NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(POWER)) * standard_error


def _within(pair: tuple[ItemResult, ItemResult]) -> float:
    return float(sum(np.var(side.scores, ddof=1) for side in pair))
