"""The service layer with real processes: calls, errors, deaths, and nothing left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from processes import alive, gone
from toy_service import TOGETHER

from eval.service import RESTARTS, Service, call
from tasks.child import CHECKOUT, child_environment
from tasks.failure import FailureKind, InputError, StageError

ENVIRONMENT = child_environment({"PYTHONPATH": os.pathsep.join([str(CHECKOUT), str(Path(__file__).parent)])})
Start = Callable[..., Service]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Makes services over the toy; all are closed at the end."""
    made: list[Service] = []

    def make(how: str = "well", **options: float) -> Service:
        log = tmp_path / "logs" / f"toy-{len(made)}.log"
        service = Service("toy", "toy_service", ["--start", how], log=log, environment=ENVIRONMENT, **options)
        made.append(service)
        return service

    yield make
    for service in made:
        service.close()


@pytest.fixture
def toy(start: Start) -> Service:
    return start()


def kill(service: Service) -> int:
    """SIGKILL the process of a service; returns its id."""
    pid = service.pid
    assert pid
    os.kill(pid, signal.SIGKILL)
    return pid


def test_values_and_progress_travel(toy: Service) -> None:
    value = {"text": "naïve 数 \u2028 \n", "numbers": [1, 2.5, None, True], "nested": {"empty": []}}
    assert toy.call("echo", value=value) == value
    large = "x" * 3_000_000
    assert toy.call("echo", value=large) == large
    seen: list[tuple[int, int]] = []
    assert toy.call("count", lambda done, total: seen.append((done, total)), to=3) == "counted"
    assert seen == [(1, 3), (2, 3), (3, 3)]
    assert toy.call("count", to=3) == "counted"  # nobody has to listen


def test_the_wait_for_a_start_is_told(toy: Service) -> None:
    """Once for a process that has to start, not at all for one that answers."""
    told: list[float] = []
    toy.waited = told.append
    began = time.monotonic()
    toy.call("echo", value=1)
    assert len(told) == 1
    assert 0 < told[0] <= time.monotonic() - began
    toy.call("echo", value=2)
    assert len(told) == 1
    kill(toy)
    toy.call("echo", value=3)
    assert len(told) == 2


def test_one_process_answers_all_calls(toy: Service) -> None:
    toy.start()
    pid = toy.pid
    toy.start()
    assert {toy.call("pid") for _ in range(3)} == {pid}


def test_a_process_that_does_not_own_it_can_call_it(toy: Service) -> None:
    toy.call("pid")
    assert call(toy.socket, "echo", value=[1]) == [1]
    toy.close()
    with pytest.raises(FileNotFoundError):
        call(toy.socket, "echo", value=[1])


def test_typed_errors_travel_and_the_process_lives_on(toy: Service) -> None:
    pid = toy.call("pid")
    with pytest.raises(InputError, match=r"^row 7: no field 'answer'$"):
        toy.call("wrong_input")
    with pytest.raises(StageError) as caught:
        toy.call("failed_stage")
    assert caught.value.failure.model_dump() == {
        "stage": "train",
        "kind": FailureKind.OOM,
        "message": "no memory for 3 rows",
    }
    assert toy.call("pid") == pid


@pytest.mark.parametrize(
    ("method", "parameters", "traceback"),
    [
        ("bug", {}, "ZeroDivisionError: a bug of ours"),
        ("echo", {"valeu": 1}, "unexpected keyword argument 'valeu'"),
        ("no_such", {}, "KeyError: 'no_such'"),
    ],
)
def test_a_bug_ends_the_process_and_shows_its_traceback(
    toy: Service, method: str, parameters: dict[str, object], traceback: str
) -> None:
    pid = toy.call("pid")
    with pytest.raises(StageError) as caught:
        toy.call(method, **parameters)
    failure = caught.value.failure
    assert (failure.stage, failure.kind) == ("toy", FailureKind.ENVIRONMENT)
    assert "Traceback (most recent call last)" in failure.message
    assert failure.message.endswith(traceback)
    assert not alive(pid)
    assert toy.log.read_text().count(traceback) == RESTARTS + 1  # started again so often, and not for ever
    assert toy.call("pid") != pid


def test_a_call_whose_process_is_killed_is_repeated(toy: Service, tmp_path: Path) -> None:
    marker, killed = tmp_path / "marker", list[int]()

    def strike(done: int, total: int) -> None:
        if killed:
            marker.touch()
        else:
            killed.append(kill(toy))

    pid = toy.call("wait", strike, marker=str(marker))
    assert not alive(killed[0])
    assert pid == toy.pid != killed[0]


def test_calls_give_up_on_a_process_that_is_killed_again_and_again(toy: Service, tmp_path: Path) -> None:
    killed: list[int] = []
    with pytest.raises(StageError, match="died again and again"):
        toy.call("wait", lambda done, total: killed.append(kill(toy)), marker=str(tmp_path / "never"))
    assert len(set(killed)) == RESTARTS + 1


def test_a_killed_process_is_started_again(toy: Service) -> None:
    toy.call("pid")
    killed = kill(toy)
    assert toy.call("pid") == toy.pid != killed


def test_a_stopped_process_is_gone_until_the_next_call(toy: Service) -> None:
    began, child = toy.call("spawn")
    toy.stop()
    assert gone(began, child)
    assert toy.call("pid") != began


def test_a_process_that_says_nothing_is_given_up(toy: Service, tmp_path: Path) -> None:
    """A caller that does not own it cannot know whether it will ever answer; its word of progress is one."""
    marker = tmp_path / "marker"
    toy.start()
    pid = toy.call("pid")
    seen: list[int] = []
    with pytest.raises(TimeoutError, match="no word for 0"):
        call(toy.socket, "wait", lambda done, total: seen.append(done), silence=0.4, marker=str(marker))
    assert seen == [0]
    marker.touch()
    assert call(toy.socket, "wait", silence=10.0, marker=str(marker)) == pid


def test_a_process_that_is_killed_whenever_it_starts_is_given_up(start: Start) -> None:
    """As the kernel does where memory is short; not after five minutes only."""
    with pytest.raises(StageError, match="is memory short"):
        start("dying").call("pid")


def test_a_process_that_refuses_to_start_says_why(start: Start) -> None:
    refusing = start("refusing")
    for _ in range(2):
        with pytest.raises(InputError, match=r"^--model here:\nno 'weights' in it$"):
            refusing.call("pid")


def test_calls_run_side_by_side(toy: Service) -> None:
    with ThreadPoolExecutor(TOGETHER) as pool:
        calls = [pool.submit(toy.call, "meet") for _ in range(TOGETHER)]
        assert {each.result() for each in calls} == {toy.pid}


def test_calls_in_flight_survive_a_kill_together(toy: Service, tmp_path: Path) -> None:
    marker, waiting = tmp_path / "marker", list[int]()
    toy.start()
    first = toy.pid

    def strike(done: int, total: int) -> None:
        waiting.append(1)
        if len(waiting) == TOGETHER:
            kill(toy)
        elif len(waiting) == 2 * TOGETHER:
            marker.touch()

    with ThreadPoolExecutor(TOGETHER) as pool:
        calls = [pool.submit(toy.call, "wait", strike, marker=str(marker)) for _ in range(TOGETHER)]
        answered = {each.result() for each in calls}
    assert answered == {toy.pid}  # one new process, not one a caller
    assert first not in answered


def test_nothing_is_left_after_close(toy: Service) -> None:
    pids = toy.call("spawn")
    folder = toy.socket.parent
    assert toy.socket.exists()
    toy.close()
    assert gone(*pids)
    assert not folder.exists()
    assert toy.pid is None
    toy.close()  # twice does no harm


def test_nothing_is_left_when_the_service_dies_and_starts_again(toy: Service) -> None:
    _, started = toy.call("spawn")
    kill(toy)
    assert alive(started)
    toy.call("pid")
    assert gone(started)


def test_the_group_ends_when_the_parent_is_killed(tmp_path: Path) -> None:
    code = (
        "import json, os, time\n"
        "from pathlib import Path\n"
        "from eval.service import Service\n"
        "log = Path(os.environ['TMPDIR']) / 'log'\n"
        "toy = Service('toy', 'toy_service', [], log=log, environment=os.environ)\n"
        "print(json.dumps(toy.call('spawn')), flush=True)\n"
        "time.sleep(600)\n"
    )
    environment = {**ENVIRONMENT, "TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout
        pids = json.loads(parent.stdout.readline())
        assert len(pids) == 2
        assert all(alive(pid) for pid in pids)
        parent.kill()
    assert gone(*pids)


def test_a_failed_start_shows_the_end_of_the_log(start: Start) -> None:
    toy = start("badly")
    for _ in range(2):  # trying again does not hide the cause
        with pytest.raises(StageError) as caught:
            toy.call("pid")
        failure = caught.value.failure
        assert (failure.stage, failure.kind) == ("toy", FailureKind.ENVIRONMENT)
        assert failure.message == "the toy ended with exit code 1:\n" + "\n".join(
            ["the weights are not there"] * len(toy.log.read_text().splitlines())
        )


def test_a_start_that_takes_too_long_is_given_up(start: Start) -> None:
    toy = start("never", start_timeout=1.5)
    with pytest.raises(StageError, match=r"did not start within 2 s:\nstill loading") as caught:
        toy.call("pid")
    assert caught.value.failure.kind is FailureKind.ENVIRONMENT


def test_the_log_is_kept_over_restarts(toy: Service) -> None:
    with pytest.raises(StageError):
        toy.call("bug")
    before = toy.log.read_text()
    with pytest.raises(StageError):
        toy.call("no_such")
    assert toy.log.read_text().startswith(before)


def test_a_name_in_the_working_directory_cannot_shadow_ours(start: Start) -> None:
    toy = start()
    (toy.socket.parent / "eval.py").write_text("raise SystemExit('shadowed')")
    (toy.socket.parent / "json.py").write_text("raise SystemExit('shadowed')")
    assert toy.call("echo", value=1) == 1
