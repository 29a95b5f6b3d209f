"""What the graph does about its engine: starts a lost one again, and takes the GPU from it while a training runs."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.devices import Devices
from eval.engine_client import ENGINE_RESTARTS
from eval.evaluator_client import ENGINE_LOST
from eval.hardware import Gpu
from graph import actions
from graph.actions import _rest_engine, _visible, _with_engine
from tasks.failure import FailureKind, StageError

LOST = StageError(ENGINE_LOST, FailureKind.ENVIRONMENT, "the engine went away: EOFError()")
ONE = Devices(engine=("0",), training=("0",))


class Engine:
    """Notes what is asked of it."""

    def __init__(self, in_use: float = 0.0, pid: int | None = 1) -> None:
        self.in_use = in_use
        self.pid = pid
        self.log = Path("/nowhere")
        self.asked: list[str] = []

    def call(self, method: str) -> Any:
        self.asked.append(method)
        return self.in_use if method == "rest" else {}

    def stop(self) -> None:
        self.asked.append("stop")


class Work:
    """Fails so many times."""

    def __init__(self, *failures: StageError) -> None:
        self.failures = list(failures)

    def __call__(self) -> str:
        if self.failures:
            raise self.failures.pop(0)
        return "done"


def context(engine: Engine, cache: Path, devices: Devices = ONE) -> Any:
    said: list[str] = []
    hardware = SimpleNamespace(gpus=(Gpu(name="GPU", memory_gib=80.0),))
    return SimpleNamespace(
        engine=engine, cache=cache, devices=devices, hardware=hardware, warn=said.append, said=said
    )  # fmt: skip


def test_a_lost_engine_is_started_again_and_the_work_repeated(tmp_path: Path) -> None:
    engine = Engine()
    there = context(engine, tmp_path)
    assert _with_engine(there, Work(LOST)) == "done"
    assert engine.asked == ["info", "stop", "info"]  # a silent one still runs: it is ended first
    assert there.said == ["  the engine went away: EOFError(); it is started again"]


def test_an_engine_that_is_lost_again_and_again_fails_the_evaluation(tmp_path: Path) -> None:
    engine = Engine()
    with pytest.raises(StageError) as caught:
        _with_engine(context(engine, tmp_path), Work(*[LOST] * (ENGINE_RESTARTS + 1)))
    assert caught.value.failure.stage == "evaluate"
    assert engine.asked.count("info") == ENGINE_RESTARTS + 1


@pytest.mark.parametrize("kind", [FailureKind.FORMAT, FailureKind.ENVIRONMENT])
def test_other_failures_are_not_the_engines(kind: FailureKind, tmp_path: Path) -> None:
    engine = Engine()
    with pytest.raises(StageError):
        _with_engine(context(engine, tmp_path), Work(StageError("evaluate", kind, "a bad adapter")))
    assert engine.asked == ["info"]


def test_the_engine_rests_where_training_needs_its_device(tmp_path: Path) -> None:
    engine = Engine(in_use=2.0)
    _rest_engine(context(engine, tmp_path))
    assert engine.asked == ["rest"]


def test_an_engine_that_does_not_run_is_not_started_to_rest(tmp_path: Path) -> None:
    engine = Engine(pid=None)
    _rest_engine(context(engine, tmp_path))
    assert engine.asked == []


def test_an_engine_that_keeps_the_memory_is_ended(tmp_path: Path) -> None:
    engine = Engine(in_use=60.0)
    there = context(engine, tmp_path)
    _rest_engine(there)
    assert engine.asked == ["rest", "stop"]
    assert "60 GiB of the GPU are in use" in there.said[0]


@pytest.mark.parametrize("devices", [Devices(), Devices(engine=("1",), training=("0",))], ids=["cpu", "two GPUs"])
def test_an_engine_that_is_in_nobodys_way_goes_on(devices: Devices, tmp_path: Path) -> None:
    engine = Engine()
    _rest_engine(context(engine, tmp_path, devices))
    assert engine.asked == []


def test_a_training_sees_its_device_only() -> None:
    assert _visible(("2",)) == {"CUDA_VISIBLE_DEVICES": "2"}
    assert _visible(()) == {}


def test_a_verdict_with_replicates_names_all_trainings(tmp_path: Path) -> None:
    asked: list[dict[str, Any]] = []
    evaluator = SimpleNamespace(compare=lambda *labels, **others: asked.append({"labels": labels, **others}))
    config = SimpleNamespace(replicates=3, max_experiments=4, seed=7)
    there: Any = SimpleNamespace(evaluator=evaluator, config=config)
    actions.judge(there, 2, 1)
    actions.judge(there, 1, 0)
    with_trained, with_untouched = asked
    assert with_trained["labels"][:2] == ("002", "001")
    assert with_trained["replicates"] == ["002-r1", "002-r2"]
    assert with_trained["incumbent_replicates"] == ["001-r1", "001-r2"]
    assert with_untouched["incumbent_replicates"] == []  # no seed has touched it
