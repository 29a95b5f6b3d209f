"""Steps that ask models where they really run: in the sandbox, through the sockets of a gateway and an engine."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.connection import Listener
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_models import FakeEngine
from faulty_server import FaultyServer, Reply, serving
from gateways import HASTY

from eval.engine import Checkpoint
from eval.engine_server import methods
from eval.evaluator_client import ENGINE_LOST
from eval.gateway_client import GatewayClient
from eval.service import _answer
from eval.socket_folder import SocketFolder
from memory.records import DataRecipe, Step
from roles.data_steps.gate import GatedRow
from roles.data_steps.models import ModelAccess
from roles.data_steps.pipeline import Pipeline, PreparedRows
from tasks import sandbox
from tasks.corpus import materialise
from tasks.failure import FailureKind, StageError
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Task

pytestmark = pytest.mark.skipif(sandbox.available() is not None, reason=str(sandbox.available()))

WRITE = Step(name="synthesize", parameters={"source": "lessons", "prompt": "{{ question }}", "into": "said"})
FORMAT = Step(
    name="format",
    parameters={"source": "lessons", "prompt": "{{ question }}", "answer": "{{ said | default('nothing') }}"},
)
DRAW = Step(name="rejection_sample", parameters={"source": "lessons"})
CHOICE = Step(
    name="format",
    parameters={"source": "lessons", "answer": "{{ answer }}", "fields": {"first": "{{ answer }}", "second": "black"}},
)


class Bench:
    """A pipeline over the toy task in a folder of its own."""

    def __init__(self, task: Task, folder: Path, model: Path) -> None:
        self.folder = folder
        corpus = materialise(task, None, folder / "cache")
        self.pipeline = Pipeline(task, corpus, folder / "steps", model, 0)

    def apply(self, models: ModelAccess, *steps: Step) -> PreparedRows:
        return self.pipeline.apply(DataRecipe(sources=("lessons",), steps=steps), 400, self.folder / "script", models)


@pytest.fixture
def bench(toy_task: Task, tmp_path: Path, tiny_model: Path) -> Bench:
    return Bench(toy_task, tmp_path, tiny_model)


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.fixture
def start(server: FaultyServer, tmp_path: Path) -> Iterator[Callable[..., ModelAccess]]:
    """Starts gateways with one cache; all are closed at the end."""
    made: list[GatewayClient] = []

    def make(model: str = "m") -> ModelAccess:
        spec = server.spec(model)
        client = GatewayClient([spec], tmp_path / "answers", tmp_path / "spent.jsonl", tmp_path / "log", HASTY)
        made.append(client)
        client.spent()
        return ModelAccess(gateway=str(client.socket), tiers={"strong": spec, "weak": spec})

    yield make
    for client in made:
        client.close()


def gated(prepared: PreparedRows) -> list[GatedRow]:
    return [GatedRow.model_validate(row) for row in read_jsonl(Path(prepared.path))]


def asked(server: FaultyServer) -> Counter[str]:
    return Counter(body["messages"][-1]["content"] for body in server.requests)


def test_a_model_writes_through_the_gateway(
    bench: Bench, server: FaultyServer, start: Callable[..., ModelAccess]
) -> None:
    prepared = bench.apply(start(), Step(name="sample", parameters={"rows": 6}), WRITE, FORMAT)
    assert all(row.answer == f"You said: {row.prompt}" for row in gated(prepared))
    assert [(stage.step, stage.rows, stage.changed) for stage in prepared.flow[2:3]] == [
        ("synthesize", 6, {"written": 6})
    ]
    assert len(server.requests) == 6


def test_an_output_belongs_to_the_model_and_not_to_the_socket(
    bench: Bench, server: FaultyServer, start: Callable[..., ModelAccess]
) -> None:
    some = Step(name="sample", parameters={"rows": 3})
    first, other = start(), start("other")
    made = bench.apply(first, some, WRITE, FORMAT)
    gone = first.model_copy(update={"gateway": "/nowhere/socket"})
    assert bench.apply(gone, some, WRITE, FORMAT) == made
    assert len(server.requests) == 3
    assert bench.apply(other, some, WRITE, FORMAT).path != made.path
    assert len(server.requests) == 6


def test_a_step_that_is_killed_half_way_buys_nothing_twice(
    toy_task: Task, tmp_path: Path, tiny_model: Path, server: FaultyServer, start: Callable[..., ModelAccess]
) -> None:
    write_jsonl(tmp_path / "lessons.jsonl", [{"question": f"Lesson {n}?", "answer": "red"} for n in range(200)])
    bench, access = Bench(toy_task, tmp_path, tiny_model), start()
    server.delay = 0.05
    failed: list[StageError] = []

    def run() -> None:
        try:
            bench.apply(access, WRITE, FORMAT)
        except StageError as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 120
    while server.answered < 80 and time.monotonic() < deadline:
        time.sleep(0.02)
    steps = [
        process
        for process in psutil.Process().children(recursive=True)
        if "roles.data_steps" in process.cmdline() and "bwrap" not in process.name()
    ]
    assert steps
    for process in steps:
        process.kill()
    thread.join()
    assert [error.failure.kind for error in failed] == [FailureKind.ENVIRONMENT]
    before = server.settled()
    assert 80 <= before < 200
    assert len(gated(bench.apply(access, WRITE, FORMAT))) == 200
    assert len(asked(server)) == len(server.requests) == 200


SPY = """
import json, os, socket
place = {place!r}
found = [os.path.exists(place), os.path.exists(os.path.dirname(place))]
try:
    socket.socket(socket.AF_UNIX).connect(place)
    found.append("connected")
except OSError:
    pass
for folder, folders, files in os.walk("/tmp"):
    found += [name for name in folders + files if "ft-dojo" in name or name == "socket"]
row = {{"prompt": json.dumps(found), "answer": "red", "options": ["red", "blue"]}}
open("/out/data.jsonl", "w").write(json.dumps(row))
"""


def test_a_script_of_the_same_recipe_cannot_reach_the_gateway(bench: Bench, start: Callable[..., ModelAccess]) -> None:
    """An attack: it knows where the socket is."""
    access = start()
    spy = Step(name="script", parameters={"code": SPY.format(place=access.gateway)})
    (row,) = gated(bench.apply(access, Step(name="sample", parameters={"rows": 2}), WRITE, spy))
    assert json.loads(row.prompt) == [False, False]


@pytest.mark.parametrize(("step", "said"), [(WRITE, "--tiers strong=SPEC"), (DRAW, "no engine")])
def test_without_models_the_recipe_is_refused_before_anything_runs(bench: Bench, step: Step, said: str) -> None:
    with pytest.raises(StageError, match=said) as refused:
        bench.apply(ModelAccess(), CHOICE, step)
    assert refused.value.failure.kind == FailureKind.CONFIG
    assert not (bench.folder / "steps").exists()


def test_a_gateway_that_is_gone_is_said_to_be(bench: Bench, tmp_path: Path) -> None:
    access = ModelAccess(gateway=str(tmp_path / "socket"), tiers={"strong": "openai:m"})
    with pytest.raises(StageError, match="the gateway does not answer") as failed:
        bench.apply(access, WRITE, FORMAT)
    assert failed.value.failure.kind == FailureKind.ENVIRONMENT


# ----- the engine


@pytest.fixture
def engine() -> Iterator[tuple[FakeEngine, ModelAccess]]:
    """An engine behind a socket: right for every other prompt."""
    fake = FakeEngine(lambda prompt, draw, checkpoint: prompt.split()[-3] if draw == 1 else "black", chunk=50)
    folder = SocketFolder()
    place = folder.path / "socket"

    def serve(listener: Listener, served: dict[str, Any]) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:
                return
            threading.Thread(target=_answer, args=(connection, served), daemon=True).start()

    with Listener(str(place), family="AF_UNIX", backlog=16) as listener:
        threading.Thread(target=serve, args=(listener, methods(fake)), daemon=True).start()
        yield fake, ModelAccess(engine=str(place), checkpoints={"untouched": Checkpoint(model="base")})
    folder.remove()


def test_the_model_draws_through_the_engine(bench: Bench, engine: tuple[FakeEngine, ModelAccess]) -> None:
    fake, access = engine
    prepared = bench.apply(access, CHOICE, DRAW)
    rows = gated(prepared)
    assert len(rows) == 120
    assert all(row.answer in row.options and row.answer != "black" for row in rows)
    assert [len(prompts) for prompts, _, _ in fake.calls] == [50, 50, 20]
    best = Checkpoint(model="base", adapter="somewhere", adapter_hash="abc")
    other = access.model_copy(update={"checkpoints": {"untouched": Checkpoint(model="base"), "best": best}})
    assert bench.apply(other, CHOICE, DRAW).path != prepared.path
    assert fake.calls[-1][2] == best


def test_an_engine_that_is_lost_is_a_stage_of_its_own(bench: Bench, tmp_path: Path) -> None:
    access = ModelAccess(engine=str(tmp_path / "socket"), checkpoints={"untouched": Checkpoint(model="base")})
    with pytest.raises(StageError) as failed:
        bench.apply(access, CHOICE, DRAW)
    assert failed.value.failure.stage == ENGINE_LOST


def test_models_vote_on_labels_through_the_gateway(
    bench: Bench, server: FaultyServer, start: Callable[..., ModelAccess]
) -> None:
    access, some = start(), Step(name="sample", parameters={"rows": 6})
    prompts = [row.prompt for row in gated(bench.apply(access, some, CHOICE))]
    server.answer = lambda body: Reply("black" if body["messages"][-1]["content"] in prompts[:2] else "Who knows?")
    voted = bench.apply(access, some, CHOICE, Step(name="label_vote"))
    assert [row.prompt for row in gated(voted)] == prompts[2:]
    assert [(stage.rows, stage.removed) for stage in voted.flow if stage.step == "label_vote"] == [
        (4, {"contradicted by models": 2})
    ]
    assert len(server.requests) == 18  # one model, which is asked as the strong one and as the weak one, votes once
