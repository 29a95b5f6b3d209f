"""The evaluator in its real process, with a real engine on a tiny random model, and both under attack."""

import os
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import engine_contract as contract
import pytest
import yaml
from processes import gone

from eval.engine import Checkpoint
from eval.evaluator import TEST_ALPHA
from eval.evaluator import Evaluator as InProcess
from eval.evaluator_client import ENGINE_LOST, SHARED_SAMPLES, Evaluator, Rival
from eval.result import EvalResult, Split
from eval.service import Progress, Service
from tasks.child import child_environment
from tasks.failure import FailureKind, InputError, StageError
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Task

ROWS = 480
SIZES = {"feedback": 72, "selection": 168, "test": 240}
CHUNK = 42
"""Items that are answered at once: the first look at 168 items has 84, more than the 64 of a batch, so half of them."""
WORDS = ("f", "over", "can", "is")
"""What the tiny model likes to say: these are the reference answers, so that some are right."""
Strike = Callable[[int, int], None]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One thread: the model is too small to share."""
    log = tmp_path_factory.mktemp("log") / "engine.log"
    arguments = ["--engine", "transformers", "--model", tiny.model]
    environment = child_environment({"OMP_NUM_THREADS": "1"})
    service = Service("engine", "eval.engine_server", arguments, log=log, environment=environment)
    yield service
    service.close()


class Laboratory:
    """A task file, its evaluator, the engine and a run."""

    def __init__(self, task: Task, engine: Service, tiny: contract.Fixture) -> None:
        self.folder = Path(task.base_dir)
        self.engine, self.tiny = engine, tiny
        file = self.folder / "toy.yaml"
        file.write_text(yaml.safe_dump(task.model_dump(mode="json", exclude_defaults=True, exclude={"base_dir"})))
        self.cache = self.folder / "cache"
        self.evaluator = Evaluator(str(file), None, self.cache, self.folder / "evaluator.log")
        self.attach("run")

    def attach(self, run: str) -> None:
        self.run = self.folder / run
        self.evaluator.attach(self.run)

    def evaluate(
        self,
        label: str,
        split: Split,
        checkpoint: Checkpoint | None = None,
        progress: Progress | None = None,
        seed: int = 0,
        rival: Rival | None = None,
    ) -> EvalResult:
        self.engine.call("info")
        quiet = progress or (lambda done, total: None)
        checkpoint = checkpoint or self.tiny.base
        return self.evaluator.evaluate(label, split, checkpoint, self.engine.socket, seed, quiet, rival)

    def test(self, run: str, best: Checkpoint | None = None, progress: Progress | None = None) -> Any:
        self.engine.call("info")
        quiet = progress or (lambda done, total: None)
        return self.evaluator.test(run, self.tiny.base, best, self.engine.socket, 0, quiet)

    def files(self) -> dict[str, bytes]:
        """The per-item records of the run."""
        return {str(path.relative_to(self.run)): path.read_bytes() for path in self.run.rglob("*.jsonl")}

    def cached(self) -> int:
        """Completions that are stored."""
        with sqlite3.connect(self.run / "sealed" / "completions.sqlite") as database:
            return database.execute("SELECT COUNT(*) FROM completions").fetchone()[0]


@pytest.fixture
def small(toy_task: Task, engine: Service, tiny: contract.Fixture) -> Iterator[Laboratory]:
    """The toy task as it is: so few rows that feedback and selection are the same."""
    laboratory = Laboratory(toy_task, engine, tiny)
    yield laboratory
    laboratory.evaluator.close()


@pytest.fixture
def lab(toy_task: Task, engine: Service, tiny: contract.Fixture) -> Iterator[Laboratory]:
    """The toy task with so many rows that a split takes several chunks, and answers that the model may give."""
    rows = [
        {"id": f"q{i}", "question": f"Which colour has the code {i % 4} in box {i}?", "first": "red", "second": "blue",
         "answer": WORDS[i % 4], "group": f"g{i % 4}"}
        for i in range(ROWS)
    ]  # fmt: skip
    write_jsonl(Path(toy_task.base_dir) / "benchmark.jsonl", rows)
    laboratory = Laboratory(toy_task.model_copy(update={"scorer": {"name": "contains"}}), engine, tiny)
    yield laboratory
    laboratory.evaluator.close()


def same(one: EvalResult, other: EvalResult) -> bool:
    """Equal in all but what was generated now and how long it took."""
    varying = {"generated", "seconds"}
    return one.model_dump(exclude=varying) == other.model_dump(exclude=varying)


def strings(value: Any) -> Iterator[str]:
    """Every string in JSON data, keys included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from (key, *strings(item))
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


# What it says


def test_describe(lab: Laboratory) -> None:
    told = lab.evaluator.describe()
    assert {"feedback": told.feedback, "selection": told.selection, "test": told.test} == SIZES
    assert not told.shared
    assert told.groups == {f"g{i}": ROWS // 4 for i in range(4)}
    assert told.task.name == "toy"
    assert len(list(read_jsonl(Path(told.corpus) / "lessons.jsonl"))) == 120
    assert lab.evaluator.describe() == told
    assert "in box" not in told.model_dump_json()  # no question
    assert told.options is None  # its scorer asks for no choice


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        ({}, 2),
        ({"options": (), "scorer": {"name": "exact"}}, None),
        ({"scorer": {"name": "exact"}}, None),
        ({"options": "{{ ([first, second] if id == 'q1' else [first, second, id]) | tojson }}"}, None),
    ],
)
def test_the_number_of_options_is_told_where_there_is_one(
    changes: dict[str, Any], options: int | None, toy_task: Task, tmp_path: Path
) -> None:
    """Choices of the same length; free answers and varying numbers have none."""
    evaluator = InProcess(toy_task.model_copy(update=changes), None, tmp_path / "cache")
    assert evaluator.describe(lambda done, total: None)["options"] == options


def test_evaluations(lab: Laboratory) -> None:
    """Feedback has its category table and readable items; selection has neither."""
    feedback, selection = lab.evaluate("000", "feedback"), lab.evaluate("000", "selection")
    for result, split in ((feedback, "feedback"), (selection, "selection")):
        assert (result.split, result.n, result.generated, result.samples) == (split, SIZES[split], SIZES[split], 1)
        assert 0 < result.score < 1
    assert [group.group for group in feedback.groups] == ["g0", "g1", "g2", "g3"]
    assert sum(group.n for group in feedback.groups) == feedback.n
    assert selection.groups == ()
    assert set(lab.files()) == {"experiments/000/feedback.jsonl", "sealed/000.selection.jsonl"}
    items = list(read_jsonl(lab.run / "sealed" / "000.selection.jsonl"))
    assert len({item["id"] for item in items}) == selection.n
    assert round(sum(item["scores"][0] for item in items) / selection.n, 3) == selection.score


def test_each_item_gets_its_own_completion(lab: Laboratory) -> None:
    """Chunks are cut by length; the records still hold what the engine says to each item's prompt."""
    lab.evaluate("000", "selection")
    items = list(read_jsonl(lab.run / "sealed" / "000.selection.jsonl"))
    asked = {"sampling": {"max_new_tokens": 8}, "checkpoint": lab.tiny.base.model_dump()}
    answers = lab.engine.call("generate", prompts=[item["prompt"] for item in items], **asked)
    same = sum(item["completions"] == [one["text"]] for item, (one,) in zip(items, answers, strict=True))
    assert same >= 0.8 * len(items)  # other batches may change the last bits


def test_feedback_selection_and_test_items_are_disjoint(lab: Laboratory) -> None:
    lab.evaluate("000", "feedback")
    lab.evaluate("000", "selection")
    lab.test("run")
    ids = {name: {row["id"] for row in read_jsonl(lab.run / name)} for name in lab.files()}
    assert {name: len(found) for name, found in ids.items()} == {
        "experiments/000/feedback.jsonl": 72,
        "sealed/000.selection.jsonl": 168,
        "sealed/baseline.test.jsonl": 240,
    }
    assert len(set.union(*ids.values())) == ROWS


def test_the_second_evaluation_generates_nothing(lab: Laboratory) -> None:
    first = lab.evaluate("000", "selection")
    before = lab.files()
    again = lab.evaluate("000", "selection")
    assert again.generated == 0
    assert same(again, first)
    assert lab.files() == before
    other = lab.evaluate("000", "selection", seed=7)  # greedy: no seed takes part
    assert other.generated == 0
    assert same(other, first)


def test_adapters_and_runs_do_not_share_completions(lab: Laboratory) -> None:
    base = lab.evaluate("000", "feedback")
    adapted = lab.evaluate("001", "feedback", lab.tiny.adapted(lab.tiny.adapter))
    assert (base.generated, adapted.generated) == (72, 72)
    texts = [[row["completions"] for row in read_jsonl(lab.run / f"experiments/{n}/feedback.jsonl")]
             for n in ("000", "001")]  # fmt: skip
    assert sum(a != b for a, b in zip(*texts, strict=True)) > 36
    first = lab.run
    lab.attach("other")
    assert lab.evaluate("000", "feedback").generated == 72
    name = "experiments/000/feedback.jsonl"
    assert (first / name).read_bytes() == (lab.run / name).read_bytes()


def test_an_adapter_that_changes_nothing_is_a_failure(lab: Laboratory) -> None:
    with pytest.raises(StageError) as caught:
        lab.evaluate("001", "feedback", lab.tiny.adapted(lab.tiny.zero))
    assert caught.value.failure.kind is FailureKind.FORMAT
    assert lab.files() == {}


def test_progress_counts_items(lab: Laboratory) -> None:
    seen: list[tuple[int, int]] = []
    lab.evaluate("000", "selection", progress=lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert {(42, 168), (84, 168), (112, 168), (140, 168), (168, 168)} <= set(seen)  # looks, the first in two chunks


def test_few_rows_are_shared_and_drawn_several_times(small: Laboratory) -> None:
    told = small.evaluator.describe()
    assert told.shared
    assert told.feedback == told.selection == told.test == 40
    selection = small.evaluate("000", "selection", seed=1)
    assert (selection.samples, selection.generated) == (SHARED_SAMPLES, 40)
    feedback = small.evaluate("000", "feedback", seed=1)
    assert feedback.generated == 0  # the same rows
    assert feedback.score == selection.score
    items = list(read_jsonl(small.run / "sealed/000.selection.jsonl"))
    assert all(len(item["completions"]) == SHARED_SAMPLES for item in items)
    assert any(len(set(item["completions"])) > 1 for item in items)
    assert small.evaluate("000", "selection", seed=2).generated == 40
    assert small.test("run").baseline.samples == 1  # the sealed split is greedy


# What it does not say


def test_replies_on_selection_tell_nothing_of_items(lab: Laboratory) -> None:
    """All that crosses the socket for selection and test: declared numbers, and not one string of an item."""
    lab.engine.call("info")
    checkpoint = lab.tiny.base.model_dump()
    common = {"engine": str(lab.engine.socket), "seed": 0, "run_dir": str(lab.run)}
    messages: list[Any] = []

    def listen(done: int, total: int) -> None:
        messages.append([done, total])

    call = lab.evaluator.service.call
    selection = call("evaluate", listen, label="000", split="selection", checkpoint=checkpoint, **common)
    verdict = call("compare", listen, label="000", incumbent="000", alpha=0.1, seed=0, run_dir=str(lab.run))
    tested = call("test", listen, run="r", baseline=checkpoint, best=None, **common)
    assert selection["groups"] == tested["baseline"]["groups"] == []
    assert all(isinstance(number, int) for message in messages for number in message)
    texts = [text for reply in (selection, verdict, tested) for text in strings(reply)]
    rows = [row for name in lab.files() if "sealed" in name for row in read_jsonl(lab.run / name)]
    secrets = {str(row[field]) for row in rows for field in ("id", "prompt", "group")}
    secrets |= {text for row in rows for text in row["completions"]}
    assert len(secrets) > 400
    assert secrets.isdisjoint(texts)
    assert not any("box" in text for text in texts)


def scored(lab: Laboratory, label: str, score: float) -> None:
    """Write the selection records of a label anew as if every answer had this score."""
    path = lab.run / "sealed" / f"{label}.selection.jsonl"
    write_jsonl(path, [{**row, "scores": [score]} for row in read_jsonl(path)])


def test_a_hopeless_evaluation_stops_and_can_be_finished(lab: Laboratory) -> None:
    """Against an incumbent that knows everything the first look ends it; what was generated is not lost."""
    whole = lab.evaluate("000", "selection")
    assert (whole.n, whole.split_n) == (168, 168)
    scored(lab, "000", 1.0)
    candidate = lab.tiny.adapted(lab.tiny.adapter)
    stopped = lab.evaluate("001", "selection", candidate, rival=Rival(label="000", alpha=0.05))
    assert (stopped.n, stopped.split_n, stopped.generated) == (84, 168, 84)
    verdict = lab.evaluator.compare("001", "000", 0.05, 0)
    assert (verdict.outcome, verdict.n, verdict.split_n) == ("worse", 84, 168)
    groups = [row["group"] for row in read_jsonl(lab.run / "sealed" / "001.selection.jsonl")]
    assert {groups.count(group) for group in set(groups)} == {21}  # each group has come half of its way
    finished = lab.evaluate("001", "selection", candidate)
    assert (finished.n, finished.generated) == (168, 84)


def test_an_evaluation_with_a_chance_goes_on(lab: Laboratory) -> None:
    lab.evaluate("000", "selection")
    scored(lab, "000", 0.0)
    found = lab.evaluate("001", "selection", lab.tiny.adapted(lab.tiny.adapter), rival=Rival(label="000", alpha=0.05))
    assert found.n == found.split_n == 168


def test_feedback_is_always_whole(lab: Laboratory) -> None:
    """It is what the diagnosis reads."""
    lab.evaluate("000", "selection")
    scored(lab, "000", 1.0)
    found = lab.evaluate("001", "feedback", lab.tiny.adapted(lab.tiny.adapter), rival=Rival(label="000", alpha=0.05))
    assert found.n == found.split_n == 72


def test_scores_are_rounded(lab: Laboratory) -> None:
    result = lab.evaluate("000", "selection")
    assert all(value == round(value, 3) for value in (result.score, result.unparsed, result.truncated))
    items = list(read_jsonl(lab.run / "sealed" / "000.selection.jsonl"))
    assert result.score != sum(item["scores"][0] for item in items) / len(items)  # which three digits cannot hold


def test_evaluate_never_opens_the_test_split(lab: Laboratory) -> None:
    with pytest.raises(StageError, match="the test split is sealed"):
        lab.evaluate("000", "test")
    assert lab.files() == {}
    assert not (lab.cache / "openings.jsonl").exists()


def test_a_split_that_does_not_exist_writes_nothing(lab: Laboratory) -> None:
    with pytest.raises(StageError):
        lab.evaluate("000", "train")  # type: ignore[arg-type]
    assert lab.files() == {}


@pytest.mark.parametrize(("leaks", "told"), [(0, 10), (1, 10), (10, 10), (11, 20), (37, 40)])
def test_decontamination_counts_in_tens_and_never_tells_of_none(lab: Laboratory, leaks: int, told: int) -> None:
    """Which rows leak, and how, stays in `sealed/`."""
    leaking = [candidate(f"Which colour has the code {i % 4} in box {i}?", WORDS[i % 4], i) for i in range(leaks)]
    clean = [candidate(f"Say {i}.", f"{i}", 1000 + i) for i in range(25)]
    write_jsonl(lab.folder / "rows.jsonl", [*clean[:5], *leaking, *clean[5:]])
    assert lab.evaluator.decontaminate(lab.folder / "rows.jsonl", lab.folder / "kept.jsonl") == told
    assert list(read_jsonl(lab.folder / "kept.jsonl")) == clean
    assert list(read_jsonl(lab.run / "sealed" / "leaks" / "rows.jsonl")) == [
        {"reason": "exact", **row} for row in leaking
    ]


def candidate(content: str, answer: str, number: int) -> dict[str, Any]:
    """A row that passed the gate."""
    return {"prompt": content, "answer": answer, "options": [], "content": content, "identities": [], "row": number}


def test_decontamination_covers_every_split(lab: Laboratory) -> None:
    rows = [candidate(f"Which colour has the code {i % 4} in box {i}?", WORDS[i % 4], i) for i in range(ROWS)]
    write_jsonl(lab.folder / "rows.jsonl", rows)
    lab.evaluator.decontaminate(lab.folder / "rows.jsonl", lab.folder / "kept.jsonl")
    assert list(read_jsonl(lab.folder / "kept.jsonl")) == []


def test_a_wrong_task_is_an_input_error(
    tmp_path: Path, toy_task: Task, engine: Service, tiny: contract.Fixture
) -> None:
    broken = toy_task.model_copy(update={"answer": "{{ solution }}"})
    laboratory = Laboratory(broken, engine, tiny)
    with pytest.raises(InputError, match="solution"):
        laboratory.evaluator.describe()
    laboratory.evaluator.close()


# Verdicts and the sealed split


def test_compare(lab: Laboratory) -> None:
    lab.evaluate("000", "selection")
    lab.evaluate("001", "selection", lab.tiny.adapted(lab.tiny.adapter))
    forth = lab.evaluator.compare("001", "000", 0.05, 0)
    back = lab.evaluator.compare("000", "001", 0.05, 0)
    assert (forth.n, forth.incumbent, back.incumbent, forth.alpha) == (168, 0, 1, 0.05)
    assert forth.fixed + forth.broken > 10
    assert forth.effect == -back.effect != 0
    assert (forth.fixed, forth.broken) == (back.broken, back.fixed)
    assert lab.evaluator.compare("001", "000", 0.05, 0) == forth


def test_the_sealed_test(lab: Laboratory) -> None:
    adapted = lab.tiny.adapted(lab.tiny.adapter)
    tested = lab.test("run-1", adapted)
    assert (tested.baseline.n, tested.best.n, tested.verdict.n) == (240, 240, 240)
    assert tested.verdict.alpha == TEST_ALPHA
    assert tested.verdict.effect == pytest.approx(tested.best.score - tested.baseline.score, abs=0.0011)
    assert set(lab.files()) == {"sealed/baseline.test.jsonl", "sealed/best.test.jsonl"}


def test_openings_are_counted_by_run(lab: Laboratory) -> None:
    assert [lab.test(run).openings for run in ("run-1", "run-1", "run-2", "run-1")] == [1, 1, 2, 2]
    entries = list(read_jsonl(lab.cache / "openings.jsonl"))
    assert [entry["run"] for entry in entries] == ["run-1", "run-2"]
    assert {entry["benchmark_hash"] for entry in entries} == {lab.evaluator.describe().benchmark_hash}


def test_an_opening_is_written_down_before_the_split_is_read(lab: Laboratory, tmp_path: Path) -> None:
    """A run that fails in the middle has looked."""
    with pytest.raises(StageError):
        lab.evaluator.test("run-1", lab.tiny.base, None, tmp_path / "no-engine", 0, lambda done, total: None)
    assert lab.test("run-2").openings == 2


# Deaths


def killer(service: Service, after: int, note: Callable[[], None]) -> Strike:
    """Kills a service once, when more than `after` items are done, and waits until it is dead."""
    struck: list[int] = []

    def strike(done: int, total: int) -> None:
        if done > after and not struck:
            assert service.pid
            struck.append(service.pid)
            os.kill(service.pid, signal.SIGKILL)
            assert gone(service.pid)
            note()

    return strike


@pytest.fixture
def undisturbed(lab: Laboratory) -> tuple[EvalResult, bytes]:
    """What an evaluation gives when nothing dies, from a run of its own."""
    lab.attach("undisturbed")
    result = lab.evaluate("000", "selection")
    records = lab.files()["sealed/000.selection.jsonl"]
    lab.attach("run")
    return result, records


def test_a_killed_evaluator_goes_on_where_it_stopped(lab: Laboratory, undisturbed: tuple[EvalResult, bytes]) -> None:
    done: list[int] = []
    result = lab.evaluate(
        "000", "selection", progress=killer(lab.evaluator.service, CHUNK, lambda: done.append(lab.cached()))
    )
    assert CHUNK <= done[0] < SIZES["selection"]
    assert result.generated == SIZES["selection"] - done[0]
    assert same(result, undisturbed[0])
    assert lab.files() == {"sealed/000.selection.jsonl": undisturbed[1]}


def test_an_evaluation_survives_a_killed_engine(lab: Laboratory, undisturbed: tuple[EvalResult, bytes]) -> None:
    struck: list[int] = []
    strike = killer(lab.engine, CHUNK, lambda: struck.append(lab.cached()))
    with pytest.raises(StageError, match="the engine went away") as caught:
        lab.evaluate("000", "selection", progress=strike)
    kept = lab.cached()  # the engine may have ended another chunk before it was struck
    assert caught.value.failure.kind is FailureKind.ENVIRONMENT
    assert caught.value.failure.stage == ENGINE_LOST
    assert lab.files() == {}  # no half of a record
    result = lab.evaluate("000", "selection")  # as `graph.actions` does: start the engine, repeat the work
    assert CHUNK <= struck[0] <= kept < SIZES["selection"]
    assert kept in {42, 84, 112, 140}  # only whole chunks are stored
    assert result.generated == SIZES["selection"] - kept
    assert same(result, undisturbed[0])
    assert lab.files() == {"sealed/000.selection.jsonl": undisturbed[1]}


def test_a_killed_test_counts_as_one_opening(lab: Laboratory) -> None:
    killed: list[int] = []
    tested = lab.test("run", progress=killer(lab.evaluator.service, CHUNK, lambda: killed.append(1)))
    assert killed
    assert tested.openings == 1
    assert len(list(read_jsonl(lab.cache / "openings.jsonl"))) == 1
    assert tested.baseline.n == 240


def test_a_killed_evaluator_knows_its_run_again(lab: Laboratory) -> None:
    lab.evaluate("000", "selection")
    lab.evaluate("001", "selection", lab.tiny.adapted(lab.tiny.adapter))
    before = lab.evaluator.compare("001", "000", 0.1, 0)
    assert lab.evaluator.service.pid
    os.kill(lab.evaluator.service.pid, signal.SIGKILL)
    assert lab.evaluator.compare("001", "000", 0.1, 0) == before
