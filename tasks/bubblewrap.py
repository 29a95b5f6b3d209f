"""How bubblewrap is called: what the sandbox of `tasks/sandbox.py` shows, takes away and refuses."""

import functools
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from pydantic import Field

from tasks.control_group import kernel_binds
from tasks.record import Record
from tasks.supervise import Finished, Limits, Surroundings, supervised
from tasks.system_calls import filter_file

INSTALL = "apt-get install bubblewrap"
OTHER_USER = 2_000_000_000
"""User and group id on the host of what root runs where no control group bounds it; nobody has it.

The command can do with root's files in the bound folders what root can: it holds the capability to pass over their
permissions, inside its user namespace, and no other. What it wrote is root's when it has ended.
"""
_SYSTEM = ("usr", "bin", "sbin", "lib", "lib32", "lib64", "libx32", "etc/ld.so.cache", "etc/alternatives")
_ISOLATION = ("--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--hostname", "sandbox")
_STRICTER = ("--unshare-user", "--disable-userns")  # bubblewrap 0.8
_BECOMING = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_DAC_OVERRIDE")


class Mounts(Record):
    """What a command sees besides the system and Python; of two nested paths the deeper one wins."""

    readonly: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing file or folder outside."""
    writable: Mapping[Path, Path] = Field(default_factory=dict)
    """Path inside -> existing folder outside; the first one is the working directory."""
    masked: tuple[Path, ...] = ()
    """Folders inside a read-only one that shall look empty."""


def same(*paths: Path) -> dict[Path, Path]:
    """Bindings of paths at the same place inside as outside."""
    return {path.absolute(): path.absolute() for path in paths}


class Way(NamedTuple):
    """One way to call bubblewrap."""

    path: str
    modern: bool
    """Version 0.8: scratch space has a size, and no user namespace can be made inside."""
    other_user: bool


def best_way() -> Way:
    """The best way that works here; there is one."""
    path = shutil.which("bwrap") or "bwrap"
    unbound = os.geteuid() == 0 and "pids" not in kernel_binds()
    return probe(path, unbound and probe(path, True)[0] is None)[1]


@functools.cache
def probe(path: str, other_user: bool) -> tuple[str | None, Way]:
    """Why this bubblewrap does not start Python here, if so, and the way it does."""
    said, way = "", Way(path, True, other_user)
    for modern in (True, False):
        way = Way(path, modern, other_user)
        try:
            python = [sys.executable, "-I", "-S", "-c", "pass"]
            done = launch(way, Mounts(), Limits(wall_seconds=30), Surroundings(), python, {}, "/tmp")
        except OSError as error:
            return f"{path} does not start: {error} ({INSTALL})", way
        if done.returncode == 0:
            return None, way
        said = done.stderr.strip()
    return f"{path} makes no sandbox here, which takes user namespaces: {said} ({INSTALL})", way


def launch(
    way: Way, mounts: Mounts, limits: Limits, around: Surroundings, command: list[str], env: dict[str, str], cwd: str
) -> Finished:
    """Run a command in bubblewrap, in the group and with the disks of `around`; `cwd` is a folder inside."""
    user, become = (OTHER_USER, _become(OTHER_USER)) if way.other_user else (None, [])
    with filter_file() as calls:
        refused = [] if calls is None else ["--seccomp", str(calls)]
        inside = Surroundings(
            prefix=(way.path, *_flags(mounts, limits, way), *refused, "--chdir", cwd),
            descriptors=() if calls is None else (calls,),
            group=around.group,
            other_user=user,
            disks=around.disks,
        )
        try:
            return supervised([*become, *command], env, "/", limits, inside)
        finally:
            if way.other_user:
                _take_over(around.disks)


def _become(user: int) -> list[str]:
    """Words before a command that make it run as another user, who may do with root's files what root may."""
    keep = [f"--{kind}=-all,+dac_override" for kind in ("inh-caps", "ambient-caps", "bounding-set")]
    keep += ["--securebits=+no_setuid_fixup"]  # so that access(2) tells of this right, too
    return ["/usr/bin/setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *keep]


def _take_over(folders: Iterable[Path]) -> None:
    places = list(folders)
    for place in places:
        with suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_uid == OTHER_USER:
                    os.chown(entry.path, os.geteuid(), os.getegid(), follow_symlinks=False)
                if entry.is_dir(follow_symlinks=False):
                    places.append(Path(entry.path))


def _flags(mounts: Mounts, limits: Limits, way: Way) -> list[str]:
    """The arguments of bubblewrap; shallow paths come before deep ones, so that the deeper one wins."""
    added = [word for capability in _BECOMING for word in ("--cap-add", capability)]
    user = ["--unshare-user", *added] if way.other_user else list(_STRICTER if way.modern else ())
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
    return [*_ISOLATION, *user, *(word for _, words in laid for word in words), *closed]
