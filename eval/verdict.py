"""Is the candidate better than the incumbent? Statistics decide, no language model.

Both answered the same items, so the comparison is paired. A bootstrap resamples what is independent (`eval/resampling`)
around the difference of the aggregate (Efron and Tibshirani 1993; Koehn 2004 for comparing systems on a test set).
Where fewer than 100 units count, their signs are flipped instead (every combination up to 2^12, else a sample), which
does not rest on a normal tail, and the interval is Student's. McNemar's exact test over items is reported beside it.

A run asks the question several times, so its error rate is spent: each of the `planned` experiments gets an equal
share of the one-sided alpha (Bonferroni). By the union bound the chance that a run accepts any candidate that is not
better stays at or below alpha if the candidates are not chosen by their answers to these items. Planners do see rounded
scores on them, so repeated use of one split is not free of charge; that is what the sealed test is for. The looks of an
evaluation that may stop early (`eval/sequential`) add nothing: a stopped candidate is not accepted.
"""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from eval.power import Pairs, sampling_share
from eval.replication import RecipeEffect
from eval.resampling import (
    RESAMPLES,
    ROUNDING,
    Estimate,
    bootstrap,
    degrees_of_freedom,
    estimate,
    kish_units,
    p_value,
    sign_flip,
    standard_error,
    student,
)
from eval.result import ItemResult
from eval.sequential import HOPELESS, LOOKS, chance
from tasks.record import Record
from tasks.task import Metric

ALPHA = 0.1
"""One-sided error rate of a whole run."""
FEW_UNITS = 100
"""Below this many units (as Kish counts them) signs are flipped: tails of a bootstrap are too thin there."""

Outcome = Literal["better", "worse", "undecided"]


class Verdict(Record):
    """The comparison of a candidate with the incumbent on the selection split."""

    outcome: Outcome
    incumbent: int
    """Number of the experiment it was compared with."""
    effect: float
    """Candidate minus incumbent, in the metric, signed so that positive is better."""
    low: float
    """95 % interval of the effect: percentiles of the bootstrap, or Student's where signs are flipped."""
    high: float
    standard_error: float | None = None
    """Of the effect, over independent units; None in older records."""
    sampling_share: float | None = None
    """Share of the effect's variance that more completions an item would take away; None with one completion each."""
    p_better: float
    """One-sided p-value of "not better"."""
    p_worse: float
    """One-sided p-value of "not worse"."""
    alpha: float
    """The share of the run's error rate that this decision may spend."""
    n: int
    """Items that both have answered."""
    split_n: int | None = None
    """Items of the split; more than `n` where the evaluation was stopped as hopeless. None in older records."""
    fixed: int
    """Items wrong before and right now."""
    broken: int
    """Items right before and wrong now."""
    mcnemar_p: float
    """Two-sided exact McNemar test over fixed and broken items."""
    rule: str
    recipe: RecipeEffect | None = None
    """Over several trainings; None without replicates."""


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
    split_n: int | None = None,
) -> Verdict:
    """Compare two checkpoints on the same items.

    Args:
        candidate: items in any order; the ids must equal those of `incumbent`.
        alpha: one-sided error rate of this decision.
        seed: of the resampling; the same arguments give the same verdict.
        split_n: items of the split, when the evaluation may have stopped before it had all of them.

    Raises:
        ValueError: the two do not hold the same items.
    """
    pairs = paired(candidate, incumbent)
    differences = signed_differences(pairs, metric)
    found = effect(pairs, metric)
    rng = np.random.default_rng(seed)
    if kish_units(found) < FEW_UNITS:
        rule = f"sign-flip permutation (fewer than {FEW_UNITS} units)"
        p_better, p_worse = sign_flip(found, rng)
        margin = student(degrees_of_freedom(found)) * standard_error(found)
        low, high = found.value - margin, found.value + margin
    else:
        rule = f"paired bootstrap within groups, {RESAMPLES} resamples"
        draws = bootstrap(found, rng)
        p_better, p_worse = p_value(draws <= ROUNDING), p_value(draws >= -ROUNDING)
        low, high = (float(q) for q in np.quantile(draws, [0.025, 0.975]))
    stopped = split_n is not None and len(pairs) < split_n
    fixed, broken = int((differences > 0).sum()), int((differences < 0).sum())
    return Verdict(
        outcome=_outcome(found.value, p_better, p_worse, alpha, stopped=stopped),
        incumbent=incumbent_number,
        effect=round(found.value, 4),
        low=round(low, 4),
        high=round(high, 4),
        standard_error=round(standard_error(found), 5),
        sampling_share=sampling_share(pairs, found, metric),
        p_better=round(p_better, 5),
        p_worse=round(p_worse, 5),
        alpha=alpha,
        n=len(pairs),
        split_n=split_n,
        fixed=fixed,
        broken=broken,
        mcnemar_p=round(mcnemar(fixed, broken), 5),
        rule=rule,
    )


def is_hopeless(pairs: Pairs, metric: Metric, split_n: int, alpha: float) -> bool:
    """Whether a candidate that has answered these of `split_n` items has too little chance to be accepted."""
    found = effect(pairs, metric)
    return chance(found.value, standard_error(found), len(pairs) / split_n, alpha) < HOPELESS


def paired(candidate: Sequence[ItemResult], incumbent: Sequence[ItemResult]) -> Pairs:
    """Each item as candidate and incumbent answered it, by id.

    Raises:
        ValueError: the two do not hold the same items.
    """
    before = {item.id: item for item in incumbent}
    if set(before) != {item.id for item in candidate} or len(before) != len(candidate):
        raise ValueError("a paired comparison needs the same items on both sides")
    return [(item, before[item.id]) for item in sorted(candidate, key=lambda item: item.id)]


def signed_differences(pairs: Pairs, metric: Metric) -> np.ndarray:
    """Candidate minus incumbent of each item, positive when better, shape (items,)."""
    sign = 1 if metric.direction == "up" else -1
    return sign * np.array([new.score - old.score for new, old in pairs])


def effect(pairs: Pairs, metric: Metric) -> Estimate:
    """The difference of the aggregate, positive when better."""
    groups, units = [new.group for new, _ in pairs], [new.unit for new, _ in pairs]
    return estimate(signed_differences(pairs, metric), groups, units, metric)


def _outcome(found: float, p_better: float, p_worse: float, alpha: float, *, stopped: bool) -> Outcome:
    """An evaluation that stopped early accepts nothing, and says "worse" at a part of the error rate for each look.

    With the last look that adds up to less than twice alpha; "worse" changes no incumbent.
    """
    if found > 0 and p_better <= alpha and not stopped:
        return "better"
    worse = alpha / len(LOOKS) if stopped else alpha
    return "worse" if found < 0 and p_worse <= worse else "undecided"


def mcnemar(fixed: int, broken: int) -> float:
    """Exact two-sided McNemar test: a binomial test of `fixed` among `fixed + broken` at one half (McNemar 1947)."""
    n = fixed + broken
    if n == 0:
        return 1.0
    tail = sum(math.comb(n, k) for k in range(min(fixed, broken) + 1)) / 2**n
    return min(1.0, 2 * tail)
