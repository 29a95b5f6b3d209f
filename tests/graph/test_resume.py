"""`kill -9` at six points: nothing is done twice, and the records are those of an undisturbed run."""

from pathlib import Path

import pytest
from laboratory import Finished, Laboratory, Started, events, kill, kill_with_children

from graph.compare import differences

IDEMPOTENT = {"record", "deliver"}
"""Stages that only write down what is known; they may be repeated."""


@pytest.fixture(scope="module")
def services_killed(laboratory: Laboratory, marked_task: Path) -> Finished:
    """A run whose evaluator, training process and engine are killed, each in the middle of its work."""
    run = laboratory.start("services-killed", "--task", marked_task, "--dry-run", "--max-experiments", "1")
    run.wait_for_event("evaluate", "start", "experiments/000/000.feedback.json")
    _kill_and_await_successor(run, "eval.evaluator")
    run.wait_for((run.path / "experiments/001/losses.jsonl").exists, "the first loss")
    kill(run.child("roles.recipes.sft"))
    run.wait_for_event("evaluate", "start", "experiments/001/001.feedback.json")
    _kill_and_await_successor(run, "eval.engine_server")
    return laboratory.end(run)


@pytest.fixture(scope="module")
def graph_killed(laboratory: Laboratory, marked_task: Path) -> Finished:
    """A run whose graph process is killed while it trains, between two nodes and during the test; resumed each time."""
    temporary = laboratory.root / "tmp"
    temporary.mkdir()
    own = {"TMPDIR": str(temporary)}
    run = laboratory.start("graph-killed", "--task", marked_task, "--dry-run", "--max-experiments", "1", env=own)
    run.wait_for((run.path / "experiments/001/losses.jsonl").exists, "the first loss")
    kill_with_children(run)
    assert list(temporary.glob("ft-dojo-*")), "a killed process cannot tidy up"
    run = laboratory.call("graph-killed", "--resume", run.path, env=own)
    run.wait_for_event("train", "end", "experiments/001/training.json")
    kill_with_children(run)
    run = laboratory.call("graph-killed", "--resume", run.path, env=own)
    run.wait_for_event("test", "start", "test.json")
    kill_with_children(run)
    return laboratory.end(laboratory.call("graph-killed", "--resume", run.path, env=own))


def _kill_and_await_successor(run: Started, module: str) -> None:
    old = run.child(module)
    kill(old)
    run.wait_for(lambda: run.child(module).pid != old.pid, f"a new process of {module}")


@pytest.mark.parametrize("name", ["services_killed", "graph_killed"])
def test_records_equal_those_of_an_undisturbed_run(
    name: str, dry_run: Finished, request: pytest.FixtureRequest
) -> None:
    """Experiments and sealed test are the same, but for what a clock measures."""
    assert differences(dry_run.path, request.getfixturevalue(name).path) == []


@pytest.mark.parametrize("name", ["services_killed", "graph_killed"])
def test_no_finished_stage_runs_again(name: str, request: pytest.FixtureRequest) -> None:
    """After the `end` of a stage there is no second `start` with the same result file."""
    ended: set[tuple[str, str]] = set()
    for event in events(request.getfixturevalue(name).path):
        key = (event["stage"], event["record"])
        assert event["what"] != "start" or key not in ended or event["stage"] in IDEMPOTENT, event
        if event["what"] == "end":
            ended.add(key)
    assert {stage for stage, _ in ended} >= {"survey", "evaluate", "planner", "data_engineer", "prepare_data",
                                            "trainer", "train", "judge", "diagnostician", "test"}  # fmt: skip


def test_the_undisturbed_run_ends_what_it_starts(dry_run: Finished) -> None:
    """Each stage starts once, ends once, fails never, and reads nothing back."""
    found = [(e["stage"], e["record"], e["what"]) for e in events(dry_run.path) if e["what"] != "waited"]
    assert len(set(found)) == len(found)
    assert {what for _, _, what in found} == {"start", "end"}
    starts = {(stage, record) for stage, record, what in found if what == "start"}
    ends = {(stage, record) for stage, record, what in found if what == "end"}
    assert starts == ends


def test_kills_hit_running_work(services_killed: Finished, graph_killed: Finished) -> None:
    """The kills fell into the middle of stages: some were begun twice, none of them had ended before."""
    assert "the training process was killed (signal 9)" in services_killed.out
    begun = [(event["stage"], event["record"]) for event in events(graph_killed.path) if event["what"] == "start"]
    assert begun.count(("train", "experiments/001/training.json")) == 2
    assert begun.count(("test", "test.json")) == 2


def test_a_killed_and_resumed_run_opens_the_test_once(graph_killed: Finished, services_killed: Finished) -> None:
    """The ledger counts runs, not attempts."""
    openings = (Path(graph_killed.json("config.json")["cache_dir"]) / "openings.jsonl").read_text()
    assert openings.count('"run":"graph-killed"') == 1
    assert openings.count('"run":"services-killed"') == 1


def test_the_folders_of_killed_processes_are_removed(laboratory: Laboratory, graph_killed: Finished) -> None:
    """By the next one that starts, with the sockets in them."""
    assert graph_killed.code == 0
    assert list((laboratory.root / "tmp").glob("ft-dojo-*")) == []


def test_a_finished_run_can_be_resumed(laboratory: Laboratory, dry_run: Finished) -> None:
    """There is nothing left to do: the same records, no stage begun, the result said again; a start is waited for."""
    before = events(dry_run.path)
    code, out, err = laboratory.call("undisturbed", "--resume", dry_run.path).finish()
    assert (code, err) == (0, "")
    assert "sealed test: 0.000" in out
    assert [event["what"] for event in events(dry_run.path)[len(before) :]] == ["waited"]


def test_two_processes_cannot_work_on_one_run(laboratory: Laboratory, marked_task: Path) -> None:
    """The second one is told so and changes nothing; the first one can go on."""
    first = laboratory.start("held", "--task", marked_task, "--dry-run", "--max-experiments", "1")
    first.wait_for_event("evaluate", "end", "experiments/000/000.feedback.json")
    code, _, err = laboratory.call("held", "--resume", first.path).finish()
    assert code == 2
    assert "another process is working on this run" in err
    assert first.process.poll() is None
    kill_with_children(first)
