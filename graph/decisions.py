"""Asking the roles: briefings are put together here, decisions checked, kept on disk and written to the transcript.

A decision is kept beside the experiment it belongs to, so a resumed run does not ask again.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from eval.result import ItemResult
from graph import actions
from graph.context import RunContext
from graph.recollection import recollect
from memory.recall import data_question, diagnostician_question, planner_question, trainer_question
from memory.records import DataRecipe, Diagnosis, Experiment, Plan, TrainingConfig, TrainingData
from roles.backbone import Check, Exchange, Question, Role, consult
from roles.briefing import (
    DataBriefing,
    DiagnosticianBriefing,
    PlannerBriefing,
    Situation,
    Survey,
    TrainerBriefing,
)
from roles.data_steps import describe_steps, load_step
from roles.recipes import names as methods
from tasks.failure import FailureKind, StageError
from tasks.record import Record

D = TypeVar("D", bound=Record)
WRONG_SHOWN = 8
"""Wrong feedback items that the diagnostician sees."""


def decide_plan(context: RunContext, survey: Survey, experiments: list[Experiment], incumbent: int) -> Plan:
    """Ask the planner what the next experiment tries."""
    number = len(experiments)
    card = survey.task
    question = planner_question(task=card.name, domain=card.domain, model=survey.model, description=card.description)
    briefing = PlannerBriefing(
        **_situation(context, survey, experiments, incumbent, question),
        diagnosis=experiments[-1].diagnosis,
        evidence=experiments[-1].evidence,
    )
    path = context.run.experiment(number) / "plan.json"
    return _decide(context, number, path, "planner", briefing, Plan, (), lambda plan: _check_plan(plan, experiments))


def decide_recipe(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    plan: Plan,
    complaints: Sequence[str],
) -> DataRecipe:
    """The parent's recipe when the plan keeps it, else the data engineer's."""
    number, parent = len(experiments), experiments[plan.parent]
    if plan.factor == "training" and parent.recipe and not complaints:
        return parent.recipe
    card, sources = survey.task, [source.description for source in survey.corpus.sources]
    question = data_question(task=card.name, domain=card.domain, sources=sources, strategy=plan.data_strategy)
    briefing = DataBriefing(
        **_situation(context, survey, experiments, incumbent, question, plan),
        plan=plan,
        parent_recipe=parent.recipe,
        diagnosis=parent.diagnosis,
        evidence=parent.evidence,
        steps=tuple(describe_steps()),
    )
    path = context.run.experiment(number) / _attempt("recipe", complaints)
    return _decide(context, number, path, "data_engineer", briefing, DataRecipe, complaints, _check_recipe)


def decide_config(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    plan: Plan,
    recipe: DataRecipe,
    data: TrainingData,
    complaints: Sequence[str],
) -> TrainingConfig:
    """The parent's configuration when the plan keeps it, else the trainer's.

    Raises:
        StageError: CONFIG, when a changed recipe left the rows of an earlier experiment, so that keeping the
            configuration would repeat it; the trainer is then asked.
    """
    number, parent = len(experiments), experiments[plan.parent]
    if plan.factor == "data" and parent.config and not complaints:
        kept = parent.config.model_copy(update={"max_length": max(parent.config.max_length, data.tokens_max)})
        if refused := _check_config(kept, recipe, data, experiments):
            raise StageError("train", FailureKind.CONFIG, refused)
        return kept
    question = trainer_question(
        task=survey.task.name, model=survey.model, method="sft", strategy=plan.training_strategy
    )
    briefing = TrainerBriefing(
        **_situation(context, survey, experiments, incumbent, question, plan),
        plan=plan,
        data=data,
        parent_config=parent.config,
        diagnosis=parent.diagnosis,
        evidence=parent.evidence,
        methods=tuple(methods()),
    )

    def check(config: TrainingConfig) -> str | None:
        return _check_config(config, recipe, data, experiments)

    path = context.run.experiment(number) / _attempt("config", complaints)
    return _decide(context, number, path, "trainer", briefing, TrainingConfig, complaints, check)


def decide_diagnosis(
    context: RunContext, survey: Survey, experiments: list[Experiment], incumbent: int, experiment: Experiment
) -> Diagnosis:
    """Ask the diagnostician why an experiment came out as it did; it alone sees feedback items."""
    parent = experiments[experiment.plan.parent] if experiment.plan else experiments[0]
    items, before = actions.feedback_items(context, experiment), actions.feedback_items(context, parent)
    common = [(item, before[id_]) for id_, item in items.items() if id_ in before]
    symptoms = experiment.failure.message if experiment.failure else _symptoms(experiment)
    question = diagnostician_question(task=survey.task.name, domain=survey.task.domain, symptoms=symptoms)
    briefing = DiagnosticianBriefing(
        **_situation(context, survey, experiments, incumbent, question),
        experiment=experiment,
        evidence=experiment.evidence,
        parent_feedback=parent.feedback,
        wrong=spread([item for item in items.values() if item.score < 1]),
        fixed=sum(item.score > old.score for item, old in common),
        broken=sum(item.score < old.score for item, old in common),
    )
    path = context.run.experiment(experiment.number) / "diagnosis.json"
    return _decide(
        context, experiment.number, path, "diagnostician", briefing, Diagnosis, (), lambda d: _check_quotes(d, briefing)
    )


def spread(items: list[ItemResult]) -> tuple[ItemResult, ...]:
    """Some items, from as many groups as there are."""
    groups: dict[str, list[ItemResult]] = {}
    for item in items:
        groups.setdefault(item.group, []).append(item)
    turns = itertools.zip_longest(*groups.values())
    return tuple([item for turn in turns for item in turn if item is not None][:WRONG_SHOWN])


def _decide(
    context: RunContext,
    number: int,
    path: Path,
    role: Role,
    briefing: Situation,
    schema: type[D],
    complaints: Sequence[str],
    check: Check,
) -> D:
    def ask() -> D:
        def note(exchange: Exchange) -> None:
            context.run.append("transcript.jsonl", exchange)

        return consult(context.minds[role], Question(role, briefing, schema, complaints), check, note, number)

    return context.run.once(role, number, path, [role, number, list(complaints)], schema, ask)


def _attempt(name: str, complaints: Sequence[str]) -> str:
    return f"{name}.json" if not complaints else f"{name}.{len(complaints) + 1}.json"


def _situation(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    question: str,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """The fields of `Situation` as keyword arguments."""
    share = plan.budget_share if plan else None
    return {
        "survey": survey,
        "trials": tuple(experiments),
        "incumbent": incumbent,
        "remaining": context.budget.remaining(experiments, share),
        "recalled": recollect(context, question, plan.memory_ids if plan else ()),
    }


def _symptoms(experiment: Experiment) -> str:
    if not (experiment.feedback and experiment.training):
        return "no result"
    return (
        f"unparsed {experiment.feedback.unparsed}, loss {experiment.training.first_loss} to "
        f"{experiment.training.final_loss}, feedback {experiment.feedback.score}"
    )


def _check_plan(plan: Plan, experiments: list[Experiment]) -> str | None:
    if plan.parent >= len(experiments):
        return f"parent {plan.parent} does not exist; experiments so far: 0 to {len(experiments) - 1}"
    parent = experiments[plan.parent]
    if parent.training is None and plan.factor != "both":
        return f"experiment {plan.parent} was not trained, so nothing of it can be kept: factor must be `both`"
    if parent.training is not None and plan.factor == "both":
        return f"experiment {plan.parent} is trained, so change one factor against it: `data` or `training`"
    return None


def _check_recipe(recipe: DataRecipe) -> str | None:
    """Unknown steps and wrong parameters come back at once; sources are checked where the corpus is."""
    try:
        for step in recipe.steps:
            load_step(step)
    except StageError as error:
        return error.failure.message
    return None


def _check_config(
    config: TrainingConfig, recipe: DataRecipe, data: TrainingData, experiments: list[Experiment]
) -> str | None:
    if config.method not in methods():
        return f"unknown method '{config.method}'; known: {', '.join(methods())}"
    if config.max_length < data.tokens_max:
        return f"max_length {config.max_length} is shorter than the longest row ({data.tokens_max} tokens)"
    for old in experiments:
        same_data = old.data and old.data.content_hash == data.content_hash
        if same_data and old.config and _decisive(old.config) == _decisive(config):
            return f"experiment {old.number} trained the same rows with the same configuration; change something"
    return None


def _decisive(config: TrainingConfig) -> dict[str, object]:
    return config.model_dump(exclude={"reason", "max_length"})


def _check_quotes(diagnosis: Diagnosis, briefing: DiagnosticianBriefing) -> str | None:
    """A diagnosis reaches the data engineer, so it may not carry benchmark text: no run of eight words of an item."""
    said = " ".join(
        [diagnosis.suspected_cause, diagnosis.next_intervention, *(finding.claim for finding in diagnosis.findings)]
    ).split()
    runs = {" ".join(said[i : i + 8]) for i in range(len(said) - 7)}
    for item in briefing.wrong:
        words = f"{item.prompt} {item.answer}".split()
        if any(" ".join(words[i : i + 8]) in runs for i in range(len(words) - 7)):
            return f"the diagnosis quotes item {item.id}; name items and groups, never their text"
    return None
