"""A recording of a real mind's run on the starter task, replayed: the same decisions, carried out, and nobody asked.

`recordings/finance_starter.jsonl` holds the decisions of a run with `--task finance_starter --model tiny-random
--max-experiments 2 --max-train-rows 120 --memory off`. When prompts have changed so much that it counts as drifted, it
is to be made anew.
"""

from pathlib import Path

import pytest
from laboratory import Finished, Laboratory

from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import Exchange, read_exchanges

RECORDING = Path(__file__).parent / "recordings" / "finance_starter.jsonl"
FLAGS = ("--task", "finance_starter", "--model", "tiny-random", "--max-train-rows", "120", "--memory", "off")


@pytest.fixture(scope="module")
def replayed(laboratory: Laboratory) -> Finished:
    return laboratory.run("recorded", *FLAGS, "--max-experiments", "2", "--backbone", f"recorded:{RECORDING}")


@pytest.fixture(scope="module")
def recording() -> dict[tuple[str, int], Exchange]:
    return {(one.role, one.experiment): one for one in read_exchanges(RECORDING)}


def test_the_same_decisions_are_carried_out(replayed: Finished, recording: dict[tuple[str, int], Exchange]) -> None:
    first, second = replayed.experiments[1:]
    assert first.plan == Plan.model_validate(recording["planner", 1].decision)
    assert second.plan == Plan.model_validate(recording["planner", 2].decision)
    assert first.recipe == second.recipe == DataRecipe.model_validate(recording["data_engineer", 1].decision)
    for experiment in (first, second):
        number = experiment.number
        assert experiment.config == TrainingConfig.model_validate(recording["trainer", number].decision)
        assert experiment.diagnosis == Diagnosis.model_validate(recording["diagnostician", number].decision)
        assert experiment.training


def test_a_script_made_the_rows_that_the_mind_saw(
    replayed: Finished, recording: dict[tuple[str, int], Exchange]
) -> None:
    """The trainer's prompt of that time has the same counts, step by step."""
    (first, _) = replayed.experiments[1:]
    assert first.data
    assert [stage.step for stage in first.data.flow][:2] == ["sources", "script"]
    assert f"{first.data.rows} rows, {first.data.tokens} tokens" in recording["trainer", 1].user
    seen = recording["trainer", 1].user
    assert all(f"{stage.step} {stage.rows}" in seen for stage in first.data.flow)


def test_nobody_is_asked(replayed: Finished) -> None:
    assert not (replayed.path / "spending.jsonl").exists()
    assert not (replayed.path / "gateway.log").exists()
    said = list(read_exchanges(replayed.path / "transcript.jsonl"))
    assert {one.usage.mind for one in said} == {"openai:relay"}
    assert all((one.usage.likeness or 0) > 0.8 for one in said), [one.usage.likeness for one in said]
    assert all(one.usage.input_tokens == one.usage.output_tokens == 0 for one in said)
