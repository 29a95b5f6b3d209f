"""Whole runs of the practitioner against made-up outcomes: it never repeats itself, and keeps within its time."""

from collections import Counter
from pathlib import Path

import pytest
import views as v
from worlds import World

from memory.records import DataRecipe, Experiment, Step
from memory.store import ExperimentMemory
from tasks.failure import FailureKind

SEEDS = (1, 2, 3)


@pytest.fixture(scope="module", params=SEEDS)
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A run of thirty experiments."""
    return World(tmp_path_factory.mktemp("long") / "run", request.param).run()


def trained(world: World) -> list[Experiment]:
    return [trial for trial in world.trials if trial.training]


def test_thirty_experiments_are_found_and_no_decision_is_refused(world: World) -> None:
    assert len(world.trials) == 31
    assert len(trained(world)) > 15
    assert world.refusals == []


def test_no_recipe_and_configuration_is_trained_twice_nor_the_same_rows(world: World) -> None:
    for kind in (_recipe, _rows):
        done = [(_setting(trial), kind(trial)) for trial in trained(world)]
        assert len({str(one) for one in done}) == len(done)


def _setting(trial: Experiment) -> object:
    return trial.config and trial.config.model_dump(exclude={"reason", "max_length"})


def _recipe(trial: Experiment) -> object:
    return trial.recipe and trial.recipe.model_dump(exclude={"reason"})


def _rows(trial: Experiment) -> object:
    return trial.data and trial.data.content_hash


def test_no_plan_is_made_twice(world: World) -> None:
    """Unless what failed was not its fault."""
    innocent = {
        trial.number for trial in world.trials if trial.failure and trial.failure.kind == FailureKind.ENVIRONMENT
    }
    plans = [trial.plan for trial in world.trials if trial.plan and trial.number not in innocent]
    asked = Counter((plan.parent, plan.data_strategy, plan.training_strategy) for plan in plans)
    assert max(asked.values()) == 1


def test_one_factor_changes_against_the_parent(world: World) -> None:
    for trial in trained(world):
        assert trial.plan
        parent = world.trials[trial.plan.parent]
        if trial.plan.parent == 0 or trial.config is None or parent.config is None:
            continue
        repaired = "because" in trial.config.reason
        same_data = trial.recipe == parent.recipe
        same_training = _setting(trial) == _setting(parent)
        assert same_data == (trial.plan.factor == "training")
        assert same_training == (trial.plan.factor == "data") or repaired


def test_every_plan_has_its_reason_a_prediction_and_an_outlook_within_the_run(world: World) -> None:
    for trial in world.trials[1:]:
        assert trial.plan
        assert trial.plan.reason.startswith(("Rule ", "Nothing is trained yet.", "Experiment "))
        assert "Expected: " in trial.plan.reason
        assert len(trial.plan.outlook) <= max(2, 30 - trial.number)
        assert trial.plan.memory_ids == ()


def test_many_different_rules_and_moves_come_to_their_turn(world: World) -> None:
    reasons = {trial.plan.reason.partition(":")[0] for trial in world.trials if trial.plan}
    factors = Counter(trial.plan.factor for trial in world.trials if trial.plan)
    assert len(reasons) > 5
    assert min(factors["data"], factors["training"]) > 3


def test_the_same_situation_leads_to_the_same_run(tmp_path: Path) -> None:
    first, second = (World(tmp_path / name / "run", 5, experiments=8).run() for name in "ab")
    assert [trial.plan for trial in first.trials] == [trial.plan for trial in second.trials]
    assert [trial.recipe for trial in first.trials] == [trial.recipe for trial in second.trials]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("seconds", "experiments"), [(600, 3), (900, 6), (2000, 12), (200, 3)])
def test_a_run_keeps_within_its_time_and_uses_it(seconds: float, experiments: int, seed: int, tmp_path: Path) -> None:
    """Training takes as long as is believed here; then nothing is killed, and nothing is left for half a training."""
    world = World(tmp_path / "run", seed, experiments=experiments, seconds=seconds, faults=(None,)).run()
    assert [trial.number for trial in world.trials if trial.failure] == []
    reserve = world.budget.reserve(world.trials)
    assert world.used + reserve <= seconds
    assert len(world.trials) - 1 == experiments or world.ended or not world.budget.allows_another(world.trials)
    if seconds >= 600:
        assert len(trained(world)) >= min(3, experiments)


def test_another_minds_script_survives_a_whole_run(tmp_path: Path) -> None:
    """A language model wrote the first recipe; the practitioner goes on from it for a dozen experiments."""
    script = Step(name="script", parameters={"code": "print('other rows')"})

    def touch(recipe: DataRecipe) -> DataRecipe:
        formats = [n for n, step in enumerate(recipe.steps) if step.name == "format"]
        place = formats[-1] + 1
        steps = (*recipe.steps[:place], script, *recipe.steps[place:])
        return recipe.model_copy(update={"steps": steps})

    world = World(tmp_path / "run", 4, experiments=12, touch=touch).run()
    assert len(trained(world)) > 5
    assert all(script in trial.recipe.steps for trial in world.trials if trial.recipe)
    assert any(trial.plan.factor == "data" for trial in trained(world) if trial.plan)
    assert world.refusals == []


def test_a_second_run_goes_on_where_the_first_one_ended(tmp_path: Path) -> None:
    """With a memory it takes over the best and repeats nothing; without one it begins again."""
    memory = ExperimentMemory(tmp_path / "memory", v.Letters())
    first = World(tmp_path / "first", 11, experiments=6, memory=memory, faults=(None,)).run()
    best = max(trained(first), key=lambda trial: trial.selection.score if trial.selection else 0.0)
    assert best.selection
    assert best.selection.score - 0.1 > 0.3, "the made-up run found something, or this test shows nothing"
    second = World(tmp_path / "second", 12, experiments=4, memory=memory, faults=(None,)).run()
    start = second.trials[1].plan
    assert start
    assert start.data_strategy.startswith(f"as {best.id}")
    assert best.id in start.memory_ids
    before = {str((_setting(trial), _recipe(trial))) for trial in trained(first)}
    assert before.isdisjoint({str((_setting(trial), _recipe(trial))) for trial in trained(second)})
    alone = World(tmp_path / "third", 12, experiments=1, faults=(None,)).run()
    assert alone.trials[1].plan
    assert alone.trials[1].plan.data_strategy == "first draft"
