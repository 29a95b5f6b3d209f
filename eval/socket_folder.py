"""The folder in which a service keeps its socket and its temporary files: it goes when its owner goes.

An owner that is killed cannot remove its folder, so whoever starts next does. An owner holds a lock on a file in its
folder for as long as it lives, and the kernel lets go of it when the owner dies, however it dies: a folder of ours
whose lock is free is abandoned. The lock is taken before the file gets its name, so a folder just made never looks so.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

PREFIX = "ft-dojo-"
LOCK = "owner.lock"


class SocketFolder:
    """A new folder in the temporary directory, owned by this process until it is removed."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
        nameless = self.path / f".{LOCK}"
        self._lock = nameless.open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        nameless.rename(self.path / LOCK)

    def remove(self) -> None:
        """Remove the folder with all that is in it; twice does no harm."""
        shutil.rmtree(self.path, ignore_errors=True)
        self._lock.close()


def remove_abandoned() -> None:
    """Remove the folders in the temporary directory whose owner is dead.

    Folders of other users, links and folders without a lock are left alone.
    """
    for entry in os.scandir(tempfile.gettempdir()):
        if entry.name.startswith(PREFIX):
            with suppress(OSError):  # it is not ours, its owner lives, or somebody else has just removed it
                _remove_if_abandoned(Path(entry.path))


def _remove_if_abandoned(folder: Path) -> None:
    """
    Raises:
        OSError: it is not abandoned, or gone.
    """
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
        return
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)
