"""What an experiment is: identity, equality of content, and what the records refuse."""

import pytest
from pydantic import ValidationError
from situations import full_briefings, trial, untouched

from memory.records import MEASURED, Experiment, Plan, Replicate, Step, TrainingConfig, canonical
from tasks.record import read_jsonl, write_jsonl


def test_an_id_is_unique_over_runs_and_sorts_by_number() -> None:
    one = untouched()
    ids = [one.model_copy(update={"run": run, "number": n}).id for run in ("a", "b") for n in (2, 10)]
    assert ids == ["a/002", "a/010", "b/002", "b/010"] == sorted(set(ids))


def test_an_experiment_survives_the_disk(tmp_path) -> None:
    one = trial(1, cause="weak knowledge")
    assert one.training
    assert one.selection
    one = one.model_copy(update={"replicates": (Replicate(training=one.training, selection=one.selection),)})
    write_jsonl(tmp_path / "experiments.jsonl", [one, untouched()])
    assert [Experiment.model_validate(row) for row in read_jsonl(tmp_path / "experiments.jsonl")] == [one, untouched()]


def test_canonical_forgets_what_is_measured_at_every_depth_and_nothing_else() -> None:
    one = trial(1)
    assert one.training
    assert one.selection
    training = one.training.model_copy(update={"seconds": 99.0, "tokens_per_second": 1.0, "peak_memory_gib": 9.0})
    selection = one.selection.model_copy(update={"generated": 0, "seconds": 0.1})
    replicate = Replicate(training=one.training, selection=one.selection)
    again = Replicate(training=training, selection=selection)
    slower = one.model_copy(update={"training": training, "selection": selection, "seconds": 1.0, "run": "elsewhere"})
    one, slower = (e.model_copy(update={"replicates": (r,)}) for e, r in ((one, replicate), (slower, again)))
    assert one != slower
    assert canonical(one) == canonical(slower)
    assert not MEASURED & set(canonical(one)["training"])


@pytest.mark.parametrize(
    ("field", "value"),
    [("final_loss", 0.2), ("adapter_hash", "other"), ("seed", 1), ("steps", 51)],
)
def test_canonical_tells_other_outcomes_apart(field: str, value: object) -> None:
    one = trial(1)
    assert one.training
    other = one.model_copy(update={"training": one.training.model_copy(update={field: value})})
    assert canonical(one) != canonical(other)


@pytest.mark.parametrize(
    ("schema", "values", "field"),
    [
        (Plan, {"parent": -1}, "parent"),
        (Plan, {"factor": "everything"}, "factor"),
        (Plan, {"predicted_effect": 2.0}, "predicted_effect"),
        (Plan, {"mood": "good"}, "mood"),
        (TrainingConfig, {"learning_rate": 0.0}, "learning_rate"),
        (TrainingConfig, {"epochs": 0}, "epochs"),
        (TrainingConfig, {"lora_dropout": 1.0}, "lora_dropout"),
        (TrainingConfig, {"batch_size": 0}, "batch_size"),
        (TrainingConfig, {"target_modules": "embeddings"}, "target_modules"),
        (TrainingConfig, {"optimiser": "sgd"}, "optimiser"),
        (Step, {"name": "filter", "parameters": {"x": object()}}, "parameters"),
        (Experiment, {"version": 2}, "version"),
    ],
)
def test_impossible_decisions_are_refused_by_field(schema: type, values: dict[str, object], field: str) -> None:
    good = {Plan: full_briefings()["trainer"].plan, TrainingConfig: TrainingConfig(), Experiment: untouched()}  # type: ignore[attr-defined]
    whole = good[schema].model_dump() if schema in good else {}
    with pytest.raises(ValidationError) as refused:
        schema(**(whole | values))
    assert {str(error["loc"][0]) for error in refused.value.errors()} == {field}


def test_records_are_immutable() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        untouched().number = 3  # type: ignore[misc]
