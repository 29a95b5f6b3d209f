"""Looking for planted tokens: in files, and in the memory of a running process."""

import os
import re
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from laboratory import TOKEN, Started, token

from tasks.benchmark import load_benchmark
from tasks.task_file import load_task_file

_FOUND = re.compile(TOKEN.encode() + rb"[b-t]{8}")
PIECE = 16 * 2**20


@dataclass(frozen=True)
class Sighting:
    """The tokens in the memory of a process at one moment."""

    moment: str
    tokens: frozenset[str]


def tokens_in(content: bytes) -> set[str]:
    """All planted tokens in some bytes."""
    return {found.decode() for found in _FOUND.findall(content)}


def tokens_of(task_file: Path, split: str) -> set[str]:
    """The tokens of the benchmark rows of a split, in questions and answers."""
    splits = load_benchmark(load_task_file(task_file), None).splits
    numbers = [int(id_.removeprefix("benchmark")) for id_ in getattr(splits, split)]
    return {token("benchmark", number, place) for number in numbers for place in ("question", "answer")}


def watch_memory(started: Started, task_file: Path) -> list[Sighting]:
    """Look into the graph process after the first judged experiment and after the sealed test."""
    sightings: list[Sighting] = []
    for stage, record in (("diagnostician", "experiments/001/diagnosis.json"), ("test", "test.json")):
        started.wait_for_event(stage, "end", record)
        sightings.append(Sighting(stage, frozenset(_look(started.process.pid))))
    return sightings


def _look(pid: int) -> set[str]:
    """Stop a process, read its writable memory, let it go on; skips where that is not allowed."""
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(0.05)
        return {found for piece in _memory(pid) for found in tokens_in(piece)}
    except PermissionError as error:
        pytest.skip(f"the memory of a process cannot be read here: {error}")
    finally:
        os.kill(pid, signal.SIGCONT)


def _memory(pid: int) -> Iterator[bytes]:
    """The readable and writable private memory of a process in overlapping pieces."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:  # noqa: PTH123
        for line in maps:
            place, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(part, 16) for part in place.split("-"))
            for at in range(start, end, PIECE):
                try:
                    memory.seek(at)
                    yield memory.read(min(end - at, PIECE + 64))
                except OSError:
                    continue  # pages that cannot be read, such as guards
