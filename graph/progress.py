"""What the terminal shows: lines with the time since the start and, on a real terminal, a live view below them.

Everything the graph process has to say goes through `Terminal`. Into a file or a pipe it writes plain lines only, with
the progress of long stages now and then.
"""

import io
import os
import re
import sys
import termios
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager

from rich.console import Console, RenderableType

from graph.live_view import LiveView, Progress, print_line
from graph.run_dir import Event
from memory.records import Experiment
from roles.briefing import Remaining

EVERY = 5.0
"""Seconds between two progress lines of one stage."""
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")
"""Characters that could move the cursor or cannot be printed; language models and logs may bring them."""


class Terminal:
    """Writes to standard output."""

    def __init__(self, console: Console | None = None) -> None:
        """
        Args:
            console: where the live view goes; by default standard output, if that is a terminal.
        """
        self._started = time.monotonic()
        self._lock = threading.Lock()
        self._console = console
        self._view: LiveView | None = None

    @contextmanager
    def live(self) -> Generator[None]:
        """Show the live view until this ends, on a terminal that can redraw; else change nothing."""
        console = self._console or _console()
        if console is None or not console.is_terminal or console.is_dumb_terminal:
            yield
            return
        view = LiveView()
        try:
            with view.shown(console):
                self._console, self._view = console, view
                yield
        finally:
            self._view = None

    def say(self, text: str) -> None:
        """Print one line, stamped with minutes and seconds since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        stamp, text = f"[{minutes:02d}:{seconds:02d}]", printable(text)
        if self._view and self._console:
            print_line(self._console, stamp, text)
            return
        with self._lock:
            print(f"{stamp} {text}", flush=True)

    def page(self, *parts: RenderableType) -> None:
        """Print something longer, outside of the live view; what others have written must be `printable`."""
        with self._lock:
            Console(width=None if sys.stdout.isatty() else 140).print(*parts, sep="\n")

    def read(self, prompt: str, *, fresh: bool = False) -> str:
        """One line of standard input, without its end; one that nobody typed is printed.

        Args:
            fresh: on a terminal, pass over what was typed before the prompt.

        Raises:
            EOFError: standard input has ended.
        """
        if sys.stdin is None:
            raise EOFError
        if isinstance(sys.stdin, io.TextIOWrapper) and sys.stdin.errors != "replace":
            sys.stdin.reconfigure(errors="replace")
        if fresh and sys.stdin.isatty():
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        print(f"{prompt} ", end="", flush=True)
        try:
            line = sys.stdin.readline()
        except KeyboardInterrupt:
            print(flush=True)
            raise
        typed = sys.stdin.isatty() and line
        print("" if typed else f"{printable(line.rstrip())}\n", end="", flush=True)
        if not line:
            raise EOFError
        return line.rstrip("\r\n")

    def bar(self, title: str, unit: str) -> Callable[[int, int], None]:
        """A progress callback (done, total).

        It moves the live view; without one it prints at most every `EVERY` seconds, and at the end.
        """
        first: Progress | None = None
        said, told = time.monotonic(), -1

        def moved(done: int, total: int) -> None:
            nonlocal first, said, told
            view = self._view
            if view:
                view.moved(title, unit, done, total)
                return
            now = time.monotonic()
            first = first or Progress(title, unit, done, total, done, now)
            if done != told and (now - said >= EVERY or done >= total):
                said, told = now, done
                self.say(f"  {title}: {first._replace(done=done, total=total).in_words(now)}")

        return moved

    def loss(self, step: int, value: float) -> None:
        """Show the loss of a step of the current training."""
        view = self._view
        if view:
            view.loss(step, value)

    def follow(self, event: Event) -> None:
        """Show which stage runs."""
        view = self._view
        if view:
            view.follow(event)

    def show(self, experiments: Sequence[Experiment], incumbent: int, remaining: Remaining) -> None:
        """Show the experiments so far.

        Args:
            incumbent: number of the best one by verdict.
        """
        view = self._view
        if view:
            view.show(experiments, incumbent, remaining)


def printable(text: str) -> str:
    """The text without characters that could move the cursor."""
    return _UNWANTED.sub("\ufffd", text)


def _console() -> Console | None:
    """Standard output as a console that can redraw; None when it is none, whatever the environment claims."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") in ("dumb", "unknown", ""):
        return None
    return Console()


def complain(text: str) -> None:
    """Print an error to standard error."""
    print(f"error: {text}", file=sys.stderr, flush=True)
