"""What a run leaves for the engineer who deploys it: adapter, model card, lineage, and a script that makes it again."""

import shutil
from pathlib import Path
from typing import Literal

from eval.base_model import SMOLLM2, SMOLLM2_NOTE
from eval.evaluator_client import TestResult
from eval.hardware import versions
from graph.config import RunConfig
from graph.context import RunContext
from graph.templates import render
from memory.records import DataRecipe, Experiment, TrainingConfig, TrainingData, TrainingRun
from roles.briefing import Survey
from tasks.record import Record, write_record, write_text


class Lineage(Record):
    """How the delivered adapter came about; `python -m graph.reproduce` makes it again from this."""

    version: Literal[1] = 1
    run_config: RunConfig
    experiment: int
    benchmark_hash: str
    corpus_hash: str
    recipe: DataRecipe
    data: TrainingData
    config: TrainingConfig
    training: TrainingRun
    ancestors: tuple[int, ...]
    """Experiments whose decisions this one builds on, the nearest first."""
    versions: dict[str, str]


def deliver(
    context: RunContext, survey: Survey, experiments: list[Experiment], number: int, result: TestResult
) -> None:
    """Write `deliver/`; without a better experiment only the model card, which says so."""
    folder = context.run.file("deliver")
    folder.mkdir(exist_ok=True)
    best = experiments[number]
    lineage = _lineage(context, survey, experiments, best)
    if lineage and best.training:
        _copy(context.run.path / best.training.adapter, folder / "adapter")
        write_record(folder / "lineage.json", lineage)
        script = folder / "reproduce.sh"
        write_text(script, render("reproduce.sh", lineage=lineage, config=context.config))
        script.chmod(0o755)
    card = render(
        "MODEL_CARD.md",
        config=context.config,
        survey=survey,
        best=best,
        result=result,
        experiments=experiments,
        model_note=SMOLLM2_NOTE if context.config.model == SMOLLM2 else context.config.model,
        versions=versions(),
    )
    write_text(folder / "MODEL_CARD.md", card)
    if best.training is None:
        context.terminal.say(f"no experiment was better than the untouched model; see {folder / 'MODEL_CARD.md'}")
    else:
        context.terminal.say(f"delivered experiment {number:03d}: {folder}")


def _lineage(context: RunContext, survey: Survey, experiments: list[Experiment], best: Experiment) -> Lineage | None:
    if not (best.plan and best.recipe and best.data and best.config and best.training):
        return None
    ancestors, at = list[int](), best
    while at.plan:
        at = experiments[at.plan.parent]
        ancestors.append(at.number)
    return Lineage(
        run_config=context.config,
        experiment=best.number,
        benchmark_hash=context.description.benchmark_hash,
        corpus_hash=survey.corpus.hash,
        recipe=best.recipe,
        data=best.data,
        config=best.config,
        training=best.training,
        ancestors=tuple(ancestors),
        versions=versions(),
    )


def _copy(source: Path, target: Path) -> None:
    scratch = target.with_name(f".{target.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(source, scratch)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)
