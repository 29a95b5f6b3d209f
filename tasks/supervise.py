"""Runs a command under limits and outlives it: time, memory, processes and output are bounded, nothing is left behind.

The kernel binds each process at once (`tasks/sandbox.py` sets its limits); what all of them use together is looked at
every `TICK` seconds.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import IO

import psutil
from pydantic import Field

from tasks.record import Record

OUTPUT_TAIL, OUTPUT_LIMIT = 16 << 10, 64 << 20
"""Bytes kept of each output stream (its end), and bytes that it may have."""
TICK = 0.2
"""Seconds between two looks at the memory, the processes and the output of a running command."""


class Limits(Record):
    """How much one command may use."""

    wall_seconds: float = Field(default=600.0, gt=0)
    """Seconds from the start to the kill."""
    cpu_seconds: int = Field(default=1200, gt=0)
    """CPU seconds of each process."""
    memory_bytes: int = Field(default=8 << 30, gt=0)
    """Address space of each process, and memory in use by all together."""
    file_bytes: int = Field(default=2 << 30, gt=0)
    """Size of each file, and of each scratch file system (/tmp, /dev/shm; they are memory)."""
    processes: int = Field(default=256, gt=0)
    """Processes and threads, all together."""


class Finished(Record):
    """How a command ended."""

    returncode: int
    """0 is success; 128 + n stands for signal n."""
    seconds: float
    """Wall clock."""
    stdout: str
    """The end of what it printed."""
    stderr: str
    """The end of what it printed as errors."""
    stopped: str | None
    """The limit that ended it: wall clock, CPU time, memory, processes, output; None if it ended by itself."""
    isolated: bool
    """False if it ran without bubblewrap."""

    @property
    def timed_out(self) -> bool:
        """Whether the wall clock or the CPU time ended it."""
        return self.stopped in ("wall clock", "CPU time")


def supervised(prefix: list[str], command: list[str], env: dict[str, str], cwd: str, limits: Limits) -> Finished:
    """Run a command, after `prefix` (bubblewrap and its arguments, or nothing), until it ends or crosses a limit.

    It reads nothing from standard input and gets `env` alone. Every process it started is gone when this returns or
    raises.
    """
    started = time.monotonic()
    reader, writer = os.pipe()
    with (
        os.fdopen(reader) as info,
        os.fdopen(writer, "w") as told,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        process = subprocess.Popen(
            [*prefix, "--info-fd", str(writer), "--", *command] if prefix else command,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=(writer,) if prefix else (),
        )
        init = None
        try:
            told.close()
            init = _first_inside(os.read(info.fileno(), 4096))
            stopped = _supervise(process, limits, started + limits.wall_seconds, (stdout, stderr))
        finally:
            _kill(process, init)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        return Finished(
            returncode=code,
            seconds=time.monotonic() - started,
            stdout=_tail(stdout),
            stderr=_tail(stderr),
            stopped="CPU time" if stopped is None and code == 128 + signal.SIGXCPU else stopped,
            isolated=bool(prefix),
        )


def _tail(file: IO[bytes]) -> str:
    file.seek(max(0, os.fstat(file.fileno()).st_size - OUTPUT_TAIL))
    return file.read(OUTPUT_TAIL).decode(errors="replace")


def _first_inside(info: bytes) -> psutil.Process | None:
    """The first process in the sandbox, by what bubblewrap tells; None if it is gone already."""
    found = re.search(rb'"child-pid": (\d+)', info)
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(int(found[1])) if found else None
    return None


def _supervise(
    process: subprocess.Popen[bytes], limits: Limits, deadline: float, outputs: tuple[IO[bytes], ...]
) -> str | None:
    """Wait for the end; the limit that was crossed, or None if the process ended by itself."""
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, min(TICK, deadline - time.monotonic())))
            return None
        if time.monotonic() >= deadline:
            return "wall clock"
        if any(os.fstat(output.fileno()).st_size > OUTPUT_LIMIT for output in outputs):
            return "output"
        family = _descendants(process.pid)
        if sum(_measure(member, "num_threads") for member in family) > limits.processes + 1:  # bubblewrap's own
            return "processes"
        # Resident memory is quick to read, but counts what forks share several times.
        if all(sum(_measure(member, kind) for member in family) > limits.memory_bytes for kind in ("rss", "pss")):
            return "memory"


def _measure(process: psutil.Process, what: str) -> int:
    with suppress(psutil.Error):
        if what == "pss":
            with suppress(psutil.AccessDenied):  # a process can forbid it: then all it holds counts
                return process.memory_full_info().pss
        return process.num_threads() if what == "num_threads" else process.memory_info().rss
    return 0


def _descendants(root: int) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(root).children(recursive=True)
    return []


def _kill(process: subprocess.Popen[bytes], init: psutil.Process | None) -> None:
    """End everything, and wait until the sandbox is empty: the kernel ends all others before `init` is gone."""
    family = _descendants(process.pid)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    for member in family:
        with suppress(psutil.Error):
            member.kill()
    process.wait()
    patience = time.monotonic() + 5
    left = family if init is None else [*family, init]
    while (left := [member for member in left if not _gone(member)]) and time.monotonic() < patience:
        time.sleep(0.002)


def _gone(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True
