"""The lower part of a real terminal while a run goes on: experiments so far, the current stage, what is left.

Plain lines scroll above it. Nothing is done to the terminal that a killed process would leave behind: no other
screen, no raw mode, and the cursor stays visible.
"""

import itertools
import math
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from eval.result import EvalResult
from graph.run_dir import Event
from memory.recall import Outcome, intention, outcome
from memory.records import Experiment
from roles.briefing import Remaining

_WORDS = {
    "survey": "looking at task, corpus and machine",
    "generalist": "the generalist decides",
    "planner": "the planner decides",
    "approve": "writing down what was said to the plan",
    "data_engineer": "the data engineer decides",
    "prepare_data": "preparing data",
    "trainer": "the trainer decides",
    "train": "training",
    "evaluate": "evaluating",
    "judge": "comparing",
    "evidence": "gathering evidence",
    "diagnostician": "the diagnostician decides",
    "record": "writing down",
    "test": "sealed test",
    "deliver": "delivering",
}
_COLOURS: dict[Outcome, str] = {"better": "green", "worse": "red", "failed": "red", "undecided": "yellow"}
_BLOCKS = "▁▂▃▄▅▆▇█"
_BESIDE = 7
"""Lines that are not rows of the table."""
_NARROW = 64
"""Columns below which only the most important parts are shown."""


class Board(NamedTuple):
    """The experiments so far."""

    experiments: Sequence[Experiment]
    incumbent: int
    remaining: Remaining
    at: float
    """When that was left, by `time.monotonic`."""


class Progress(NamedTuple):
    """How far the current stage is."""

    title: str
    unit: str
    done: int
    total: int
    first: int
    """Done at `since`."""
    since: float
    """The first report, by `time.monotonic`."""

    def in_words(self, now: float) -> str:
        """`54/108 steps, 0.6/s, 1:30 left`."""
        parts = [f"{self.done}/{self.total} {self.unit}"]
        if self.done > self.first and now > self.since:
            rate = (self.done - self.first) / (now - self.since)
            parts.append(f"{rate:.2g}/s" if rate < 10 else f"{rate:.0f}/s")
            if self.done < self.total:
                parts.append(f"{clock((self.total - self.done) / rate)} left")
        return ", ".join(parts)


class LiveView:
    """What the lower part shows; each method may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stages: list[tuple[Event, float]] = []
        self._progress: Progress | None = None
        self._losses: dict[int, float] = {}
        self._board: Board | None = None

    @contextmanager
    def shown(self, console: Console) -> Generator[None]:
        """Keep the view on a terminal, and leave that clean however this ends."""
        with Live(self, console=console, refresh_per_second=4, transient=True, vertical_overflow="crop"):
            console.show_cursor(True)
            yield

    def follow(self, event: Event) -> None:
        """A stage starts or ends."""
        with self._lock:
            if event.what == "start":
                self._stages.append((event, time.monotonic()))
                self._progress, self._losses = None, {}
            elif event.what in ("end", "failed"):
                same = [entry for entry in self._stages if entry[0].record == event.record]
                if same:
                    self._stages.remove(same[-1])
                self._progress, self._losses = None, {}

    def moved(self, title: str, unit: str, done: int, total: int) -> None:
        """The current stage has come on."""
        now = time.monotonic()
        with self._lock:
            before = self._progress
            if before is None or (before.title, before.total) != (title, total) or before.done > done:
                before = Progress(title, unit, done, total, done, now)
            self._progress = before._replace(done=done)

    def loss(self, step: int, value: float) -> None:
        """The training has the loss of a step; what is not a number cannot be drawn."""
        if math.isfinite(value):
            with self._lock:
                self._losses[step] = value

    def show(self, experiments: Sequence[Experiment], incumbent: int, remaining: Remaining) -> None:
        """There are new results."""
        with self._lock:
            self._board = Board(experiments, incumbent, remaining, time.monotonic())

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """The view as it is now, no higher and no wider than the terminal."""
        with self._lock:
            stages, progress, board = list(self._stages), self._progress, self._board
            losses = list(self._losses.values())
        width, height, now = options.max_width, console.size.height, time.monotonic()
        yield Rule(style="dim")
        if board and board.experiments and height > _BESIDE:
            yield _table(board, width, height - _BESIDE)
        yield _one_line(_stage(stages, progress, now))
        if progress:
            yield _bar(progress, width, now)
        if losses:
            yield _one_line(Text(f"loss {sparkline(losses, min(40, max(1, width - 15)))} {losses[-1]:.3f}"))
        if board:
            yield _one_line(Text(_left(board, now), style="dim"))


def print_line(console: Console, stamp: str, text: str) -> None:
    """Print a line above a view, wrapped beside its stamp."""
    table = Table.grid(padding=(0, 1))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    table.add_row(Text(stamp), Text(text))
    console.print(table)


def _stage(stages: Sequence[tuple[Event, float]], progress: Progress | None, now: float) -> Text:
    """What goes on, and since when."""
    if not stages:
        return Text(progress.title if progress else "...", "bold")
    event, since = stages[-1]
    number = "" if event.experiment is None else f", experiment {event.experiment}"
    words = progress.title if progress else f"{_WORDS.get(event.stage, event.stage)}{number}"
    return Text.assemble((words, "bold"), f"  {clock(now - since)}")


def _bar(progress: Progress, width: int, now: float) -> RenderableType:
    words = progress.in_words(now)
    if width < _NARROW:
        return _one_line(Text(words))
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(progress.total, progress.done, width=max(1, min(40, width - len(words) - 2))), Text(words))
    return grid


def _table(board: Board, width: int, rows: int) -> Table:
    """The latest experiments, one a row; the best by verdict is marked."""
    wide = width >= _NARROW
    table = Table(box=None, expand=True, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("no.", justify="right", no_wrap=True)
    table.add_column("what changed", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("selection", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    if wide:
        table.add_column("predicted, got", justify="right", no_wrap=True)
        table.add_column("min", justify="right", no_wrap=True)
    for experiment in board.experiments[-max(1, rows) :]:
        cells = _cells(experiment, best=experiment.number == board.incumbent)
        table.add_row(*(cells if wide else cells[:4]))
    return table


def _cells(experiment: Experiment, *, best: bool) -> list[Text]:
    plan, found = experiment.plan, outcome(experiment)
    start = "first draft" if plan and plan.factor == "both" else f"{plan.factor} of {plan.parent}" if plan else ""
    changed = f"{start}: {plan.hypothesis}" if plan else intention(experiment)
    effect = f"{experiment.effect:+.3f}" if experiment.effect is not None else "-"
    style = "bold" if best else ""
    return [
        Text(f"{'>' if best else ' '}{experiment.number}", style),
        Text(" ".join(changed.split()), style),
        Text(_scored(experiment), style),
        Text("" if found in ("baseline", "unscored") else found, _COLOURS.get(found, "")),
        Text(f"{plan.predicted_effect:+.3f}, {effect}" if plan else ""),
        Text(f"{experiment.seconds / 60:.1f}" if experiment.number else ""),
    ]


def _scored(experiment: Experiment) -> str:
    """The score on selection, or what there is of one."""
    if experiment.selection:
        return score(experiment.selection)
    return f"feedback {experiment.feedback.score:.3f}" if experiment.feedback else "-"


def _left(board: Board, now: float) -> str:
    """What is best so far, and what is left of the budget."""
    best = next((e for e in board.experiments if e.number == board.incumbent), None)
    parts: list[str] = []
    if best and best.selection:
        whose = f"experiment {best.number}" if best.number else "the untouched model"
        parts.append(f"best: {whose}, {score(best.selection)}")
    experiments, minutes = board.remaining.experiments, board.remaining.minutes
    left = [f"{experiments} experiment{'' if experiments == 1 else 's'}"]
    if minutes is not None:
        left.append(f"{max(0, round(minutes - (now - board.at) / 60))} min")
    parts.append(f"left: {', '.join(left)}")
    return "; ".join(parts)


def _one_line(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def score(result: EvalResult) -> str:
    """A score with half of its 95 % interval."""
    return f"{result.score:.3f} ± {1.96 * result.standard_error:.3f}"


def sparkline(values: Sequence[float], width: int) -> str:
    """The values as blocks, `width` at most; each stands for the mean of its share of them."""
    width = min(width, len(values))
    bounds = [len(values) * k // width for k in range(width + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(bounds)]
    low, high = min(means), max(means)
    scale = (len(_BLOCKS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BLOCKS[round((mean - low) * scale)] if scale else _BLOCKS[0] for mean in means)


def clock(seconds: float) -> str:
    """`1:05`, or `2:03:09`."""
    minutes, rest = divmod(max(0, int(seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
