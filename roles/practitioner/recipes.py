"""The data engineer's decision: the recipe that the plan asks for."""

import re
from collections.abc import Sequence
from statistics import fmean

from memory.records import DataRecipe, Experiment
from roles.briefing import DataBriefing, Situation, Survey
from roles.data_steps import SCRIPT
from roles.practitioner.costs import rows_after
from roles.practitioner.design import Design, design_of, draft, recipe_of, with_rows
from roles.practitioner.drafts import AS, DRAFT
from roles.practitioner.formats import format_steps, html_steps, in_task_format
from roles.practitioner.moves import DATA_MOVES, DataMove, Move, move_in, without
from tasks.failure import FailureKind, StageError

TOLERANCE = 1.2
"""Factor by which a change may exceed what its plan may spend before it is cut: a cut is a second change."""
FEWEST = 20
"""Rows below which nothing is learned."""
TEMPLATE_TOKENS = 30
"""What a chat template adds to a row, about."""
CHARACTERS_A_TOKEN = 4
HTML_TOKENS = 60
"""Tokens guessed for what is read out of a page."""


def recipe(briefing: DataBriefing, complaints: Sequence[str] = ()) -> DataRecipe:
    """The recipe of the parent or of a remembered experiment with the plan's move, or a first draft.

    A draft is sized to what the plan may spend, and after a complaint does without the source at fault. A change of a
    parent keeps the parent's size, unless the move is about it or it cannot be paid for.

    Raises:
        StageError: CONFIG, when no source can be read.
    """
    strategy, survey = briefing.plan.data_strategy, briefing.survey
    move = _data_move(strategy)
    remembered = remembered_experiment(briefing, strategy)
    if briefing.parent_recipe:
        parent = next(trial for trial in briefing.trials if trial.number == briefing.plan.parent)
        design = _changed(design_of(briefing.parent_recipe, survey), move, parent, briefing)
        return recipe_of(design, survey, _why("the parent's recipe", move))
    if remembered and remembered.recipe and (known := _readable(remembered.recipe, survey)):
        design = _changed(design_of(known, survey), move, remembered, briefing)
        return recipe_of(design, survey, _why(f"the recipe of {remembered.id}", move))
    if not format_steps(survey):
        raise StageError("prepare_data", FailureKind.CONFIG, "no source has fields that the rules can read")
    design = _sized(draft(survey), briefing)
    design = move.change(design, survey, None) if move else design
    made = recipe_of(design, survey, _why("every source that can be read, sized to the time there is", move))
    for complaint in complaints:
        made = _repaired(made, complaint, survey)
    return made


def _data_move(strategy: str) -> DataMove | None:
    move = move_in(asked_of(strategy))
    return move if isinstance(move, DataMove) else None


def asked_of(strategy: str) -> str:
    """What a strategy asks on top of its start: `clean labels` of `as RUN/003, clean labels`."""
    return strategy.partition(", ")[2] if strategy.startswith((AS, DRAFT)) else strategy


def remembered_experiment(briefing: Situation, strategy: str) -> Experiment | None:
    """The experiment of another run that a strategy such as `as RUN/003, clean labels` takes over."""
    wanted = strategy.removeprefix(AS).partition(", ")[0] if strategy.startswith(AS) else None
    return next((one.experiment for one in briefing.recalled if one.id == wanted), None)


def _why(start: str, move: Move | None) -> str:
    return f"{start}, {move.name}" if move else start


def _readable(recipe: DataRecipe, survey: Survey) -> DataRecipe | None:
    """A remembered recipe without the sources that this corpus lacks; None when nothing is left of it."""
    there = {source.name for source in survey.corpus.sources}
    sources = tuple(source for source in recipe.sources if source in there)
    if sources == recipe.sources:
        return recipe
    if not sources or any(step.name == SCRIPT for step in recipe.steps):  # who knows what a script reads
        return None
    steps = tuple(step for step in recipe.steps if step.parameters.get("source") in (None, *sources))
    return recipe.model_copy(update={"sources": sources, "steps": steps})


def _changed(before: Design, move: DataMove | None, parent: Experiment, briefing: DataBriefing) -> Design:
    """The design after the move, cut where its training costs far more than the plan may spend."""
    survey, data, there = briefing.survey, parent.data, briefing.remaining.training_tokens
    after = move.change(before, survey, data) if move else before
    if there is None or data is None:
        return after
    epochs = parent.config.epochs if parent.config and briefing.plan.parent else 1.0  # passes of a draft are cut later
    rows = rows_after(before, after, data)
    cost = rows * data.tokens / data.rows * epochs
    return after if cost <= there * TOLERANCE else with_rows(after, survey, max(FEWEST, int(rows * there / cost)))


def _sized(design: Design, briefing: DataBriefing) -> Design:
    """A draft with no more rows than one pass within the plan's tokens can pay for."""
    affordable = briefing.remaining.training_tokens
    if affordable is None or design.rows is None:
        return design
    most = max(FEWEST, int(affordable / row_tokens(design, briefing)))
    return with_rows(design, briefing.survey, min(design.rows, most))


def row_tokens(design: Design, briefing: DataBriefing) -> float:
    """Tokens of a row: as measured in this run, else guessed from the raw rows and the prompt."""
    measured = [trial.data.tokens / trial.data.rows for trial in briefing.trials if trial.data]
    if measured:
        return measured[-1]
    survey, formats = briefing.survey, format_steps(briefing.survey)
    frame = len(survey.task.prompt) / CHARACTERS_A_TOKEN / 2  # about half of a prompt template are names of fields
    own, other = list[float](), list[float]()
    for name in design.sources:
        tokens = TEMPLATE_TOKENS + (HTML_TOKENS if html_steps(survey, name) else survey.row_tokens[name])
        if in_task_format(formats[name]):
            own.append(tokens + frame)
        else:
            other.append(tokens)
    if not own or not other or not design.rows:
        return fmean(own or other)
    share = design.others / design.rows
    return (1 - share) * fmean(own) + share * fmean(other)


def _repaired(recipe: DataRecipe, complaint: str, survey: Survey) -> DataRecipe:
    """A draft after what went wrong with it: without the source of the step at fault, else the task's form only."""
    source = _source_at_fault(recipe, complaint)
    move = without(source) if source else DATA_MOVES["task format only"]
    changed = move.change(design_of(recipe, survey), survey, None)
    return recipe_of(changed, survey, f"{move.name}, because: {complaint[:200]}") if changed.sources else recipe


def _source_at_fault(recipe: DataRecipe, complaint: str) -> str | None:
    """The source that the failed step reads, as in `step 3 (format): ...`; None when it is not told."""
    match = re.search(r"step (\d+) \((\w+)\)", complaint)
    numbered = list(enumerate(recipe.steps, start=1)) if match else []
    sources = (step.parameters.get("source") for n, step in numbered if match and (str(n), step.name) == match.groups())
    found = next(sources, None)
    return str(found) if found else None
