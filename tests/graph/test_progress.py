"""What the terminal shows: plain lines into a file, a live view on a terminal, and a terminal that stays whole."""

import io
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest
from laboratory import ROOT
from made_up import event, whole_run
from rich.console import Console

from graph import progress
from graph.live_view import LiveView, Progress, clock, sparkline
from graph.progress import Terminal
from graph.run_dir import Event
from roles.briefing import Remaining

HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def remaining(minutes: int | None = 12, experiments: int = 2) -> Remaining:
    """What is left of a budget."""
    return Remaining(experiments=experiments, minutes=minutes, tokens_per_second=400, training_tokens=None)


def console(width: int = 80, height: int = 30, **settings: Any) -> Console:
    """A terminal that writes to memory."""
    return Console(file=io.StringIO(), force_terminal=True, width=width, height=height, **settings)


def written(to: Console) -> str:
    """What a console has written."""
    assert isinstance(to.file, io.StringIO)
    return to.file.getvalue()


def start(stage: str, number: int | None = None) -> Event:
    """A stage starts."""
    return event(stage, 0, 0, number, what="start")


def drawn(view: LiveView, width: int = 80, height: int = 30) -> list[str]:
    """The view as lines of a terminal of this size."""
    to = console(width, height, color_system=None)
    to.print(view)
    return written(to).splitlines()


@pytest.fixture(autouse=True)
def a_capable_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests run in."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)


@pytest.fixture
def busy() -> LiveView:
    """A view in the middle of the fourth experiment."""
    view = LiveView()
    view.show(whole_run()[:4], 1, remaining())
    view.follow(start("train", 4))
    view.moved("train 004", "steps", 0, 108)
    view.moved("train 004", "steps", 54, 108)
    for step in range(1, 55):
        view.loss(step, 3.0 - step / 20)
    return view


# Into a file or a pipe


def test_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    """A stamp and the text, also within `live`, which is no matter here."""
    terminal = Terminal()
    terminal.say("one")
    with terminal.live():
        terminal.say("two [bold]three[/bold]")
        terminal.show(whole_run(), 6, remaining())
        terminal.follow(start("train", 1))
        terminal.loss(1, 2.0)
    assert capsys.readouterr().out == "[00:00] one\n[00:00] two [bold]three[/bold]\n"


def test_progress_is_said_now_and_then(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """At most every five seconds, with the time left, and at the end once."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    bar = Terminal().bar("train 001", "steps")
    for done in (1, 2, 3, 4, 4):
        now[0] += 2.0
        bar(done, 4)
    assert capsys.readouterr().out == (
        "[00:06]   train 001: 3/4 steps, 0.5/s, 0:02 left\n[00:08]   train 001: 4/4 steps, 0.5/s\n"
    )


@pytest.mark.parametrize("term", ["dumb", "unknown", ""])
def test_a_terminal_that_cannot_redraw_gets_plain_lines(
    term: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does a variable that asks for colours make a pipe a terminal."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", term)
    terminal = Terminal()
    with terminal.live():
        terminal.say("one")
    assert capsys.readouterr().out == "[00:00] one\n"
    monkeypatch.undo()
    monkeypatch.setenv("FORCE_COLOR", "1")
    with Terminal().live():
        terminal.say("two")
    assert capsys.readouterr().out == "[00:00] two\n"


@pytest.mark.parametrize("live", [False, True])
def test_text_cannot_steer_the_terminal(live: bool, capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, bells, returns and half characters of a model's answer are replaced; line breaks and tabs stay."""
    to = console(color_system=None)
    terminal = Terminal(to)
    if live:
        with terminal.live():
            terminal.say("a\x1b[2Jb\x07c\rd\x9b1me\ud800f\ng")
    else:
        terminal.say("a\x1b[2Jb\x07c\rd\x9b1me\ud800f\ng")
    said = written(to) if live else capsys.readouterr().out
    assert "\x1b[2J" not in said
    assert "a\ufffd[2Jb\ufffdc\ufffdd\ufffd1me\ufffdf" in said
    assert not {"\x07", "\x9b"} & set(said)


# On a terminal


def test_lines_scroll_above_the_view() -> None:
    """Each is printed once, whole and unchanged, marks of markup too."""
    to = console(color_system=None)
    terminal = Terminal(to)
    with terminal.live():
        terminal.show(whole_run(), 6, remaining())
        terminal.say("plan 001 [red]not markup[/red]")
        terminal.say("verdict 001")
    said = written(to)
    assert said.count("plan 001 [red]not markup[/red]") == 1
    assert said.index("plan 001") < said.index("verdict 001")
    assert re.search(r"\[00:00\] plan 001", said)


def test_after_the_view_lines_are_plain_again(capsys: pytest.CaptureFixture[str]) -> None:
    """So that the last lines, with their paths, can be copied."""
    terminal = Terminal(console())
    with terminal.live():
        terminal.say("one")
    terminal.say("two")
    assert capsys.readouterr().out == "[00:00] two\n"


def test_the_view_says_what_goes_on(busy: LiveView) -> None:
    """The stage with its bar, rate and time left, the losses, the best, the budget."""
    said = "\n".join(drawn(busy, 120))
    assert re.search(r"^train 004  0:0\d$", said, re.MULTILINE)
    assert re.search(r"54/108 steps, \S+/s, 0:00 left", said)
    assert re.search(r"loss █\S+▁ 0\.300", said)
    assert "best: experiment 1, 0.310 ± 0.063; left: 2 experiments, 12 min" in said


def test_the_table_has_a_line_an_experiment(busy: LiveView) -> None:
    """Number, change, score, verdict, prediction beside effect, minutes; the best is marked."""
    lines = [" ".join(line.split()) for line in drawn(busy, 120)]
    assert "0 the untouched model 0.100 ± 0.041" in lines
    assert ">1 first draft: The sources teach what the benchmark asks. 0.310 ± 0.063 better +0.030, +0.210 3.0" in lines
    assert "3 training of 1: A larger learning rate fits faster. - failed +0.030, - 0.5" in lines


def test_the_table_shows_experiments_of_a_generalist() -> None:
    """Without plans: what their author said of them, and scores on feedback where nothing else is known."""
    view = LiveView()
    untouched, first, second = whole_run()[:3]
    alone = first.model_copy(update={"plan": None, "selection": None, "verdict": None, "effect": None})
    view.show([untouched, alone, second.model_copy(update={"plan": None})], 0, remaining())
    lines = [" ".join(line.split()) for line in drawn(view, 120)]
    assert "1 every source that can be read feedback 0.280 3.0" in lines
    assert "2 every source that can be read 0.357 ± 0.065 undecided 3.0" in lines
    view.follow(start("generalist", 3))
    assert "the generalist decides, experiment 3" in "\n".join(drawn(view))


def test_a_stage_without_progress_is_named(busy: LiveView) -> None:
    """When a stage ends its bar and losses go; the next one is told in words, an unknown one by its name."""
    busy.follow(event("train", 0, 9, 4))
    busy.follow(start("diagnostician", 4))
    said = "\n".join(drawn(busy))
    assert "the diagnostician decides, experiment 4" in said
    assert "steps" not in said
    assert "loss" not in said
    busy.follow(start("synthesis"))
    assert "synthesis" in "\n".join(drawn(busy))


def test_waiting_and_reading_back_start_no_stage(busy: LiveView) -> None:
    """They have no end either."""
    before = [line for line in drawn(busy) if "train 004" in line]
    busy.follow(event("start", 0, 9, what="waited"))
    busy.follow(event("evaluate", 0, 0, 4, what="reused"))
    assert [line[:9] for line in drawn(busy) if "train 004" in line] == [line[:9] for line in before]


@pytest.mark.parametrize("width", [1, 8, 20, 40, 63, 64, 80, 200])
@pytest.mark.parametrize("height", [1, 5, 8, 12, 50])
def test_the_view_fits_any_terminal(width: int, height: int, busy: LiveView) -> None:
    """Never wider, and never so high that it scrolls by itself (below six lines it is cropped)."""
    busy.show(whole_run(), 6, remaining())
    lines = drawn(busy, width, height)
    assert max(len(line) for line in lines) <= width
    assert len(lines) <= max(height, 5)


def test_a_low_terminal_shows_the_latest_experiments(busy: LiveView) -> None:
    """They matter most."""
    busy.show(whole_run(), 6, remaining())
    said = "\n".join(drawn(busy, 100, 10))
    assert "More epochs on the wider rows." in said
    assert "the untouched model" not in said


def test_odd_numbers_break_nothing() -> None:
    """Losses that are no numbers, bars without a total, minutes that are over."""
    view = LiveView()
    view.moved("evaluate", "items", 0, 0)
    for step, loss in enumerate((float("nan"), float("inf"), 2.0)):
        view.loss(step, loss)
    view.show(whole_run()[:1], 0, remaining(minutes=-3, experiments=1))
    said = "\n".join(drawn(view))
    assert "loss ▁ 2.000" in said
    assert "best: the untouched model, 0.100 ± 0.041; left: 1 experiment, 0 min" in said
    view.show(whole_run()[:1], 0, remaining(minutes=None))
    assert "min" not in drawn(view)[-1]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_error_passes_through_and_the_view_is_gone(
    error: type[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    """The cursor is visible at once and at the end, so that not even a kill can hide it."""
    to = console()
    terminal, during = Terminal(to), list[str]()

    def work() -> None:
        with terminal.live():
            during.append(written(to))
            raise error

    with pytest.raises(error):
        work()
    assert during[0].rfind(SHOW) > during[0].rfind(HIDE) > -1
    assert written(to).rfind(SHOW) > written(to).rfind(HIDE)
    terminal.say("plain")
    assert capsys.readouterr().out == "[00:00] plain\n"


@pytest.mark.parametrize(
    ("values", "width", "blocks"),
    [([1, 2, 3], 9, "▁▅█"), ([3, 1], 2, "█▁"), ([2, 2, 2], 3, "▁▁▁"), ([5], 4, "▁"), (range(100), 4, "▁▃▆█")],
)
def test_sparklines(values: Any, width: int, blocks: str) -> None:
    """From the lowest to the highest block; long series are averaged."""
    assert sparkline(list(values), width) == blocks


def test_rate_and_time_left_count_from_the_first_report() -> None:
    """What a cache answered before it, and the start of a process, are no speed."""
    came = Progress("evaluate", "items", done=60, total=100, first=40, since=10.0)
    assert came.in_words(20.0) == "60/100 items, 2/s, 0:20 left"
    assert came._replace(done=40).in_words(20.0) == "40/100 items"


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (65.9, "1:05"), (7389, "2:03:09"), (-2, "0:00")])
def test_clock(seconds: float, text: str) -> None:
    """Minutes and seconds, with hours where there are some."""
    assert clock(seconds) == text


# A real terminal

SCRIPT = f"""
import sys, time
sys.path[:0] = [{str(ROOT)!r}, {str(Path(__file__).parent)!r}]
from made_up import whole_run
from graph.progress import Terminal
from roles.briefing import Remaining
terminal = Terminal()
try:
    with terminal.live():
        left = Remaining(experiments=1, minutes=5, tokens_per_second=1, training_tokens=None)
        terminal.show(whole_run(), 6, left)
        terminal.say("under way")
        for step in range(200):
            terminal.bar("train 001", "steps")(step, 200)
            time.sleep(0.05)
except KeyboardInterrupt:
    terminal.say("stopped")
"""


@pytest.mark.parametrize(("number", "last"), [(signal.SIGINT, "stopped"), (signal.SIGKILL, "")])
def test_ctrl_c_and_kill_leave_a_real_terminal_as_it_was(number: signal.Signals, last: str) -> None:
    """Its modes are those of before, the cursor is visible, and nothing has changed to another screen."""
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    said = _read(ours, until="train 001")
    process.send_signal(number)
    process.wait(timeout=20)
    said += _read(ours, until=last)
    assert "under way" in said
    assert last in said
    assert termios.tcgetattr(theirs) == before
    assert said.rfind(SHOW) > said.rfind(HIDE)
    assert "\x1b[?1049h" not in said
    os.close(ours)
    os.close(theirs)


def _read(descriptor: int, until: str) -> str:
    """What comes until a text has come, or nothing more for a second."""
    said, deadline = "", time.monotonic() + 30
    while (not until or until not in said) and time.monotonic() < deadline:
        if not select.select([descriptor], [], [], 1.0)[0]:
            if until:
                continue
            break
        said += os.read(descriptor, 65536).decode(errors="replace")
    return said
