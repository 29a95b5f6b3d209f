"""From a task's benchmark rows to samples. Only the evaluator process calls this."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tasks import scoring
from tasks.catalogue import related
from tasks.failure import InputError
from tasks.identity import identities
from tasks.record import digest
from tasks.reference_split import reference_split
from tasks.rows import Row, at_hand, load_rows
from tasks.splits import Splits, split_samples, with_units
from tasks.task import ItemScore, Origin, Sample, Scorer, Shots, Task
from tasks.template import SHOTS, fields, render

MINIMUM = 20
"""Benchmark rows below which no verdict can mean anything."""
FEWEST = 10
"""Selection rows that the reference's test rows must leave."""


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
    shots = _shots(task, data_root)
    samples = _samples(task, rows, scorer, _place(task.benchmark, task, data_root), shots)
    test_ids: set[str] | None = None
    validation_ids: set[str] | None = None
    if task.benchmark.reference:
        validation_ids, test_ids = reference_split(_sets(task, rows, samples), task.benchmark.reference)
    if task.benchmark.test:
        origin = Origin(path=task.benchmark.test)
        test_rows = load_rows(origin, task.base_dir, data_root)
        explicit = _samples(task, test_rows, scorer, _place(origin, task, data_root), shots, prefix="test:")
        test_ids = set(explicit)
        samples |= explicit
    if len(samples) < MINIMUM:
        raise InputError(f"{task.name}: the benchmark has {len(samples)} rows; at least {MINIMUM} are needed")
    splits = _split(task, list(samples.values()), test_ids, validation_ids)
    _check_splits(task, splits)
    return LoadedBenchmark({sample.id: sample for sample in with_units(list(samples.values()))}, splits, scorer)


def related_samples(task: Task, data_root: Path | None) -> dict[str, list[Sample]]:
    """Items of the benchmarks of other tasks that share a source with a task, by task; those that are not at hand are
    left out.

    What is learned for one task of a domain serves the others, too, so their items must not be learned either.

    Raises:
        InputError: a file is wrong.
    """
    on_hub = not at_hand(task.benchmark, task.base_dir, data_root)
    found: dict[str, list[Sample]] = {}
    for other in related(task):
        benchmark = other.benchmark
        try:
            present = bool(at_hand(benchmark, other.base_dir, data_root)) or on_hub
        except InputError:
            present = False
        if present:
            rows = load_rows(benchmark, other.base_dir, data_root)
            place = _place(benchmark, other, data_root)
            found[other.name] = [
                _sample(other, {**row, SHOTS: []}, number, f"{place}, row {number}", "")
                for number, row in enumerate(rows, start=1)
            ]
    return found


def at_a_glance(task: Task, data_root: Path | None) -> tuple[str, str]:
    """Number of a benchmark's items, or `?`, and where they are: a file at hand, or the hub."""
    try:
        if not at_hand(task.benchmark, task.base_dir, data_root):
            return "?", f"hub {task.benchmark.hub}"
        rows = load_rows(task.benchmark, task.base_dir, data_root)
    except InputError as error:
        return "?", f"not at hand ({error})"
    return str(len(rows)), f"at hand: {task.benchmark.path}"


def _split(task: Task, samples: list[Sample], test_ids: set[str] | None, validation_ids: set[str] | None) -> Splits:
    """By the protocol; by our own rule where nearly all rows share something with a test row of the reference."""
    if task.protocol == "paper":
        return split_samples(samples, test_ids, validation_ids)
    splits = split_samples(samples, test_ids)
    return splits if task.benchmark.reference is None or len(splits.selection) >= FEWEST else split_samples(samples)


def _sets(task: Task, rows: list[Row], samples: dict[str, Sample]) -> dict[str, list[str]]:
    """Ids of the reference's sub-datasets, in the order of the rows."""
    field = task.benchmark.sets
    found: dict[str, list[str]] = {}
    for row, sample in zip(rows, samples.values(), strict=True):
        named = sample.group if field is None else row[field]
        for name in named if isinstance(named, list) else [str(named)]:
            found.setdefault(name, []).append(sample.id)
    return found


def _place(origin: Origin, task: Task, data_root: Path | None) -> str:
    files = at_hand(origin, task.base_dir, data_root)
    return str(files[0] if len(files) == 1 else origin.path if files else origin.hub)


def _shots(task: Task, data_root: Path | None) -> Callable[[Row], list[Row]]:
    """The solved examples that stand before a row's question."""
    shots = task.shots
    if shots is None:
        return lambda row: []
    known: dict[object, list[Row]] = {}
    for row in load_rows(shots, task.base_dir, data_root):
        known.setdefault(_matched(row, shots, "an example"), []).append(row)

    def of(row: Row) -> list[Row]:
        key = _matched(row, shots, "the row")
        if key not in known:
            raise InputError(f"shots: no example has {shots.match} = {key!r}")
        return known[key][: shots.count]

    return of


def _matched(row: Row, shots: Shots, what: str) -> object:
    if shots.match is None:
        return None
    if shots.match not in row:
        raise InputError(f"shots: {what} has no field '{shots.match}'; it has: {', '.join(row)}")
    return row[shots.match]


def _samples(
    task: Task, rows: list[Row], scorer: Scorer, place: str, shots: Callable[[Row], list[Row]], prefix: str = ""
) -> dict[str, Sample]:
    samples: dict[str, Sample] = {}
    for number, row in enumerate(rows, start=1):
        where = f"{place}, row {number}"
        sample = _sample(task, {**row, SHOTS: shots(row)} if task.shots else row, number, where, prefix)
        if sample.id in samples:
            raise InputError(f"{where}: id '{sample.id}' occurs twice")
        samples[sample.id] = sample
    _check_golds(scorer, list(samples.values()), place, strict=task.protocol == "honest")
    _check_groups(task, samples, place)
    return samples


def _sample(task: Task, row: Row, number: int, where: str, prefix: str) -> Sample:
    benchmark = task.benchmark
    for field in (benchmark.id, benchmark.group, benchmark.cluster, *task.context):
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
            context={field: row[field] for field in task.context},
            content=content_of(task, row),
            identities=identities(row, task.identities),
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


def _check_golds(scorer: Scorer, samples: list[Sample], place: str, *, strict: bool) -> None:
    """References, in the order of the rows, must be such that the scorer can compare with them; scorers raise
    `ValueError` for one that is not.

    Args:
        strict: they must also score 1, where they are answers; under `paper` some do not.
    """
    for number, sample in enumerate(samples, start=1):
        if not sample.answer:
            raise InputError(f"{place}, row {number}: the reference answer is empty")
    for number, (sample, gold) in enumerate(zip(samples, _golds(scorer, samples, place), strict=True), start=1):
        said = f"{place}, row {number}: the reference {sample.answer[:80]!r}"
        if gold and scoring.FAILED in gold.metrics:
            raise InputError(f"{said}: the scorer fails: {gold.extracted}")
        if strict and gold and gold.parsed and gold.score != 1 and scoring.compares(scorer):
            raise InputError(f"{said} does not score 1 under the scorer (read as {gold.extracted!r})")


def _golds(scorer: Scorer, samples: list[Sample], place: str) -> Sequence[ItemScore | None]:
    """The scores of the references as answers; None where scoring would run them."""
    check: Callable[[Sample], None] | None = getattr(scorer, "check_reference", None)
    example = scorer.contract().example
    if hasattr(scorer, "parses_all"):
        if not scoring.parses(scorer, example):
            raise InputError(f"scorer: it cannot read its own example {example!r}")
        return scoring.score_all(scorer, [(sample.answer, sample) for sample in samples])
    golds: list[ItemScore | None] = []
    for number, sample in enumerate(samples, start=1):
        try:
            if check:
                check(sample)
            else:
                scorer.score(example, sample)
            golds.append(None if check else scorer.score(sample.answer, sample))
        except ValueError as error:
            raise InputError(f"{place}, row {number}: {error}") from None
    return golds


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
