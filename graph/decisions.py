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
from graph.run_dir import TRANSCRIPT
from graph.state import by_number
from memory.recall import data_question, diagnostician_question, planner_question, trainer_question
from memory.records import DataRecipe, Diagnosis, Experiment, Plan, Review, TrainingConfig, TrainingData
from roles.backbone import Check, Exchange, Question, Role, consult
from roles.briefing import (
    DataBriefing,
    DiagnosticianBriefing,
    PlannerBriefing,
    Remaining,
    Situation,
    Survey,
    TrainerBriefing,
)
from roles.checks import check_config, check_diagnosis, check_plan, check_recipe
from roles.data_steps import describe_steps
from roles.prompt_text import listed
from roles.recipes import names as methods
from tasks.failure import FailureKind, StageError
from tasks.record import Record, digest, read_jsonl

D = TypeVar("D", bound=Record)
WRONG_SHOWN = 8
"""Wrong feedback items that the diagnostician sees."""
UNREAD_SHOWN = BROKEN_SHOWN = 2
"""Of these, answers that cannot be read, and items that the parent had right; as far as there are some."""


def decide_plan(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    declined: Sequence[Review] = (),
) -> Plan:
    """Ask the planner what the next experiment tries.

    Args:
        declined: plans of this run that a person sent back, the latest last.
    """
    number = len(experiments)
    briefing = planner_briefing(context, survey, experiments, incumbent, declined)
    before = [review for review in declined if review.experiment == number]
    path = context.run.experiment(number) / _attempt("plan", before)
    told = [[review.proposed, review.comment] for review in declined]

    def check(plan: Plan) -> str | None:
        return check_plan(plan, briefing)

    return _decide(context, number, path, "planner", briefing, Plan, (), check, told)


def planner_briefing(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    declined: Sequence[Review] = (),
) -> PlannerBriefing:
    """What the planner is told before it plans the next experiment."""
    card = survey.task
    question = planner_question(task=card.name, domain=card.domain, model=survey.model, description=card.description)
    return PlannerBriefing(
        **_situation(context, survey, experiments, incumbent, question),
        diagnosis=experiments[-1].diagnosis,
        evidence=experiments[-1].evidence,
        declined=tuple(declined),
    )


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
        steps=available_steps(context),
        tiers=context.config.tiers,
    )
    path = context.run.experiment(number) / _attempt("recipe", complaints)

    def check(recipe: DataRecipe) -> str | None:
        return check_recipe(recipe, briefing)

    return _decide(context, number, path, "data_engineer", briefing, DataRecipe, complaints, check)


def decide_config(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    plan: Plan,
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
        if refused := check_config(kept, data, survey, experiments):
            raise StageError("train", FailureKind.CONFIG, refused)
        return kept
    question = trainer_question(
        task=survey.task.name, model=survey.model, method="sft", strategy=plan.training_strategy
    )
    briefing = TrainerBriefing(
        **_situation(context, survey, experiments, incumbent, question, plan),
        plan=plan,
        data=data,
        examples=_examples(context, data),
        parent_config=parent.config,
        diagnosis=parent.diagnosis,
        evidence=parent.evidence,
        methods=tuple(methods()),
    )

    def check(config: TrainingConfig) -> str | None:
        return check_config(config, data, survey, experiments)

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
        **_situation(context, survey, by_number(experiments, [experiment]), incumbent, question),
        experiment=experiment,
        evidence=experiment.evidence,
        parent_feedback=parent.feedback,
        wrong=(shown := shown_items(experiment.number, list(items.values()), before)),
        parent_answers={item.id: before[item.id].completions[0] for item in shown if item.id in before},
        once_right=tuple(item.id for item, old in common if item.score < old.score),
        fixed=sum(item.score > old.score for item, old in common),
        broken=sum(item.score < old.score for item, old in common),
        examples=_examples(context, experiment.data),
    )
    path = context.run.experiment(experiment.number) / "diagnosis.json"

    def check(diagnosis: Diagnosis) -> str | None:
        return check_diagnosis(diagnosis, briefing)

    return _decide(context, experiment.number, path, "diagnostician", briefing, Diagnosis, (), check)


def _examples(context: RunContext, data: TrainingData | None) -> tuple[dict[str, str], ...]:
    """The first and the middle training row, as far as there are rows."""
    path = context.run.path / data.path if data else None
    if path is None or not path.exists():
        return ()
    rows = list(read_jsonl(path))
    return tuple(rows[place] for place in dict.fromkeys((0, len(rows) // 2)))


def shown_items(number: int, items: list[ItemResult], before: dict[str, ItemResult]) -> tuple[ItemResult, ...]:
    """Wrong items to show: some that cannot be read, some that the parent had right, the others from all groups.

    Args:
        number: of the experiment; another one shows other items.
    """
    drawn = sorted(items, key=lambda item: digest([number, item.id]))
    wrong = [item for item in drawn if item.score < 1]
    unread = [item for item in wrong if not all(item.parsed)][:UNREAD_SHOWN]
    broken = [item for item in wrong if item.id in before and item.score < before[item.id].score][:BROKEN_SHOWN]
    first = {item.id: item for item in (*unread, *broken)}
    others = spread([item for item in wrong if item.id not in first])
    return (*first.values(), *others)[:WRONG_SHOWN]


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
    told: Sequence[object] = (),
) -> D:
    """The decision on disk where the same was asked before, else a mind's.

    Args:
        complaints: why earlier decisions on the same question failed.
        told: what else makes this another question than one of the same number that was asked before.
    """

    def ask() -> D:
        def note(exchange: Exchange) -> None:
            context.run.append(TRANSCRIPT, exchange)

        return consult(context.minds[role], Question(role, briefing, schema, complaints), check, note, number)

    return context.run.once(role, number, path, [role, number, list(complaints), *told], schema, ask)


def _attempt(name: str, before: Sequence[object]) -> str:
    return f"{name}.json" if not before else f"{name}.{len(before) + 1}.json"


def _situation(
    context: RunContext,
    survey: Survey,
    experiments: list[Experiment],
    incumbent: int,
    question: str,
    plan: Plan | None = None,
) -> dict[str, Any]:
    """The fields of `Situation` as keyword arguments."""
    table = {trial.number for trial in listed(experiments, incumbent)}
    recalled = recollect(context, question, plan.memory_ids if plan else ())
    return {
        "survey": survey,
        "trials": tuple(experiments),
        "incumbent": incumbent,
        "remaining": what_is_left(context, experiments, plan.budget_share if plan else None),
        "recalled": tuple(
            one for one in recalled if one.experiment.run != context.run.name or one.experiment.number not in table
        ),
    }


def what_is_left(context: RunContext, experiments: list[Experiment], share: float | None = None) -> Remaining:
    """What minds are told of the budget and of the caps on language models.

    Args:
        share: of the time left that the next experiment may take; None shares it evenly.
    """
    remaining = context.budget.remaining(experiments, share)
    if context.gateway is None:
        return remaining
    left = context.gateway.spent()
    tokens = None if left.tokens_left is None else int(float(f"{left.tokens_left:.2g}"))
    return remaining.model_copy(update={"model_tokens": tokens, "model_dollars": left.dollars_left})


def available_steps(context: RunContext) -> tuple[dict[str, Any], ...]:
    """The data steps that a recipe of this run may have, described for a mind."""
    return tuple(describe_steps(("gateway", "engine") if context.gateway else ("engine",)))


def _symptoms(experiment: Experiment) -> str:
    if not (experiment.feedback and experiment.training):
        return "no result"
    return (
        f"unparsed {experiment.feedback.unparsed}, loss {experiment.training.first_loss} to "
        f"{experiment.training.final_loss}, feedback {experiment.feedback.score}"
    )
