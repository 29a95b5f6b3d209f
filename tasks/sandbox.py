"""Runs a command where it can do no harm: agent-written scripts, and our own data steps.

bubblewrap gives it namespaces of its own: no network, no capability, a root of system folders and named folders
read-only, chosen folders writable, no environment but what is given. A filter refuses the system calls that lead deep
into the kernel (`tasks/system_calls.py`). A supervisor outside bounds time, memory, processes, output and the filling
of disks, and no process outlives the call.

The kernel bounds the number of processes, so that the next fork fails: by a control group where we may make one
(`tasks/control_group.py`); otherwise, for root, whom RLIMIT_NPROC does not bind, by running the command as a user whom
it does bind (`OTHER_USER` in `tasks/bubblewrap.py`); for anybody else by RLIMIT_NPROC itself. By a control group it
also bounds the memory of all processes together, scratch files included.

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

import os
import re
import shutil
import stat
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tasks.bubblewrap import INSTALL, Mounts, best_way, launch, probe, same
from tasks.control_group import control_group, kernel_binds
from tasks.failure import FailureKind, StageError
from tasks.supervise import Finished, Limits, Surroundings, supervised

__all__ = [
    "INSTALL", "Limits", "Mounts", "available", "process_bound", "raise_for_failure", "run", "run_script", "same"
]  # fmt: skip

# Set inside the sandbox, where the user's other processes do not count; a lower limit of the host stays.
_SET_LIMITS = """
import os, resource as r, sys
for name, value in zip(("CPU", "AS", "FSIZE", "NPROC", "CORE"), map(int, sys.argv[1:6])):
    kind = getattr(r, "RLIMIT_" + name)
    hard = r.getrlimit(kind)[1]
    hard = value + (name == "CPU") if hard == r.RLIM_INFINITY else min(hard, value + (name == "CPU"))
    r.setrlimit(kind, (min(value, hard), hard))
os.closerange(3, r.getrlimit(r.RLIMIT_NOFILE)[0])
os.execvp(sys.argv[6], sys.argv[6:])
"""

_HARMFUL = re.compile(r"[^\n\t\x20-\x7e\xa0-\U0010ffff]")  # control characters steer the terminal
_DEFAULT = Limits()
_STAGE = "prepare_data"


def available() -> str | None:
    """None if bubblewrap works here (really tried, once), otherwise why not and the install command."""
    path = shutil.which("bwrap")
    return f"bubblewrap is not installed ({INSTALL})" if path is None else probe(path, False)[0]


def process_bound() -> str:
    """What bounds the number of processes here: `control group`, `other user`, `RLIMIT_NPROC` or `supervisor`."""
    if "pids" in kernel_binds():
        return "control group"
    if best_way().other_user:
        return "other user"
    return "supervisor" if os.geteuid() == 0 else "RLIMIT_NPROC"


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
        advice = "; or pass --unsafe-scripts to run scripts without any isolation" if stage == _STAGE else ""
        raise StageError(stage, FailureKind.SANDBOX, f"there is no sandbox: {complaint}{advice}")
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
        return launch(best_way(), mounts, limits, around, command, environment, cwd)


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
