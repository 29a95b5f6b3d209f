"""Whether a decision can be carried out: what is wrong with it goes back to the mind, in these words.

What can be known before the work begins is looked at here; the rest fails where it is done, and comes back then.
"""

from collections.abc import Sequence

from memory.records import DataRecipe, Diagnosis, Experiment, Plan, TrainingConfig, TrainingData
from roles.briefing import DataBriefing, DiagnosticianBriefing, GeneralistBriefing, Situation, Survey
from roles.conversation import Conversation
from roles.data_steps import SCRIPT, load_step
from roles.footprint import at_least_gib
from roles.generalist import Call, Desk, Evaluate, Look, Prepare, Submit, Train, desk_of
from roles.recipes import names as methods
from tasks.failure import StageError

KEEP = "keep"
QUOTED_WORDS = 8
"""Words in a row of a benchmark item that a diagnosis may not repeat."""


def check_plan(plan: Plan, situation: Situation) -> str | None:
    """A parent that exists, one factor against a trained parent, a strategy for it, memories that were told."""
    experiments = situation.trials
    if plan.parent >= len(experiments):
        return f"parent {plan.parent} does not exist; experiments so far: 0 to {len(experiments) - 1}"
    parent = experiments[plan.parent]
    if parent.training is None and plan.factor != "both":
        return f"experiment {plan.parent} was not trained, so nothing of it can be kept: factor must be `both`"
    if parent.training is not None and plan.factor == "both":
        return f"experiment {plan.parent} is trained, so change one factor against it: `data` or `training`"
    strategies = {"data": plan.data_strategy, "training": plan.training_strategy}
    for factor, strategy in strategies.items():
        if plan.factor in (factor, "both") and strategy.strip().lower() == KEEP:
            return f"factor is `{plan.factor}`, so {factor}_strategy must say what is to be done, not `{KEEP}`"
    told = [one.id for one in situation.recalled]
    if unknown := [one for one in plan.memory_ids if one not in told]:
        return f"memory_ids names {', '.join(unknown)}, which you were not told of; known: {', '.join(told) or 'none'}"
    return None


def check_recipe(recipe: DataRecipe, briefing: DataBriefing | GeneralistBriefing) -> str | None:
    """Sources that exist, steps with the parameters that they have, for models that are there.

    Whether it leads to rows that were trained with the same configuration shows when they are there (`check_config`).
    """
    known = [source.name for source in briefing.survey.corpus.sources]
    if unknown := [name for name in recipe.sources if name not in known]:
        return f"unknown source {', '.join(unknown)}; known: {', '.join(known)}"
    if len(set(recipe.sources)) < len(recipe.sources):
        return "sources names one of them twice"
    offered = [step["name"] for step in briefing.steps]
    for number, step in enumerate(recipe.steps, start=1):
        if step.name not in offered:
            return f"step {number} ('{step.name}') is unknown; known: {', '.join(offered)}"
        try:
            load_step(step)
        except StageError as error:
            return f"step {number}: {error.failure.message}"
    return _check_step_sources(recipe)


def _check_step_sources(recipe: DataRecipe) -> str | None:
    """A step about a source that the recipe does not take; after a script, rows may be of any source."""
    for number, step in enumerate(recipe.steps, start=1):
        if step.name == SCRIPT:
            return None
        source = step.parameters.get("source")
        if isinstance(source, str) and source not in recipe.sources:
            return f"step {number} ('{step.name}') is about '{source}'; sources names: {', '.join(recipe.sources)}"
    return None


def check_config(
    config: TrainingConfig, data: TrainingData, survey: Survey, experiments: Sequence[Experiment]
) -> str | None:
    """A method that exists, rows that fit, a training that fits into the memory; no training twice."""
    if config.method not in methods():
        return f"unknown method '{config.method}'; known: {', '.join(methods())}"
    if config.max_length < data.tokens_max:
        return f"max_length {config.max_length} is shorter than the longest row ({data.tokens_max} tokens)"
    needed, there = at_least_gib(survey, config, data.tokens_max), memory_gib(survey)
    if needed > there:
        return (
            f"this training takes at least {needed:.1f} GiB, and there are {there:.1f} GiB: a lower lora_rank or fewer "
            "target_modules take less, and so do shorter rows"
        )
    for old in experiments:
        same_data = old.data and old.data.content_hash == data.content_hash
        if same_data and old.config and _same_training(old.config, config):
            return f"experiment {old.number} trained the same rows with the same configuration; change something"
    return None


def memory_gib(survey: Survey) -> float:
    """Memory that a training can have: of one GPU, or the machine's."""
    gpus = survey.hardware.gpus
    return max(gpu.memory_gib for gpu in gpus) if gpus else survey.hardware.memory_gib


def _same_training(one: TrainingConfig, other: TrainingConfig) -> bool:
    beside = {"reason", "max_length"}
    return one.model_dump(exclude=beside) == other.model_dump(exclude=beside)


def check_diagnosis(diagnosis: Diagnosis, briefing: DiagnosticianBriefing) -> str | None:
    """Groups that exist, and no benchmark text: a diagnosis reaches the data engineer."""
    groups = briefing.survey.task.groups
    if unknown := [name for name in diagnosis.weak_groups if name not in groups]:
        return f"weak_groups names {', '.join(unknown)}; known: {', '.join(groups)}"
    said = " ".join(
        [diagnosis.suspected_cause, diagnosis.next_intervention, *(finding.claim for finding in diagnosis.findings)]
    ).split()
    runs = set(_runs(said))
    for item in briefing.wrong:
        if any(run in runs for run in _runs(f"{item.prompt} {item.answer}".split())):
            return f"the diagnosis quotes item {item.id}; name items and groups, never their text"
    return None


def _runs(words: Sequence[str]) -> list[str]:
    return [" ".join(words[i : i + QUOTED_WORDS]) for i in range(len(words) - QUOTED_WORDS + 1)]


def check_call(call: Call, asked: Conversation) -> str | None:
    """What the generalist's action is about must exist, still fit into the budget, and not be done already."""
    left, desk = asked.left, desk_of(asked.turns)
    if left.closing and not isinstance(call, Submit):
        return "nothing more fits: only `submit` is left"
    if isinstance(call, Prepare | Train) and not left.train:
        return "no other training fits: evaluate what is trained and not evaluated, or submit"
    match call:
        case Look():
            known = [source.name for source in asked.opening.survey.corpus.sources]
            return None if call.source in known else f"unknown source {call.source}; known: {', '.join(known)}"
        case Prepare():
            return check_recipe(call.recipe, asked.opening) or _check_prepared(call.recipe, desk)
        case Train():
            return _check_training(call, asked, desk)
        case Evaluate():
            return _check_evaluation(call.experiment, desk)
        case Submit():
            return _check_trained(call.experiment, desk) if call.experiment else None


def _check_prepared(recipe: DataRecipe, desk: Desk) -> str | None:
    if any(load_step(step).asks == "engine" for step in recipe.steps):
        return None  # it draws from the best model, which may be another by now
    for old in desk.prepared:
        if (set(old.recipe.sources), old.recipe.steps) == (set(recipe.sources), recipe.steps):
            return f"data {old.number} is what this recipe makes: {old.data.rows} rows"
    return None


def _check_training(call: Train, asked: Conversation, desk: Desk) -> str | None:
    if call.data > len(desk.prepared):
        known = ", ".join(str(one.number) for one in desk.prepared)
        return f"data {call.data} does not exist; prepared so far: {known or 'none'}"
    return check_config(call.config, desk.prepared[call.data - 1].data, asked.opening.survey, desk.experiments)


def _check_trained(number: int, desk: Desk) -> str | None:
    trained = [one.number for one in desk.experiments if one.training and not one.failure]
    if number not in trained:
        known = ", ".join(map(str, trained))
        return f"there is no trained experiment {number}; trained so far: {known or 'none'}"
    return None


def _check_evaluation(number: int, desk: Desk) -> str | None:
    if refused := _check_trained(number, desk):
        return refused
    if feedback := desk.experiments[number - 1].feedback:
        return f"experiment {number} was evaluated before and answers the same again: feedback {feedback.score}"
    return None
