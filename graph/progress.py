"""What the terminal shows: plain lines with the time since the start, and progress of long stages now and then."""

import sys
import threading
import time
from collections.abc import Callable

EVERY = 5.0
"""Seconds between two progress lines of one stage."""


class Terminal:
    """Writes lines to standard output."""

    def __init__(self) -> None:
        self._started = time.monotonic()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Print one line, stamped with minutes and seconds since the start."""
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        with self._lock:
            print(f"[{minutes:02d}:{seconds:02d}] {text}", flush=True)

    def bar(self, title: str, unit: str) -> Callable[[int, int], None]:
        """A progress callback (done, total) that prints at most every `EVERY` seconds, and at the end."""
        started = time.monotonic()
        last = [started, -1.0]

        def moved(done: int, total: int) -> None:
            now = time.monotonic()
            if done == last[1] or (now - last[0] < EVERY and done < total):
                return
            last[:] = [now, done]
            rate = done / max(now - started, 1e-9)
            left = f", {(total - done) / rate:.0f} s left" if 0 < done < total else ""
            self.say(f"  {title}: {done}/{total} {unit}{left}")

        return moved


def complain(text: str) -> None:
    """Print an error to standard error."""
    print(f"error: {text}", file=sys.stderr, flush=True)
