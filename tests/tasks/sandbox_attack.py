"""What the tests of the sandbox share: attacks are scripts, and after each the host must be as it was before."""

import json
import os
import resource
import signal
import socket
import subprocess
import textwrap
from pathlib import Path
from typing import Any, Self

from tasks.control_group import PREFIX, own_folder
from tasks.sandbox import run_script
from tasks.supervise import Finished, Limits

CHECKOUT = Path(__file__).resolve().parents[2]
MIB = 1 << 20
INSIDE = """
    import os
    if open("/proc/1/comm").read() != "bwrap\\n" or sum(name.isdigit() for name in os.listdir("/proc")) > 5:
        raise SystemExit("this is not a sandbox")
"""
"""Opens an attack that would harm this machine if the processes were not shut in: it then ends at once."""
TRIED = """
    import json, os, sys
    tried = {}
    def attempt(name, action):
        try:
            tried[name] = action()
        except BaseException as error:
            tried[name] = None
    import atexit
    atexit.register(lambda: print(json.dumps(tried)))
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    def call(number, *arguments):
        return "done" if libc.syscall(number, *arguments) != -1 else None
"""
"""Opens an attack: `attempt(name, action)` notes what the action gave, or None if it was refused."""


class Attack:
    """Runs scripts on a corpus of one file, in the folder `out` beside it, and looks what became of the host."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.corpus = folder / "corpus"
        self.corpus.mkdir()
        (self.corpus / "rows.jsonl").write_text('{"question": "1+1", "answer": "2"}\n')
        (folder / "bystander.txt").write_text("unharmed")

    def __enter__(self) -> Self:
        self.bystander = subprocess.Popen(["/bin/sleep", "600"])
        return self

    def __exit__(self, *_: object) -> None:
        self.bystander.kill()
        self.bystander.wait()

    def __call__(self, code: str, unsafe: bool = False, **limits: Any) -> Finished:
        script = self.folder / "agent.py"
        script.write_text(textwrap.dedent(code))
        before = self._host()
        bounds = Limits(**{"wall_seconds": 60, **limits})
        finished = run_script(script, self.corpus, self.folder / "out", bounds, unsafe=unsafe)
        assert self._host() == before
        assert subprocess.run(["/bin/true"], check=False).returncode == 0  # it can still start processes
        return finished

    def _host(self) -> dict[str, Any]:
        """What no attack may change."""
        tops = [path for path in self.folder.iterdir() if path.name != "out"]
        files = [path for top in tops for path in (top, *top.rglob("*")) if path.is_file()]
        homes = [home[1] for home in map(own_folder, ("pids", "memory")) if home is not None]
        kinds = [getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")]
        return {
            "files": {path: (path.read_bytes(), path.stat().st_mode, path.stat().st_nlink) for path in files},
            "bystander runs": self.bystander.poll() is None,
            "control groups": [group for home in homes for group in home.glob(f"{PREFIX}{os.getpid()}-*")],
            "mounts": Path("/proc/self/mountinfo").read_text(),
            "limits": [resource.getrlimit(kind) for kind in kinds],
            "priority": (os.nice(0), Path("/proc/self/oom_score_adj").read_text()),
            "terminal signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)],
            "name": socket.gethostname(),
        }


def alive(word: str) -> list[int]:
    """The processes of the host with this word in their command line."""
    found: list[int] = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if word.encode() in (place / "cmdline").read_bytes():
                found.append(int(place.name))
        except OSError:
            continue
    return found


def tried(finished: Finished) -> dict[str, Any]:
    """What the attempts of an attack gave."""
    assert finished.isolated
    assert finished.stdout, finished
    return json.loads(finished.stdout)


def refused(finished: Finished) -> None:
    """Something was attempted, and nothing came of it."""
    outcome = tried(finished)
    assert outcome
    assert {name: value for name, value in outcome.items() if value is not None} == {}
