"""How our own processes start, live and die.

Every child runs with `-P` and the checkout as its `PYTHONPATH`, so that a file named like one of our packages in the
working directory cannot shadow it. It leads a process group of its own, gets a scrubbed environment, and watches its
standard input: when the parent dies, even by SIGKILL, the pipe closes and the child ends its group. The watch begins
before the child's module is loaded, for a module that imports torch takes seconds to load: this file, run as a
script, starts the watch and then runs the module of its first argument.
"""

import os
import runpy
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

CHECKOUT = Path(__file__).resolve().parents[1]

_PASSED = frozenset(
    (
        *("PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV", "XDG_CACHE_HOME"),
        *("CUDA_HOME", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "SSL_CERT_FILE"),
        *("HF_HOME", "HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_DATASETS_CACHE"),
    )
)
HUB_SECRETS = ("HF_TOKEN",)
"""Passed only to processes that load from the hub."""


def child_environment(extra: Mapping[str, str] | None = None, *, hub: bool = False) -> dict[str, str]:
    """The environment of a child: a short list of names from ours, then `extra`; no provider keys.

    Args:
        hub: pass the hub token too, for a process that loads a model or a data set from the hub.
    """
    names = _PASSED | frozenset(HUB_SECRETS if hub else ())
    kept = {name: value for name, value in os.environ.items() if name in names or name.startswith("LC_")}
    quiet = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_DISABLE_TELEMETRY": "1", "PYTHONUNBUFFERED": "1"}
    return {**kept, **quiet, "PYTHONPATH": str(CHECKOUT), **(extra or {})}


def module_command(module: str, arguments: Sequence[str | Path]) -> list[str]:
    """The command line of one of our modules as a child process."""
    return [sys.executable, "-P", "-m", module, *map(str, arguments)]


def start_child(
    module: str, arguments: Sequence[str | Path], *, log: IO[bytes], cwd: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a module as a child that writes to `log` and ends when this process does."""
    return subprocess.Popen(
        [sys.executable, "-P", __file__, module, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=log,
        stderr=subprocess.STDOUT,
        cwd=cwd,
        env=dict(environment),
        start_new_session=True,
    )


def _end_with_parent() -> None:
    """In a child: kill the own process group as soon as the parent's end of standard input closes."""

    def watch() -> None:
        while os.read(0, 1024):
            pass
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True, name="end-with-parent").start()


def kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a child and everything it started, and reap it."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if process.stdin:
        process.stdin.close()


def log_tail(path: Path, characters: int = 2000) -> str:
    """The end of a log file: where the cause of a failure stands."""
    if not path.exists():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 4 * characters))
        return file.read().decode(errors="replace")[-characters:].strip()


def _run_watched(module: str, arguments: Sequence[str]) -> None:
    """Run a module as `python -m MODULE ARGUMENTS` would, in a process that ends with its parent."""
    _end_with_parent()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _run_watched(sys.argv[1], sys.argv[2:])
