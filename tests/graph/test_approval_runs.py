"""`--approve` as people use it: answers from a pipe, nobody there, a kill while somebody thinks, and going on."""

import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest
from laboratory import Finished, Laboratory, Started, all_gone, children, events

from graph.approval import Approval
from graph.budget import used_before
from graph.compare import differences
from graph.person import PROMPT
from memory.records import Plan
from tasks.record import read_record

DRY = ("--dry-run", "--approve")
THOUGHT = 3.0
"""Seconds for which a person looks at a plan."""
EDITOR = """#!/bin/sh
if grep -q '^parent: 0' "$1"
then sed -i 's/^parent: 0/parent: 5/' "$1"
else sed -i 's/^parent: 5/parent: 0/; s/^hypothesis: .*/hypothesis: a plan of mine/' "$1"
fi
"""
"""Names a parent that does not exist; the next time it mends that."""


class Edited(NamedTuple):
    """A run whose first plan was edited, in three sessions: with nobody there, killed, and to its end."""

    left_alone: tuple[int, str, str]
    """Exit code and output of the first session."""
    clock: list[float]
    """Seconds used: after the first session, before and after the second one was killed, and at the end."""
    last_seconds: float
    """The whole last session took."""
    run: Finished


@pytest.fixture(scope="module")
def accepted(laboratory: Laboratory, marked_task: Path) -> Finished:
    """A run of one experiment whose plan is accepted out of a pipe."""
    run = laboratory.start("accepted", "--task", marked_task, *DRY, "--max-experiments", "1", stdin=subprocess.PIPE)
    run.type("a\n")
    return laboratory.end(run)


@pytest.fixture(scope="module")
def edited(laboratory: Laboratory, marked_task: Path) -> Edited:
    """The plan is edited so that it cannot be carried out, then so that it can; the second plan ends the loop."""
    editor = laboratory.root / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o755)
    first = laboratory.start("edited", "--task", marked_task, *DRY, "--max-experiments", "2", stdin=subprocess.DEVNULL)
    left_alone = first.finish()
    clock = [used_before(first.path / "clock.json")]

    second = laboratory.call("edited", "--resume", first.path, stdin=subprocess.PIPE)
    _until_asked(second)
    clock.append(used_before(first.path / "clock.json"))
    time.sleep(THOUGHT)
    others = children(second.process.pid)
    second.process.kill()
    second.process.wait()
    assert all_gone(others, 5.0)
    clock.append(used_before(first.path / "clock.json"))

    environment = {"EDITOR": str(editor), "VISUAL": ""}
    third = laboratory.call("edited", "--resume", first.path, stdin=subprocess.PIPE, env=environment)
    _until_asked(third)
    time.sleep(THOUGHT)
    third.type("e\ne\ns\n")
    run = laboratory.end(third)
    clock.append(used_before(first.path / "clock.json"))
    return Edited(left_alone, clock, run.seconds, run)


def _until_asked(run: Started) -> None:
    """Read what a run says until it waits for an answer."""
    assert run.process.stdout
    said = ""
    while not said.endswith(f"{PROMPT} "):
        character = run.process.stdout.read(1)
        assert character, f"the run ended without a question:\n{said}"
        said += character


def test_an_accepted_run_is_the_run_without_the_question(accepted: Finished, dry_run: Finished) -> None:
    """The same experiments and the same test; the other run was not asked."""
    assert differences(dry_run.path, accepted.path) == []
    assert accepted.out.count(PROMPT) == 1
    assert f"{PROMPT} a\n" in accepted.out
    assert PROMPT not in dry_run.out
    assert not (dry_run.path / "experiments/001/approval.json").exists()
    assert "approve" not in {event["stage"] for event in events(dry_run.path)}
    assert "by a person: accepted" in (accepted.path / "report.html").read_text()


def test_the_plan_is_shown_with_what_it_takes(accepted: Finished) -> None:
    """Before the data, which is the first thing that is spent on it."""
    shown = accepted.out.index("hypothesis: scripted experiment 1")
    assert shown < accepted.out.index("money: no language model is asked") < accepted.out.index("data 001:")


def test_with_nobody_there_the_run_stops_cleanly(edited: Edited) -> None:
    """As with Ctrl-C: exit code 130, and the command to go on with."""
    code, out, err = edited.left_alone
    assert (code, err) == (130, "")
    lines = out.splitlines()
    assert "standard input has ended, and plan 001 waits for an answer" in lines[-2]
    assert lines[-1].endswith(f"--resume {edited.run.path}")
    assert "data 001" not in out


def test_the_time_in_which_a_person_thinks_is_not_the_runs(edited: Edited) -> None:
    """Neither when they are asked, nor when the process is killed meanwhile, nor when they answer in the end."""
    alone, asked, killed, ended = edited.clock
    assert 0 < alone < asked == killed < ended
    assert ended - killed <= edited.last_seconds - THOUGHT


def test_what_a_person_changed_is_carried_out(edited: Edited) -> None:
    """By the data engineer and everybody after; the record tells the plan of the planner, and what was refused."""
    run = edited.run
    carried = run.experiments[1].plan
    assert carried
    assert carried.hypothesis == "a plan of mine"
    assert read_record(run.path / "experiments/001/plan.json", Plan) == carried
    refused, taken = read_record(run.path / "experiments/001/approval.json", Approval).reviews
    assert (refused.edited, "parent 5 does not exist" in refused.refused) == (None, True)
    assert (taken.proposed.hypothesis, taken.edited) == ("scripted experiment 1", carried)
    asked = next(row for row in run.rows("transcript.jsonl") if row.get("role") == "data_engineer")
    assert "a plan of mine" in asked["user"]
    assert "by a person: accepted with changes of hypothesis" in (run.path / "report.html").read_text()


def test_a_stopped_loop_is_tested_and_delivered(edited: Edited) -> None:
    """With the experiment that there is; the plan that nobody wanted took nothing."""
    run = edited.run
    assert len(run.experiments) == 2
    assert "the loop ended early: a person stopped the loop" in run.out
    assert (run.path / "test.json").exists()
    assert {path.name for path in (run.path / "experiments/002").iterdir() if not path.name.startswith(".")} == {
        "plan.json", "approval.json"
    }  # fmt: skip
