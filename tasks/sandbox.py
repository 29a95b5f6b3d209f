"""Runs a command where it can do no harm: agent-written scripts, and our own data steps.

bubblewrap gives it namespaces of its own: no network, no capability, a root of system folders and named folders
read-only, chosen folders writable, no environment but what is given. A supervisor outside bounds time, memory,
processes and output, and no process outlives the call.

Not covered:

- The kernel. There is no seccomp filter: a kernel bug is a way out. The user's kernel keyring is not hidden.
- Sums between two looks of the supervisor (`TICK`). Address space, file size and CPU seconds bind each process at once;
  memory and processes of the whole sandbox are looked at. The kernel's own process limit does not bind root.
- Before bubblewrap 0.8: /tmp and /dev/shm are not bounded as a whole, and nested user namespaces are not forbidden.
- Disk. Each file is bounded, their number is not: the command can fill the disk of a writable folder.
- Cores are not reserved, times can be measured, and /proc tells of the machine (processor, memory, kernel).
- Everything in the system folders and in the running Python's prefixes can be read, so no secret may rest there; of the
  folders above a bound path, the names.
- A Unix socket in a bound folder can be connected to, even where the folder is read-only.
- What the command wrote is untrusted. `run_script` removes all that is neither file nor folder.
- A sandbox inside a sandbox does not start: a script is run from outside, not by a data step that is itself inside.
- Without bubblewrap (`unsafe`) nothing is isolated, and a process that daemonises outlives the call.
"""

import functools
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil
from pydantic import Field

from tasks.failure import FailureKind, StageError
from tasks.record import Record

INSTALL = "apt-get install bubblewrap"
OUTPUT_TAIL, OUTPUT_LIMIT = 16 << 10, 64 << 20
"""Bytes kept of each output stream (its end), and bytes that it may have."""
TICK = 0.2
"""Seconds between two looks at the memory, the processes and the output of a running command."""
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/ld.so.cache", "etc/alternatives")
_ISOLATION = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox")
_STRICTER = ("--unshare-user", "--disable-userns")  # bubblewrap 0.8
# Set inside the sandbox, where the user's other processes do not count; a lower limit of the host stays.
_SET_LIMITS = """
import os, resource as r, sys
for name, value in zip(("CPU", "AS", "FSIZE", "NPROC", "CORE"), map(int, sys.argv[1:6])):
    kind = getattr(r, "RLIMIT_" + name)
    hard = r.getrlimit(kind)[1]
    hard = value + (name == "CPU") if hard == r.RLIM_INFINITY else min(hard, value + (name == "CPU"))
    r.setrlimit(kind, (min(value, hard), hard))
os.execvp(sys.argv[6], sys.argv[6:])
"""


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


class Mounts(Record):
    """What a command sees besides the system and Python; of two nested paths the deeper one wins."""

    readonly: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing file or folder outside."""
    writable: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing folder outside; the first one is the working directory."""
    masked: tuple[Path, ...] = ()
    """Folders inside a read-only one that shall look empty."""


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


_DEFAULT = Limits()
_STAGE = "prepare_data"


def same(*paths: Path) -> dict[Path, Path]:
    """Bindings of paths at the same place inside as outside."""
    return {path.absolute(): path.absolute() for path in paths}


def available() -> str | None:
    """None if bubblewrap works here (really tried, once), otherwise why not and the install command."""
    path = shutil.which("bwrap")
    return f"bubblewrap is not installed ({INSTALL})" if path is None else _probe(path)[0]


def run(
    argv: Sequence[str],
    mounts: Mounts,
    limits: Limits = _DEFAULT,
    *,
    env: Mapping[str, str] | None = None,
    stage: str = _STAGE,
    unsafe: bool = False,
) -> Finished:
    """Run a command in the sandbox; every process it started is gone when this returns or raises.

    It starts in the first writable folder (or /tmp), has no standard input, and its environment is PATH, HOME, LANG and
    `env`. `unsafe` permits to run it where bubblewrap does not work: limits hold, but nothing is isolated and paths are
    the host's, so mounts must be at the `same` place. How the command ended is for the caller to judge, or for
    `raise_for_failure`.

    Raises:
        StageError: SANDBOX, bubblewrap does not work here and `unsafe` is not given.
        FileNotFoundError: a path to bind does not exist.
    """
    complaint = available()
    if complaint is not None and not unsafe:
        advice = "or pass --unsafe-scripts to run scripts without any isolation"
        raise StageError(stage, FailureKind.SANDBOX, f"there is no sandbox: {complaint}; {advice}")
    for outside in (*mounts.readonly.values(), *mounts.writable.values()):
        outside.stat()
    values = (limits.cpu_seconds, limits.memory_bytes, limits.file_bytes, limits.processes, 0)
    command = [sys.executable, "-I", "-S", "-c", _SET_LIMITS, *map(str, values), *argv]
    # bubblewrap itself gets no other environment: it is a process inside, and /proc/1/environ can be read there.
    path = os.pathsep.join([f"{sys.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"])
    environment = {"PATH": path, "HOME": "/tmp", "LANG": "C.UTF-8", **(env or {})}
    cwd = str(next(iter(mounts.writable), "/tmp"))
    if complaint is not None:
        return _execute([], command, environment, cwd, limits)
    bwrap = shutil.which("bwrap") or "bwrap"
    prefix = [bwrap, *_flags(mounts, limits, _probe(bwrap)[1]), "--chdir", cwd]
    return _execute(prefix, command, environment, "/", limits)


def run_script(
    script: Path, corpus: Path, out: Path, limits: Limits = _DEFAULT, *, stage: str = _STAGE, unsafe: bool = False
) -> Finished:
    """Run an agent-written Python script that turns a corpus into files.

    The script sees the corpus read-only at /corpus and starts in /out, the folder `out` (made if missing). Without a
    sandbox (`unsafe`) both lie elsewhere: a portable script reads `sys.argv[1]` and writes to its working directory. It
    can import what is installed beside this Python, and nothing of the checkout. Links, pipes, sockets and devices that
    it leaves in `out` are removed, so that no reader of the results is led elsewhere.

    Raises:
        StageError, FileNotFoundError: as `run`.
    """
    out.mkdir(parents=True, exist_ok=True)
    script, corpus, out = script.resolve(), corpus.resolve(), out.resolve()
    inside = (script, corpus, out) if available() else (Path("/script.py"), Path("/corpus"), Path("/out"))
    mounts = Mounts(readonly={inside[0]: script, inside[1]: corpus}, writable={inside[2]: out})
    argv = [sys.executable, "-I", "-B", str(inside[0]), str(inside[1])]
    try:
        return run(argv, mounts, limits, stage=stage, unsafe=unsafe)
    finally:
        _keep_plain_files(out)


def raise_for_failure(finished: Finished, stage: str, kind: FailureKind = FailureKind.SANDBOX) -> None:
    """Do nothing after a success.

    Raises:
        StageError: TIMEOUT if time ran out, otherwise `kind`; the message is what was printed last, then the reason.
    """
    if finished.returncode == 0 and finished.stopped is None:
        return
    over = f"stopped after {finished.seconds:.1f} s by its limit of {finished.stopped}"
    reason = f"exit code {finished.returncode}" if finished.stopped is None else over
    said = (finished.stderr or finished.stdout).rstrip()
    raise StageError(stage, FailureKind.TIMEOUT if finished.timed_out else kind, f"{said}\n{reason}".lstrip())


def _keep_plain_files(folder: Path) -> None:
    places = [folder]
    while places:
        place = places.pop()
        with suppress(OSError):  # not to be read: it leads nobody anywhere
            for path in list(place.iterdir()):
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode):
                    places.append(path)
                elif not stat.S_ISREG(mode):
                    path.unlink()
                elif mode & (stat.S_ISUID | stat.S_ISGID):
                    path.chmod(mode & 0o777)


@functools.cache
def _probe(path: str) -> tuple[str | None, bool]:
    """Why this bubblewrap does not start Python here, if so, and whether it can what version 0.8 can."""
    said = ""
    for strict in (True, False):
        try:
            command = [path, *_flags(Mounts(), _DEFAULT, strict), sys.executable, "-I", "-S", "-c", "pass"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=30, env={}, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"{path} does not start: {error} ({INSTALL})", strict
        if done.returncode == 0:
            return None, strict
        said = done.stderr.strip()
    return f"{path} makes no sandbox here, which takes user namespaces: {said} ({INSTALL})", False


def _flags(mounts: Mounts, limits: Limits, strict: bool) -> list[str]:
    """The arguments of bubblewrap; shallow paths come before deep ones, so that the deeper one wins."""
    scratch = [*(["--size", str(limits.file_bytes)] if strict else []), "--tmpfs"]
    system = [Path("/", name) for name in _SYSTEM if os.path.lexists(f"/{name}")]
    named = [Path(sys.prefix), Path(sys.base_prefix)]
    python = {*named, *(path.resolve() for path in named)}
    readonly = same(*(path for path in system if not path.is_symlink()), *sorted(python)) | dict(mounts.readonly)
    laid = [(path, ["--symlink", str(path.readlink()), str(path)]) for path in system if path.is_symlink()]
    # Read-only, because root in a user namespace still owns the kernel settings in /proc/sys.
    laid += [(Path("/proc"), ["--proc", "/proc", "--remount-ro", "/proc"]), (Path("/tmp"), [*scratch, "/tmp"])]
    laid += [(Path("/dev"), ["--dev", "/dev", *scratch, "/dev/shm", "--remount-ro", "/dev"])]
    laid += [(inside, ["--ro-bind", str(outside), str(inside)]) for inside, outside in readonly.items()]
    laid += [(inside, [*scratch, str(inside)]) for inside in mounts.masked]
    laid += [(inside, ["--bind", str(outside), str(inside)]) for inside, outside in mounts.writable.items()]
    laid.sort(key=lambda item: len(item[0].parts))
    closed = [word for path in (*mounts.masked, "/") for word in ("--remount-ro", str(path))]
    return [*_ISOLATION, *(_STRICTER if strict else ()), *(word for _, words in laid for word in words), *closed]


def _execute(prefix: list[str], command: list[str], env: dict[str, str], cwd: str, limits: Limits) -> Finished:
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
