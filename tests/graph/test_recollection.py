"""What a role is told from a real memory: the nearest, the best of the task and model, and what the plan relies on."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from eval.result import EvalResult
from eval.verdict import Verdict
from graph.recollection import FAMILY, NEAREST, recollect, relatives, summarise
from memory.records import Experiment, Plan, TrainingRun
from memory.store import ExperimentMemory
from tasks.embedding import Vectors
from tasks.failure import Failure, FailureKind
from tasks.task import Benchmark, Metric, Task

QUESTION = "aaaa"


class Letters:
    """Texts with many a's are alike."""

    name = "letters"
    dimension = 3

    def embed(self, texts: Sequence[str]) -> Vectors:
        """How often three letters occur."""
        counts = np.array([[1 + 9 * text.count(letter) for letter in "ajq"] for text in texts], dtype=np.float32)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def selection(score: float, error: float = 0.02) -> EvalResult:
    """A score on selection."""
    return EvalResult(
        split="selection", n=40, samples=1, score=score, standard_error=error, unparsed=0, truncated=0, generated=40,
        seconds=1,
    )  # fmt: skip


def experiment(number: int, score: float | None, *, parent: int = 0, like: str = "jjjj", **changes: Any) -> Experiment:
    """An experiment of the run `old`; `like` decides what it resembles."""
    plan = Plan(
        hypothesis=like * 8, parent=parent, factor="both", data_strategy="keep", training_strategy="keep",
        predicted_effect=0.05,
    )  # fmt: skip
    training = TrainingRun(
        adapter="a", adapter_hash="h", seed=0, steps=1, first_loss=1, final_loss=1, tokens_per_second=1,
        peak_memory_gib=1, seconds=1,
    )  # fmt: skip
    fields: dict[str, Any] = {
        "run": "old", "task": "signs", "domain": "signs", "model": "tiny", "number": number,
        "plan": plan if number else None, "selection": None if score is None else selection(score),
        "training": training if number and score is not None else None,
    }  # fmt: skip
    return Experiment(**fields | changes)


def verdict(outcome: Any) -> Verdict:
    """A verdict with an outcome."""
    return Verdict(
        outcome=outcome, incumbent=0, effect=0.1, low=0, high=0.2, p_better=0.1, p_worse=0.9, alpha=0.05, n=40, fixed=4,
        broken=1, mcnemar_p=0.4, rule="bootstrap",
    )  # fmt: skip


def context(memory: ExperimentMemory | None, mode: str = "on", direction: Any = "up", model: str = "tiny") -> Any:
    """What recalling needs of a `RunContext`: the run `new` on the task `signs`."""
    task = Task(
        name="signs", domain="signs", description="", sources=(), benchmark=Benchmark(path="x"), prompt="p", answer="a",
        scorer={"name": "exact"}, metric=Metric(direction=direction),
    )  # fmt: skip
    return SimpleNamespace(
        memory=memory,
        description=SimpleNamespace(task=task),
        run=SimpleNamespace(name="new"),
        config=SimpleNamespace(memory=mode, model=model),
    )


@pytest.fixture
def memory(tmp_path: Path) -> ExperimentMemory:
    """A memory without an experiment."""
    return ExperimentMemory(tmp_path / "memory", Letters())


def filled(memory: ExperimentMemory, *experiments: Experiment) -> ExperimentMemory:
    """The memory with these experiments."""
    for one in experiments:
        memory.add(one)
    return memory


def ids(found: Sequence[Any]) -> list[str]:
    """Of recollections or experiments."""
    return [one.id for one in found]


def test_without_a_memory_and_with_an_empty_one_nothing_is_told(memory: ExperimentMemory) -> None:
    assert recollect(context(None), QUESTION) == ()
    assert recollect(context(memory), QUESTION) == ()


def test_the_best_of_the_task_and_model_is_told_though_others_resemble_the_question_more(
    memory: ExperimentMemory,
) -> None:
    """Twenty experiments of another model are nearer; the one that matters is told with its baseline."""
    near = [experiment(number, 0.9, like="aajq", run="near", model="large") for number in range(1, 21)]
    filled(memory, *near, experiment(0, 0.2), experiment(1, 0.5), experiment(2, 0.6, parent=1))
    found = recollect(context(memory), QUESTION)
    assert len([one for one in found if one.experiment.run == "near"]) == NEAREST
    assert ids(found)[NEAREST:] == ["old/002", "old/001"]
    assert [one.baseline for one in found] == [None] * NEAREST + [0.2, 0.2]
    least = min(one.similarity for one in found[:NEAREST])
    assert [one.similarity for one in found[NEAREST:]] == [least, least], "at most as similar as the nearest"
    assert 0 < least < 1


def test_the_untouched_model_and_this_very_run_are_not_told(memory: ExperimentMemory) -> None:
    filled(memory, experiment(0, 0.2), experiment(1, 0.5), experiment(1, 0.9, run="new"), experiment(0, 0.2, run="new"))
    assert ids(recollect(context(memory), QUESTION)) == ["old/001"]
    assert ids(recollect(context(memory, mode="run"), QUESTION)) == ["new/001", "old/001"]


def test_nothing_is_told_twice(memory: ExperimentMemory) -> None:
    filled(memory, *(experiment(number, 0.5, like="aaaa") for number in range(3)))
    found = recollect(context(memory), QUESTION, relied_on=("old/001", "old/001"))
    assert sorted(ids(found)) == ["old/001", "old/002"]


def test_what_the_plan_relies_on_is_told_whatever_the_question(memory: ExperimentMemory) -> None:
    """The data engineer must find the recipe that the planner takes over; what is unknown is passed over."""
    near = [experiment(number, 0.9, like="aaaa", run="near", model="large") for number in range(1, 21)]
    other = experiment(3, 0.1, run="far")
    filled(memory, *near, experiment(1, 0.5), other)
    assert "far/003" not in ids(recollect(context(memory), QUESTION))
    assert "far/003" in ids(recollect(context(memory), QUESTION, relied_on=("far/003", "lost/001")))


def test_a_model_that_is_new_to_the_task_brings_what_was_better_with_it_elsewhere(memory: ExperimentMemory) -> None:
    """Also from another domain; of each run the last that was better."""
    elsewhere = {"task": "sums", "domain": "arithmetic", "run": "sums-1"}
    better = [experiment(number, 0.5, verdict=verdict("better"), **elsewhere) for number in (1, 2)]
    worse = experiment(3, 0.4, verdict=verdict("worse"), **elsewhere)
    filled(memory, experiment(0, 0.1, **elsewhere), *better, worse, experiment(1, 0.5, model="large"))
    found = recollect(context(memory), QUESTION)
    assert ids(found) == ["old/001", "sums-1/002"]
    assert found[-1].baseline == 0.1
    filled(memory, experiment(2, 0.3))
    assert "sums-1/002" not in ids(recollect(context(memory), QUESTION)), "the task itself says more"


@pytest.mark.parametrize(("sign", "best"), [(1, "old/002"), (-1, "old/003")])
def test_relatives_begin_with_the_best_then_its_children_then_its_run(sign: int, best: str) -> None:
    """Each best first; in which direction, the metric says. Experiments without a score come last."""
    run = [
        experiment(1, 0.5),
        experiment(2, 0.7, parent=1),
        experiment(3, 0.3, parent=1),
        experiment(4, 0.4, parent=2),
        experiment(5, 0.6, parent=2),
        experiment(6, None, parent=2),
        experiment(7, 0.45, parent=3),
        experiment(8, 0.6, run="another"),
    ]
    found = ids(relatives([experiment(0, 0.2), *run], "signs", sign))
    assert found[0] == best
    if sign == 1:
        assert found[1:] == ["old/005", "old/004", "old/006", "old/001", "old/007", "old/003"]
    else:
        assert found[1:] == ["old/007", "old/004", "old/001", "old/005", "old/002", "old/006"]


def test_a_lucky_draw_on_few_items_is_not_the_best() -> None:
    lucky = experiment(1, 0.7).model_copy(update={"selection": selection(0.7, 0.2)})
    assert ids(relatives([lucky, experiment(2, 0.6)], "signs", 1))[0] == "old/002"


def test_where_nothing_was_trained_failures_are_told() -> None:
    failure = Failure(stage="train", kind=FailureKind.OOM, message="too large")
    failed = [experiment(number, None, failure=failure) for number in (1, 2)]
    assert ids(relatives(failed, "signs", 1)) == ["old/001", "old/002"]


def test_a_family_is_not_told_without_end(memory: ExperimentMemory) -> None:
    filled(memory, *(experiment(number, 0.5 + number / 100, parent=1) for number in range(1, 30)))
    assert len(recollect(context(memory), QUESTION)) <= NEAREST + FAMILY


def test_a_summary_says_what_was_expected_and_what_came() -> None:
    told = summarise(experiment(1, 0.5, effect=-0.02, verdict=verdict("worse")))
    assert all(part in told for part in ("signs with tiny", "selection 0.5", "worse", "expected of it +0.05", "-0.02"))
    failure = Failure(stage="train", kind=FailureKind.OOM, message="too large")
    assert "failed: OOM in train" in summarise(experiment(1, None, failure=failure))
