"""The run directory: where everything of a run lies, and what each stage left there.

A stage may be entered twice (a crash, a resumed run), so its result is written with the hash of its inputs and read
back when they are the same. `events.jsonl` holds one line when a stage starts and one when it ends, or one line that
says that its earlier result was read back. Waiting for a process to start is one line too, of the stage `start`.
"""

import fcntl
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

from memory.records import Experiment
from tasks.failure import InputError
from tasks.record import Record, append_jsonl, digest, read_record, write_jsonl, write_record, write_text

TRANSCRIPT = "transcript.jsonl"
"""Every decision of a mind, and every call to a language model."""
ENVIRONMENT = "environment.json"
"""The versions that a run began under."""
R = TypeVar("R", bound=Record)
What = Literal["start", "end", "failed", "reused", "waited"]


class Event(Record):
    """One line of `events.jsonl`."""

    time: str
    """UTC, ISO 8601."""
    stage: str
    experiment: int | None
    what: What
    record: str = ""
    """The file that receives the stage's result, relative to the run directory."""
    seconds: float = 0.0
    """Of the stage, when it ends; of the wait, when it is over."""


def _unheard(event: Event) -> None:
    """Nobody listens."""


class RunDir:
    """Paths and records of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path.resolve()
        self.listener: Callable[[Event], None] = _unheard
        """Told of each event when it is written down."""
        self._lock = threading.Lock()
        self._hold: IO[str] | None = None

    @property
    def name(self) -> str:
        """The run's id."""
        return self.path.name

    def create(self) -> None:
        """Make the directory.

        Raises:
            InputError: it exists and is not empty.
        """
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise InputError(f"--run-dir {self.path} exists already; go on with --resume {self.path}, or name another")
        self.path.mkdir(parents=True, exist_ok=True)

    def hold(self) -> None:
        """Keep other processes from working on this run.

        Raises:
            InputError: another process does.
        """
        self._hold = (self.path / ".lock").open("w")
        try:
            fcntl.flock(self._hold, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{self.path}: another process is working on this run") from None

    def file(self, name: str) -> Path:
        """A file of the run."""
        return self.path / name

    def experiment(self, number: int) -> Path:
        """The folder of an experiment."""
        return self.path / "experiments" / f"{number:03d}"

    def relative(self, path: Path) -> str:
        """A path as records keep it."""
        return str(path.absolute().relative_to(self.path))

    def once(
        self, stage: str, experiment: int | None, path: Path, inputs: Any, schema: type[R], produce: Callable[[], R]
    ) -> R:
        """The record of a stage: the one on disk when its inputs are the same, else a new one, written atomically."""
        key, side = digest(inputs), path.with_name(f".{path.name}.key")
        if path.exists() and side.exists() and side.read_text() == key:
            self._event(stage, experiment, "reused", path, 0.0)
            return read_record(path, schema)
        with self.stage(stage, experiment, path):
            side.unlink(missing_ok=True)
            record = produce()
            write_record(path, record)
            write_text(side, key)
        return record

    @contextmanager
    def stage(self, stage: str, experiment: int | None, path: Path) -> Generator[None]:
        """Write down when a stage, whose result goes to `path`, starts and how it ends."""
        started = time.monotonic()
        self._event(stage, experiment, "start", path, 0.0)
        try:
            yield
        except BaseException:
            self._event(stage, experiment, "failed", path, time.monotonic() - started)
            raise
        self._event(stage, experiment, "end", path, time.monotonic() - started)

    def waited(self, seconds: float) -> None:
        """Write down that the run has just waited for one of its processes to start, maybe in the middle of a stage."""
        self._event("start", None, "waited", None, seconds)

    def events(self) -> list[Event]:
        """All events so far; a line that a crash cut off is passed over."""
        path = self.file("events.jsonl")
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        return [Event.model_validate_json(line) for line in lines if line.endswith("}")]

    def write_experiment(self, experiment: Experiment) -> None:
        """Write `experiment.json`, and `experiments.jsonl` anew from all of them."""
        write_record(self.experiment(experiment.number) / "experiment.json", experiment)
        write_jsonl(self.file("experiments.jsonl"), self.experiments())

    def experiments(self) -> list[Experiment]:
        """Recorded experiments by number."""
        files = sorted(self.path.glob("experiments/*/experiment.json"))
        return [read_record(path, Experiment) for path in files]

    def append(self, name: str, record: Record) -> None:
        """Append a line to a JSON Lines file of the run; a last line that a crash cut off is dropped."""
        with self._lock:
            append_jsonl(self.file(name), record)

    def _event(self, stage: str, experiment: int | None, what: What, path: Path | None, seconds: float) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        record = self.relative(path) if path else ""
        event = Event(time=now, stage=stage, experiment=experiment, what=what, record=record, seconds=round(seconds, 2))
        self.append("events.jsonl", event)
        self.listener(event)
