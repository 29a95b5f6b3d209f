"""What an evaluation leaves behind: one record an item, and the aggregate of a split."""

import itertools
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from eval.engine import Completion
from eval.f1 import item_f1
from eval.resampling import Estimate, estimate, standard_error
from tasks import scoring
from tasks.record import Record
from tasks.task import ItemScore, Metric, Sample, Scorer

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
    cluster: str = ""
    """Items that share a table, a molecule or an application share this; they are not independent."""
    metrics: dict[str, float] = Field(default_factory=dict)
    """Sub-metrics and counts of the scorer, means over the samples."""

    @property
    def unit(self) -> str:
        """What is independent of the other units: its cluster, or the item itself."""
        return self.cluster or f"item {self.id}"

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
    """Items that were answered."""
    split_n: int | None = None
    """Items of the split; more than `n` where the evaluation was stopped as hopeless. None in older records."""
    samples: int
    """Completions an item."""
    score: float
    """The task's metric."""
    standard_error: float
    """Over independent units; see `eval/resampling.py`."""
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


def wilson(score: float, n: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval for a share `score` of `n` trials (Wilson 1927); `(0, 1)` when there are none."""
    if n == 0:
        return 0.0, 1.0
    centre = (score + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(score * (1 - score) / n + z * z / (4 * n * n))
    return max(0.0, centre - half), min(1.0, centre + half)


def item_values(items: Sequence[ItemResult], metric: Metric) -> np.ndarray:
    """Values of the items whose aggregate is the metric's, shape (items,): scores, or what each adds to an F1."""
    if metric.aggregate == "f1":
        return item_f1([item.metrics for item in items])
    return np.array([item.score for item in items])


def scored_items(
    scorer: Scorer, samples: Sequence[Sample], completions: Sequence[Sequence[Completion]]
) -> list[ItemResult]:
    """The records of samples that were answered; a scorer that is slow does many at once.

    Args:
        completions: at least one for each sample.
    """
    pairs = [(one.text, sample) for sample, drawn in zip(samples, completions, strict=True) for one in drawn]
    scores = iter(scoring.score_all(scorer, pairs))
    return [
        _item(sample, drawn, list(itertools.islice(scores, len(drawn))))
        for sample, drawn in zip(samples, completions, strict=True)
    ]


def _item(sample: Sample, completions: Sequence[Completion], scores: Sequence[ItemScore]) -> ItemResult:
    return ItemResult(
        id=sample.id,
        group=sample.group,
        prompt=sample.prompt,
        answer=sample.answer,
        completions=tuple(completion.text for completion in completions),
        scores=tuple(score.score for score in scores),
        parsed=tuple(score.parsed for score in scores),
        truncated=any(completion.finish != "stop" for completion in completions),
        cluster=sample.cluster,
        metrics=_mean_metrics(scores),
    )


def _mean_metrics(scores: Sequence[ItemScore]) -> dict[str, float]:
    """Sub-metrics of an item's samples; one that a sample does not have counts as 0 there."""
    names = dict.fromkeys(name for score in scores for name in score.metrics)
    return {name: sum(score.metrics.get(name, 0.0) for score in scores) / len(scores) for name in names}


def summarise(
    items: Sequence[ItemResult], split: Split, metric: Metric, *, generated: int, seconds: float, split_n: int
) -> EvalResult:
    """Aggregate the items of a split that were answered, of `split_n`.

    The score is rounded to three decimals: selection and test show roles nothing finer than what they may know.
    """
    found = _estimate(items, metric)
    return EvalResult(
        split=split,
        n=len(items),
        split_n=split_n,
        samples=len(items[0].scores),
        score=round(found.value, 3),
        standard_error=round(standard_error(found), 4),
        groups=_group_table(items) if split == "feedback" else (),
        unparsed=round(float(np.mean([not parsed for item in items for parsed in item.parsed])), 3),
        truncated=round(float(np.mean([item.truncated for item in items])), 3),
        generated=generated,
        seconds=round(seconds, 1),
    )


def _estimate(items: Sequence[ItemResult], metric: Metric) -> Estimate:
    scores = item_values(items, metric)
    # The mean over items is reported with all of their spread, not with that within groups only.
    groups = [item.group if metric.aggregate == "group_mean" or metric.only else "" for item in items]
    return estimate(scores, groups, [item.unit for item in items], metric)


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
