"""Chart programs of TableBench: finding the code in an answer, running it, comparing what it drew with the reference.

The code runs in the sandbox (`tasks/chart_runner.py`), the comparison here, so that the reference never enters. What
comes back is untrusted: text that is read as JSON of a declared form, and at most some kilobytes of it.
"""

import importlib.util
import json
import re
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, ValidationError

from tasks.failure import InputError
from tasks.record import Record
from tasks.sandbox import Mounts, run
from tasks.supervise import Finished, Limits
from tasks.task import Protocol

MAX_CHARACTERS = 20_000
"""Under `honest` a longer answer is read at its end."""
START_SECONDS = 20
"""Seconds that Python and its libraries may take to start, beside the seconds of the code."""

_FENCE, _CODE_WORDS = "```", ("import", "plt", "numpy", "pandas", "pd", "df")
_RUNNER = Path(__file__).with_name("chart_runner.py")
_ADDRESS = re.compile("0x[0-9a-f]+")
_FONTS = ("/usr/share/fonts", "/usr/local/share/fonts")

Kind = Literal["bar", "line", "point", "area", "pie"]


class Series(Record):
    """What one call drew on an axes."""

    kind: Kind
    values: tuple[float | str | None, ...]
    """Heights, widths of horizontal bars, shares of a pie; None where there is no value."""


class Drawing(Record):
    """What a program drew, or why it failed."""

    executed: bool
    """Whether the code ran to its end in time."""
    error: str = ""
    axes: tuple[tuple[Series, ...], ...] = ()
    """The series on each axes of all figures."""
    current: int | None = None
    """The axes that was the current one at the end."""
    calls: list[list[Any]] | None = None
    """The series passed to plt.bar, plt.plot and plt.scatter, in place of `axes`."""

    def text(self) -> str:
        """One line for people and agents: the series, or the error."""
        if not self.executed:
            return f"failed: {self.error}"
        drawn = self.calls if self.calls is not None else [[f"{s.kind}", *s.values] for axes in self.axes for s in axes]
        return json.dumps(drawn)[:500]


def extract_code(text: str, protocol: Protocol) -> str | None:
    """The last block fenced as `python`; without one the whole text if it has a word of code in it; else None."""
    if protocol == "honest":
        text = text[-MAX_CHARACTERS:]
    opening, found, position = f"{_FENCE}python", None, 0
    while (start := text.find(opening, position)) >= 0 and (end := text.find(_FENCE, start + len(opening))) >= 0:
        found, position = text[start + len(opening) : end], end + len(_FENCE)
    if found is None and any(word in text for word in _CODE_WORDS):
        found = text
    return (found or "").strip() or None


def draw(code: str, table: JsonValue, protocol: Protocol, seconds: float) -> Drawing:
    """Run a chart program in the sandbox, with `table.csv` in its working directory.

    Args:
        table: `{"columns": [...], "data": [[...], ...]}` or, under `honest`, that as JSON text; empty for no table.
            Under `paper` any other value is a failure.
        seconds: wall clock of the code.

    Raises:
        InputError: matplotlib or pandas is missing.
        StageError: there is no sandbox.
    """
    missing = [name for name in ("matplotlib", "pandas") if importlib.util.find_spec(name) is None]
    if missing:
        raise InputError(f"charts need {' and '.join(missing)}: pip install 'ft-dojo[table]'")
    if protocol == "paper" and table and not isinstance(table, dict):
        return Drawing(executed=False, error="the table is no object with columns and data")
    watch = "calls" if protocol == "paper" else "axes"
    request = {"code": code, "table": _table(table), "seconds": seconds, "watch": watch}
    with tempfile.TemporaryDirectory(prefix="chart-") as folder:
        path = Path(folder, "request.json")
        path.write_text(json.dumps(request), encoding="utf-8")
        return _drawing(_run(path, seconds))


def _table(table: JsonValue) -> JsonValue:
    if isinstance(table, str):
        try:
            table = json.loads(table)
        except (ValueError, RecursionError):
            return None
    return table if isinstance(table, dict) and {"columns", "data"} <= set(table) else None


def _run(request: Path, seconds: float) -> Finished:
    """No folder of ours is writable in there: the working directory is a file system in memory."""
    mounts = Mounts(
        readonly={Path("/chart_runner.py"): _RUNNER, Path("/request.json"): request},
        masked=tuple(Path(name) for name in _FONTS if Path(name).is_dir()),  # matplotlib brings its own
    )
    limits = Limits(
        wall_seconds=seconds + START_SECONDS,
        cpu_seconds=int(seconds) + START_SECONDS,
        memory_bytes=3 << 30,
        file_bytes=64 << 20,
        processes=64,
    )
    environment = {"MPLBACKEND": "Agg", "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-I", "-B", "/chart_runner.py", "/request.json"]
    return run(argv, mounts, limits, env=environment, stage="evaluate")


def _drawing(finished: Finished) -> Drawing:
    if finished.timed_out or finished.returncode == 128 + signal.SIGALRM:
        return Drawing(executed=False, error="out of time")
    if finished.stopped or finished.returncode:
        return Drawing(executed=False, error=f"stopped: {finished.stopped or f'exit code {finished.returncode}'}")
    try:
        drawing = Drawing.model_validate(json.loads(finished.stdout.rpartition("\n")[2]))
        drawing.text()  # so that a result too deeply nested to be printed is none
    except (ValueError, RecursionError, ValidationError):
        return Drawing(executed=False, error="it left no result")
    error = _ADDRESS.sub("0x", drawing.error).encode(errors="replace").decode()
    return drawing.model_copy(update={"error": error})
