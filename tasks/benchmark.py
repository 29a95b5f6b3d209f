"""From a task's benchmark rows to samples. Only the evaluator process calls this."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tasks import scoring
from tasks.failure import InputError
from tasks.record import digest
from tasks.rows import Row, load_rows, locate
from tasks.splits import Splits, split_samples, with_units
from tasks.task import Origin, Sample, Scorer, Task
from tasks.template import fields, render

MINIMUM = 20
"""Benchmark rows below which no verdict can mean anything."""


class LoadedBenchmark:
    """The samples of a task by id, and its splits."""

    def __init__(self, samples: dict[str, Sample], splits: Splits, scorer: Scorer) -> None:
        self.samples = samples
        self.splits = splits
        self.scorer = scorer

    def of(self, split: str) -> list[Sample]:
        """Samples of `feedback`, `selection` or `test`, in a fixed order."""
        return [self.samples[id_] for id_ in getattr(self.splits, split)]


def load_benchmark(task: Task, data_root: Path | None) -> LoadedBenchmark:
    """Load, render, check and split a benchmark.

    Raises:
        InputError: a file, row or field is wrong, ids repeat, a reference answer does not score 1, or too few rows.
    """
    scorer = scoring.load(task.scorer)
    rows = load_rows(task.benchmark, task.base_dir, data_root)
    samples = _samples(task, rows, scorer, _place(task.benchmark, task, data_root))
    test_ids: set[str] | None = None
    if task.benchmark.test:
        origin = Origin(path=task.benchmark.test)
        test_rows = load_rows(origin, task.base_dir, data_root)
        explicit = _samples(task, test_rows, scorer, _place(origin, task, data_root), prefix="test:")
        test_ids = set(explicit)
        samples |= explicit
    if len(samples) < MINIMUM:
        raise InputError(f"{task.name}: the benchmark has {len(samples)} rows; at least {MINIMUM} are needed")
    splits = split_samples(list(samples.values()), test_ids)
    _check_splits(task, splits)
    return LoadedBenchmark({sample.id: sample for sample in with_units(list(samples.values()))}, splits, scorer)


def _place(origin: Origin, task: Task, data_root: Path | None) -> str:
    return str(locate(origin.path, task.base_dir, data_root)) if origin.path else str(origin.hub)


def _samples(task: Task, rows: list[Row], scorer: Scorer, place: str, prefix: str = "") -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{place}, row {number}"
        sample = _sample(task, row, number, where, prefix)
        if sample.id in samples:
            raise InputError(f"{where}: id '{sample.id}' occurs twice")
        _check_gold(scorer, sample, where)
        samples[sample.id] = sample
    _check_groups(task, samples, place)
    return samples


def _sample(task: Task, row: Row, number: int, where: str, prefix: str) -> Sample:
    benchmark = task.benchmark
    for field in (benchmark.id, benchmark.group, benchmark.cluster):
        if field and field not in row:
            raise InputError(f"{where}: no field '{field}'; it has: {', '.join(row)}")
    try:
        return Sample(
            id=prefix + str(row[benchmark.id] if benchmark.id else number),
            prompt=render(task.prompt, row),
            answer=render(task.answer, row),
            options=render_options(task.options, row),
            group=str(row[benchmark.group]) if benchmark.group else "all",
            cluster=str(row[benchmark.cluster]) if benchmark.cluster else "",
            content=content_of(task, row),
        )
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def render_options(options: tuple[str, ...] | str, row: Row) -> tuple[str, ...]:
    """The option texts of a row: one template each, or one template that renders a JSON list."""
    if not isinstance(options, str):
        return tuple(render(option, row) for option in options)
    text = render(options, row)
    try:
        values: Any = json.loads(text)
    except ValueError:
        values = None
    if not isinstance(values, list):
        raise InputError(f"`options` must render a JSON list (use `{{{{ field | tojson }}}}`), found {text[:80]!r}")
    return tuple(str(value) for value in values)


def content_of(task: Task, row: Row) -> str:
    """What decontamination compares: the `content` template, or the question fields without the options."""
    if task.content:
        return render(task.content, row)
    templates = [task.options] if isinstance(task.options, str) else list(task.options)
    optional = {field for template in templates for field in fields(template)}
    names = fields(task.prompt)
    question = [name for name in names if name not in optional] or names
    return " ".join(str(row[name]) for name in question if name in row)


def _check_gold(scorer: Scorer, sample: Sample, where: str) -> None:
    """A reference must be one that the scorer can compare with; scorers raise `ValueError` for one that is not."""
    if not sample.answer:
        raise InputError(f"{where}: the reference answer is empty")
    try:
        gold = scorer.score(sample.answer, sample)
        scorer.score(scorer.contract().example, sample)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from None
    if gold.parsed and gold.score != 1:
        found = f"read as {gold.extracted!r}"
        raise InputError(f"{where}: the reference {sample.answer[:80]!r} does not score 1 under the scorer ({found})")


def _check_groups(task: Task, samples: dict[str, Sample], place: str) -> None:
    groups = Counter(sample.group for sample in samples.values())
    if len(groups) > max(20, len(samples) // 5):
        raise InputError(
            f"{place}: group '{task.benchmark.group}' has {len(groups)} values over {len(samples)} rows; a group is a "
            "category of the report. For rows that must stay on one side of a split use `cluster`"
        )


def _check_splits(task: Task, splits: Splits) -> None:
    empty = [name for name in ("feedback", "selection", "test") if not getattr(splits, name)]
    if empty:
        raise InputError(
            f"{task.name}: the benchmark leaves no rows for {' and '.join(empty)}; check `test` (are its rows "
            "the whole benchmark?), `cluster` (is one value in most rows?) and `group` (has each group one row?)"
        )


def benchmark_hash(benchmark: LoadedBenchmark) -> str:
    """Identity of the samples, in whatever order, and of how they are split."""
    return digest([sorted(benchmark.samples.values(), key=lambda sample: sample.id), benchmark.splits])
