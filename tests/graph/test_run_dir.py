"""The run directory: results kept once, events, the lock, a journal that survives a crash."""

import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import ROOT

from graph.run_dir import RunDir
from memory.records import Experiment, Step
from tasks.failure import InputError


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """An empty run directory."""
    made = RunDir(tmp_path / "run")
    made.create()
    return made


class Counter:
    """Makes steps named after how often it was asked."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Step:
        self.calls += 1
        return Step(name=f"call {self.calls}")


def whats(run: RunDir) -> list[str]:
    """What the events say, in order."""
    return [event.what for event in run.events()]


def test_a_result_is_made_once_for_the_same_inputs(run: RunDir) -> None:
    """The second call reads it back and says so in the events."""
    make, path = Counter(), run.file("step.json")
    results = [run.once("plan", 1, path, ["a", 1], Step, make) for _ in range(2)]
    assert make.calls == 1
    assert results == [Step(name="call 1")] * 2
    assert whats(run) == ["start", "end", "reused"]
    assert {(event.stage, event.experiment, event.record) for event in run.events()} == {("plan", 1, "step.json")}


def test_other_inputs_make_another_result(run: RunDir) -> None:
    """And the earlier inputs do not find theirs again."""
    make, path = Counter(), run.file("step.json")
    for inputs in ("a", "b", "a"):
        run.once("plan", 1, path, inputs, Step, make)
    assert make.calls == 3
    assert whats(run) == ["start", "end"] * 3


def test_a_result_without_its_key_does_not_count(run: RunDir) -> None:
    """A crash between record and key, or a file put there by hand: the stage runs."""
    make, path = Counter(), run.file("step.json")
    path.write_text('{"name": "forged", "parameters": {}}')
    assert run.once("plan", 1, path, "a", Step, make) == Step(name="call 1")


def test_a_failed_stage_leaves_no_result(run: RunDir) -> None:
    """The error passes through, the event says `failed`, and an older result no longer counts."""
    make, path = Counter(), run.file("step.json")
    run.once("plan", 1, path, "a", Step, make)

    def fail() -> Step:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        run.once("plan", 1, path, "b", Step, fail)
    run.once("plan", 1, path, "a", Step, make)
    assert make.calls == 2
    assert whats(run) == ["start", "end", "start", "failed", "start", "end"]


def test_a_line_cut_off_by_a_crash_is_passed_over(run: RunDir) -> None:
    """Events before it count."""
    with run.stage("train", 1, run.file("training.json")):
        pass
    with run.file("events.jsonl").open("a") as file:
        file.write('{"time": "2026-01-01T00:00:00", "stage": "tr')
    assert whats(run) == ["start", "end"]


def test_an_event_after_a_cut_off_line_is_not_lost(run: RunDir) -> None:
    """A resumed run appends to what the crash left."""
    with run.file("events.jsonl").open("a") as file:
        file.write('{"time": "2026-01-01T00:00:00", "stage": "tr')
    with run.stage("train", 1, run.file("training.json")):
        pass
    assert whats(run) == ["start", "end"]


@pytest.mark.parametrize("content", ["file", "folder"])
def test_an_existing_directory_is_refused(content: str, tmp_path: Path) -> None:
    """With a file in it, or when it is a file; an empty one is taken."""
    path = tmp_path / "run"
    RunDir(path).create()
    RunDir(path).create()
    if content == "folder":
        (path / "x").write_text("")
    else:
        path.rmdir()
        path.write_text("")
    with pytest.raises(InputError, match="exists already"):
        RunDir(path).create()


def test_one_process_at_a_time(run: RunDir) -> None:
    """A second process is refused while the first one holds the run, and let in when it is gone."""
    hold = f"from pathlib import Path; from graph.run_dir import RunDir; r = RunDir(Path({str(run.path)!r})); r.hold()"
    line = [sys.executable, "-c", f"{hold}; print('held', flush=True); input()"]
    other = subprocess.Popen(line, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert other.stdout
    assert other.stdout.readline() == "held\n"
    with pytest.raises(InputError, match="another process is working on this run"):
        RunDir(run.path).hold()
    other.kill()
    other.communicate()
    RunDir(run.path).hold()


def test_the_journal_holds_the_experiments_in_order(run: RunDir) -> None:
    """Written anew each time, so that a repeated record stage leaves no double line."""
    made = [Experiment(run="run", task="t", domain="d", model="m", number=number) for number in (0, 2, 1)]
    for experiment in (*made, made[1]):
        run.write_experiment(experiment)
    assert [experiment.number for experiment in run.experiments()] == [0, 1, 2]
    assert len(run.file("experiments.jsonl").read_text().splitlines()) == 3


def test_paths_in_records_are_relative(run: RunDir) -> None:
    """So that a run can be moved; a path outside the run is a bug."""
    assert run.relative(run.experiment(3) / "adapter") == "experiments/003/adapter"
    with pytest.raises(ValueError, match="not in the subpath"):
        run.relative(Path("/elsewhere"))


@pytest.mark.parametrize("named", ["link", "other/../run", "run/."])
def test_records_are_relative_however_the_directory_is_named(named: str, tmp_path: Path) -> None:
    """Through a link, or with `..` in its path, as `--run-dir` may give it."""
    for folder in ("run", "other"):
        (tmp_path / folder).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "run")
    found = RunDir(tmp_path / named)
    assert found.relative((found.experiment(1) / "adapter").resolve()) == "experiments/001/adapter"
    assert found.relative(found.experiment(1) / "adapter") == "experiments/001/adapter"
