"""The trainer's configurations: one change, within what can be spent; after a complaint, what mends it."""

import json
from typing import Any

import pytest
import situations as s
import views as v

from memory.records import Experiment, TrainingConfig
from roles.backbone import Question
from roles.backbones.expert import Expert
from roles.practitioner.configurations import configuration
from roles.practitioner.moves import TRAINING_MOVES


def settings(config: TrainingConfig) -> dict[str, Any]:
    return json.loads(config.model_dump_json(exclude={"reason"}))


def test_a_configuration_covers_the_longest_row() -> None:
    lengths = {n: configuration(s.trainer(data=s.training_data(longest=n))).max_length for n in (20, 700)}
    assert lengths == {20: 64, 700: 700}
    parent = TrainingConfig(max_length=512)
    assert configuration(s.trainer(parent_config=parent, data=s.training_data(longest=90))).max_length == 512


@pytest.mark.parametrize(
    ("strategy", "changed"),
    [
        *((name, set(move.factors)) for name, move in TRAINING_MOVES.items()),
        ("keep", set()),
        ("be bold", set()),
        ("clean labels", set()),
    ],
)
def test_only_what_the_plan_asks_for_differs_from_the_parents_configuration(strategy: str, changed: set[str]) -> None:
    parent = TrainingConfig(epochs=4.0)
    after, before = settings(configuration(s.trainer(strategy, parent_config=parent))), settings(parent)
    assert {name for name in before if after[name] != before[name]} == changed


@pytest.mark.parametrize(("gib", "rate"), [(0.25, 1e-3), (3.0, 5e-4), (15.0, 2e-4)])
def test_small_models_learn_at_higher_rates(gib: float, rate: float) -> None:
    assert configuration(s.trainer(survey=s.survey(model_gib=gib))).learning_rate == rate


@pytest.mark.parametrize(
    ("tokens", "epochs"),
    [
        (None, 2.0),
        (99_000, 3.0),
        (26_000, 2.5),
        (20_000, 2.0),
        (19_900, 1.5),
        (10_000, 1.0),
        (9_000, 0.9),
        (7_000, 0.7),
        (10, 0.5),
    ],
)
def test_a_draft_makes_as_many_passes_as_can_be_paid_for(tokens: int | None, epochs: float) -> None:
    """The rows have 10,000 tokens; a draft never exceeds what its plan may spend, but for half a pass."""
    assert configuration(s.trainer(tokens=tokens)).epochs == epochs


@pytest.mark.parametrize(("tokens", "epochs"), [(None, 2.0), (20_000, 2.0), (17_000, 2.0), (12_000, 1.2), (10, 0.5)])
def test_a_change_of_a_parent_is_cut_only_where_it_costs_far_more(tokens: int | None, epochs: float) -> None:
    """A cut would be a second change; a fifth too much is within the error of the estimate."""
    assert configuration(s.trainer("larger adapter", tokens=tokens, parent_config=TrainingConfig())).epochs == epochs


def elsewhere(id_: str, rate: float, outcome: str = "better", similarity: float = 0.8, **changes: Any) -> Any:
    """An experiment on another task with the same model."""
    run, number = id_.split("/")
    one = v.trained(int(number), config=TrainingConfig(learning_rate=rate, epochs=9.0)).model_copy(
        update={"task": "other task"} | changes
    )
    verdict = one.verdict.model_copy(update={"outcome": outcome}) if one.verdict else None
    found = v.remembered(one, run=run, verdict=verdict)
    return found.model_copy(update={"similarity": similarity})


def test_the_rate_that_worked_on_another_task_with_this_model_is_taken_over_and_nothing_else() -> None:
    found = configuration(s.trainer(recalled=(elsewhere("other/002", 7e-4),)))
    assert (found.learning_rate, found.epochs) == (7e-4, 2.0)
    assert "other/002" in found.reason


@pytest.mark.parametrize(
    ("recalled", "rate"),
    [
        ((elsewhere("a/002", 7e-4, "undecided"),), 2e-4),  # it did not work
        ((elsewhere("a/002", 7e-4, "worse"),), 2e-4),
        ((elsewhere("a/002", 7e-4, model="another"),), 2e-4),
        ((elsewhere("a/001", 7e-4), elsewhere("a/003", 3e-4), elsewhere("a/004", 9e-4, "worse")), 3e-4),  # the last
        ((elsewhere("a/001", 3e-4, similarity=0.9), elsewhere("b/002", 7e-4)), 3e-4),  # the most similar run
        ((), 2e-4),
    ],
)
def test_only_a_rate_that_worked_with_this_model_counts(recalled: tuple[Any, ...], rate: float) -> None:
    assert configuration(s.trainer(recalled=recalled)).learning_rate == rate


def test_a_parents_rate_is_not_changed_by_the_memory() -> None:
    recalled = (elsewhere("other/002", 7e-4),)
    found = configuration(s.trainer("more epochs", parent_config=TrainingConfig(), recalled=recalled))
    assert found.learning_rate == TrainingConfig().learning_rate


def test_a_remembered_configuration_is_taken_over_with_the_change_on_top() -> None:
    known = v.remembered(v.trained(3, config=TrainingConfig(learning_rate=7e-4, epochs=1.5, lora_rank=8)))
    plain = configuration(s.trainer("as other/003", recalled=(known,)))
    longer = configuration(s.trainer("as other/003, more epochs", recalled=(known,)))
    assert (plain.learning_rate, plain.epochs, plain.lora_rank) == (7e-4, 1.5, 8)
    assert (longer.learning_rate, longer.epochs, longer.lora_rank) == (7e-4, 3.0, 8)
    assert "other/003" in plain.reason
    assert configuration(s.trainer("as other/003, more epochs", recalled=(known,), tokens=20_000)).epochs == 2.0


@pytest.mark.parametrize(
    ("complaints", "field", "factor"),
    [
        (["OOM: 8 rows do not fit"], "batch_size", 0.5),
        (["OOM: a", "OOM: b"], "batch_size", 0.25),
        (["DIVERGED: the loss is nan"], "learning_rate", 0.5),
        (["experiment 1 trained the same rows with the same configuration; change something"], "learning_rate", 0.5),
        ([], "batch_size", 1),
        ([], "learning_rate", 1),
    ],
)
def test_a_failed_training_is_repaired_not_repeated(complaints: list[str], field: str, factor: float) -> None:
    repaired, _ = Expert().decide(Question("trainer", s.trainer(), TrainingConfig, complaints))
    assert getattr(repaired, field) == getattr(configuration(s.trainer()), field) * factor
    assert all(complaint in repaired.reason for complaint in complaints[-1:])


def test_a_plan_may_start_from_an_experiment_without_a_configuration() -> None:
    """A remembered one that was never trained gives nothing to take over."""
    known = v.remembered(v.trained(3).model_copy(update={"config": None}))
    assert isinstance(known.experiment, Experiment)
    assert configuration(s.trainer("as other/003", recalled=(known,))).learning_rate == 2e-4
