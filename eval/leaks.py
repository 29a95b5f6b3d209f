"""Training rows without those that leak the benchmark: the evaluator's gate."""

import math
from functools import cached_property
from itertools import chain
from pathlib import Path

from tasks.benchmark import LoadedBenchmark, related_samples
from tasks.decontaminate import Content, Decontaminator
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Sample, Task

LEAKS = 10
"""Leaks are counted in tens."""
_COMPARED = ("prompt", "answer", "options", "identities")
"""Fields of a training row that are compared, besides its content."""


class LeakGuard:
    """An index over a task's benchmark and those of related tasks, made when it is first needed; every recipe of a run
    passes it."""

    def __init__(self, task: Task, data_root: Path | None, benchmark: LoadedBenchmark, cache: Path) -> None:
        self._task = task
        self._data_root = data_root
        self._benchmark = benchmark
        self._folder = cache / "embeddings"

    @property
    def related(self) -> tuple[str, ...]:
        """Names of the other tasks whose items are kept out, too."""
        return tuple(self._related)

    def clean(self, rows: Path, kept: Path, leaks: Path) -> int:
        """Copy the rows of one file that leak no benchmark item to `kept`, and the others, with the reason, to `leaks`.

        Returns:
            How many leaks there are at most: rounded up to tens and never 0, because an exact count would tell of the
            sealed split.
        """
        candidates = list(read_jsonl(rows))
        reasons = self._guard.leaks(
            Content.model_validate({"question": row["content"], **{name: row[name] for name in _COMPARED}})
            for row in candidates
        )
        judged = list(zip(candidates, reasons, strict=True))
        write_jsonl(kept, [row for row, reason in judged if reason is None])
        found = [{"reason": reason, **row} for row, reason in judged if reason is not None]
        write_jsonl(leaks, found)
        return max(1, math.ceil(len(found) / LEAKS)) * LEAKS

    @cached_property
    def _guard(self) -> Decontaminator:
        samples = chain(self._benchmark.samples.values(), *self._related.values())
        return Decontaminator(samples, self._folder)

    @cached_property
    def _related(self) -> dict[str, list[Sample]]:
        return related_samples(self._task, self._data_root)
