"""Units, strata and what is drawn from them."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from eval import resampling
from eval.resampling import Estimate, bootstrap, degrees_of_freedom, estimate, kish_units, sign_flip, standard_error
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


def test_groups_of_one_unit_share_a_mean_and_so_have_a_spread() -> None:
    values, groups = some(12), ["large"] * 9 + ["x", "y", "z"]
    found = of(values, groups)
    assert sorted(np.bincount(found.strata)) == [3, 9]
    parts = 9 * values[:9].var(ddof=1) + 3 * values[9:].var(ddof=1)
    assert standard_error(found) == pytest.approx(math.sqrt(parts) / 12)


def test_one_group_of_one_unit_is_taken_with_the_smallest() -> None:
    """It has half the weight: were its spread taken for none, the error would be that of the others."""
    values, groups = some(105), ["large"] * 100 + ["small"] * 4 + ["single"]
    found = of(values, groups, metric=GROUPED)
    assert sorted(np.bincount(found.strata)) == [5, 100]
    large = values[:100].var(ddof=1) / 100 / 9
    assert standard_error(found) ** 2 > 5 * large


def test_no_unit_is_alone_in_its_stratum() -> None:
    """A table that alone has items of both groups varies with the smaller group."""
    values, groups = some(31), ["a"] * 10 + ["b"] * 21
    units = ["t" if i in (0, 15) else str(i) for i in range(31)]
    found = of(values, groups, units)
    assert np.bincount(found.strata).min() > 1


def test_chance_acceptance_of_a_heavy_unit_is_not_hidden() -> None:
    """A group of one item with half the weight: its value decides, and the error says so."""
    rng = np.random.default_rng(0)
    groups = ["large"] * 100 + ["single"]
    errors, effects = [], []
    for _ in range(300):
        found = of(rng.choice([-1.0, 0.0, 1.0], 101, p=[0.125, 0.75, 0.125]), groups, metric=GROUPED)
        errors.append(standard_error(found))
        effects.append(found.value)
    assert math.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(effects), rel=0.2)
    assert kish_units(found) < 5


def test_units_are_counted_by_weight_and_not_by_what_was_answered() -> None:
    values, groups = some(104), ["small"] * 4 + ["large"] * 100
    assert kish_units(of(values, groups, metric=GROUPED)) == pytest.approx(1 / (4 / 64 + 100 / 40_000))
    assert kish_units(of(values, groups, metric=MEAN)) == pytest.approx(104)
    assert kish_units(of([1.0] * 12, units=["t"] * 6 + list("abcdef"))) == pytest.approx(1 / (0.25 + 6 / 144))


def test_degrees_of_freedom() -> None:
    values, groups = some(104), ["small"] * 4 + ["large"] * 100
    assert degrees_of_freedom(of(values, groups, metric=GROUPED)) < 10
    assert degrees_of_freedom(of(values, groups, metric=MEAN)) > 80
    assert degrees_of_freedom(of(some(50))) == pytest.approx(49)
    assert degrees_of_freedom(of([1.0] * 7)) == 6  # nothing varies


def test_signs_of_whole_units_are_turned() -> None:
    """Five tables of four items: 32 sums, of which one is as large, however many items there are."""
    better, worse = sign_flip(of([1.0] * 20, units=[f"t{i % 5}" for i in range(20)]), np.random.default_rng(0))
    assert (better, worse) == (1 / 32, 1.0)
