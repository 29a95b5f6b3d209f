"""Runs a command under limits and outlives it: time, memory, processes and output are bounded, nothing is left behind.

The kernel binds each process at once (`tasks/sandbox.py` sets its limits), and where there are control groups what all
of them use together. Whatever it does not bind is looked at every `TICK` seconds.
"""

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
from pydantic import Field

from tasks.control_group import ControlGroup
from tasks.record import Record

OUTPUT_TAIL, OUTPUT_LIMIT = 16 << 10, 64 << 20
"""Bytes kept of each output stream (its end), and bytes that it may have."""
TICK = 0.2
"""Seconds between two looks at the memory, the processes, the output and the disks of a running command."""
DISK_LEFT, DISK_SHARE = (1 << 30, 10_000), 0.5
"""Bytes and files that a disk must still be able to take while a command can write there; where there was less than
that before, the share of it that may go."""


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
    """The limit that ended it: wall clock, CPU time, memory, processes, output, disk; None if it ended by itself."""
    isolated: bool
    """False if it ran without bubblewrap."""

    @property
    def timed_out(self) -> bool:
        """Whether the wall clock or the CPU time ended it."""
        return self.stopped in ("wall clock", "CPU time")


class Surroundings(Record):
    """What a command is started in."""

    prefix: tuple[str, ...] = ()
    """bubblewrap and its arguments; nothing if there is none."""
    descriptors: tuple[int, ...] = ()
    """Open files that bubblewrap reads."""
    group: ControlGroup = ControlGroup()
    other_user: int | None = None
    """A user and group id of the host that the sandbox shall know besides our own, which is root's."""
    disks: tuple[Path, ...] = ()
    """Folders that the command can write to."""


def supervised(command: Sequence[str], env: dict[str, str], cwd: str, limits: Limits, around: Surroundings) -> Finished:
    """Run a command until it ends or crosses a limit.

    It reads nothing from standard input and gets `env` alone. Every process it started is gone when this returns or
    raises.
    """
    started = time.monotonic()
    reader, writer = os.pipe()
    waiting, opener = os.pipe()
    with (
        os.fdopen(reader) as info,
        os.fdopen(writer, "w") as told,
        os.fdopen(waiting),
        os.fdopen(opener, "w") as gate,
        tempfile.TemporaryFile() as stdout,
        tempfile.TemporaryFile() as stderr,
    ):
        talk = {"--info-fd": writer} | ({} if around.other_user is None else {"--userns-block-fd": waiting})
        words = [word for flag, descriptor in talk.items() for word in (flag, str(descriptor))]
        wrapped = [*around.prefix, *words, "--", *command] if around.prefix else command
        process = subprocess.Popen(
            [*around.group.entrance(), *wrapped],
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env=env,
            cwd=cwd,
            start_new_session=True,
            pass_fds=(*talk.values(), *around.descriptors) if around.prefix else (),
        )
        init = None
        try:
            told.close()
            init = _first_inside(os.read(info.fileno(), 4096))
            if init is not None and around.other_user is not None:
                _know_two_users(init.pid, around.other_user)
            gate.close()
            stopped = _supervise(process, limits, started + limits.wall_seconds, (stdout, stderr), around)
        finally:
            _kill(process, init, around.group)
        code = process.returncode if process.returncode >= 0 else 128 - process.returncode
        if stopped is None:
            stopped = "CPU time" if code == 128 + signal.SIGXCPU else "memory" if around.group.out_of_memory() else None
        return Finished(
            returncode=code,
            seconds=time.monotonic() - started,
            stdout=_tail(stdout),
            stderr=_tail(stderr),
            stopped=stopped,
            isolated=bool(around.prefix),
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


def _know_two_users(pid: int, other: int) -> None:
    """Give a new user namespace, which knows nobody yet, root and one more user, with their groups."""
    with suppress(ProcessLookupError, FileNotFoundError):  # it has ended
        for name in ("uid_map", "gid_map"):
            Path("/proc", str(pid), name).write_text(f"0 0 1\n{other} {other} 1\n")


def _supervise(
    process: subprocess.Popen[bytes],
    limits: Limits,
    deadline: float,
    outputs: tuple[IO[bytes], ...],
    around: Surroundings,
) -> str | None:
    """Wait for the end; the limit that was crossed, or None if the process ended by itself."""
    room = _room(around.disks)
    while True:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=max(0.0, min(TICK, deadline - time.monotonic())))
            return None
        if time.monotonic() >= deadline:
            return "wall clock"
        if any(os.fstat(output.fileno()).st_size > OUTPUT_LIMIT for output in outputs):
            return "output"
        pairs = zip(_room(around.disks), room, DISK_LEFT * len(around.disks), strict=True)
        if any(now < min(then * (1 - DISK_SHARE), enough) for now, then, enough in pairs):
            return "disk"
        if crossed := _crossed_together(process, limits, around.group):
            return crossed


def _room(disks: tuple[Path, ...]) -> list[int]:
    """Bytes and files that each disk can still take, as `DISK_LEFT`; a file system that counts no files has 0."""
    return [
        room for disk in disks for stat in [os.statvfs(disk)] for room in (stat.f_bavail * stat.f_frsize, stat.f_favail)
    ]


def _crossed_together(process: subprocess.Popen[bytes], limits: Limits, group: ControlGroup) -> str | None:
    """The limit that all processes together have crossed: those the kernel binds are not counted here."""
    family = [] if {"pids", "memory"} <= group.binds else _descendants(process.pid)
    threads = 0 if "pids" in group.binds else sum(_measure(member, "num_threads") for member in family)
    if threads > limits.processes + 1:  # bubblewrap's own
        return "processes"
    if "memory" in group.binds:
        return "memory" if group.out_of_memory() else None
    # Resident memory is quick to read, but counts what forks share several times.
    if all(sum(_measure(member, kind) for member in family) > limits.memory_bytes for kind in ("rss", "pss")):
        return "memory"
    return None


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


def _kill(process: subprocess.Popen[bytes], init: psutil.Process | None, group: ControlGroup) -> None:
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
    while (left := [member for member in left if not _gone(member)]) or group.members():
        if time.monotonic() > patience:
            break
        for pid in group.members():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.002)


def _gone(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True
