"""Would the recipe gain with another seed too? A verdict is about one adapter; replicates tell of its recipe.

Each side was trained with several seeds and answered the same items. The effect is the difference of the means over
seeds; its variance has a part from the items and, for each side, one from the seeds (crossed random effects;
Bouthillier et al. 2021 show how much of a benchmark's variance the seed is). With few seeds the latter is known badly,
so the interval is wide: Student's t with the degrees of freedom of Satterthwaite 1946. The chance in single answers
counts in both parts, which makes it rather too wide than too narrow.
"""

import math
from collections.abc import Sequence

import numpy as np

from eval.resampling import degrees_of_freedom, estimate, item_weights, standard_error, student
from eval.result import ItemResult
from tasks.record import Record
from tasks.task import Metric

Replicates = Sequence[Sequence[ItemResult]]


class RecipeEffect(Record):
    """The difference between two recipes over the seeds of their training."""

    effect: float
    """Mean over seeds of the candidate minus that of the incumbent, positive when better."""
    low: float
    """95 % interval."""
    high: float
    standard_error: float
    """Over items and seeds."""
    seed_share: float
    """Share of the variance that more seeds would take away; more items take away the rest."""
    seeds: int
    """Trainings of the candidate."""
    n: int
    """Items that all of them have answered."""


def recipe_effect(candidate: Replicates, incumbent: Replicates, metric: Metric) -> RecipeEffect:
    """Compare two recipes.

    Args:
        candidate: items of each replicate, at least two replicates; items that some have not answered are left out.
        incumbent: one set of items when it is the untouched model, which no seed has touched.

    Raises:
        ValueError: the candidate has one replicate only, or there are no items that all have answered.
    """
    if len(candidate) < 2:
        raise ValueError("the effect of a recipe needs at least two replicates")
    answered = [{item.id: item for item in items} for items in (*candidate, *incumbent)]
    ids = sorted(set.intersection(*(set(items) for items in answered)))
    if not ids:
        raise ValueError("no item was answered by all replicates")
    sign = 1 if metric.direction == "up" else -1
    scores = sign * np.array([[items[name].score for name in ids] for items in answered])
    after, before = scores[: len(candidate)], scores[len(candidate) :]
    kept = [answered[0][name] for name in ids]
    groups, units = [item.group for item in kept], [item.unit for item in kept]
    found = estimate(after.mean(0) - before.mean(0), groups, units, metric)
    weights = item_weights(groups, metric)
    parts = [(standard_error(found) ** 2, degrees_of_freedom(found))]
    parts += [((side @ weights).var(ddof=1) / len(side), len(side) - 1) for side in (after, before) if len(side) > 1]
    variance = sum(part for part, _ in parts)
    margin = math.sqrt(variance) * student(_degrees(parts)) if variance else 0.0
    return RecipeEffect(
        effect=round(found.value, 4),
        low=round(found.value - margin, 4),
        high=round(found.value + margin, 4),
        standard_error=round(math.sqrt(variance), 5),
        seed_share=round(1 - parts[0][0] / variance, 3) if variance else 0.0,
        seeds=len(candidate),
        n=len(ids),
    )


def _degrees(parts: Sequence[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of variances, each with its own."""
    total = sum(variance for variance, _ in parts)
    return total**2 / sum(variance**2 / max(degrees, 1.0) for variance, degrees in parts if variance)
