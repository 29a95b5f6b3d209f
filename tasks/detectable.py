"""The difference that a comparison on so many items can find."""

import math
from statistics import NormalDist

DISCORDANT = 0.25
"""Share of items on which two checkpoints differ, before anything is known."""
DRAWN = 0.5
"""Share of that variance which is the chance of drawing, where answers are drawn."""
POWER = 0.8


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
