"""Stopping early: where it looks, what it expects, what it costs and that it never accepts more."""

import itertools
import math
from collections import Counter
from statistics import NormalDist

import numpy as np
import pytest

from eval.power import POWER
from eval.sequential import FEWEST, HOPELESS, LOOKS, chance, in_order, looks
from tasks.task import Sample


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (682, [114, 227, 341, 455, 568, 682]),
        (120, [60, 80, 100, 120]),
        (60, [60]),
        (61, [61]),
        (30, [30]),
        (1, [1]),
    ],
)
def test_looks(items: int, expected: list[int]) -> None:
    assert looks(items) == expected


def test_no_look_has_few_items() -> None:
    for items in range(1, 800):
        found = looks(items)
        assert found[-1] == items
        assert found == sorted(set(found))
        assert all(n >= FEWEST for n in found[:-1])


def sample(number: int, group: str, cluster: str = "") -> Sample:
    return Sample(id=f"q{number}", prompt="", answer="", group=group, cluster=cluster)


def test_groups_advance_together() -> None:
    samples = [sample(i, "large" if i % 5 else "small") for i in range(200)]
    ordered = in_order(samples, "key")
    assert sorted(s.id for s in ordered) == sorted(s.id for s in samples)
    for end in range(10, 201):
        assert Counter(s.group for s in ordered[:end])["small"] == pytest.approx(end / 5, abs=1.5)


def test_the_order_is_that_of_a_hash() -> None:
    samples = [sample(i, "all") for i in range(50)]
    ordered = in_order(samples, "key")
    assert in_order(samples[::-1], "key") == ordered
    assert in_order(samples, "other") != ordered
    assert ordered != samples


def test_clusters_stay_together() -> None:
    samples = [sample(i, f"g{i % 2}", f"table {i % 30}") for i in range(90)]
    samples.append(sample(90, "g1", "table 0"))  # a table of both groups
    clusters = [s.cluster for s in in_order(samples, "key")]
    changes = sum(one != next_ for one, next_ in itertools.pairwise(clusters))
    assert changes == 30 - 1


def test_chance_by_hand() -> None:
    """Half of the items, no effect so far: what is to come must make up for all of it."""
    normal = NormalDist()
    critical, drift = normal.inv_cdf(0.95), normal.inv_cdf(0.95) + normal.inv_cdf(POWER)
    assert chance(0.0, 0.1, 0.5, 0.05) == pytest.approx(normal.cdf((drift / 2 - critical) / math.sqrt(0.5)))
    assert chance(0.1, 0.05, 0.5, 0.05) == pytest.approx(
        normal.cdf((2 * math.sqrt(0.5) + drift / 2 - critical) / math.sqrt(0.5))
    )


def test_chance_where_nothing_varies() -> None:
    assert chance(0.1, 0.0, 0.5, 0.05) == 1.0
    assert chance(-0.1, 0.0, 0.5, 0.05) == 0.0
    assert HOPELESS < chance(0.0, 0.0, 0.5, 0.05) < 1.0


def test_chance_rises_with_the_effect_and_falls_with_alpha() -> None:
    found = [chance(effect / 100, 0.02, 0.5, 0.05) for effect in range(-10, 11)]
    assert found == sorted(found)
    assert chance(0.01, 0.02, 0.5, 0.01) < chance(0.01, 0.02, 0.5, 0.05)


def walks(drift: float, n: int = 100_000) -> np.ndarray:
    """z at each look of evaluations whose effect makes for `drift` standard errors at the last, shape (n, looks)."""
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((n, len(LOOKS))) / math.sqrt(len(LOOKS)) + drift / len(LOOKS)
    return np.cumsum(steps, axis=1) / np.sqrt(LOOKS)


def stopped_at(z: np.ndarray, alpha: float) -> np.ndarray:
    """Number of the look at which each evaluation stops, from 0, shape (n,)."""
    at = np.full(len(z), len(LOOKS) - 1)
    for look in range(len(LOOKS) - 2, -1, -1):
        grid = np.linspace(-6, 6, 1201)
        threshold = grid[np.argmax([chance(x, 1.0, LOOKS[look], alpha) >= HOPELESS for x in grid])]
        at[z[:, look] < threshold] = look
    return at


@pytest.mark.parametrize("alpha", [0.1, 0.033, 0.005])
@pytest.mark.parametrize("share", [-1.0, 0.0, 0.5, 0.8, 1.0, 1.2, 2.0])
def test_stopping_accepts_little_less(share: float, alpha: float) -> None:
    """`share` of the effect that is found with 80 %: fewer items, at most two points of power."""
    normal = NormalDist()
    critical = normal.inv_cdf(1 - alpha)
    z = walks(share * (critical + normal.inv_cdf(POWER)))
    at = stopped_at(z, alpha)
    full = z[:, -1] > critical
    accepted = full & (at == len(LOOKS) - 1)
    assert full.mean() - accepted.mean() < 0.02
    saved = 1 - np.array(LOOKS)[at].mean()
    assert saved >= {-1.0: 0.5, 0.0: 0.25, 0.5: 0.1}.get(share, 0.0)
