"""Whether a row is in the sealed split: an attack on the counts that `prepare_data` leaves for the roles."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from eval.evaluator_client import Evaluator
from graph.preparation import LEAKS, prepare_data
from graph.run_dir import RunDir
from memory.records import DataRecipe, Flow, TrainingData
from roles.data_steps.pipeline import PreparedRows
from tasks.failure import StageError
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Task

Prepare = Callable[..., TrainingData]
RECIPE = DataRecipe(sources=("lessons",), steps=())


def clean_row(number: int) -> dict[str, Any]:
    return candidate(number, f"Say the shade of lesson {number} aloud, please.")


def leaking_row(number: int) -> dict[str, Any]:
    """Copies of benchmark items from all splits."""
    return candidate(number, f"Which colour has the code {number % 4} in box {number}?")


def candidate(number: int, question: str) -> dict[str, Any]:
    answer = ["red", "blue", "green", "white"][number % 4]
    return {"prompt": question, "answer": answer, "options": [], "content": question, "identities": [],
            "task_format": True, "source": "lessons", "row": number, "tokens": 20}  # fmt: skip


@pytest.fixture
def prepare(toy_task: Task, tmp_path: Path) -> Iterator[Prepare]:
    """Prepares a recipe that leaves so many clean and leaking rows; each time in a run of its own."""
    file = tmp_path / "toy.yaml"
    file.write_text(yaml.safe_dump(toy_task.model_dump(mode="json", exclude_defaults=True, exclude={"base_dir"})))
    evaluator = Evaluator(str(file), None, tmp_path / "cache", tmp_path / "evaluator.log")
    description = evaluator.describe()
    runs = iter(range(1000))

    def in_a_run(clean: int, leaks: int, most: int = 2000) -> TrainingData:
        run = RunDir(tmp_path / f"run-{next(runs)}")
        rows = [*map(clean_row, range(clean // 2)), *map(leaking_row, range(leaks)),
                *map(clean_row, range(clean // 2, clean))]  # fmt: skip
        gated = run.path / "gated.jsonl"
        write_jsonl(gated, rows)
        flow = (Flow(step="sources", rows=len(rows)), Flow(step="gate", rows=len(rows)))
        prepared = PreparedRows(path=str(gated), rows=len(rows), removed={}, flow=flow)
        evaluator.attach(run.path)
        context: Any = SimpleNamespace(
            run=run, evaluator=evaluator, description=description, config=SimpleNamespace(max_train_rows=most, seed=0),
            pipeline=SimpleNamespace(
                asked=lambda recipe, models: [], apply=lambda recipe, max_length, folder, models: prepared
            ),
        )  # fmt: skip
        data = prepare_data(context, 1, RECIPE, 512)
        trained = [row["prompt"] for row in read_jsonl(run.path / data.path)]
        assert len(trained) == data.rows == sum(data.rows_by_source.values())
        assert not any("Which colour" in prompt for prompt in trained)
        origins = [row["row"] for row in read_jsonl((run.path / data.path).with_name("provenance.jsonl"))]
        assert origins == sorted(origins)  # rows stay in their order
        return data

    yield in_a_run
    evaluator.close()


def told(data: TrainingData) -> Any:
    """What the roles learn, as far as it could count leaks."""
    return data.model_dump(exclude={"content_hash", "seconds", "path"})


def test_counts_tell_tens_of_leaks_and_not_whether_there_is_one(prepare: Prepare) -> None:
    """Sixty candidates each time: none, one and ten leaks look the same, eleven and twenty do."""
    found = [told(prepare(60 - leaks, leaks)) for leaks in (0, 1, 10, 11, 20)]
    assert found[0] == found[1] == found[2]
    assert found[3] == found[4]
    assert [(one["rows"], one["removed"]) for one in (found[0], found[3])] == [(50, {LEAKS: 10}), (40, {LEAKS: 20})]
    for one in found:
        assert one["flow"][0]["rows"] == one["rows"] + sum(one["removed"].values())


def test_the_limit_applies_to_what_is_left(prepare: Prepare) -> None:
    data = prepare(60, 0, most=30)
    assert (data.rows, data.removed) == (30, {LEAKS: 10, "over --max-train-rows": 20})
    assert told(data) == told(prepare(59, 1, most=30))


def test_the_same_rows_are_chosen_again(prepare: Prepare) -> None:
    assert prepare(60, 3).content_hash == prepare(60, 3).content_hash


@pytest.mark.parametrize(("clean", "leaks"), [(0, 1), (1, 0), (9, 1), (10, 0)])
def test_a_recipe_of_ten_rows_or_fewer_fails_whether_they_leak_or_not(prepare: Prepare, clean: int, leaks: int) -> None:
    with pytest.raises(StageError, match="no rows are left") as caught:
        prepare(clean, leaks)
    assert str(caught.value).endswith(f"removed: {{'{LEAKS}': {clean + leaks}}}")
