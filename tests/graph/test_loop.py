"""A real loop: the built-in practitioner fine-tunes the tiny random model until it is better, nothing is scripted."""

import json

from laboratory import Finished

from graph.compare import differences
from memory.store import open_memory


def test_the_practitioner_finds_a_better_model(learned_run: Finished) -> None:
    """The first draft does not suffice; the second experiment changes one factor of it and is better."""
    baseline, first, second = learned_run.experiments
    assert baseline.selection is not None
    assert baseline.selection.score == 0
    assert first.plan is not None
    assert (first.plan.parent, first.plan.factor) == (0, "both")
    assert second.plan is not None
    assert (second.plan.parent, second.plan.factor) == (1, "training")
    assert first.data is not None
    assert second.data is not None
    assert second.data.content_hash == first.data.content_hash, "one factor: the rows stay"
    assert second.config != first.config
    outcomes = [one.verdict.outcome for one in (first, second) if one.verdict]
    assert outcomes[-1] == "better", outcomes


def test_training_learns(learned_run: Finished) -> None:
    """The losses of the delivered training fall, step by step in its stream and in its record."""
    training = learned_run.experiments[2].training
    assert training is not None
    losses = [row["loss"] for row in learned_run.rows("experiments/002/losses.jsonl")]
    assert len(losses) == training.steps
    assert training.final_loss < training.first_loss - 1
    assert sum(losses[-5:]) / 5 < sum(losses[:5]) / 5 - 1


def test_the_sealed_test_confirms_it(learned_run: Finished) -> None:
    """On rows that no one saw, the delivered adapter scores far above the untouched model."""
    test = learned_run.json("test.json")
    assert test["baseline"]["score"] == 0
    assert test["baseline"]["n"] == test["best"]["n"] == 80
    assert test["verdict"]["low"] > 0.2, test["verdict"]
    assert test["best"]["unparsed"] == 0
    assert test["openings"] == 1


def test_the_terminal_tells_the_story(learned_run: Finished) -> None:
    """Sizes and the detectable effect come first; then plans, verdicts, the delivery and the sealed test."""
    said = learned_run.out
    parts = ["benchmark: feedback 24, selection 56, sealed test 80", "detectable effect of one decision", "baseline:",
             "plan 001", "verdict 001:", "plan 002", "verdict 002:", "sealed test: the untouched model and experiment",
             "delivered experiment",
             "sealed test: 0.000 -> "]  # fmt: skip
    places = [said.find(part) for part in parts]
    assert -1 not in places, parts[places.index(-1)]
    assert places == sorted(places)
    assert "better than 000" in said
    assert learned_run.err == ""


def test_every_experiment_is_remembered(learned_run: Finished) -> None:
    """The memory holds what the journal holds, and the journal what the folders hold."""
    remembered = open_memory(learned_run.memory).experiments()
    assert remembered == learned_run.experiments
    for experiment in learned_run.experiments:
        folder = learned_run.path / "experiments" / f"{experiment.number:03d}"
        assert json.loads((folder / "experiment.json").read_text()) == experiment.model_dump(mode="json")


def test_a_run_equals_itself_and_no_other(learned_run: Finished, dry_run: Finished) -> None:
    """The comparison used throughout these tests is not blind."""
    assert differences(learned_run.path, learned_run.path) == []
    found = "\n".join(differences(learned_run.path, dry_run.path))
    assert "experiment 1.training.adapter_hash" in found
    assert "experiment 2: {" in found
    assert "test.best" in found
