"""The folders of killed owners go; those of living ones, of other users and of strangers stay."""

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from eval.socket_folder import LOCK, PREFIX, SocketFolder, remove_abandoned
from tasks.child import child_environment

OWNER = """
import sys, time
from eval.socket_folder import SocketFolder
folder = SocketFolder()
(folder.path / "socket").touch()
print(folder.path, flush=True)
time.sleep(600)
"""
CHURN = """
import sys
from eval.socket_folder import SocketFolder, remove_abandoned
for _ in range(150):
    folder = SocketFolder()
    remove_abandoned()
    assert (folder.path / "owner.lock").exists()
    folder.remove()
"""


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A temporary directory for this test alone."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


def start(code: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment()
    )


def owner() -> tuple[subprocess.Popen[str], Path]:
    """A process that owns a folder, and the folder."""
    process = start(OWNER)
    assert process.stdout
    return process, Path(process.stdout.readline().strip())


def test_the_folder_of_a_killed_owner_goes_and_that_of_a_living_one_stays() -> None:
    (dead, abandoned), (living, kept) = owner(), owner()
    remove_abandoned()
    assert (abandoned / "socket").exists()
    dead.send_signal(signal.SIGKILL)
    dead.communicate()
    remove_abandoned()
    assert not abandoned.exists()
    assert (kept / "socket").exists()
    living.kill()
    living.communicate()


def test_an_owner_removes_its_own_folder() -> None:
    folder = SocketFolder()
    assert folder.path.stat().st_mode & 0o777 == 0o700
    remove_abandoned()
    assert folder.path.is_dir(), "this process lives"
    for _ in range(2):  # twice does no harm
        folder.remove()
        assert not folder.path.exists()


def _abandoned(path: Path) -> Path:
    path.mkdir()
    (path / LOCK).touch()
    return path


def test_what_is_not_ours_stays(temporary: Path) -> None:
    """Another name, no lock, a link to a folder, a lock that is a link, a file; and a folder of somebody else."""
    precious = temporary / "precious"
    _abandoned(precious)
    (temporary / f"{PREFIX}without").mkdir()
    (temporary / f"{PREFIX}link").symlink_to(precious)
    (temporary / f"{PREFIX}linked-lock").mkdir()
    (temporary / f"{PREFIX}linked-lock" / LOCK).symlink_to(precious / LOCK)
    (temporary / f"{PREFIX}file").touch()
    if os.geteuid() == 0:
        os.chown(_abandoned(temporary / f"{PREFIX}foreign"), 12345, 12345)
    before = sorted(temporary.rglob("*"))
    ours = _abandoned(temporary / f"{PREFIX}ours")
    remove_abandoned()
    assert not ours.exists(), "the search finds nothing"
    assert sorted(temporary.rglob("*")) == before


def test_a_folder_is_never_taken_from_under_its_owner() -> None:
    """Processes that make, look for and remove folders at once."""
    started = [start(CHURN) for _ in range(4)]
    ended = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0] * 4, ended


def test_many_may_clean_at_once(temporary: Path) -> None:
    for number in range(50):
        _abandoned(temporary / f"{PREFIX}{number}")
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(remove_abandoned) for _ in range(4)]:
            done.result()
    assert list(temporary.iterdir()) == []
