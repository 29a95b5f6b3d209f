"""Where a delivered adapter comes from: everything that made it, so that it can be made again."""

import json
from typing import Literal

from eval.base_identity import BaseIdentity, identify
from eval.hardware import Hardware, versions
from graph.config import RunConfig
from graph.context import RunContext
from graph.preparation import model_access
from graph.run_dir import ENVIRONMENT
from memory.records import DataRecipe, Experiment, Plan, TrainingConfig, TrainingData, TrainingRun
from roles.briefing import Survey
from roles.data_steps.models import ModelAccess
from roles.data_steps.pipeline import services
from tasks.record import Record


class Lineage(Record):
    """How the delivered adapter came about; `python -m graph.reproduce` makes it again from this.

    The decisions are here as they were carried out, so no mind and no memory is needed.
    """

    version: Literal[2] = 2
    run_config: RunConfig
    """Without the folders of cache and memory, which change nothing."""
    experiment: int
    ancestors: tuple[int, ...]
    """Experiments whose decisions this one builds on, the nearest first."""
    benchmark_hash: str
    corpus_hash: str
    base: BaseIdentity
    plan: Plan | None
    """None when the adapter is the generalist's, who makes none."""
    recipe: DataRecipe
    data: TrainingData
    models: ModelAccess = ModelAccess()
    """Those that its data steps asked; what they gave lies beside the lineage, in `bought/`."""
    config: TrainingConfig
    training: TrainingRun
    hardware: Hardware
    versions: dict[str, str]
    """At the end of the run."""
    began_with: dict[str, str]
    """Those that were others when the run began, before it was resumed."""


def trace(context: RunContext, survey: Survey, experiments: list[Experiment], best: Experiment) -> Lineage | None:
    """The lineage of an experiment's adapter; None when it has none."""
    if not (best.recipe and best.data and best.config and best.training):
        return None
    ancestors, at = list[int](), best
    while at.plan:
        at = experiments[at.plan.parent]
        ancestors.append(at.number)
    now, then = versions(), _versions_at_start(context)
    return Lineage(
        run_config=context.config.model_copy(update={"cache_dir": "", "memory_dir": ""}),
        experiment=best.number,
        ancestors=tuple(ancestors),
        benchmark_hash=context.description.benchmark_hash,
        corpus_hash=survey.corpus.hash,
        base=identify(context.config.model, context.model),
        plan=best.plan,
        recipe=best.recipe,
        data=best.data,
        models=asked_models(context, experiments, best),
        config=best.config,
        training=best.training,
        hardware=context.hardware,
        versions=now,
        began_with={name: version for name, version in then.items() if version != now.get(name)},
    )


def asked_models(context: RunContext, experiments: list[Experiment], best: Experiment) -> ModelAccess:
    """What the data steps of an experiment could ask: which model was the best then, its data or its verdict tells."""
    if not (best.recipe and services(best.recipe.steps)):
        return ModelAccess()
    number = best.verdict.incumbent if best.verdict else 0
    if best.data and best.data.best is not None:
        number = best.data.best
    return model_access(context, best.recipe, experiments[number].training).told()


def _versions_at_start(context: RunContext) -> dict[str, str]:
    path = context.run.file(ENVIRONMENT)
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
