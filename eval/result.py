"""What an evaluation leaves behind: one record an item, and the aggregate of a split."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from tasks.record import Record
from tasks.task import Metric

Split = Literal["feedback", "selection", "test"]


class ItemResult(Record):
    """One benchmark item, answered and scored. Rests in `feedback.jsonl` or under `sealed/`."""

    id: str
    group: str
    prompt: str
    answer: str
    """The reference answer."""
    completions: tuple[str, ...]
    """One text a sample."""
    scores: tuple[float, ...]
    """One score a sample."""
    parsed: tuple[bool, ...]
    truncated: bool
    """A completion was cut at the token limit, or the prompt was too long to answer."""

    @property
    def score(self) -> float:
        """Mean over the samples."""
        return sum(self.scores) / len(self.scores)


class GroupScore(Record):
    """The mean score of one group with a 95 % interval (Wilson)."""

    group: str
    n: int
    score: float
    low: float
    high: float


class EvalResult(Record):
    """The aggregate of one split for one checkpoint."""

    split: Split
    n: int
    """Items."""
    samples: int
    """Completions an item."""
    score: float
    """The task's metric."""
    standard_error: float
    groups: tuple[GroupScore, ...] = ()
    """Category table; only for `feedback`, because roles read it."""
    unparsed: float
    """Share of completions without a readable answer; they count as wrong."""
    truncated: float
    """Share of items whose completion was cut or whose prompt did not fit."""
    generated: int
    """Items generated now; the others came from the cache."""
    seconds: float
    """Wall clock of this evaluation."""


def aggregate(items: Sequence[ItemResult], metric: Metric) -> float:
    """The metric over items: their mean, or the unweighted mean of the means of the groups."""
    scores = np.array([item.score for item in items])
    if metric.aggregate == "mean":
        return float(scores.mean())
    return float(np.mean([part.mean() for part in by_group(scores, [item.group for item in items])]))


def by_group(values: "np.ndarray[tuple[int], np.dtype[np.float64]]", groups: Sequence[str]) -> list[np.ndarray]:
    """Cut an array into one array a group, groups in sorted order."""
    names = np.array(groups)
    return [values[names == name] for name in sorted(set(groups))]


def wilson(score: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share `score` of `n` trials (Wilson 1927); `(0, 1)` when there are none."""
    if n == 0:
        return 0.0, 1.0
    centre = (score + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(score * (1 - score) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def summarise(
    items: Sequence[ItemResult], split: Split, metric: Metric, *, generated: int, seconds: float
) -> EvalResult:
    """Aggregate the items of a split.

    The score is rounded to three decimals: selection and test show roles nothing finer than what they may know.
    """
    scores = np.array([item.score for item in items])
    parts = by_group(scores, [item.group for item in items])
    return EvalResult(
        split=split,
        n=len(items),
        samples=len(items[0].scores),
        score=round(aggregate(items, metric), 3),
        standard_error=round(_standard_error(scores, parts, metric), 4),
        groups=_group_table(items) if split == "feedback" else (),
        unparsed=round(float(np.mean([not parsed for item in items for parsed in item.parsed])), 3),
        truncated=round(float(np.mean([item.truncated for item in items])), 3),
        generated=generated,
        seconds=round(seconds, 1),
    )


def _standard_error(scores: np.ndarray, parts: list[np.ndarray], metric: Metric) -> float:
    if metric.aggregate == "mean":
        return float(scores.std(ddof=1) / math.sqrt(len(scores))) if len(scores) > 1 else 0.0
    variances = [part.var(ddof=1) / len(part) if len(part) > 1 else 0.0 for part in parts]
    return math.sqrt(sum(variances)) / len(parts)


def _group_table(items: Sequence[ItemResult]) -> tuple[GroupScore, ...]:
    table: list[GroupScore] = []
    for group in sorted({item.group for item in items}):
        scores = [item.score for item in items if item.group == group]
        mean = sum(scores) / len(scores)
        low, high = wilson(mean, len(scores))
        table.append(
            GroupScore(group=group, n=len(scores), score=round(mean, 3), low=round(low, 3), high=round(high, 3))
        )
    return tuple(table)
