"""Where the uncertainty of a score or an effect comes from: units that are independent, resampled or turned around.

A unit is an item, or all items that share a table, a molecule or an application: those answer alike, so they count as
one draw. Units are resampled within strata: the groups (sub-datasets) of the benchmark, whose sizes are fixed. A unit
with items of several groups forms a stratum with others like it; groups of one unit are taken together.

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
    """The linear part of each unit's contribution, shape (units,); adds up to 0 over each group of several units."""
    strata: np.ndarray
    """Number of each unit's stratum, shape (units,)."""
    weights: np.ndarray
    """Share of each unit in the aggregate, shape (units,); adds up to 1."""


def estimate(values: np.ndarray, groups: Sequence[str], units: Sequence[str], metric: Metric) -> Estimate:
    """The metric's aggregate of item values, shape (items,), with the group and the unit of each item."""
    weights, unit_of = item_weights(groups, metric), _numbered(units)
    centre_of = _centres(unit_of, groups)
    centres = np.bincount(centre_of, values) / np.bincount(centre_of)
    number = int(unit_of.max()) + 1
    return Estimate(
        value=float(values @ weights),
        parts=np.bincount(unit_of, weights * values, number),
        deviations=np.bincount(unit_of, weights * (values - centres[centre_of]), number),
        strata=_strata(unit_of, centre_of, number),
        weights=np.bincount(unit_of, weights, number),
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


def kish_units(found: Estimate) -> float:
    """How many equal units weigh as much as these: 1 / the sum of squared shares (Kish 1965).

    Far fewer than there are where a small group counts as much as a large one. What was answered does not matter.
    """
    return round(1 / float((found.weights**2).sum()), 6)


def degrees_of_freedom(found: Estimate) -> float:
    """Of the standard error, at least 1 (Satterthwaite 1946)."""
    variances = _variances(found)
    total = sum(variance for variance, _ in variances)
    if total <= ROUNDING**2:
        return max(1.0, len(found.parts) - 1.0)
    return max(1.0, total**2 / sum(variance**2 / (m - 1) for variance, m in variances if m > 1))


def student(degrees: float) -> float:
    """Half the width of a 95 % interval in standard errors (Student's t)."""
    from scipy.stats import t  # slow to import, and not always needed

    return float(t.ppf(0.975, degrees))


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


def _centres(unit_of: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Number of the mean from which each item's value deviates: its group's.

    A group of one unit has no spread of its own; such groups share a mean, or one alone the smallest group's (collapsed
    strata: Cochran 1977, section 5A.12), so that their difference counts as spread.
    """
    held: dict[str, set[int]] = {}
    for unit, group in zip(unit_of.tolist(), groups, strict=True):
        held.setdefault(group, set()).add(unit)
    lone = {group for group, members in held.items() if len(members) == 1}
    if len(lone) == 1 < len(held):
        lone.add(min(held.keys() - lone, key=lambda group: (len(held[group]), group)))
    return _numbered(["" if group in lone else f"group {group}" for group in groups])


def _strata(unit_of: np.ndarray, centre_of: np.ndarray, units: int) -> np.ndarray:
    """Number of each unit's stratum: units with items around the same means; those that are alone so form one."""
    held: list[set[int]] = [set() for _ in range(units)]
    for unit, centre in zip(unit_of.tolist(), centre_of.tolist(), strict=True):
        held[unit].add(centre)
    found = _numbered([str(sorted(centres)) for centres in held])
    sizes = np.bincount(found)
    alone = sizes[found] == 1
    if alone.sum() == 1 < len(sizes):  # with the smallest of the others
        others = np.unique(found[~alone])
        alone |= found == others[sizes[others].argmin()]
    found[alone] = -1
    return np.unique(found, return_inverse=True)[1]


def _numbered(names: Sequence[str]) -> np.ndarray:
    """Names as numbers from 0, in order of appearance."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
