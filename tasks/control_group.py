"""Bounds that the kernel keeps over all processes of a command together: how many they are, how much memory they hold.

A control group is a folder below our own one in the control group file system; what a member starts is a member. In
version 1 each controller has a tree of its own. In version 2 a folder that has processes hands no memory controller on,
the root of the tree excepted: beside systemd and in most containers there is no group for us. That is no error: a group
then binds less, or nothing (`ControlGroup.binds`).
"""

import functools
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from tasks.record import Record

PREFIX = "ft-dojo-"
"""The names of our groups begin so; the process id of the maker follows."""
_FILES = {
    "cgroup": {"pids": ("pids.max",), "memory": ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")},
    "cgroup2": {"pids": ("pids.max",), "memory": ("memory.max", "memory.swap.max")},
}
"""By version and controller: the file that takes the bound, and the one about swap, which may be missing."""
_TRIALS = {
    "pids": (1, "import os\ntry: os.fork()\nexcept BlockingIOError: pass\nelse: os._exit(1)", 0),
    "memory": (32 << 20, "bytearray(b'x') * (64 << 20)", -9),
}
"""By controller: a bound, code that tries to go beyond it, and the exit code if the bound holds."""
_JOIN = """
while [ "$1" != -- ]; do echo 0 > "$1" || exit 125; shift; done; shift
exec /usr/bin/env -u PWD -u OLDPWD -u SHLVL -u _ "$@"
"""  # without the variables that shells add


class ControlGroup(Record):
    """The folders of one group, and what they bind."""

    folders: tuple[Path, ...] = ()
    """One, or one for each controller; none if nothing is bound."""
    binds: frozenset[str] = frozenset()
    """Some of `pids` and `memory`."""

    def entrance(self) -> list[str]:
        """Words to put before a command so that it starts inside, as the same process."""
        doors = [str(folder / "cgroup.procs") for folder in self.folders]
        return ["/bin/sh", "-c", _JOIN, "sh", *doors, "--"] if doors else []

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a process since all of them together reached the bound."""
        told = [_words(folder / name) for folder in self.folders for name in ("memory.oom_control", "memory.events")]
        return any("oom_kill" in words and words[words.index("oom_kill") + 1] != "0" for words in told)

    def members(self) -> set[int]:
        """The ids of the processes inside; those of another process namespace, which have none here, are left out."""
        return {int(word) for folder in self.folders for word in _words(folder / "cgroup.procs")} - {0}


@contextmanager
def control_group(**bounds: int) -> Generator[ControlGroup]:
    """A new group for `pids` (processes and threads) and `memory` (bytes) as far as `kernel_binds`.

    It is removed at the end, unless a process is still inside a second later.
    """
    group = _make({controller: bound for controller, bound in bounds.items() if controller in kernel_binds()})
    try:
        yield group
    finally:
        _remove(group)


@functools.cache
def kernel_binds() -> frozenset[str]:
    """Which of `pids` and `memory` a group of ours binds here (really tried, once)."""
    return frozenset(controller for controller in _TRIALS if _holds(controller))


def _holds(controller: str) -> bool:
    bound, code, end = _TRIALS[controller]
    group = _make({controller: bound})
    try:
        trial = [*group.entrance(), sys.executable, "-I", "-S", "-c", code]
        return bool(group.binds) and subprocess.run(trial, capture_output=True, timeout=30).returncode == end
    except (OSError, subprocess.TimeoutExpired):
        return False
    finally:
        _remove(group)


def _make(bounds: Mapping[str, int]) -> ControlGroup:
    name = f"{PREFIX}{os.getpid()}-{secrets.token_hex(4)}"
    folders: dict[Path, None] = {}
    binds: set[str] = set()
    for controller, bound in bounds.items():
        with suppress(OSError):  # the folder is not ours to write in, or the controller is not handed on
            if (home := own_folder(controller)) is not None:
                version, place = home
                _sweep(place)
                if version == "cgroup2" and not (place / "cgroup.type").exists():  # only the root has none
                    (place / "cgroup.subtree_control").write_text(f"+{controller}")
                folder = place / name
                folder.mkdir(exist_ok=True)
                folders[folder] = None
                _bind(folder, version, controller, bound)
                binds.add(controller)
    return ControlGroup(folders=tuple(folders), binds=frozenset(binds))


def own_folder(controller: str, process: Path = Path("/proc/self")) -> tuple[str, Path] | None:
    """Version (`cgroup` or `cgroup2`) of the tree that has a controller, and the folder of a process in it."""
    lines = (line.split(":", 2) for line in (process / "cgroup").read_text().splitlines())
    names = {name: Path(path) for _, controllers, path in lines for name in controllers.split(",")}
    for line in (process / "mountinfo").read_text().splitlines():
        (root, point), (version, *_, options) = line.split()[3:5], line.partition(" - ")[2].split()
        name = {"cgroup": controller, "cgroup2": ""}.get(version)
        if name not in names or not names[name].is_relative_to(root):
            continue
        folder = Path(point) / names[name].relative_to(root)
        if controller in (options.split(",") if name else _words(folder / "cgroup.controllers")):
            return version, folder
    return None


def _bind(folder: Path, version: str, controller: str, bound: int) -> None:
    file, *swap = _FILES[version][controller]
    (folder / file).write_text(str(bound))
    for name in swap:
        with suppress(OSError):
            (folder / name).write_text(str(bound if version == "cgroup" else 0))


def _sweep(place: Path) -> None:
    """Remove the groups of makers that were killed."""
    for folder in place.glob(f"{PREFIX}*-*"):
        if not Path("/proc", folder.name.split("-")[-2]).exists():
            with suppress(OSError):
                folder.rmdir()


def _remove(group: ControlGroup) -> None:
    patience = time.monotonic() + 1
    for folder in group.folders:
        while not _removed(folder) and time.monotonic() < patience:  # the last member leaves a moment after its end
            time.sleep(0.001)


def _removed(folder: Path) -> bool:
    with suppress(OSError):
        folder.rmdir()
    return not folder.exists()


def _words(file: Path) -> list[str]:
    with suppress(OSError):
        return file.read_text().split()
    return []
