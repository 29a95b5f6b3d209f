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
import shutil
import stat
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from pydantic import Field

from tasks.failure import FailureKind, StageError
from tasks.record import Record
from tasks.supervise import Finished, Limits, supervised

INSTALL = "apt-get install bubblewrap"
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


class Mounts(Record):
    """What a command sees besides the system and Python; of two nested paths the deeper one wins."""

    readonly: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing file or folder outside."""
    writable: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing folder outside; the first one is the working directory."""
    masked: tuple[Path, ...] = ()
    """Folders inside a read-only one that shall look empty."""


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
        return supervised([], command, environment, cwd, limits)
    bwrap = shutil.which("bwrap") or "bwrap"
    prefix = [bwrap, *_flags(mounts, limits, _probe(bwrap)[1]), "--chdir", cwd]
    return supervised(prefix, command, environment, "/", limits)


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
