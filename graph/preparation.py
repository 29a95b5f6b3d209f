"""What the data engineer's recipe becomes: rows on disk, after the gate and decontamination.

As the actions, `prepare_data` needs a `RunContext` and no graph, and a second call reads back what the first one wrote.
"""

import time
from collections import Counter
from pathlib import Path
from typing import Any

from eval.engine_client import with_engine
from graph.context import RunContext
from memory.records import DataRecipe, Flow, TrainingData, TrainingRun
from roles.data_steps.models import ModelAccess
from roles.data_steps.pipeline import NO_ACCESS, PreparedRows, services
from tasks.failure import FailureKind, StageError
from tasks.record import digest, file_digest, read_jsonl, write_jsonl

LEAKS = "leaks, rounded up to tens"
"""The reason for which decontamination removes rows."""


def row_limit(context: RunContext) -> int:
    """Tokens a training row may have: what the model can read."""
    return context.engine.call("info")["context"]


def prepare_data(
    context: RunContext,
    number: int,
    recipe: DataRecipe,
    max_length: int,
    models: ModelAccess = NO_ACCESS,
    folder: Path | None = None,
) -> TrainingData:
    """Apply a recipe, the gate and decontamination; writes `data.jsonl` and `provenance.jsonl`.

    Leaks are taken out in tens, at least ten rows: others make up the number. Else a role could tell from the rows that
    are left whether a row that it made is an item of the sealed test.

    Args:
        models: what the steps may ask, as `model_access` gives it.
        folder: where it goes; the experiment's, if none is given.

    Raises:
        StageError: the recipe cannot be carried out or leaves no rows.
    """
    run, folder = context.run, folder or context.run.experiment(number)
    inputs = [recipe, max_length, context.config.max_train_rows, context.config.seed, context.description.corpus,
              context.description.benchmark_hash, context.description.related,
              context.pipeline.asked(recipe, models)]  # fmt: skip

    def produce() -> TrainingData:
        started = time.monotonic()
        prepared = _apply(context, recipe, max_length, folder / "script", models)
        clean = folder / "clean.jsonl"
        at_most = context.evaluator.decontaminate(Path(prepared.path), clean)
        rows = _drawn(context, list(read_jsonl(clean)), max(0, prepared.rows - at_most))
        clean.unlink()
        leaks = {LEAKS: prepared.rows - len(rows)}
        removed = {**prepared.removed, **leaks}
        flow = [*prepared.flow, Flow(step="decontamination", rows=len(rows), removed=leaks)]
        if len(rows) > context.config.max_train_rows:
            over = {"over --max-train-rows": len(rows) - context.config.max_train_rows}
            removed |= over
            flow.append(Flow(step="limit", rows=context.config.max_train_rows, removed=over))
            rows = _drawn(context, rows, context.config.max_train_rows)
        if not rows:
            raise StageError("prepare_data", FailureKind.DATA, f"no rows are left to train on; removed: {removed}")
        _write_rows(folder, rows)
        tokens = sorted(row["tokens"] for row in rows)
        return TrainingData(
            path=run.relative(folder / "data.jsonl"),
            content_hash=file_digest(folder / "data.jsonl"),
            rows=len(rows),
            rows_by_source=dict(sorted(Counter(row["source"] for row in rows).items())),
            tokens=sum(tokens),
            tokens_median=tokens[len(tokens) // 2],
            tokens_max=tokens[-1],
            removed=dict(sorted(removed.items())),
            flow=tuple(flow),
            row_limit=max_length,
            seconds=round(time.monotonic() - started, 1),
        )

    return run.once("prepare_data", number, folder / "data.json", inputs, TrainingData, produce)


def gated_rows(
    context: RunContext, recipe: DataRecipe, max_length: int, models: ModelAccess, folder: Path
) -> list[dict[str, Any]]:
    """The rows of a recipe that was prepared in `folder`, as the gate let them pass: before decontamination.

    Who sees some of them learns nothing about which rows leak benchmark items.
    """
    prepared = _apply(context, recipe, max_length, folder / "script", models)
    return list(read_jsonl(Path(prepared.path)))


def _drawn(context: RunContext, rows: list[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """So many of the rows, in their order, by a hash that nobody but the evaluator and this process can compute."""
    key = context.description.benchmark_hash
    order = sorted(range(len(rows)), key=lambda i: digest([key, rows[i]["source"], rows[i]["row"], rows[i]["prompt"]]))
    return [rows[i] for i in sorted(order[:number])]


def _write_rows(folder: Path, rows: list[dict[str, Any]]) -> None:
    """What is learned, and beside it where each row came from."""
    learned = [{"prompt": row["prompt"], "answer": row["answer"]} for row in rows]
    origins = [
        {**{name: row[name] for name in ("source", "row", "options", "content", "task_format")}, "hash": digest(row)}
        for row in rows
    ]
    write_jsonl(folder / "data.jsonl", learned)
    write_jsonl(folder / "provenance.jsonl", origins)


def model_access(context: RunContext, recipe: DataRecipe, best: TrainingRun | None) -> ModelAccess:
    """What the steps of a recipe may ask: the tiers of the run through its gateway, its model through its engine.

    Args:
        best: the training that `rejection_sample` may draw from; None for the untouched model.

    Raises:
        StageError: the recipe names an unknown step or a wrong parameter; ENVIRONMENT, the gateway does not start.
    """
    if not services(recipe.steps):
        return NO_ACCESS
    gateway, config = context.gateway, context.config
    if gateway:
        gateway.spent()  # starts it
    return ModelAccess(
        gateway=str(gateway.socket) if gateway else None,
        tiers=config.tiers if gateway else {},
        prices=config.prices,
        engine=str(context.engine.socket),
        checkpoints={"untouched": context.checkpoint(None), "best": context.checkpoint(best)},
    )


def _apply(context: RunContext, recipe: DataRecipe, max_length: int, script: Path, models: ModelAccess) -> PreparedRows:
    """Apply the recipe, with the engine kept alive where a step draws from it."""

    def work() -> PreparedRows:
        return context.pipeline.apply(recipe, max_length, script, models)

    if "engine" not in services(recipe.steps):
        return work()
    return with_engine(context.engine, context.cache, context.warn, work)
