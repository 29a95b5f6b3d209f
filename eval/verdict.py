"""Is the candidate better than the incumbent? Statistics decide, no language model.

Both answered the same items, so the comparison is paired. With 20 items or more a bootstrap resamples items within
groups and recomputes the difference of the aggregate (Efron and Tibshirani 1993, chapter 16; the recommendation of
Card et al. 2020 for paired model comparison); below 20 items the signs of the item differences are flipped instead
(exact for up to 2^12 flips, sampled above), which needs no asymptotics. McNemar's exact test is reported beside it.

A run asks the question several times, so its error rate is spent: each of the `planned` experiments gets an equal
share of the one-sided alpha (Bonferroni). By the union bound the chance that a run accepts any candidate that is not
better stays at or below alpha, whatever the dependence between the experiments.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from eval.result import ItemResult
from tasks.record import Record
from tasks.task import Metric

ALPHA = 0.1
"""One-sided error rate of a whole run."""
RESAMPLES = 10_000
FEW_ITEMS = 20
"""Below this many items the sign-flip permutation replaces the bootstrap."""

ROUNDING = 1e-12
"""Sums that differ by less are equal."""

Outcome = Literal["better", "worse", "undecided"]


class Verdict(Record):
    """The comparison of a candidate with the incumbent on the selection split."""

    outcome: Outcome
    incumbent: int
    """Number of the experiment it was compared with."""
    effect: float
    """Candidate minus incumbent, in the metric, signed so that positive is better."""
    low: float
    """95 % interval of the effect (percentile bootstrap)."""
    high: float
    p_better: float
    """One-sided p-value of "not better"."""
    p_worse: float
    """One-sided p-value of "not worse"."""
    alpha: float
    """The share of the run's error rate that this decision may spend."""
    n: int
    fixed: int
    """Items wrong before and right now."""
    broken: int
    """Items right before and wrong now."""
    mcnemar_p: float
    """Two-sided exact McNemar test over fixed and broken items."""
    rule: str


def alpha_share(planned: int) -> float:
    """The alpha of one decision of a run that plans `planned` experiments."""
    return ALPHA / max(planned, 1)


def compare(
    candidate: Sequence[ItemResult],
    incumbent: Sequence[ItemResult],
    metric: Metric,
    *,
    incumbent_number: int,
    alpha: float,
    seed: int,
) -> Verdict:
    """Compare two checkpoints on the same items.

    Args:
        candidate: items in any order; the ids must equal those of `incumbent`.
        alpha: one-sided error rate of this decision.
        seed: of the resampling; the same arguments give the same verdict.

    Raises:
        ValueError: the two do not hold the same items.
    """
    before = {item.id: item for item in incumbent}
    if set(before) != {item.id for item in candidate} or len(before) != len(candidate):
        raise ValueError("a paired comparison needs the same items on both sides")
    items = sorted(candidate, key=lambda item: item.id)
    sign = 1.0 if metric.direction == "up" else -1.0
    differences = sign * np.array([item.score - before[item.id].score for item in items])
    groups = [item.group for item in items]
    rng = np.random.default_rng(seed)
    draws = _bootstrap(differences, groups, metric, rng)
    effect = _effect(differences, groups, metric)
    if len(items) < FEW_ITEMS:
        rule = f"sign-flip permutation (n < {FEW_ITEMS})"
        p_better, p_worse = _sign_flip(differences, groups, metric, rng)
    else:
        rule = f"paired bootstrap within groups, {RESAMPLES} resamples"
        p_better, p_worse = _p_value(draws <= ROUNDING), _p_value(draws >= -ROUNDING)
    fixed, broken = int((differences > 0).sum()), int((differences < 0).sum())
    low, high = (float(q) for q in np.quantile(draws, [0.025, 0.975]))
    return Verdict(
        outcome=_outcome(effect, p_better, p_worse, alpha),
        incumbent=incumbent_number,
        effect=round(effect, 4),
        low=round(low, 4),
        high=round(high, 4),
        p_better=round(p_better, 5),
        p_worse=round(p_worse, 5),
        alpha=alpha,
        n=len(items),
        fixed=fixed,
        broken=broken,
        mcnemar_p=round(mcnemar(fixed, broken), 5),
        rule=rule,
    )


def _outcome(effect: float, p_better: float, p_worse: float, alpha: float) -> Outcome:
    if effect > 0 and p_better <= alpha:
        return "better"
    return "worse" if effect < 0 and p_worse <= alpha else "undecided"


def _p_value(hits: np.ndarray) -> float:
    """Share of resamples, counting the observation itself, so that it is never zero (Davison and Hinkley 1997)."""
    return float((hits.sum() + 1) / (len(hits) + 1))


def _weights(groups: Sequence[str], metric: Metric) -> np.ndarray:
    """Weight of each item in the aggregate; they add up to one."""
    n = len(groups)
    if metric.aggregate == "mean":
        return np.full(n, 1 / n)
    sizes = {group: groups.count(group) for group in set(groups)}
    return np.array([1 / (sizes[group] * len(sizes)) for group in groups])


def _effect(differences: np.ndarray, groups: Sequence[str], metric: Metric) -> float:
    return float(differences @ _weights(groups, metric))


def _bootstrap(differences: np.ndarray, groups: Sequence[str], metric: Metric, rng: np.random.Generator) -> np.ndarray:
    """Effects of resampled item sets, shape (RESAMPLES,); each group keeps its size.

    Resampling n items understates their variance by (n - 1) / n, which adds up over many small groups; deviations are
    scaled to make up for it (the rescaling bootstrap of Rao and Wu 1988).
    """
    weighted = differences * _weights(groups, metric)
    names = np.array(groups)
    total = np.zeros(RESAMPLES)
    for name in sorted(set(groups)):
        part = weighted[names == name]
        n, centre = len(part), part.sum()
        drawn = part[rng.integers(0, n, size=(RESAMPLES, n))].sum(axis=1)
        total += centre + math.sqrt(n / max(n - 1, 1)) * (drawn - centre)
    return total


def _sign_flip(
    differences: np.ndarray, groups: Sequence[str], metric: Metric, rng: np.random.Generator
) -> tuple[float, float]:
    """One-sided p-values under random signs of the item differences."""
    weighted = differences * _weights(groups, metric)
    moving = weighted[weighted != 0]
    if not len(moving):
        return 1.0, 1.0
    if len(moving) <= 12:
        bits = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        flips = (1 - 2 * bits) @ moving
        return float((flips >= moving.sum() - ROUNDING).mean()), float((flips <= moving.sum() + ROUNDING).mean())
    flips = rng.choice([-1.0, 1.0], size=(RESAMPLES, len(moving))) @ moving
    return _p_value(flips >= moving.sum() - ROUNDING), _p_value(flips <= moving.sum() + ROUNDING)


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided McNemar test: a binomial test of `fixed` among `fixed + broken` at one half (McNemar 1947)."""
    n = fixed + broken
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(fixed, broken) + 1)) / 2**n
    return min(1.0, 2 * tail)


def detectable_effect(n: int, alpha: float, discordant: float = 0.25, power: float = 0.8) -> float:
    """The difference that a paired comparison of `n` items finds with the given power.

    Normal approximation for paired proportions: with a share `discordant` of items that change, the standard error of
    the difference is sqrt(discordant / n), and the effect is (z_alpha + z_power) times it (Connor 1987).
    """
    from statistics import NormalDist

    z = NormalDist().inv_cdf(1 - alpha) + NormalDist().inv_cdf(power)
    return min(1.0, z * math.sqrt(discordant / n))
