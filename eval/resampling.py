"""Where the uncertainty of a score or an effect comes from: units that are independent, resampled or turned around.

A unit is an item, or all items that share a table, a molecule or an application: those answer alike, so they count as
one draw. Units are resampled within strata: the groups (sub-datasets) of the benchmark, whose sizes are fixed. A unit
with items of several groups forms a stratum with others like it, and units that are alone in theirs form one together.

What is resampled is the linear part of the estimate (its influence function): an item's weight times what its value is
away from its group's mean. So the size of a unit does not count, only what it adds.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from tasks.task import Metric

RESAMPLES = 10_000
ROUNDING = 1e-12
"""Sums that differ by less are equal."""
ENUMERATED = 12
"""Up to this many units every combination of signs is tried."""
_DISTINCT = 64
"""Up to this many different values in a stratum, how often each is drawn is drawn instead of the units: the same
distribution, many times faster."""


class Estimate(NamedTuple):
    """An aggregate of item values as a sum over independent units."""

    value: float
    parts: np.ndarray
    """Contribution of each unit to the value, shape (units,)."""
    deviations: np.ndarray
    """The linear part of each unit's contribution, shape (units,); adds up to 0 over each group."""
    strata: np.ndarray
    """Number of each unit's stratum, shape (units,)."""


def estimate(values: np.ndarray, groups: Sequence[str], units: Sequence[str], metric: Metric) -> Estimate:
    """The metric's aggregate of item values, shape (items,), with the group and the unit of each item."""
    weights = item_weights(groups, metric)
    names, group_of = np.unique(groups, return_inverse=True)
    means = np.bincount(group_of, values) / np.bincount(group_of)
    unit_of = _numbered(units)
    number = int(unit_of.max()) + 1
    return Estimate(
        value=float(values @ weights),
        parts=np.bincount(unit_of, weights * values, number),
        deviations=np.bincount(unit_of, weights * (values - means[group_of]), number),
        strata=_strata(unit_of, [str(names[g]) for g in group_of], number),
    )


def item_weights(groups: Sequence[str], metric: Metric) -> np.ndarray:
    """Weight of each item in the aggregate, shape (items,); they add up to one."""
    n = len(groups)
    if metric.aggregate == "mean":
        return np.full(n, 1 / n)
    sizes = {group: groups.count(group) for group in set(groups)}
    return np.array([1 / (sizes[group] * len(sizes)) for group in groups])


def standard_error(found: Estimate) -> float:
    """Of the value, from the spread of the units within their strata.

    With one item a unit and one group it is the standard deviation of the values over the root of their number;
    with clusters it is the cluster-robust error of Liang and Zeger 1986, with the correction m / (m - 1) for m units.
    """
    return math.sqrt(sum(variance for variance, _ in _variances(found)))


def effective_units(found: Estimate) -> float:
    """How many units the spread rests on: one more than the degrees of freedom of Satterthwaite 1946.

    Far fewer than there are where a small group weighs as much as a large one.
    """
    variances = _variances(found)
    total = sum(variance for variance, _ in variances)
    if total <= ROUNDING**2:
        return float(len(found.parts))
    return round(1 + total**2 / sum(variance**2 / (m - 1) for variance, m in variances if m > 1), 6)


def bootstrap(found: Estimate, rng: np.random.Generator) -> np.ndarray:
    """Values of resampled units, shape (RESAMPLES,); each stratum keeps its size.

    Resampling m units understates their variance by (m - 1) / m, which adds up over many small strata; deviations are
    scaled to make up for it (the rescaling bootstrap of Rao and Wu 1988).
    """
    total = np.full(RESAMPLES, found.value)
    for part in _by_stratum(found):
        m = len(part)
        # In order of appearance, so that the draws of values turned around are the draws turned around.
        _, first, inverse = np.unique(part.round(15), return_index=True, return_inverse=True)
        if len(first) > _DISTINCT:
            drawn = part[rng.integers(0, m, size=(RESAMPLES, m))].sum(axis=1)
        else:
            order = np.argsort(first)
            shares = np.bincount(inverse)[order] / m
            drawn = rng.multinomial(m, shares, size=RESAMPLES) @ part[first[order]]
        total += math.sqrt(m / max(m - 1, 1)) * (drawn - part.sum())
    return total


def sign_flip(found: Estimate, rng: np.random.Generator) -> tuple[float, float]:
    """One-sided p-values, of "not better" and of "not worse", under random signs of the units' contributions.

    Exact where the two checkpoints could be exchanged unit by unit (Fisher 1935; Pitman 1937).
    """
    moving = found.parts[np.abs(found.parts) > ROUNDING]
    if not len(moving):
        return 1.0, 1.0
    observed = moving.sum()
    if len(moving) <= ENUMERATED:
        bits = np.arange(2 ** len(moving))[:, None] >> np.arange(len(moving)) & 1
        flips = (1 - 2 * bits) @ moving
        return float((flips >= observed - ROUNDING).mean()), float((flips <= observed + ROUNDING).mean())
    flips = rng.choice([-1.0, 1.0], size=(RESAMPLES, len(moving))) @ moving
    return p_value(flips >= observed - ROUNDING), p_value(flips <= observed + ROUNDING)


def p_value(hits: np.ndarray) -> float:
    """Share of resamples, counting the observation itself, so that it is never zero (Davison and Hinkley 1997)."""
    return float((hits.sum() + 1) / (len(hits) + 1))


def _variances(found: Estimate) -> list[tuple[float, int]]:
    """What each stratum adds to the variance of the value, and its units."""
    parts = _by_stratum(found)
    return [(m / max(m - 1, 1) * float(((part - part.mean()) ** 2).sum()), m) for part in parts if (m := len(part))]


def _by_stratum(found: Estimate) -> list[np.ndarray]:
    return [found.deviations[found.strata == number] for number in range(int(found.strata.max()) + 1)]


def _strata(unit_of: np.ndarray, groups: Sequence[str], units: int) -> np.ndarray:
    """Number of each unit's stratum: that of the groups it has items of."""
    held: list[set[str]] = [set() for _ in range(units)]
    for unit, group in zip(unit_of, groups, strict=True):
        held[unit].add(group)
    found = _numbered(["|".join(sorted(names)) for names in held])
    sizes = np.bincount(found)
    alone = sizes[found] == 1
    if alone.sum() > 1:
        found[alone] = len(sizes)
    return _numbered([str(number) for number in found])


def _numbered(names: Sequence[str]) -> np.ndarray:
    """Names as numbers from 0, in order of appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
