"""The parts of a comparison's variance: items, and the chance of drawing an answer."""

from collections.abc import Sequence

import numpy as np

from eval.resampling import ROUNDING, Estimate, item_weights, standard_error
from eval.result import ItemResult
from tasks.task import Metric

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


def _within(pair: tuple[ItemResult, ItemResult]) -> float:
    return float(sum(np.var(side.scores, ddof=1) for side in pair))
