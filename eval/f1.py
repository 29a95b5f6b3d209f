"""The F1 of many items, from the counts that a scorer leaves in each item's metrics."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

COUNTS = ("tp", "fp", "fn")
"""`tp.CLASS`, `fp.CLASS` and `fn.CLASS`: true positives, false positives and false negatives."""


def is_counted(metrics: Mapping[str, float]) -> bool:
    """Whether an item has counts. Where others have, an item without any is out of the denominator."""
    return any(name.partition(".")[0] in COUNTS and "." in name for name in metrics)


def f1_of_counts(items: Iterable[Mapping[str, float]]) -> float | None:
    """The unweighted mean over classes of 2 tp / (2 tp + fp + fn), 0 where the denominator is; macro F1.

    With one class over all items it is the micro F1. None when no item has counts.
    """
    totals: Counter[str] = Counter()
    for metrics in items:
        totals.update({name: value for name, value in metrics.items() if is_counted({name: value})})
    classes = sorted({name.partition(".")[2] for name in totals})
    if not classes:
        return None
    return sum(_f1(*(totals[f"{count}.{each}"] for count in COUNTS)) for each in classes) / len(classes)


def _f1(right: float, wrong: float, missed: float) -> float:
    return 2 * right / (2 * right + wrong + missed) if right else 0.0


def item_f1(items: Sequence[Mapping[str, float]]) -> np.ndarray:
    """What each item adds to the F1 of all, shape (items,): values whose mean is that F1.

    To first order: the F1 plus n times the item's share of its derivative in the counts (the delta method), so that
    standard errors and the bootstrap of a mean hold for it.
    """
    classes = sorted({name.partition(".")[2] for metrics in items for name in metrics if is_counted({name: 0.0})})
    if not classes:
        return np.zeros(len(items))
    values = np.zeros(len(items))
    for each in classes:
        right, wrong, missed = (
            np.array([metrics.get(f"{count}.{each}", 0.0) for metrics in items]) for count in COUNTS
        )
        total = 2 * right.sum() + wrong.sum() + missed.sum()
        found = 2 * right.sum() / total if total else 0.0
        slope = (2 * (1 - found) * right - found * (wrong + missed)) / total if total else np.zeros(len(items))
        values += found + len(items) * slope
    return values / len(classes)
