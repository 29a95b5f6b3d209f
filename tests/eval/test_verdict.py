"""The statistics that decide: known cases by hand, symmetry, error rate and power."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from eval import resampling
from eval.power import detectable_effect
from eval.result import ItemResult
from eval.sequential import LOOKS
from eval.verdict import ALPHA, FEW_UNITS, Verdict, alpha_share, compare, mcnemar
from tasks.task import Metric

MEAN, GROUPED = Metric(), Metric(aggregate="group_mean")
DOWN = Metric(name="error", direction="down")


def items(scores: Sequence[float | bool], groups: Sequence[str] = ()) -> list[ItemResult]:
    return [
        ItemResult(
            id=f"q{i:04}",
            group=groups[i] if groups else "all",
            prompt="",
            answer="",
            completions=("",),
            scores=(float(score),),
            parsed=(True,),
            truncated=False,
        )
        for i, score in enumerate(scores)
    ]


def judge(
    after: Sequence[float | bool],
    before: Sequence[float | bool],
    metric: Metric = MEAN,
    alpha: float = 0.05,
    seed: int = 0,
    groups: Sequence[str] = (),
) -> Verdict:
    return compare(items(after, groups), items(before, groups), metric, incumbent_number=3, alpha=alpha, seed=seed)


def flips(n: int, fixed: int, broken: int) -> tuple[list[float], list[float]]:
    """Scores after and before of `n` items, of which some were fixed, some broken, half of the others right."""
    rest = n - fixed - broken
    same = [float(i % 2) for i in range(rest)]
    return [1.0] * fixed + [0.0] * broken + same, [0.0] * fixed + [1.0] * broken + same


@pytest.mark.parametrize(
    ("n", "fixed", "broken", "outcome"),
    [
        (100, 30, 5, "better"),
        (100, 5, 30, "worse"),
        (100, 12, 10, "undecided"),
        (100, 0, 0, "undecided"),
        (100, 10, 10, "undecided"),
        (20, 20, 0, "better"),
        (12, 8, 0, "better"),
        (12, 0, 8, "worse"),
        (12, 4, 0, "undecided"),  # 1/16 is above 0.05
        (12, 5, 0, "better"),  # 1/32 is below
        (1, 1, 0, "undecided"),
    ],
)
def test_known_cases(n: int, fixed: int, broken: int, outcome: str) -> None:
    found = judge(*flips(n, fixed, broken))
    assert found.outcome == outcome
    assert (found.n, found.fixed, found.broken, found.incumbent) == (n, fixed, broken, 3)
    assert found.effect == round((fixed - broken) / n, 4)
    assert found.low <= found.effect <= found.high
    assert found.rule.startswith("sign-flip" if n < FEW_UNITS else "paired bootstrap")


def test_nothing_changed_is_no_evidence() -> None:
    for n in (5, 50):
        found = judge(*flips(n, 0, 0))
        assert (found.p_better, found.p_worse, found.effect, found.low, found.high) == (1, 1, 0, 0, 0)


def test_a_smaller_alpha_asks_for_more() -> None:
    after, before = flips(100, 16, 6)
    p = judge(after, before).p_better
    assert judge(after, before, alpha=p).outcome == "better"
    assert judge(after, before, alpha=p * 0.99).outcome == "undecided"


@pytest.mark.parametrize("metric", [MEAN, GROUPED, DOWN], ids=["mean", "group_mean", "down"])
@pytest.mark.parametrize("n", [15, 16, 40])
def test_the_two_sides_are_symmetric(metric: Metric, n: int) -> None:
    rng = np.random.default_rng(n)
    one, other = rng.random(n).round(1).tolist(), rng.random(n).round(1).tolist()
    groups = [f"g{i % 3}" for i in range(n)]
    forth, back = judge(one, other, metric, groups=groups), judge(other, one, metric, groups=groups)
    assert forth.effect == -back.effect != 0
    assert (forth.low, forth.high) == (-back.high, -back.low)
    assert (forth.p_better, forth.p_worse) == (back.p_worse, back.p_better)
    assert (forth.fixed, forth.broken) == (back.broken, back.fixed)
    assert forth.mcnemar_p == back.mcnemar_p
    opposite = {"better": "worse", "worse": "better", "undecided": "undecided"}
    assert back.outcome == opposite[forth.outcome]


def test_the_same_arguments_give_the_same_verdict() -> None:
    rng = np.random.default_rng(1)
    after, before = rng.random(60), rng.random(60)
    first = compare(items(after), items(before), MEAN, incumbent_number=0, alpha=0.05, seed=4)
    shuffled = [items(after)[i] for i in rng.permutation(60)]
    assert compare(shuffled, items(before)[::-1], MEAN, incumbent_number=0, alpha=0.05, seed=4) == first
    other = compare(items(after), items(before), MEAN, incumbent_number=0, alpha=0.05, seed=5)
    assert other != first  # the seed takes part
    assert other.p_better == pytest.approx(first.p_better, abs=0.03)


def test_where_smaller_is_better() -> None:
    after, before = [0.2] * 30, [0.5 + i / 100 for i in range(30)]
    found = judge(after, before, DOWN)
    assert found.outcome == "better"
    assert found.effect == pytest.approx(sum(before) / 30 - 0.2, abs=1e-4)
    assert (found.fixed, found.broken) == (30, 0)
    assert judge(after, before).outcome == "worse"


def test_group_mean_weighs_groups_alike() -> None:
    """Two items of four better in a small group, 18 of 36 worse in a large one: no effect on the mean of means."""
    groups = ["small"] * 4 + ["large"] * 36
    after = [1, 1, 0, 0] + [0] * 36
    before = [0, 0, 0, 0] + [1] * 18 + [0] * 18
    assert judge(after, before, GROUPED, groups=groups).effect == 0
    assert judge(after, before, GROUPED, groups=groups).outcome == "undecided"
    plain = judge(after, before, MEAN, groups=groups)
    assert plain.effect == (2 - 18) / 40
    assert plain.outcome == "worse"


@pytest.mark.parametrize(
    "candidate",
    [items([1, 0]), items([1, 0, 1, 1]), [*items([1, 0]), *items([1])], [*items([1, 0, 1]), *items([1])]],
    ids=["one missing", "one more", "one twice for another", "one twice"],
)
def test_other_items_are_refused(candidate: list[ItemResult]) -> None:
    with pytest.raises(ValueError, match="the same items"):
        compare(candidate, items([1, 0, 1]), MEAN, incumbent_number=0, alpha=0.1, seed=0)


@pytest.mark.parametrize(
    ("differences", "p_better", "p_worse"),
    [
        ([1, 1, 1, 1, 1], 1 / 32, 1.0),  # only all plus is as large
        ([1, 1, 1, 1, -1], 6 / 32, 31 / 32),  # a sum of 3 or more: five ways to one minus, one to none
        ([1, -1], 3 / 4, 3 / 4),
        ([1, 1, -1, 0, 0], 4 / 8, 7 / 8),  # ties do not move; of 3, a sum of 1 or more: half
        ([0.5, 0.25], 1 / 4, 1.0),
        ([0.5, -0.25], 2 / 4, 3 / 4),  # sums 0.75, 0.25, -0.25, -0.75
    ],
)
def test_few_items_are_permuted_exactly(differences: list[float], p_better: float, p_worse: float) -> None:
    found = judge([max(d, 0) for d in differences], [max(-d, 0) for d in differences])
    assert (found.p_better, found.p_worse) == (round(p_better, 5), round(p_worse, 5))


def test_nineteen_changes_are_sampled_close_to_the_exact_value() -> None:
    found = judge(*flips(19, 13, 6))
    exact = sum(math.comb(19, k) for k in range(13, 20)) / 2**19
    assert found.p_better == pytest.approx(exact, abs=0.012)


@pytest.mark.parametrize(
    ("fixed", "broken", "p"),
    [
        (0, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (3, 3, 1.0),
        (8, 2, 2 * (1 + 10 + 45) / 1024),
        (10, 1, 2 * (1 + 11) / 2048),
        (1, 0, 1.0),
    ],
)
def test_mcnemar_by_hand(fixed: int, broken: int, p: float) -> None:
    assert mcnemar(fixed, broken) == pytest.approx(p)
    assert judge(*flips(30, fixed, broken)).mcnemar_p == round(p, 5)


def binomial_bound(n: int, p: float, confidence: float = 0.999) -> int:
    """Smallest count that a binomial variable exceeds with less than `1 - confidence`."""
    total = 0.0
    for count in range(n + 1):
        total += math.comb(n, count) * p**count * (1 - p) ** (n - count)
        if total >= confidence:
            return count
    return n


@pytest.mark.parametrize(
    ("pairs", "groups", "metric"),
    [
        (400, ["all"] * 200, MEAN),
        (400, [f"g{i % 4}" for i in range(200)], GROUPED),
        (1500, ["all"] * 20, MEAN),
        (1500, ["all"] * 15, MEAN),
        (1500, [f"g{i % 14}" for i in range(28)], MEAN),  # groups of two
        (1500, [f"g{i % 8}" for i in range(40)], GROUPED),
        (1500, ["small"] * 6 + ["large"] * 60, GROUPED),
    ],
    ids=["200", "4 x 50", "20", "15", "14 x 2", "8 x 5", "6 and 60"],
)
def test_false_acceptance_stays_at_alpha(
    pairs: int, groups: list[str], metric: Metric, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two checkpoints that answer each item right with the same chance are rarely called different."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    alpha, outcomes = 0.05, list[str]()
    for seed in range(pairs):
        chance = rng.uniform(0.2, 0.8, len(groups))
        one, other = (rng.random(len(groups)) < chance for _ in range(2))
        outcomes.append(judge(one.tolist(), other.tolist(), metric, alpha, seed, groups).outcome)
    bound = binomial_bound(pairs, alpha)
    assert outcomes.count("better") <= bound
    assert outcomes.count("worse") <= bound
    assert outcomes.count("better") > pairs * alpha / 5  # and the rate is spent, not wasted


def test_a_large_effect_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """From 50 % to 65 % right on 200 items is about four standard errors."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    found = [
        judge((rng.random(200) < 0.65).tolist(), (rng.random(200) < 0.5).tolist(), seed=seed).outcome
        for seed in range(100)
    ]
    assert found.count("better") >= 80
    assert found.count("worse") == 0


def test_intervals_hold_the_truth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the 95 % intervals at most a few miss the true effect."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    found = [judge((rng.random(100) < 0.6).tolist(), (rng.random(100) < 0.5).tolist(), seed=i) for i in range(300)]
    missed = sum(not each.low <= 0.1 <= each.high for each in found)
    assert 2 <= missed <= binomial_bound(300, 0.05)


@pytest.mark.parametrize("units", [20, 40])
def test_the_error_rate_holds_far_out_in_the_tail(units: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the share of one of twenty experiments, where a normal tail accepts nearly twice as often."""
    monkeypatch.setattr(resampling, "RESAMPLES", 4000)
    rng, alpha, pairs = np.random.default_rng(0), 0.005, 4000
    accepted = sum(
        judge(rng.normal(size=units).tolist(), [0.0] * units, alpha=alpha, seed=seed).outcome == "better"
        for seed in range(pairs)
    )
    assert pairs * alpha / 5 < accepted <= binomial_bound(pairs, alpha)


def test_a_heavy_small_group_that_agrees_is_no_proof() -> None:
    """Both items of a group with half the weight turned right: one chance in sixty where nothing has changed."""
    groups = ["small"] * 2 + ["large"] * 100
    after, before = [True] * 2 + [True, False] * 50, [False] * 2 + [True, False] * 50
    assert judge(after, before, GROUPED, alpha=0.05, groups=groups).outcome == "undecided"


def test_alpha_share_of_an_empty_plan() -> None:
    assert alpha_share(0) == ALPHA


def test_the_detectable_effect_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a quarter of the items changing, four of five candidates of that effect are found."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    n, rng = 200, np.random.default_rng(0)
    effect = detectable_effect(n, 0.05)
    found = 0
    for seed in range(300):
        draw = rng.random(n)
        fixed, broken = draw < (0.25 + effect) / 2, draw > 1 - (0.25 - effect) / 2
        found += judge(fixed.tolist(), broken.tolist(), seed=seed).outcome == "better"
    assert 0.72 <= found / 300 <= 0.92


def clustered(rng: np.random.Generator, tables: int, size: int) -> list[ItemResult]:
    """Items of tables; a checkpoint reads a table right or wrong as a whole."""
    right = rng.random(tables) < 0.5
    return [
        item.model_copy(update={"cluster": f"t{i // size}"})
        for i, item in enumerate(items([bool(right[i // size]) for i in range(tables * size)]))
    ]


def test_items_of_a_table_count_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five items a table that fall together: the error rate holds with their tables known, not without."""
    monkeypatch.setattr(resampling, "RESAMPLES", 1000)
    rng = np.random.default_rng(0)
    alpha, known, unknown = 0.05, 0, 0
    for seed in range(400):
        one, other = clustered(rng, 40, 5), clustered(rng, 40, 5)
        found = compare(one, other, MEAN, incumbent_number=0, alpha=alpha, seed=seed)
        known += found.outcome == "better"
        loose = [[item.model_copy(update={"cluster": ""}) for item in side] for side in (one, other)]
        unknown += compare(*loose, MEAN, incumbent_number=0, alpha=alpha, seed=seed).outcome == "better"
    bound = binomial_bound(400, alpha)
    assert known <= bound < unknown


def test_an_evaluation_that_stopped_accepts_nothing() -> None:
    """And spends its share of the error on calling something worse at a look."""
    after, before = flips(100, 30, 5)
    stopped = compare(items(after), items(before), MEAN, incumbent_number=0, alpha=0.05, seed=0, split_n=200)
    assert (stopped.outcome, stopped.n, stopped.split_n) == ("undecided", 100, 200)
    whole = compare(items(after), items(before), MEAN, incumbent_number=0, alpha=0.05, seed=0, split_n=100)
    assert whole.outcome == "better"
    p = judge(before, after).p_worse
    for alpha, outcome in ((p, "undecided"), (p * len(LOOKS), "worse")):
        found = compare(items(before), items(after), MEAN, incumbent_number=0, alpha=alpha, seed=0, split_n=200)
        assert found.outcome == outcome
