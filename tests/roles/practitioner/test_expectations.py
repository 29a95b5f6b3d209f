"""What a move should bring: the rule's figure, moved by what the same move brought before, here and in other runs."""

from typing import Any

import pytest
import situations as s
import views as v

from memory.records import Experiment
from roles.practitioner.expectations import FAILED_EFFECT, Expectation, cautious_gain, corrected, effect_of, expect
from roles.practitioner.moves import MOVES
from tasks.failure import FailureKind
from tasks.task import Metric

MOVE = MOVES["more epochs"]


def made(effect: float, *, move: str = "more epochs", number: int = 2, **changes: Any) -> Experiment:
    """An experiment of another run that a move made of experiment 1."""
    fields = {"run": "other", "effect": effect} | changes
    return v.trained(number, s.plan(parent=1, training=move)).model_copy(update=fields)


def expected(*known: Experiment) -> Expectation:
    return expect(MOVE, 0.04, "toy", "tiny", known)


def test_without_observations_the_rule_is_believed() -> None:
    assert expected() == Expectation(0.04, 0.04)
    assert expected().basis(Metric()) == "Expected: +4.0 points."
    assert expected().basis(Metric(name="error", direction="down")) == "Expected: +0.040."


@pytest.mark.parametrize(
    ("changes", "effect"),
    [
        ({}, (2 * 0.04 + 0.1) / 3),
        ({"model": "another"}, (2 * 0.04 + 0.5 * 0.1) / 2.5),
        ({"task": "another"}, (2 * 0.04 + 0.5 * 0.1) / 2.5),
        ({"effect": None}, 0.04),
        ({"effect": -0.2}, (2 * 0.04 - 0.2) / 3),
    ],
)
def test_an_observation_counts_half_as_much_as_the_rule_and_a_related_one_a_quarter(
    changes: dict[str, Any], effect: float
) -> None:
    assert expected(made(**{"effect": 0.1} | changes)).effect == pytest.approx(effect, abs=1e-4)


def test_other_moves_say_nothing() -> None:
    assert expected(made(0.5, move="fewer epochs"), made(0.5, move="more epochs and more rows")).effect == 0.04


def test_observations_add_up_and_are_named() -> None:
    found = expected(*(made(-0.1, number=number) for number in (2, 3, 4)))
    assert found.effect == pytest.approx((2 * 0.04 - 0.3) / 5, abs=1e-4)
    assert found.seen == ("other/002", "other/003", "other/004")
    assert all(part in found.basis(Metric()) for part in ("-4.4 points", "+4.0 points", "other/003"))


@pytest.mark.parametrize("kind", list(FailureKind))
def test_a_failure_counts_against_the_move_unless_it_was_not_its_fault(kind: FailureKind) -> None:
    innocent = {FailureKind.ENVIRONMENT, FailureKind.PROVIDER, FailureKind.SANDBOX, FailureKind.BUDGET}
    broken = v.trained(2, s.plan(parent=1, training="more epochs"), failure=kind)
    assert effect_of(broken) == (None if kind in innocent else FAILED_EFFECT)
    assert (expected(broken).effect < 0.04) == (kind not in innocent)


def test_what_was_stopped_early_counts_as_far_as_it_came() -> None:
    """It was stopped because it looked bad, so its effect is too low; counted so, the mean of nothing stays nothing."""
    whole = made(-0.3)
    assert whole.selection is not None
    stopped = whole.model_copy(
        update={"selection": whole.selection.model_copy(update={"split_n": 3 * whole.selection.n})}
    )
    prior = corrected(0.1, [], stopped.task, stopped.model).effect
    full, part = (corrected(0.1, [(one, -0.3)], one.task, one.model).effect for one in (whole, stopped))
    assert full == pytest.approx((2 * prior - 0.3) / 3, abs=1e-4)
    assert part == pytest.approx((2 * prior - 0.3 / 3) / (2 + 1 / 3), abs=1e-4)


def test_corrected_is_a_weighted_mean() -> None:
    assert corrected(0.1, [(made(0.4), 0.4)], "toy", "tiny").effect == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("score", "baseline", "sign", "gain"),
    [(0.5, 0.3, 1, 0.1), (0.3, 0.5, -1, 0.1), (0.5, 0.3, -1, -0.3), (0.35, 0.3, 1, -0.05), (0.5, None, 1, 0.0)],
)
def test_a_cautious_gain_is_less_two_standard_errors_in_the_metrics_direction(
    score: float, baseline: float | None, sign: int, gain: float
) -> None:
    """Of 0.05 each."""
    known = v.remembered(v.trained(score=score), baseline=baseline)
    assert cautious_gain(known, sign) == pytest.approx(gain)
