"""A small service for `test_service.py`: `python -P -m toy_service --socket PATH [--start how]`."""

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, NoReturn

from eval.service import Progress, serve
from tasks.failure import FailureKind, InputError, StageError

TOGETHER = 4
"""Callers that `meet` waits for."""
_BARRIER = threading.Barrier(TOGETHER)


def echo(progress: Progress, value: Any) -> Any:
    return value


def pid(progress: Progress) -> int:
    return os.getpid()


def count(progress: Progress, to: int) -> str:
    for number in range(to):
        progress(number + 1, to)
    return "counted"


def meet(progress: Progress) -> int:
    """Returns only when `TOGETHER` calls are in here at once."""
    _BARRIER.wait(timeout=20)
    return os.getpid()


def wait(progress: Progress, marker: str) -> int:
    """Reports once, then waits until a file is there."""
    progress(0, 1)
    while not Path(marker).exists():
        time.sleep(0.02)
    return os.getpid()


def spawn(progress: Progress) -> list[int]:
    """The process ids of this process and of one that it starts."""
    return [os.getpid(), subprocess.Popen(["sleep", "600"]).pid]


def wrong_input(progress: Progress) -> None:
    raise InputError("row 7: no field 'answer'")


def failed_stage(progress: Progress) -> None:
    raise StageError("train", FailureKind.OOM, "no memory for 3 rows")


def bug(progress: Progress) -> None:
    raise ZeroDivisionError("a bug of ours")


def refuse() -> NoReturn:
    raise InputError("--model here:\nno 'weights' in it")


METHODS = {method.__name__: method for method in (echo, pid, count, meet, wait, spawn, wrong_input, failed_stage, bug)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", type=Path, required=True)
    parser.add_argument("--start", choices=("well", "badly", "never", "refusing", "dying"), default="well")
    arguments = parser.parse_args()
    if arguments.start == "badly":
        sys.exit("the weights are not there")
    if arguments.start == "dying":
        os.kill(os.getpid(), signal.SIGKILL)
    if arguments.start == "never":
        print("still loading", flush=True)
        time.sleep(600)
    if arguments.start == "refusing":
        print("loading " * 1000, flush=True)
    serve(arguments.socket, lambda: refuse() if arguments.start == "refusing" else METHODS)


if __name__ == "__main__":
    main()
