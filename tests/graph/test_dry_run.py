"""`--dry-run` on the embedded task, and the flags that only print: what a newcomer tries first."""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from laboratory import ROOT, Finished, Laboratory, children, events
from pydantic import BaseModel

from eval import evaluator_client
from eval.result import EvalResult, ItemResult
from eval.verdict import Verdict
from graph.config import RunConfig
from graph.run_dir import Event
from memory.records import DataRecipe, Diagnosis, Experiment, Plan, TrainingConfig, TrainingData, TrainingRun
from roles.backbone import Exchange
from roles.briefing import Survey
from roles.recipes.request import LossPoint
from tasks.record import read_jsonl, read_record

HEAVY = ("torch", "transformers", "vllm", "trl", "peft", "datasets")


class Peaks:
    """The highest resident memory of a process, and of it with all its children, in bytes."""

    def __init__(self) -> None:
        self.graph = 0
        self.all = 0

    def watch(self, pid: int, ended: threading.Event) -> None:
        """Look twice a second until told that the process has ended."""
        while not ended.wait(0.5):
            own = _resident(pid)
            self.graph = max(self.graph, own)
            self.all = max(self.all, own + sum(_resident(child.pid) for child in children(pid)))


def _resident(pid: int) -> int:
    try:
        return psutil.Process(pid).memory_info().rss
    except psutil.Error:
        return 0


@pytest.fixture(scope="module")
def yardstick() -> float:
    """Seconds in which this machine, as busy as it is, imports what a training imports: the second time of two."""
    seconds = 0.0
    for _ in range(2):
        began = time.monotonic()
        subprocess.run([sys.executable, "-c", "import torch, transformers, peft"], check=True)
        seconds = time.monotonic() - began
    return seconds


@pytest.fixture(scope="module")
def finance(laboratory: Laboratory, yardstick: float) -> Iterator[tuple[Finished, Peaks]]:
    """The dry run of the embedded finance task, with every import of the graph process on standard error."""
    started = laboratory.start("finance", "--task", "finance", "--dry-run", python=("-X", "importtime"))
    peaks, ended = Peaks(), threading.Event()
    watcher = threading.Thread(target=peaks.watch, args=(started.process.pid, ended), daemon=True)
    watcher.start()
    yield laboratory.end(started), peaks
    ended.set()
    watcher.join()


def test_it_walks_the_whole_graph(finance: tuple[Finished, Peaks], yardstick: float) -> None:
    """Two experiments, each through every stage, then the test and the delivery, in about ten times what the imports of
    one of its trainings take: half a minute on two idle cores."""
    run, _ = finance
    print(f"dry run: {run.seconds:.0f} s; importing torch, transformers and peft: {yardstick:.1f} s")
    assert run.seconds < 25 * yardstick
    stages = [(event["stage"], event["experiment"]) for event in events(run.path) if event["what"] == "end"]
    for number in (1, 2):
        assert {stage for stage, experiment in stages if experiment == number} == {
            "planner", "prepare_data", "trainer", "train", "evaluate", "judge", "evidence", "diagnostician", "record"
        } | ({"data_engineer"} if number == 1 else set())  # fmt: skip
    assert [stage for stage, experiment in stages if experiment is None] == ["survey", "test", "deliver"]
    assert len(run.experiments) == 3


def test_heavy_libraries_stay_out_of_the_graph_process(finance: tuple[Finished, Peaks]) -> None:
    """Neither at the start nor later: the list of imports is complete at the end of the process."""
    imported = {line.rpartition("|")[2].strip() for line in finance[0].err.splitlines() if "import time:" in line}
    assert "langgraph.graph" in imported, "the list is not what this test thinks"
    assert sorted(name for name in imported if name.partition(".")[0] in HEAVY) == []


def test_memory_stays_small(finance: tuple[Finished, Peaks]) -> None:
    """The graph process is light; everything together runs on a small machine."""
    _, peaks = finance
    print(f"peak memory: graph {peaks.graph / 2**20:.0f} MiB, all processes {peaks.all / 2**20:.0f} MiB")
    assert 0 < peaks.graph < 600 * 2**20
    assert peaks.all < 4 * 2**30


RECORDS: list[tuple[str, type[BaseModel]]] = [
    ("config.json", RunConfig),
    ("survey.json", Survey),
    ("test.json", evaluator_client.TestResult),
    ("experiments/000/experiment.json", Experiment),
    ("experiments/000/000.feedback.json", EvalResult),
    ("experiments/000/000.selection.json", EvalResult),
    ("experiments/001/plan.json", Plan),
    ("experiments/001/recipe.json", DataRecipe),
    ("experiments/001/data.json", TrainingData),
    ("experiments/001/config.json", TrainingConfig),
    ("experiments/001/training.json", TrainingRun),
    ("experiments/001/verdict.json", Verdict),
    ("experiments/001/diagnosis.json", Diagnosis),
    ("experiments/002/experiment.json", Experiment),
]
LISTS: list[tuple[str, type[BaseModel]]] = [
    ("events.jsonl", Event),
    ("transcript.jsonl", Exchange),
    ("experiments.jsonl", Experiment),
    ("experiments/001/feedback.jsonl", ItemResult),
    ("experiments/001/losses.jsonl", LossPoint),
]


@pytest.mark.parametrize(("name", "schema"), RECORDS)
def test_records_on_disk_have_their_schema(name: str, schema: type[BaseModel], finance: tuple[Finished, Peaks]) -> None:
    """One JSON object each."""
    assert isinstance(read_record(finance[0].path / name, schema), schema)


@pytest.mark.parametrize(("name", "schema"), LISTS)
def test_lists_on_disk_have_their_schema(name: str, schema: type[BaseModel], finance: tuple[Finished, Peaks]) -> None:
    """JSON Lines, at least one line each."""
    assert [schema.model_validate(row) for row in read_jsonl(finance[0].path / name)]


def test_rows_and_where_they_came_from_are_kept_side_by_side(finance: tuple[Finished, Peaks]) -> None:
    """`data.jsonl` is what is learned, `provenance.jsonl` names source and row of each line."""
    run, _ = finance
    rows, origins = (run.rows(f"experiments/001/{name}.jsonl") for name in ("data", "provenance"))
    data = run.experiments[1].data
    assert data is not None
    assert len(rows) == len(origins) == data.rows == 22  # of 32, decontamination takes ten at least
    assert {frozenset(row) for row in rows} == {frozenset({"prompt", "answer"})}
    assert {origin["source"] for origin in origins} == set(data.rows_by_source)


def test_report_and_card_are_there(finance: tuple[Finished, Peaks]) -> None:
    """The page stands alone: it loads nothing. Without a better model there is a card and no adapter."""
    run, _ = finance
    page = (run.path / "report.html").read_text()
    assert "scripted experiment 2" in page
    assert [word for word in ("<script src", "<link", "http://", "https://", "@import") if word in page] == []
    assert {path.name for path in (run.path / "deliver").iterdir()} == {"MODEL_CARD.md"}
    assert "no better model found" in (run.path / "deliver/MODEL_CARD.md").read_text()


@pytest.mark.parametrize(
    ("flag", "parts"),
    [
        ("--help", ["--task", "--resume", "--dry-run", "--budget"]),
        ("--draw", ["graph TD", "survey", "experiment", "prepare_data", "judge", "deliver"]),
        ("--draw --backbone generalist=scripted", ["graph TD", "act", "submit", "judge", "deliver"]),
        ("--list-tasks", ["finance_starter", "accuracy"]),
    ],
)
def test_flags_that_only_print(flag: str, parts: list[str], tmp_path: Path) -> None:
    """They exit with 0, say what was asked for, and leave nothing behind."""
    began = time.monotonic()
    line = [sys.executable, str(ROOT / "run_graph.py"), *flag.split()]
    done = subprocess.run(line, cwd=tmp_path, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - began
    assert (done.returncode, done.stderr) == (0, "")
    assert [part for part in parts if part not in done.stdout] == []
    assert list(tmp_path.iterdir()) == []
    assert flag != "--help" or seconds < 1
