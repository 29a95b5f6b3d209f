"""Children get no keys, cannot be shadowed by the working directory, and die with their group and with their parent."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tasks.child import CHECKOUT, child_environment, kill_group, log_tail, module_command, start_child

PATIENCE = 20
"""Seconds until a process must have started or ended; the machine may be busy."""

FAMILY = """
import subprocess, sys, time
from pathlib import Path
grandchild = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
Path(sys.argv[1]).with_suffix(".part").write_text(f"{__import__('os').getpid()} {grandchild.pid}")
Path(sys.argv[1]).with_suffix(".part").rename(sys.argv[1])
time.sleep(600)
"""
"""A child with a child: notes both process ids in the file of the first argument."""

PARENT = """
import subprocess, sys, time
from pathlib import Path
from tasks.child import child_environment, module_command, start_child
folder = Path(sys.argv[1])
environment = child_environment({"PYTHONPATH": sys.argv[2]})
with (folder / "log").open("wb") as log:
    arguments = [folder / "pids", *sys.argv[3:]]
    if "watch" in sys.argv:
        child = start_child("family", arguments, log=log, cwd=folder, environment=environment)
    else:
        command = module_command("family", arguments)
        child = subprocess.Popen(command, stdin=subprocess.PIPE, cwd=folder, env=environment, start_new_session=True)
    while "exit" not in sys.argv or not (folder / "pids").exists():
        time.sleep(0.02)
"""
"""Starts that child and sleeps; with the word `exit` it returns as soon as the child runs."""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie that nobody reaps is dead."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(happened: Callable[[], bool], seconds: float = PATIENCE) -> bool:
    until = time.monotonic() + seconds
    while not happened():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


class Family:
    """The processes of one test; whatever is left of them is killed after it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = f"{CHECKOUT}{os.pathsep}{folder}"
        (folder / "family.py").write_text(FAMILY, encoding="utf-8")

    def pids(self) -> list[int]:
        """Child and grandchild, once both run."""
        assert wait_for((self.folder / "pids").exists), (self.folder / "log").read_text(encoding="utf-8")
        return [int(pid) for pid in (self.folder / "pids").read_text(encoding="utf-8").split()]


@pytest.fixture
def family(tmp_path: Path) -> Iterator[Family]:
    made = Family(tmp_path)
    yield made
    for pid in made.pids() if (tmp_path / "pids").exists() else []:
        if alive(pid):
            os.kill(pid, signal.SIGKILL)


def start_parent(family: Family, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PARENT, str(family.folder), family.path, *words]
    return subprocess.Popen(command, cwd=CHECKOUT)


def test_a_child_and_its_child_end_when_the_parent_is_killed(family: Family) -> None:
    parent = start_parent(family, "watch")
    pids = family.pids()
    assert all(map(alive, pids))
    parent.kill()  # SIGKILL: the parent can do nothing
    parent.wait()
    assert wait_for(lambda: not any(map(alive, pids)))


def test_a_child_and_its_child_end_when_the_parent_returns(family: Family) -> None:
    parent = start_parent(family, "watch", "exit")
    pids = family.pids()
    assert parent.wait(PATIENCE) == 0
    assert wait_for(lambda: not any(map(alive, pids)))


def test_without_the_watch_they_would_live_on(family: Family) -> None:
    """What the two tests above would miss if the children died for another reason."""
    parent = start_parent(family)
    pids = family.pids()
    parent.kill()
    parent.wait()
    assert not wait_for(lambda: not all(map(alive, pids)), seconds=0.5)


def start_family(family: Family) -> subprocess.Popen[bytes]:
    environment = child_environment({"PYTHONPATH": family.path})
    with (family.folder / "log").open("wb") as log:
        return start_child("family", [family.folder / "pids"], log=log, cwd=family.folder, environment=environment)


def test_kill_group_ends_grandchildren_and_reaps(family: Family) -> None:
    child = start_family(family)
    pids = family.pids()
    kill_group(child)
    assert child.returncode == -signal.SIGKILL
    assert wait_for(lambda: not any(map(alive, pids)))
    assert child.stdin
    assert child.stdin.closed
    kill_group(child)  # again: nothing to do, no error


def test_kill_group_ends_the_grandchild_of_a_dead_child(family: Family) -> None:
    child = start_family(family)
    first, second = family.pids()
    os.kill(first, signal.SIGKILL)
    child.wait()
    assert alive(second)
    kill_group(child)
    assert wait_for(lambda: not alive(second))


def test_a_child_leads_its_own_group(family: Family) -> None:
    """So that Ctrl-C at the terminal, and the end of its group, reach it or us alone."""
    child = start_family(family)
    group = [os.getpgid(pid) for pid in family.pids()]
    assert group == [child.pid, child.pid]
    assert os.getpgid(0) != child.pid
    kill_group(child)


def test_a_file_in_the_working_directory_does_not_shadow_ours(tmp_path: Path) -> None:
    """An agent writes `roles.py`, `eval.py`, `tasks.py` and `json.py` where a child of ours will work."""
    work, probes = tmp_path / "work", tmp_path / "probes"
    for folder in (work, probes):
        folder.mkdir()
    for name in ("roles", "eval", "tasks", "graph", "memory", "json", "probe"):
        (work / f"{name}.py").write_text("raise SystemExit('shadowed')\n", encoding="utf-8")
    (probes / "probe.py").write_text(
        "import json, sys\nimport roles, eval, tasks.record\nfrom eval.engine import Checkpoint\n"
        "print(json.dumps([roles.__path__[0], eval.__path__[0], tasks.record.__file__]), sys.argv[1:])\n",
        encoding="utf-8",
    )
    environment = child_environment({"PYTHONPATH": f"{CHECKOUT}{os.pathsep}{probes}"})
    with (tmp_path / "log").open("wb") as log:
        child = start_child("probe", ["a b", tmp_path], log=log, cwd=work, environment=environment)
    assert child.wait(PATIENCE) == 0, log_tail(tmp_path / "log")
    printed = log_tail(tmp_path / "log")
    for place in ("roles", "eval", "tasks/record.py"):
        assert f'"{CHECKOUT / place}"' in printed
    assert printed.endswith(f"['a b', '{tmp_path}']")
    kill_group(child)
    shadowed = subprocess.run(  # the same without -P, which shows that the files above are a threat
        [sys.executable, "-m", "probe"], cwd=work, env=environment, capture_output=True, text=True, check=False
    )
    assert "shadowed" in shadowed.stderr


def test_the_command_line_of_a_module() -> None:
    assert module_command("eval.service", [Path("/a"), "b c"]) == [
        sys.executable,
        "-P",
        "-m",
        "eval.service",
        "/a",
        "b c",
    ]


KEYS = {
    "OPENAI_API_KEY": "sk-openai",
    "ANTHROPIC_API_KEY": "sk-anthropic",
    "AWS_SECRET_ACCESS_KEY": "aws",
    "MY_OWN_TOKEN": "mine",
    "HTTPS_PROXY": "http://user:password@proxy",
    "LD_PRELOAD": "",
    "PYTHONSTARTUP": "/evil.py",
}


@pytest.mark.parametrize("hub", [False, True])
def test_the_environment_of_a_real_child_holds_no_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hub: bool
) -> None:
    """What arrives in the process, not what we meant to pass: only the hub token, and only where it is asked for."""
    for name, value in {
        **KEYS,
        "HF_TOKEN": "hf-secret",
        "LC_ALL": "C.UTF-8",
        "HF_HOME": "/hub",
        "PYTHONPATH": "/x",
    }.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "show.py").write_text(
        "import json, os, sys\njson.dump(dict(os.environ), open(sys.argv[1], 'w'))\n", encoding="utf-8"
    )
    environment = child_environment({"EXTRA": "1"}, hub=hub)
    assert environment["PYTHONPATH"] == str(CHECKOUT)
    with (tmp_path / "log").open("wb") as log:
        child = start_child(
            "show", [tmp_path / "seen"], log=log, cwd=tmp_path, environment={**environment, "PYTHONPATH": str(tmp_path)}
        )
    assert child.wait(PATIENCE) == 0, log_tail(tmp_path / "log")
    kill_group(child)
    seen = (tmp_path / "seen").read_text(encoding="utf-8")
    assert not [name for name in KEYS if f'"{name}"' in seen]
    assert not [value for value in KEYS.values() if value and value in seen]
    assert ("hf-secret" in seen) is hub
    for kept in (
        '"LC_ALL": "C.UTF-8"',
        '"HF_HOME": "/hub"',
        '"EXTRA": "1"',
        '"PATH"',
        '"TOKENIZERS_PARALLELISM": "false"',
    ):
        assert kept in seen


def test_extra_names_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    assert child_environment()["HOME"] == "/home/somebody"
    assert child_environment({"HOME": "/elsewhere"})["HOME"] == "/elsewhere"


def test_the_log_holds_output_and_errors(tmp_path: Path) -> None:
    (tmp_path / "talk.py").write_text("import sys\nprint('out')\nraise ValueError('the cause: é')\n", encoding="utf-8")
    with (tmp_path / "log").open("wb") as log:
        child = start_child(
            "talk", [], log=log, cwd=tmp_path, environment=child_environment({"PYTHONPATH": str(tmp_path)})
        )
    assert child.wait(PATIENCE) == 1
    kill_group(child)
    tail = log_tail(tmp_path / "log")
    assert tail.startswith("out\nTraceback")
    assert tail.endswith("ValueError: the cause: é")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", ""),
        (b"  short \n", "short"),
        (b"a" * 5000 + b" the cause\n", "aaaaaaaaa the cause"),
        ("é".encode() * 5000, "é" * 20),
        (b"\xff" * 30, "\ufffd" * 20),
    ],
)
def test_the_tail_of_a_log_is_its_end(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "log").write_bytes(content)
    assert log_tail(tmp_path / "log", 20) == expected


def test_a_log_that_is_not_there_has_no_tail(tmp_path: Path) -> None:
    assert log_tail(tmp_path / "none") == ""


def test_a_child_that_still_loads_its_module_ends_too(family: Family) -> None:
    """Ctrl-C right after the start of a training, which imports torch for seconds before it does anything."""
    slow = family.folder / "slow_to_load.py"
    slow.write_text("import family\n", encoding="utf-8")  # sleeps while it is imported
    environment = child_environment({"PYTHONPATH": family.path})
    with (family.folder / "log").open("wb") as log:
        child = start_child(
            "slow_to_load", [family.folder / "pids"], log=log, cwd=family.folder, environment=environment
        )
    pids = family.pids()
    assert child.stdin
    child.stdin.close()  # what the end of the parent does
    assert child.wait(PATIENCE) == -signal.SIGKILL
    assert wait_for(lambda: not any(map(alive, pids)))


def test_the_watch_does_not_end_a_child_that_is_written_to(family: Family) -> None:
    """Bytes on standard input are no end of it."""
    child = start_family(family)
    family.pids()
    assert child.stdin
    child.stdin.write(b"x" * 5000)
    child.stdin.flush()
    assert not wait_for(lambda: child.poll() is not None, seconds=0.3)
    child.stdin.close()
    assert child.wait(PATIENCE) == -signal.SIGKILL
