"""The effect of a recipe over seeds: against simulations whose truth is known."""

import numpy as np
import pytest

from eval.replication import recipe_effect
from eval.result import ItemResult
from tasks.task import Metric

METRIC = Metric()


def item(name: int, score: float) -> ItemResult:
    return ItemResult(
        id=f"q{name:03d}", group="all", prompt="?", answer="!", completions=("a",), scores=(score,), parsed=(True,),
        truncated=False,
    )  # fmt: skip


def answers(scores: np.ndarray) -> list[list[ItemResult]]:
    """Items of each replicate, from scores of shape (replicates, items)."""
    return [[item(name, float(score)) for name, score in enumerate(row)] for row in scores]


def world(rng: np.random.Generator, seeds: int, seed_spread: float, items: int = 200) -> np.ndarray:
    """Scores of shape (seeds, items): how hard an item is, and for this recipe; what a seed adds everywhere; chance."""
    hard = world_items[:items] + rng.normal(0, 0.3, items)
    return hard + rng.normal(0, seed_spread, (seeds, 1)) + rng.normal(0, 0.3, (seeds, items))


world_items = np.random.default_rng(1).normal(0.5, 0.3, 1000)


@pytest.mark.parametrize("spread", [0.0, 0.05, 0.2])
def test_the_interval_covers_the_truth(spread: float) -> None:
    """The same recipe on both sides: 95 % of the intervals hold 0, a few more where the parts are known badly."""
    rng = np.random.default_rng(0)
    found = [
        recipe_effect(answers(world(rng, 3, spread, 60)), answers(world(rng, 3, spread, 60)), METRIC)
        for _ in range(300)
    ]
    covered = np.mean([one.low <= 0 <= one.high for one in found])
    assert covered >= 0.93
    if spread == 0.0:
        seeds_only = [abs(one.effect) <= 1.96 * one.standard_error * one.seed_share**0.5 for one in found]
        assert np.mean(seeds_only) < 0.85  # what one would believe who looks at seeds only
    if spread == 0.2:
        without_seeds = np.mean(
            [abs(one.effect) <= 1.96 * one.standard_error * (1 - one.seed_share) ** 0.5 for one in found]
        )
        assert without_seeds < 0.8  # what one would believe who looks at items only
        assert np.mean([one.seed_share for one in found]) > 0.6


def test_more_seeds_narrow_the_interval() -> None:
    rng = np.random.default_rng(0)

    def width(seeds: int) -> float:
        both = [
            recipe_effect(answers(world(rng, seeds, 0.1)), answers(world(rng, seeds, 0.1)), METRIC) for _ in range(20)
        ]
        return float(np.mean([one.high - one.low for one in both]))

    assert width(2) > 2 * width(8)


def test_the_untouched_model_has_no_seed() -> None:
    rng = np.random.default_rng(0)
    base = np.full((1, 200), 0.4)
    found = recipe_effect(answers(world(rng, 3, 0.0)), answers(base), METRIC)
    assert found.effect == pytest.approx(float(np.mean(world_items[:200])) - 0.4, abs=0.05)
    assert (found.seeds, found.n) == (3, 200)


def test_a_metric_where_less_is_better_turns_the_sign() -> None:
    better, worse = np.full((2, 20), 0.9), np.full((1, 20), 0.2)
    better[0, :3] = 0.8
    assert recipe_effect(answers(better), answers(worse), Metric(direction="up")).effect > 0.6
    assert recipe_effect(answers(better), answers(worse), Metric(direction="down")).effect < -0.6


def test_items_that_one_has_not_answered_are_left_out() -> None:
    rng = np.random.default_rng(0)
    candidates = answers(world(rng, 2, 0.0))
    assert recipe_effect([candidates[0][:50], candidates[1]], answers(world(rng, 1, 0.0)), METRIC).n == 50
    with pytest.raises(ValueError, match="no item"):
        recipe_effect([candidates[0][:50], candidates[1][50:]], candidates[:1], METRIC)


def test_one_replicate_tells_nothing_of_seeds() -> None:
    with pytest.raises(ValueError, match="at least two"):
        recipe_effect(answers(np.ones((1, 5))), answers(np.zeros((1, 5))), METRIC)


def test_identical_answers_have_no_uncertainty() -> None:
    same = answers(np.ones((2, 5)))
    found = recipe_effect(same, same, METRIC)
    assert (found.effect, found.low, found.high, found.seed_share) == (0.0, 0.0, 0.0, 0.0)
