"""Units, strata and what is drawn from them."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from eval import resampling
from eval.resampling import Estimate, bootstrap, effective_units, estimate, sign_flip, standard_error
from tasks.task import Metric

MEAN, GROUPED = Metric(), Metric(aggregate="group_mean")


def of(
    values: Sequence[float], groups: Sequence[str] = (), units: Sequence[str] = (), metric: Metric = MEAN
) -> Estimate:
    n = len(values)
    return estimate(np.array(values, float), groups or ["all"] * n, units or [str(i) for i in range(n)], metric)


def some(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0.3, 1.0, n)


def test_the_error_of_a_mean() -> None:
    values = some(50)
    found = of(values)
    assert found.value == pytest.approx(values.mean())
    assert standard_error(found) == pytest.approx(values.std(ddof=1) / math.sqrt(50))
    assert effective_units(found) == pytest.approx(50)


def test_the_error_of_a_mean_of_means() -> None:
    values, groups = some(50), ["a"] * 10 + ["b"] * 40
    found = of(values, groups, metric=GROUPED)
    assert found.value == pytest.approx((values[:10].mean() + values[10:].mean()) / 2)
    parts = values[:10].var(ddof=1) / 10 + values[10:].var(ddof=1) / 40
    assert standard_error(found) == pytest.approx(math.sqrt(parts) / 2)


def test_a_repeated_item_is_no_more_evidence() -> None:
    """Each item four times, known as one table: the error of the items. As items of their own: half of it."""
    values = some(60)
    repeated = np.repeat(values, 4)
    tables = [f"table {i}" for i in range(60) for _ in range(4)]
    assert standard_error(of(repeated, units=tables)) == pytest.approx(standard_error(of(values)))
    assert standard_error(of(repeated)) == pytest.approx(standard_error(of(values)) / 2, rel=0.02)


def test_clusters_of_unequal_size() -> None:
    """The linearised error of a ratio, by hand: residual sums of the clusters."""
    values, units = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0], ["a", "a", "a", "b", "b", "c"]
    residuals = [1 + 0 + 1 - 3 * 4 / 6, 1 + 0 - 2 * 4 / 6, 1 - 4 / 6]
    expected = math.sqrt(3 / 2 * sum((r / 6) ** 2 for r in residuals))
    assert standard_error(of(values, units=units)) == pytest.approx(expected)


@pytest.mark.parametrize("metric", [MEAN, GROUPED])
@pytest.mark.parametrize("distinct", [0, 10**6])
def test_the_bootstrap_has_the_standard_error(metric: Metric, distinct: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether units are drawn or how often each value is."""
    monkeypatch.setattr(resampling, "_DISTINCT", distinct)
    values = (some(120) > 0).astype(float)
    groups = [f"g{i % 5 // 2}" for i in range(120)]
    units = [f"u{i // 2}" if i < 40 else str(i) for i in range(120)]
    found = of(values, groups, units, metric)
    draws = bootstrap(found, np.random.default_rng(0))
    assert draws.mean() == pytest.approx(found.value, abs=4 * standard_error(found) / 100)
    assert draws.std() == pytest.approx(standard_error(found), rel=0.03)


def test_both_ways_of_drawing_are_one_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    found = of([1.0] * 3 + [0.0] * 20 + [-1.0] * 2)
    quick = bootstrap(found, np.random.default_rng(0))
    monkeypatch.setattr(resampling, "_DISTINCT", 0)
    slow = bootstrap(found, np.random.default_rng(1))
    for quantile in (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99):
        assert np.quantile(quick, quantile) == pytest.approx(np.quantile(slow, quantile), abs=0.041)  # one step


def test_draws_of_an_effect_turned_around() -> None:
    for values in (some(30), np.sign(some(30))):
        there, back = (bootstrap(of(sign * values), np.random.default_rng(3)) for sign in (1, -1))
        assert (there == -back).all()


def test_a_unit_across_groups() -> None:
    """Two tables with items of both groups form a stratum of their own; nothing of them is lost."""
    values, groups = some(44), ["a"] * 22 + ["b"] * 22
    units = [f"t{i % 22}" if i % 22 < 2 else str(i) for i in range(44)]
    found = of(values, groups, units, GROUPED)
    assert sorted(np.bincount(found.strata)) == [2, 20, 20]
    assert found.parts.sum() == pytest.approx(found.value)
    assert standard_error(found) > 0


def test_units_alone_in_their_strata_share_one() -> None:
    """Groups of one item have no spread of their own, but have some between them."""
    values, groups = some(12), ["large"] * 9 + ["x", "y", "z"]
    found = of(values, groups)
    assert sorted(np.bincount(found.strata)) == [3, 9]


def test_a_small_group_that_weighs_much_leaves_few_units() -> None:
    values, groups = some(104), ["small"] * 4 + ["large"] * 100
    assert effective_units(of(values, groups, metric=GROUPED)) < 10
    assert effective_units(of(values, groups, metric=MEAN)) > 80
    assert effective_units(of([1.0] * 7)) == 7  # nothing varies


def test_signs_of_whole_units_are_turned() -> None:
    """Five tables of four items: 32 sums, of which one is as large, however many items there are."""
    better, worse = sign_flip(of([1.0] * 20, units=[f"t{i % 5}" for i in range(20)]), np.random.default_rng(0))
    assert (better, worse) == (1 / 32, 1.0)
