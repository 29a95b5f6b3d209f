"""Runs of `run_graph.py` as people start them, and small tasks to run it on."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from memory.records import Experiment

ROOT = Path(__file__).resolve().parents[2]
PLANTED = {"OPENAI_API_KEY": "planted-openai-key-4711", "HF_TOKEN": "planted-hub-token-0815"}
"""Secrets in the environment of runs; no file of a run may hold them."""
TOKEN = "zqx"
"""How the planted words begin, so that they are quickly found."""


@dataclass(frozen=True)
class Finished:
    """A run of the command line that has ended."""

    path: Path
    memory: Path
    code: int
    out: str
    err: str
    seconds: float

    def json(self, name: str) -> Any:
        """A JSON file of the run."""
        return json.loads((self.path / name).read_text())

    def rows(self, name: str) -> list[dict[str, Any]]:
        """A JSON Lines file of the run."""
        return [json.loads(line) for line in (self.path / name).read_text().splitlines()]

    @property
    def experiments(self) -> list[Experiment]:
        """The recorded experiments."""
        return [Experiment.model_validate(row) for row in self.rows("experiments.jsonl")]


@dataclass
class Started:
    """A run of the command line that goes on."""

    path: Path
    process: subprocess.Popen[str]
    began: float = field(default_factory=time.monotonic)

    def wait_for(self, found: Callable[[], bool], what: str, seconds: float = 240.0) -> None:
        """Wait until something is found; fails when the process ends before."""
        deadline = time.monotonic() + seconds
        while not found():
            if self.process.poll() is not None:
                raise AssertionError(f"the run ended before {what}:\n{self.process.communicate()}")
            if time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{what} did not come within {seconds:.0f} s:\n{self.process.communicate()}")
            time.sleep(0.005)

    def wait_for_event(self, stage: str, what: str, record: str) -> None:
        """Wait for a line of `events.jsonl`."""
        wanted = (stage, what, record)
        self.wait_for(lambda: wanted in [(e["stage"], e["what"], e["record"]) for e in events(self.path)], str(wanted))

    def child(self, module: str) -> psutil.Process:
        """The child process that runs a module, as soon as there is one."""
        found: list[psutil.Process] = []

        def look() -> bool:
            found[:] = [child for child in children(self.process.pid) if module in command(child)]
            return bool(found)

        self.wait_for(look, f"a process of {module}")
        return found[0]

    def type(self, text: str) -> None:
        """Write to its standard input, which must be a pipe."""
        assert self.process.stdin
        self.process.stdin.write(text)
        self.process.stdin.flush()

    def finish(self, timeout: float = 300.0) -> tuple[int, str, str]:
        """Exit code, standard output and standard error at the end."""
        out, err = self.process.communicate(timeout=timeout)
        return self.process.returncode, out, err


@dataclass(frozen=True)
class Laboratory:
    """A folder for runs that share a cache; each run has a memory of its own."""

    root: Path
    cache: Path

    def start(
        self,
        name: str,
        *flags: str | Path,
        python: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stdin: int | None = None,
    ) -> Started:
        """Start a new run in `root/name`."""
        places = ["--run-dir", self.root / name, "--cache-dir", self.cache, "--memory-dir", self.memory(name)]
        engine = ["--engine", "transformers"]  # unless told: vLLM may be installed, and takes long to start
        return self.call(name, *engine, *flags, *places, python=python, env=env, stdin=stdin)

    def call(
        self,
        name: str,
        *flags: str | Path,
        python: tuple[str, ...] = (),
        env: dict[str, str] | None = None,
        stdin: int | None = None,
    ) -> Started:
        """Start `run_graph.py` with these flags only, from a folder that is not the checkout.

        Args:
            stdin: as `subprocess` takes it; by default that of the tests.
        """
        line = [sys.executable, *python, ROOT / "run_graph.py", *flags]
        process = subprocess.Popen(
            [str(part) for part in line],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.root,
            env={**quiet_environment(), **(env or {})},
            start_new_session=True,
        )
        return Started(self.root / name, process)

    def memory(self, name: str) -> Path:
        """The memory of a run."""
        return self.root / f"{name}-memory"

    def end(self, started: Started) -> Finished:
        """Wait for a run that must succeed."""
        code, out, err = started.finish()
        assert code == 0, f"exit code {code}\n{out}\n{err}"
        seconds = time.monotonic() - started.began
        return Finished(started.path, self.memory(started.path.name), code, out, err, seconds)

    def run(self, name: str, *flags: str | Path, **how: Any) -> Finished:
        """A whole run that must succeed."""
        return self.end(self.start(name, *flags, **how))


def quiet_environment() -> dict[str, str]:
    """This environment without provider keys, and offline."""
    return {**{name: value for name, value in os.environ.items() if name not in PLANTED}, "HF_HUB_OFFLINE": "1"}


def events(run: Path) -> list[dict[str, Any]]:
    """The whole lines of `events.jsonl` so far."""
    path = run / "events.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("}")]


def children(pid: int) -> list[psutil.Process]:
    """Processes that a process has started, and theirs."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def command(process: psutil.Process) -> str:
    """The command line of a process; nothing when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def kill(process: psutil.Process) -> None:
    """`kill -9`, and the wait until it is gone or a zombie."""
    process.send_signal(signal.SIGKILL)
    assert all_gone([process], 5.0)


def kill_with_children(run: Started) -> None:
    """Kill the graph process; its children must see it and end by themselves."""
    others = children(run.process.pid)
    assert others
    run.process.kill()
    run.process.wait()
    assert all_gone(others, 5.0), "children outlived the graph process"


def all_gone(processes: list[psutil.Process], seconds: float) -> bool:
    """Whether the processes end within some seconds; a zombie has ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(_lives(process) for process in processes):
            return True
        time.sleep(0.02)
    return False


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


LESSONS = 130
"""Rows of which a first draft learns too little, and a second experiment enough."""


def write_signs(folder: Path, lessons: int, benchmark: int = 160) -> Path:
    """A task that the tiny random model can learn: yes to a plus, no to a minus. Returns the task file.

    Each row holds tokens that occur nowhere else: one in the question, one in the unused field `note`.
    """
    write_rows(folder / "benchmark.jsonl", [sign_row("benchmark", i) for i in range(benchmark)])
    write_rows(folder / "lessons.jsonl", [sign_row("lessons", i) for i in range(lessons)])
    return write_task(
        folder,
        name="signs",
        prompt="{{ question }}",
        answer="{{ answer }}",
        scorer={"name": "exact"},
    )


def write_marked(folder: Path) -> Path:
    """The same task with a token in each reference answer too; for runs in which nothing is learned."""
    write_signs(folder, 40)
    return write_task(
        folder,
        name="marked",
        prompt="{{ question }}",
        answer="{{ answer }} {{ mark }}",
        scorer={"name": "contains"},
    )


def sign_row(kind: str, number: int) -> dict[str, str]:
    """One row of the task: a token, then a sign."""
    sign = number % 2
    return {
        "id": f"{kind}{number}",
        "question": token(kind, number, "question") + "+-"[sign],
        "answer": ["yes", "no"][sign],
        "mark": token(kind, number, "answer"),
        "sign": ["plus", "minus"][sign],
    }


def token(kind: str, number: int, place: str) -> str:
    """A word that stands for one row and one field: `TOKEN` and eight letters."""
    digits = hashlib.sha256(f"{kind} {number} {place}".encode()).hexdigest()[:8]
    return TOKEN + digits.translate(str.maketrans("0123456789abcdef", "bcdfghjklmnpqrst"))


def write_task(folder: Path, **changes: Any) -> Path:
    """`task.yaml` over `benchmark.jsonl` and `lessons.jsonl` (JSON is YAML)."""
    content: dict[str, Any] = {
        "domain": "signs",
        "description": "Say yes to a plus and no to a minus.",
        "sources": [{"name": "lessons", "path": "lessons.jsonl", "licence": "MIT", "description": "solved items"}],
        "benchmark": {"path": "benchmark.jsonl", "id": "id", "group": "sign"},
        "max_new_tokens": 6,
        **changes,
    }
    path = folder / "task.yaml"
    path.write_text(json.dumps(content, indent=1))
    return path


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    """Rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
