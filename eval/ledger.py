"""The ledger of openings: each time a sealed test split is looked at is written down, over all runs.

A test score means less each time it is looked at, so the count is shown beside it.
"""

import fcntl
from datetime import UTC, datetime
from pathlib import Path

from tasks.record import Record, read_jsonl


class Opening(Record):
    """One run that opened a test split."""

    task: str
    benchmark_hash: str
    run: str
    time: str
    """UTC, ISO 8601."""


def open_test(root: Path, task: str, benchmark_hash: str, run: str) -> int:
    """Enter a run once into `root/openings.jsonl`; a run that resumes is not entered again.

    Returns:
        Number of runs, this one included, that have opened the test split of this task and benchmark.
    """
    path = root / "openings.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        openings = [Opening.model_validate(row) for row in read_jsonl(path)]
        same = [entry for entry in openings if (entry.task, entry.benchmark_hash) == (task, benchmark_hash)]
        if any(entry.run == run for entry in same):
            return len(same)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        entry = Opening(task=task, benchmark_hash=benchmark_hash, run=run, time=now)
        file.write(entry.model_dump_json() + "\n")
    return len(same) + 1
