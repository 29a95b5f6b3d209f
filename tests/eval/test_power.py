"""What a comparison can see, and where its variance comes from."""

import numpy as np
import pytest

from eval.power import Pairs, detectable, detectable_effect, sampling_share
from eval.result import ItemResult
from eval.verdict import effect
from tasks.task import Metric


def item(number: int, scores: tuple[float, ...]) -> ItemResult:
    return ItemResult(
        id=f"q{number}",
        group="all",
        prompt="",
        answer="",
        completions=("",) * len(scores),
        scores=scores,
        parsed=(True,) * len(scores),
        truncated=False,
    )


def drawn(n: int, samples: int, *, between: float, within: float, seed: int = 0) -> Pairs:
    """Items whose true difference has the variance `between`, each completion of either side noise of `within` / 2."""
    rng = np.random.default_rng(seed)
    difference = rng.normal(0.0, between**0.5, n)
    noise = rng.normal(0.0, (within / 2) ** 0.5, (2, n, samples))
    return [(item(i, tuple(difference[i] + noise[0, i])), item(i, tuple(noise[1, i]))) for i in range(n)]


def test_one_completion_has_no_share() -> None:
    pairs = drawn(50, 1, between=1, within=1)
    assert sampling_share(pairs, effect(pairs, Metric()), Metric()) is None


@pytest.mark.parametrize(("samples", "share"), [(2, 0.5), (8, 0.2)])
def test_the_share_of_sampling_falls_with_the_completions(samples: int, share: float) -> None:
    """Between 1 and within 2: of (1 + 2 / k) the part 2 / k is due to drawing."""
    pairs = drawn(4000, samples, between=1.0, within=2.0)
    assert sampling_share(pairs, effect(pairs, Metric()), Metric()) == pytest.approx(share, abs=0.03)


def test_where_nothing_changes_there_is_no_share() -> None:
    pairs = [(item(i, (1.0, 1.0)), item(i, (1.0, 1.0))) for i in range(10)]
    assert sampling_share(pairs, effect(pairs, Metric()), Metric()) is None


def test_detectable_effect() -> None:
    """Falls with the items and the completions, rises as alpha is divided."""
    sizes = [detectable_effect(n, 0.05) for n in (10, 20, 50, 100, 400, 1000)]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(sizes)
    assert detectable_effect(100, 0.01) > detectable_effect(100, 0.05)
    assert detectable_effect(1, 0.001) == 1.0
    assert detectable_effect(100, 0.05) == pytest.approx((1.644854 + 0.841621) * 0.05, abs=1e-6)


def test_completions_help_with_the_chance_of_drawing_only() -> None:
    """Half of the variance stays, however many there are."""
    one, four, many = (detectable_effect(100, 0.05, samples=k) for k in (1, 4, 10**9))
    assert four / one == pytest.approx((0.5 + 0.5 / 4) ** 0.5)
    assert many / one == pytest.approx(0.5**0.5)


def test_what_is_detectable_is_detected() -> None:
    """By its definition: so many standard errors that 80 % of a normal distribution lie above the threshold."""
    found = np.random.default_rng(0).normal(detectable(0.1, 0.03), 0.1, 200_000)
    assert (found > 1.8808 * 0.1).mean() == pytest.approx(0.8, abs=0.005)
