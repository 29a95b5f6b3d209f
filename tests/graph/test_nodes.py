"""Routing and choosing: pure decisions of the graph, without running it."""

from types import SimpleNamespace
from typing import Any

import pytest

from eval.result import EvalResult
from eval.verdict import Verdict
from graph import actions
from graph.edges import start_experiments
from graph.experiment import REPAIRS, after_data, after_training
from graph.nodes import choose, in_words, scores, shrink, waiting
from graph.state import by_number
from memory.records import Experiment, Plan, TrainingRun
from tasks.failure import Failure, FailureKind


def verdict(effect: float, half: float = 0.1, **changes: Any) -> Verdict:
    """A verdict with an effect and half the width of its interval."""
    fields: dict[str, Any] = {
        "outcome": "undecided", "incumbent": 0, "effect": effect, "low": effect - half, "high": effect + half,
        "p_better": 0.2, "p_worse": 0.8, "alpha": 0.05, "n": 50, "fixed": 3, "broken": 1, "mcnemar_p": 0.6,
        "rule": "bootstrap",
    }  # fmt: skip
    return Verdict.model_validate(fields | changes)


def experiment(number: int, *, trained: bool = True, scored: bool = True) -> Experiment:
    """An experiment as far as choosing looks at it."""
    result = EvalResult(
        split="selection", n=50, samples=1, score=0.5, standard_error=0.05, unparsed=0.04, truncated=0, generated=1,
        seconds=1,
    )  # fmt: skip
    training = TrainingRun(
        adapter="a", adapter_hash="h", seed=0, steps=1, first_loss=1, final_loss=1, tokens_per_second=1,
        peak_memory_gib=1, seconds=1,
    )  # fmt: skip
    return Experiment(
        run="r", task="t", domain="d", model="m", number=number, selection=result if scored else None,
        training=training if trained and number else None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("verdicts", "best"),
    [
        ({1: verdict(0.2), 2: verdict(0.1)}, 1),
        ({1: verdict(0.1), 2: verdict(0.3)}, 2),
        ({1: verdict(0.3, half=0.7), 2: verdict(0.25, half=0.05)}, 2),  # a wide interval is shrunken more
        ({1: verdict(0.01, half=0.3), 2: verdict(-0.02, half=0.3)}, 0),  # all of it may be chance
        ({1: verdict(-0.3), 2: verdict(-0.2)}, 0),  # never a worse one
        ({1: verdict(0.2), 2: verdict(0.2)}, 1),  # of equals the first
        ({1: verdict(0.3, split_n=300), 2: verdict(0.2, split_n=50)}, 2),  # the first was stopped as hopeless
        ({}, 0),
    ],
)
def test_without_an_incumbent_the_best_shrunken_effect_is_delivered(
    verdicts: dict[int, Verdict], best: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Verdicts against the untouched model decide; here they are given."""
    monkeypatch.setattr(actions, "judge", lambda context, number, incumbent: verdicts[number])
    trials = [experiment(0), *map(experiment, verdicts), experiment(8, trained=False), experiment(9, scored=False)]
    assert choose(SimpleNamespace(), trials, 0) == best  # type: ignore[arg-type]


def test_an_incumbent_is_delivered_without_asking() -> None:
    """The verdict has decided; no further comparison is made."""
    assert choose(SimpleNamespace(), [experiment(0), experiment(1)], 1) == 1  # type: ignore[arg-type]


def test_shrinking_by_hand() -> None:
    """Effects 0.3 and 0.1 with standard errors 0.1: variance between is 0.05 - 0.01, so 0.8 of each is kept."""
    found = shrink({1: verdict(0.3, half=0.196), 2: verdict(0.1, half=0.196)})
    assert found == pytest.approx({1: 0.24, 2: 0.08}, abs=1e-3)


def test_exact_effects_are_not_shrunken_and_noise_is_shrunken_to_nothing() -> None:
    """The two ends; no division by zero in between."""
    assert shrink({1: verdict(0.3, half=0.0)}) == {1: 0.3}
    assert shrink({1: verdict(0.0, half=0.0)}) == {1: 0.0}
    assert shrink({1: verdict(0.05, half=0.5)}) == {1: 0.0}


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        ("better", "better than 002: +0.120"),
        ("worse", "worse than 002: +0.120"),
        ("undecided", "undecided against 002: +0.120"),
    ],
)
def test_verdicts_in_words(outcome: str, words: str) -> None:
    """Outcome, incumbent, effect with sign, interval, p-value and its threshold."""
    said = in_words(verdict(0.12, outcome=outcome, incumbent=2))
    assert said == f"{words} (95 % +0.020 to +0.220, p=0.2000, alpha 0.050, n=50)"


def test_scores_in_words() -> None:
    """With a 95 % margin; a split that was not scored is left out."""
    assert scores(experiment(1)) == "selection 0.500 ± 0.098 (n=50, unparsed 4%)"


FAILED = [
    (kind, kind not in {FailureKind.TIMEOUT, FailureKind.PROVIDER, FailureKind.BUDGET, FailureKind.ENVIRONMENT})
    for kind in FailureKind
]


@pytest.mark.parametrize(("kind", "repairable"), FAILED)
def test_failed_stages_go_back_to_the_role_that_can_repair_them(kind: FailureKind, repairable: bool) -> None:
    """At most REPAIRS times; what no role can repair ends the experiment at once."""
    failure = Failure(stage="s", kind=kind, message="")
    for attempts in range(1, REPAIRS + 2):
        again = repairable and attempts <= REPAIRS
        state: Any = {"failure": failure, "attempts": attempts}
        assert after_data(state) == ("prepare_data" if again else "finish")
        assert after_training(state) == ("train" if again else "finish")


def test_a_stage_that_succeeds_goes_on() -> None:
    """A failure that was repaired is forgotten."""
    state: Any = {"failure": None, "attempts": 2}
    assert (after_data(state), after_training(state)) == ("train", "evaluate")


def test_without_a_plan_the_loop_ends_in_the_test() -> None:
    """And each plan starts an experiment with the next number. Without a plan and an end, another one is made."""
    runtime: Any = SimpleNamespace(context=SimpleNamespace(config=SimpleNamespace(approve=False)))
    plan = Plan(hypothesis="h", parent=0, factor="both", data_strategy="d", training_strategy="t", predicted_effect=0)
    state: Any = {"plans": [], "experiments": [experiment(0)], "survey": None, "incumbent": 0}
    assert start_experiments({**state, "ended": "why"}, runtime) == "test"
    assert start_experiments(state, runtime) == "plan"
    sends = start_experiments({**state, "plans": [plan, plan]}, runtime)
    assert [send.arg["number"] for send in sends if not isinstance(send, str)] == [1, 2]


def test_candidates_wait_until_they_are_recorded() -> None:
    """Later versions of an experiment replace earlier ones, in order of their numbers."""
    state: Any = {"experiments": [experiment(0), experiment(1)], "candidates": [experiment(1), experiment(2)]}
    assert [one.number for one in waiting(state)] == [2]
    merged = by_number([experiment(2), experiment(1)], [experiment(1, trained=False)])
    assert [(one.number, one.training is None) for one in merged] == [(1, True), (2, False)]


def test_what_was_stopped_early_says_so() -> None:
    """In the verdict and in the score: of how many items."""
    assert in_words(verdict(0.12, outcome="undecided", incumbent=2).model_copy(update={"split_n": 300})).endswith(
        "n=50 of 300)"
    )
    whole = experiment(1)
    assert whole.selection
    stopped = whole.model_copy(update={"selection": whole.selection.model_copy(update={"split_n": 300})})
    assert scores(stopped) == "selection 0.500 ± 0.098 (n=50 of 300, unparsed 4%)"
