"""Runs a command where it can do no harm: agent-written scripts, and our own data steps.

bubblewrap gives it namespaces of its own: no network, no capability, a root of system folders and named folders
read-only, chosen folders writable, no environment but what is given. A filter refuses the system calls that lead deep
into the kernel (`tasks/system_calls.py`). A supervisor outside bounds time, memory, processes, output and the filling
of disks, and no process outlives the call.

The kernel bounds the number of processes, so that the next fork fails: by a control group where we may make one
(`tasks/control_group.py`); otherwise, for root, whom RLIMIT_NPROC does not bind, by running the command as a user whom
it binds (`OTHER_USER`); for anybody else by RLIMIT_NPROC itself. The memory of all processes together, scratch files
included, it bounds by a control group.

Not covered:

- The kernel: a bug behind a call that the filter lets through is a way out. On a processor that is neither x86-64 nor
  64-bit ARM there is no filter, and the user's kernel keyring is in reach.
- Sums between two looks of the supervisor (`TICK`), where no control group binds: memory, and processes of root if it
  cannot become `OTHER_USER`. Buffers of pipes and sockets, which no process maps, then count nowhere.
- Before bubblewrap 0.8: /tmp and /dev/shm are not bounded as a whole, other than by a control group.
- Disk. Each file is bounded; what all of them take is not, until little is left (`tasks/supervise.py`, `DISK_LEFT`).
- Cores are not reserved, times can be measured, and /proc tells of the machine (processor, memory, kernel).
- Everything in the system folders and in the running Python's prefixes can be read, so no secret may rest there; of the
  folders above a bound path, the names.
- A Unix socket in a bound folder can be connected to, even where the folder is read-only: our own data steps talk to
  the engine so. `run_script` refuses a corpus that holds one.
- What the command wrote is untrusted. `run_script` removes all that is neither file nor folder.
- A sandbox inside a sandbox does not start: a script is run from outside, not by a data step that is itself inside.
- A caller that is killed outright takes the sandbox along, but leaves its empty control group, until the next call.
- Without bubblewrap (`unsafe`) nothing is isolated, and without a control group a process that daemonises outlives the
  call.
"""

import functools
import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from tasks.control_group import control_group, kernel_binds
from tasks.failure import FailureKind, StageError
from tasks.record import Record
from tasks.supervise import Finished, Limits, Surroundings, supervised
from tasks.system_calls import filter_file

INSTALL = "apt-get install bubblewrap"
OTHER_USER = 2_000_000_000
"""User and group id on the host of what root runs where no control group bounds it; nobody has it.

The command can do with root's files in the bound folders what root can: it holds the capability to pass over their
permissions, inside its user namespace, and no other. What it writes belongs to this id.
"""
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/ld.so.cache", "etc/alternatives")
_ISOLATION = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox")
_STRICTER = ("--unshare-user", "--disable-userns")  # bubblewrap 0.8
_BECOMING = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_OVERRIDE")
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

_HARMFUL = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")  # control characters steer the terminal


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
    return f"bubblewrap is not installed ({INSTALL})" if path is None else _probe(path, False)[0]


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
    with control_group(pids=limits.processes + 2, memory=limits.memory_bytes) as group:  # bubblewrap is two
        around = Surroundings(group=group, disks=tuple(mounts.writable.values()))
        if complaint is not None:
            return supervised(command, environment, cwd, limits, around)
        return _launch(_way(), mounts, limits, around, command, environment, cwd)


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
    _keep_plain_files(out)
    _refuse_special_files(corpus, stage)
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
    said = _HARMFUL.sub("?", (finished.stderr or finished.stdout).replace("\r", "\n")).rstrip()
    raise StageError(stage, FailureKind.TIMEOUT if finished.timed_out else kind, f"{said}\n{reason}".lstrip())


def _refuse_special_files(folder: Path, stage: str) -> None:
    places = [folder] if folder.is_dir() else []
    for place in places:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    places.append(Path(entry.path))
                elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                    said = f"{entry.path} is a socket, pipe or device: a script could speak to others through it"
                    raise StageError(stage, FailureKind.SANDBOX, said)


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


class _Way(NamedTuple):
    """One way to call bubblewrap."""

    path: str
    modern: bool
    """Version 0.8: scratch space has a size, and no user namespace can be made inside."""
    other_user: bool


def _way() -> _Way:
    """The best way that works here; there is one."""
    path = shutil.which("bwrap") or "bwrap"
    unbound = os.geteuid() == 0 and "pids" not in kernel_binds()
    if unbound and _probe(path, True)[0] is None:
        return _probe(path, True)[1]
    return _probe(path, False)[1]


@functools.cache
def _probe(path: str, other_user: bool) -> tuple[str | None, _Way]:
    """Why this bubblewrap does not start Python here, if so, and the way it does."""
    said, way = "", _Way(path, True, other_user)
    for modern in (True, False):
        way = _Way(path, modern, other_user)
        try:
            python = [sys.executable, "-I", "-S", "-c", "pass"]
            done = _launch(way, Mounts(), Limits(wall_seconds=30), Surroundings(), python, {}, "/tmp")
        except OSError as error:
            return f"{path} does not start: {error} ({INSTALL})", way
        if done.returncode == 0:
            return None, way
        said = done.stderr.strip()
    return f"{path} makes no sandbox here, which takes user namespaces: {said} ({INSTALL})", way


def _launch(
    way: _Way, mounts: Mounts, limits: Limits, around: Surroundings, command: list[str], env: dict[str, str], cwd: str
) -> Finished:
    user, identity = (OTHER_USER, _become(OTHER_USER)) if way.other_user else (None, [])
    with filter_file() as calls:
        refused = [] if calls is None else ["--seccomp", str(calls)]
        prefix = [way.path, *_flags(mounts, limits, way), *refused, "--chdir", cwd]
        given = {"prefix": prefix, "other_user": user, "descriptors": () if calls is None else (calls,)}
        return supervised([*identity, *command], env, "/", limits, around.model_copy(update=given))


def _become(user: int) -> list[str]:
    """Words before a command that make it run as another user, who may do with root's files what root may."""
    override = (f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set"))
    return ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *override]


def _flags(mounts: Mounts, limits: Limits, way: _Way) -> list[str]:
    """The arguments of bubblewrap; shallow paths come before deep ones, so that the deeper one wins."""
    own = (
        ["--unshare-user", *(word for name in _BECOMING for word in ("--cap-add", name))]
        if way.other_user
        else [*(_STRICTER if way.modern else ())]
    )
    scratch = [*(["--size", str(limits.file_bytes)] if way.modern else []), "--tmpfs"]
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
    return [*_ISOLATION, *own, *(word for _, words in laid for word in words), *closed]
