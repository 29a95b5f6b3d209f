"""What nodes do, as plain functions: train, evaluate, judge, test; `graph/preparation.py` prepares data.

They need a `RunContext` and no graph, so that a person or another agent can drive the laboratory too. Each is
idempotent: its output is kept under the hash of its inputs, and a second call reads it back.
"""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from eval.adapter import adapter_hash
from eval.engine_client import with_engine
from eval.evaluator_client import Rival, TestResult
from eval.hardware import compute_environment, heavy_work
from eval.probe import Regression
from eval.result import EvalResult, ItemResult, Split
from eval.verdict import Verdict, alpha_share
from graph.context import RunContext, label
from memory.records import (
    Evidence,
    Experiment,
    TrainingConfig,
    TrainingData,
    TrainingOutcome,
    TrainingRun,
)
from roles import evidence
from roles.briefing import Survey
from roles.evidence.case import Case, TrainedRow
from roles.recipes import names as methods
from roles.recipes.request import (
    ADAPTER,
    CHECKPOINTS,
    FAILURE,
    LOSSES,
    REQUEST,
    RESULT,
    LossPoint,
    TrainingRequest,
    read_losses,
)
from tasks.child import child_environment, kill_group, log_tail, start_child
from tasks.corpus import read_corpus
from tasks.failure import Failure, FailureKind, StageError
from tasks.record import Record, read_jsonl, read_record, write_record

KEPT_BY_A_RESTING_ENGINE = 0.15
"""Share of a GPU's memory that may be in use while the engine rests: a context, compiled graphs, other processes."""
TRAINING_STARTS = 3
"""Times that a training killed from outside is started again; it goes on from its own checkpoint."""
MINIMUM_TRAINING_SECONDS = 60.0
T = TypeVar("T")


def train(
    context: RunContext, number: int, data: TrainingData, config: TrainingConfig, replicate: int, limit: float | None
) -> TrainingRun:
    """Train one adapter in a process of its own.

    Args:
        replicate: 0 for the training that the verdict is about; others use other seeds.
        limit: seconds after which the training is killed; None for no limit.

    Raises:
        StageError: as the recipe says, or TIMEOUT.
    """
    if config.method not in methods():
        raise StageError(
            "train", FailureKind.CONFIG, f"unknown method '{config.method}'; known: {', '.join(methods())}"
        )
    folder = context.run.experiment(number) / (f"replicate-{replicate}" if replicate else ".")
    seed = context.config.seed + 1000 * replicate
    request = TrainingRequest(
        model=str(context.model), data=str(context.run.path / data.path), config=config, seed=seed, output=str(folder)
    )

    def produce() -> TrainingRun:
        with heavy_work(context.cache, context.warn):
            _rest_engine(context)
            _run_training(context, number, request, limit)
        outcome = read_record(folder / RESULT, TrainingOutcome)
        adapter = folder / ADAPTER
        return TrainingRun(
            adapter=context.run.relative(adapter.resolve()),
            adapter_hash=adapter_hash(adapter),
            seed=seed,
            **outcome.model_dump(),
        )

    inputs = [config.model_copy(update={"reason": ""}), data.content_hash, seed, context.config.model]
    return context.run.once("train", number, folder / "training.json", inputs, TrainingRun, produce)


def _rest_engine(context: RunContext) -> None:
    """Free the device that training and evaluation share; an engine that does not let go of it is ended."""
    if not context.devices.shared or context.engine.pid is None:
        return
    smallest = min(gpu.memory_gib for gpu in context.hardware.gpus)
    in_use = context.engine.call("rest")
    if in_use > KEPT_BY_A_RESTING_ENGINE * smallest:
        context.warn(f"  {in_use:.0f} GiB of the GPU are in use though the engine rests; it is ended for the training")
        context.engine.stop()


def _run_training(context: RunContext, number: int, request: TrainingRequest, limit: float | None) -> None:
    """Start the training process until it ends by itself."""
    folder = Path(request.output)
    for old in (FAILURE, RESULT):
        (folder / old).unlink(missing_ok=True)
    asked = folder / REQUEST
    if asked.exists() and read_record(asked, TrainingRequest) != request:  # after a repair: another training
        shutil.rmtree(folder / CHECKPOINTS, ignore_errors=True)
        (folder / LOSSES).unlink(missing_ok=True)
    write_record(asked, request)
    deadline = None if limit is None else time.monotonic() + max(limit, MINIMUM_TRAINING_SECONDS)
    for _ in range(TRAINING_STARTS):
        returncode = _watch_training(context, number, request, deadline)
        if (folder / FAILURE).exists():
            raise StageError("train", *_kind_and_message(folder))
        if returncode == 0:
            return
        if returncode > 0:
            message = log_tail(folder / "train.log")
            kind = FailureKind.OOM if "out of memory" in message.lower() else FailureKind.ENVIRONMENT
            raise StageError("train", kind, f"training ended with exit code {returncode}:\n{message}")
        context.warn(f"  the training process was killed (signal {-returncode}); it goes on from its last checkpoint")
    raise StageError("train", FailureKind.OOM, "the training process was killed again and again; was memory short?")


def _kind_and_message(folder: Path) -> tuple[FailureKind, str]:
    failure = read_record(folder / FAILURE, Failure)
    return failure.kind, failure.message


def _watch_training(context: RunContext, number: int, request: TrainingRequest, deadline: float | None) -> int:
    """Run the process once, showing its losses; returns its exit code."""
    folder = Path(request.output)
    bar = context.terminal.bar(f"train {number:03d}", "steps")
    with (folder / "train.log").open("ab") as log:
        process = start_child(
            f"roles.recipes.{request.config.method}",
            [folder / REQUEST],
            log=log,
            cwd=folder,
            environment=child_environment({**compute_environment(), **_visible(context.devices.training)}),
        )
    try:
        while process.poll() is None:
            time.sleep(0.2)
            if deadline is not None and time.monotonic() > deadline:
                raise StageError("train", FailureKind.TIMEOUT, "training took longer than the budget allows")
            point = _last_loss(folder / LOSSES)
            if point:
                bar(point.step, point.steps)
                context.terminal.loss(point.step, point.loss)
        return process.returncode
    finally:
        kill_group(process)


def _visible(devices: tuple[str, ...]) -> dict[str, str]:
    return {"CUDA_VISIBLE_DEVICES": ",".join(devices)} if devices else {}


def _last_loss(path: Path) -> LossPoint | None:
    if not path.exists():
        return None
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 400))
        lines = [line for line in file.read().decode(errors="replace").splitlines() if line.startswith("{")]
    return LossPoint.model_validate_json(lines[-1]) if lines and lines[-1].endswith("}") else None


def evaluate(
    context: RunContext,
    number: int,
    split: Split,
    training: TrainingRun | None,
    replicate: int = 0,
    incumbent: int | None = None,
) -> EvalResult:
    """Score the untouched model or an adapter on feedback or selection, with the warm engine.

    Args:
        incumbent: the experiment to beat on selection: the evaluation stops where it is clear that it will not be.

    Raises:
        StageError: FORMAT when the adapter changes nothing, ENVIRONMENT when engine or evaluator cannot be kept alive.
    """
    name = label(number, replicate)
    path = context.run.file("sealed" if replicate else f"experiments/{number:03d}") / f"{name}.{split}.json"
    checkpoint = context.checkpoint(training)
    rival = None if incumbent is None else Rival(label=label(incumbent), alpha=_alpha(context))

    def produce() -> EvalResult:
        bar = context.terminal.bar(f"evaluate {name} on {split}", "items")
        return _with_engine(
            context,
            lambda: context.evaluator.evaluate(
                name, split, checkpoint, context.engine.socket, context.config.seed, bar, rival
            ),
        )

    inputs = [checkpoint.adapter_hash, context.config.model, context.config.engine, context.description.benchmark_hash,
              rival]  # fmt: skip
    return context.run.once("evaluate", number, path, inputs, EvalResult, produce)


def probe(context: RunContext, number: int, training: TrainingRun) -> Regression:
    """What an adapter costs elsewhere: the general probe of it and of the untouched model."""
    path = context.run.experiment(number) / "probe.json"
    baseline, checkpoint = context.checkpoint(None), context.checkpoint(training)

    def produce() -> Regression:
        bar = context.terminal.bar(f"general probe of {number:03d}", "items")
        return _with_engine(
            context,
            lambda: context.evaluator.probe(label(number), baseline, checkpoint, context.engine.socket, bar),
        )

    inputs = [checkpoint.adapter_hash, context.config.model, context.config.engine]
    return context.run.once("probe", number, path, inputs, Regression, produce)


class GatheredEvidence(Record):
    """What `evidence.json` holds."""

    evidence: tuple[Evidence, ...]


def gather_evidence(
    context: RunContext, survey: Survey, experiment: Experiment, parent: Experiment
) -> GatheredEvidence:
    """The computed facts about an experiment, from `roles/evidence/`."""
    folder = context.run.experiment(experiment.number)

    def produce() -> GatheredEvidence:
        case = Case(
            survey=survey,
            experiment=experiment,
            parent=parent,
            items=tuple(feedback_items(context, experiment).values()),
            parent_items=tuple(feedback_items(context, parent).values()),
            rows=tuple(_trained_rows(context, experiment)),
            losses=tuple(read_losses(folder / LOSSES)),
        )
        only = None if experiment.number else evidence.OF_ANSWERS
        return GatheredEvidence(evidence=evidence.gather(case, only))

    inputs = [experiment, parent.number]
    return context.run.once("evidence", experiment.number, folder / "evidence.json", inputs, GatheredEvidence, produce)


def feedback_items(context: RunContext, experiment: Experiment) -> dict[str, ItemResult]:
    """The feedback items as an experiment answered them, by id; none when it was not evaluated."""
    path = context.run.experiment(experiment.number) / "feedback.jsonl"
    if experiment.feedback is None or not path.exists():
        return {}
    return {row["id"]: ItemResult.model_validate(row) for row in read_jsonl(path)}


def _trained_rows(context: RunContext, experiment: Experiment) -> Iterator[TrainedRow]:
    """The rows of an experiment with what they were made from."""
    if experiment.data is None:
        return
    path = context.run.path / experiment.data.path
    raw: dict[str, list[dict[str, Any]]] = {
        source.name: list(read_jsonl(context.corpus / f"{source.name}.jsonl"))
        for source in read_corpus(context.corpus).sources
        if source.name in experiment.data.rows_by_source
    }
    for row, origin in zip(read_jsonl(path), read_jsonl(path.with_name("provenance.jsonl")), strict=True):
        fields = raw.get(origin["source"], [])
        yield TrainedRow(
            prompt=row["prompt"],
            answer=row["answer"],
            options=tuple(origin["options"]),
            content=origin["content"],
            task_format=origin["task_format"],
            source=origin["source"],
            row=origin["row"],
            raw=fields[origin["row"] - 1] if 0 < origin["row"] <= len(fields) else {},
        )


def judge(context: RunContext, number: int, incumbent: int) -> Verdict:
    """The verdict on an experiment against another one, on selection."""
    others = range(1, context.config.replicates)
    return context.evaluator.compare(
        label(number),
        label(incumbent),
        _alpha(context),
        context.config.seed,
        replicates=[label(number, replicate) for replicate in others],
        incumbent_replicates=[label(incumbent, replicate) for replicate in others if incumbent],
    )


def _alpha(context: RunContext) -> float:
    return alpha_share(context.config.max_experiments)


def test(context: RunContext, best: Experiment) -> TestResult:
    """Open the sealed split for the untouched model and the experiment that is delivered; once a run."""

    def produce() -> TestResult:
        baseline = context.checkpoint(None)
        candidate = context.checkpoint(best.training) if best.training else None
        bar = context.terminal.bar("sealed test", "items")
        return _with_engine(
            context,
            lambda: context.evaluator.test(
                context.run.name, baseline, candidate, context.engine.socket, context.config.seed, bar
            ),
        )

    inputs = [context.description.benchmark_hash, best.training]
    return context.run.once("test", None, context.run.file("test.json"), inputs, TestResult, produce)


def _with_engine(context: RunContext, work: Callable[[], T]) -> T:
    return with_engine(context.engine, context.cache, context.warn, work)
