"""A family of tasks, one after the other under one budget: `--task chemistry`.

Each task is a run of its own in a folder of the family's, with an equal share of the time that is left when it begins.
A task that cannot run (its data or a package is not at hand) is reported and passed over. `family.json` holds the
flags, so that `--resume` goes on with the tasks that are not finished.
"""

import argparse
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.evaluator_client import TestResult
from graph.budget import CLOCK, used_before
from graph.config import parse_duration
from tasks.failure import InputError, StageError
from tasks.record import Record, read_record, write_record

INDEX = "family.json"
PATHS = ("data_root", "memory_dir", "cache_dir", "run_dir")
"""Flags that are paths."""
Run = Callable[[argparse.Namespace], int]


class Family(Record):
    """What `family.json` holds."""

    name: str
    tasks: tuple[str, ...]
    flags: dict[str, Any]
    budget_seconds: float | None
    """Of all tasks together; None when only experiments are counted."""


def start_family(
    flags: argparse.Namespace, tasks: tuple[str, ...], budget: float | None, runs: Path, start: Run, resume: Run
) -> int:
    """Run the tasks of a family.

    Args:
        budget: seconds for all tasks together.
        runs: where the folder goes unless `--run-dir` names one.
        start, resume: run one task with the flags given, or go on with the run in `flags.run_dir`.
    """
    folder: Path = flags.run_dir or runs / f"{datetime.now():%Y%m%d-%H%M%S}-{flags.task}"
    if (folder / INDEX).exists():
        raise InputError(f"--run-dir {folder} exists already; go on with --resume {folder}, or name another")
    kept = {name: str(value.absolute()) if isinstance(value, Path) else value for name, value in vars(flags).items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder / INDEX, Family(name=flags.task, tasks=tasks, flags=kept, budget_seconds=budget))
    return resume_family(folder, start, resume)


def resume_family(folder: Path, start: Run, resume: Run) -> int:
    """Go on with a family; returns 0 when every task ended in a report, else 1."""
    family = read_record(folder / INDEX, Family)
    refused: dict[str, str] = {}
    for place, task in enumerate(family.tasks):
        run = folder / task
        if (run / "report.html").exists():
            continue
        flags = _flags(family, task, run)
        if family.budget_seconds is not None and not (run / "config.json").exists():
            used = sum(used_before(folder / other / CLOCK) for other in family.tasks)
            left = max(1.0, (family.budget_seconds - used) / (len(family.tasks) - place))
            flags.budget = f"{left:.0f}s"
        try:
            (resume if (run / "config.json").exists() else start)(flags)
        except (InputError, StageError) as error:
            refused[task] = str(error)
            print(f"{task} cannot run: {error}", flush=True)
    _show(folder, family, refused)
    return 1 if refused else 0


def share_of_budget(flags: argparse.Namespace, default: float) -> float | None:
    """Seconds that a family has; None when `--max-experiments` alone bounds it."""
    if flags.budget:
        return parse_duration(flags.budget)
    return None if flags.max_experiments or flags.dry_run else default


def _flags(family: Family, task: str, run: Path) -> argparse.Namespace:
    paths = {name: Path(family.flags[name]) for name in PATHS if family.flags.get(name)}
    return argparse.Namespace(**{**family.flags, **paths, "task": task, "run_dir": run})


def _show(folder: Path, family: Family, refused: dict[str, str]) -> None:
    """Print a line for each task."""
    table = Table(title=f"family {family.name}", title_justify="left")
    for heading in ("task", "untouched", "delivered", "effect on the sealed test", "report"):
        table.add_column(heading, overflow="fold")
    for task in family.tasks:
        result, report = folder / task / "test.json", folder / task / "report.html"
        if task in refused or not result.exists():
            table.add_row(task, "", "", refused.get(task, "not finished"), "")
            continue
        found = read_record(result, TestResult)
        best, verdict = found.best, found.verdict
        effect = f"{verdict.effect:+.3f} (95 % {verdict.low:+.3f} to {verdict.high:+.3f})" if verdict else "none"
        table.add_row(task, f"{found.baseline.score:.3f}", f"{best.score:.3f}" if best else "", effect, str(report))
    Console().print(table)
