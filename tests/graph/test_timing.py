"""Where the wall clock went: nothing counted twice, nothing lost."""

from pathlib import Path

import pytest
from made_up import event

from graph.run_dir import Event, RunDir
from graph.timing import duration, measure, table


def stage_seconds(events: list[Event]) -> dict[str, float]:
    """Seconds by stage."""
    return measure(events, 0.0).stages


def parts(events: list[Event], used: float) -> dict[str, float]:
    """Seconds by part, to a hundredth."""
    return {part.name: round(part.seconds, 2) for part in measure(events, used).parts}


def test_the_parts_add_up_to_the_wall_clock() -> None:
    """What no stage accounts for, and the roles' decisions, are overhead."""
    events = [
        event("start", 0, 10, what="waited"),
        event("survey", 10, 12),
        event("planner", 12, 15, 1),
        event("prepare_data", 15, 20, 1),
        event("train", 20, 80, 1),
        event("evaluate", 80, 95, 1),
        event("judge", 95, 96, 1),
        event("test", 96, 99),
    ]
    timing = measure(events, 104.0)
    assert parts(events, 104.0) == {
        "data": 5.0, "training": 60.0, "evaluation": 19.0, "start-up": 10.0, "overhead": 10.0
    }  # fmt: skip
    assert timing.wall == 104.0
    assert sum(part.share for part in timing.parts) == pytest.approx(1.0)
    assert "3.0 s of it the roles' decisions" in timing.parts[-1].what
    assert list(timing.stages)[:2] == ["train", "evaluate"]


def test_the_activities_add_up_to_the_wall_clock_too() -> None:
    """What an experiment cost is not all: the untouched model and the sealed test are answered as well."""
    events = [
        event("evaluate", 0, 20, 0),
        event("train", 20, 50, 2),
        event("start", 30, 34, what="waited"),
        event("train", 50, 60, 10),
        event("test", 60, 75),
        event("deliver", 75, 76),
    ]
    activities = measure(events, 80.0).activities
    assert activities == pytest.approx(
        {"untouched model": 20, "experiment 2": 26, "experiment 10": 10, "sealed test": 15, "everything else": 9}
    )
    assert list(activities) == ["untouched model", "experiment 2", "experiment 10", "sealed test", "everything else"]


def test_a_stage_inside_another_is_counted_once() -> None:
    """A call waits for the engine in the middle of an evaluation; deeper nesting too."""
    events = [
        event("start", 20, 25, what="waited"),
        event("evaluate", 10, 40, 1),
        event("start", 62, 64, what="waited"),
        event("evidence", 60, 70, 1),
        event("deliver", 50, 80),
    ]
    assert stage_seconds(events) == pytest.approx({"evaluate": 25, "deliver": 20, "evidence": 8, "start": 7})


def test_experiments_side_by_side_share_the_wall_clock() -> None:
    """Two trainings at once take the time of one."""
    events = [event("train", 0, 60, 1), event("train", 10, 70, 2)]
    assert stage_seconds(events) == pytest.approx({"train": 70})
    events = [event("train", 0, 60, 1), event("evaluate", 50, 80, 2)]
    assert stage_seconds(events) == pytest.approx({"train": 50, "evaluate": 30})


def test_failed_attempts_count_and_what_a_kill_cut_off_does_not() -> None:
    """A stage without an end has no length; a result that was read back took no time."""
    events = [
        event("train", 0, 7, 1, what="failed"),
        event("train", 7, 7, 1, what="start"),
        event("train", 9, 9, 1, what="reused"),
    ]
    assert stage_seconds(events) == pytest.approx({"train": 7})


def test_a_ledger_that_a_kill_left_behind_cannot_make_overhead_negative() -> None:
    """Then the stages themselves say how long it was."""
    timing = measure([event("train", 0, 50, 1)], 20.0)
    assert timing.wall == pytest.approx(50)
    assert timing.parts[-1].seconds == 0.0


def test_a_run_that_did_nothing_has_no_shares() -> None:
    """And divides by nothing."""
    assert {part.share for part in measure([], 0.0).parts} == {0.0}


def test_the_lines_of_the_terminal_name_every_part() -> None:
    """With time and share."""
    lines = table(measure([event("train", 0, 75, 1)], 100.0))
    assert lines[0] == "time: 1 min 40 s"
    assert [line.split()[0] for line in lines[1:]] == ["data", "training", "evaluation", "start-up", "overhead"]
    assert "1 min 15 s   75%" in lines[2]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.0 s"), (7.46, "7.5 s"), (9.96, "10 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (499, "8 min 19 s"),
     (3599.7, "1 h 00 min"), (7500, "2 h 05 min")],
)  # fmt: skip
def test_durations(seconds: float, words: str) -> None:
    """Rounded where it reads well, and never sixty of anything."""
    assert duration(seconds) == words


def test_waiting_is_written_down(run: RunDir) -> None:
    """One line of the stage `start`, in the middle of another stage, which does not count it."""
    with run.stage("survey", None, run.file("survey.json")):
        run.waited(0.0)
    waited = [event for event in run.events() if event.what == "waited"]
    assert [(event.stage, event.experiment, event.record) for event in waited] == [("start", None, "")]


def test_a_listener_hears_every_event(run: RunDir) -> None:
    """In the order of the file."""
    heard: list[Event] = []
    run.listener = heard.append
    run.waited(1.5)
    with run.stage("train", 1, run.file("training.json")):
        pass
    assert heard == run.events()
    assert [event.what for event in heard] == ["waited", "start", "end"]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """An empty run directory."""
    made = RunDir(tmp_path / "run")
    made.create()
    return made
