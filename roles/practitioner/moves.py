"""The single changes that an experiment can make against its parent: what they are called and what they change.

A strategy of the practitioner's plans is the name of a move, and the hands find the move by that name.
"""

import json
import re
from collections.abc import Callable
from typing import NamedTuple

from pydantic import ValidationError

from memory.records import Experiment, TrainingConfig, TrainingData
from roles.briefing import Survey
from roles.practitioner.design import Design, category_fields, design_of, recipe_of, rows_of, with_rows, with_sources
from roles.practitioner.formats import format_steps, in_task_format

LARGER, SMALLER = 1.5, 0.5
"""Factors of `more rows` and `half the rows`."""
CHOICE = 1.5
"""A source has rows to choose from when it has this many times what is wanted: some of them will be dropped."""
FEWEST_ROWS = 50
"""A move that leaves fewer rows is none."""
Change = Callable[[Design, Survey, TrainingData | None], Design]
"""From the parent's design and the rows that it gave, where there are any, to the design after the move.

The same design comes back where the move would change no row.
"""


class DataMove(NamedTuple):
    """One change of the data."""

    name: str
    change: Change


class TrainingMove(NamedTuple):
    """One change of the training: factors on fields of the parent's configuration."""

    name: str
    factors: dict[str, float]


Move = DataMove | TrainingMove


def task_format_only(design: Design, survey: Survey, _: TrainingData | None) -> Design:
    """Only sources in the benchmark's own form."""
    wanted = [name for name, step in format_steps(survey).items() if in_task_format(step) and name in design.sources]
    return with_sources(design, survey, wanted) if wanted else design


def all_sources(design: Design, survey: Survey, _: TrainingData | None) -> Design:
    """Every source that can be read."""
    return with_sources(design, survey, format_steps(survey))


def fewer_others(design: Design, survey: Survey, data: TrainingData | None) -> Design:
    """Half as many rows in another form than the benchmark's as there are, at least one a source."""
    formats = format_steps(survey)
    others = [name for name in design.sources if name in formats and not in_task_format(formats[name])]
    there = sum(data.rows_by_source.get(name, 0) for name in others) if data else design.others
    fewer = max(len(others), int(min(design.others, there) * SMALLER))
    return design.model_copy(update={"others": fewer}) if len(others) < len(design.sources) else design


def half_the_rows(design: Design, survey: Survey, data: TrainingData | None) -> Design:
    """Half of the rows there were."""
    used = data.rows if data else design.rows
    return with_rows(design, survey, int(used * SMALLER)) if used else design


def balance(design: Design, survey: Survey, _: TrainingData | None) -> Design:
    """Even categories, where a source names them and none is preferred."""
    named = category_fields(survey, design.sources)
    return design.model_copy(update={"balanced": True}) if named and not design.preferred else design


def left_out(data: TrainingData) -> int:
    """Rows that samples left out."""
    return sum(sum(flow.removed.values()) for flow in data.flow if flow.step == "sample")


def _with(**changed: object) -> Change:
    def change(design: Design, survey: Survey, data: TrainingData | None) -> Design:
        return design.model_copy(update=changed)

    return change


def times_rows(factor: float) -> DataMove:
    """The move that takes so many times the rows, as far as a sample has left some out."""

    def change(design: Design, survey: Survey, data: TrainingData | None) -> Design:
        if design.rows is None or (data and not left_out(data)):
            return design
        return with_rows(design, survey, min(survey.max_train_rows, int(design.rows * factor)))

    return DataMove(f"{factor:g} times the rows", change)


def times_epochs(factor: float) -> TrainingMove:
    """The move that makes so many times the passes."""
    return TrainingMove(f"{factor:g} times the epochs", {"epochs": factor})


def other_rows(seed: int) -> DataMove:
    """The move that draws the rows with another seed, where there are others to draw."""

    def change(design: Design, survey: Survey, data: TrainingData | None) -> Design:
        return design if data and not left_out(data) else design.model_copy(update={"seed": seed})

    return DataMove(f"other rows, draw {seed}", change)


def without(source: str) -> DataMove:
    """The move that leaves one source out."""

    def change(design: Design, survey: Survey, data: TrainingData | None) -> Design:
        return with_sources(design, survey, [one for one in design.sources if one != source])

    return DataMove(f"without {_quoted(source)}", change)


def prefer(groups: tuple[str, ...]) -> DataMove:
    """The move that takes rows of some categories first, where a source names them and has rows to choose from.

    Balanced categories are not, because what evens them out leaves too few.
    """

    def change(design: Design, survey: Survey, data: TrainingData | None) -> Design:
        wanted = CHOICE * (design.rows or survey.max_train_rows)
        choice = any(rows_of(survey, source) > wanted for source in category_fields(survey, design.sources))
        return design.model_copy(update={"preferred": groups}) if choice and not design.balanced else design

    return DataMove(f"rows of {', '.join(map(_quoted, groups))} first", change)


def short(field: str, characters: int) -> DataMove:
    """The move that drops rows whose `prompt` or `answer` is long."""
    return DataMove(f"{field}s of at most {characters} characters", _with(**{f"longest_{field}": characters}))


DATA_MOVES = {
    move.name: move
    for move in (
        DataMove("clean labels", _with(clean_labels=True)),
        DataMove("without near duplicates", _with(near_duplicates=True)),
        DataMove("balance the categories", balance),
        DataMove("task format only", task_format_only),
        DataMove("fewer rows in other forms", fewer_others),
        DataMove("all sources", all_sources),
        DataMove("more rows", times_rows(LARGER).change),
        DataMove("half the rows", half_the_rows),
    )
}
TRAINING_MOVES = {
    move.name: move
    for move in (
        TrainingMove("more epochs", {"epochs": 2.0}),
        TrainingMove("fewer epochs", {"epochs": 0.5}),
        TrainingMove("higher learning rate", {"learning_rate": 2.0}),
        TrainingMove("lower learning rate", {"learning_rate": 0.5}),
        TrainingMove("larger adapter", {"lora_rank": 2.0, "lora_alpha": 2.0}),
        TrainingMove("smaller batches", {"batch_size": 0.5}),
    )
}
MOVES: dict[str, Move] = {**DATA_MOVES, **TRAINING_MOVES}
"""The moves without parameters, by name."""


def move_named(name: str) -> Move | None:
    """The move with exactly this name."""
    return MOVES.get(name) or _parametrised(name)


def move_in(text: str) -> Move | None:
    """The move that a text names: a move's name, or free words of another mind that contain one.

    Of several names the longest counts, because some contain others.
    """
    found = [move for name, move in MOVES.items() if name in text.lower()]
    return move_named(text.strip()) or max(found, key=lambda move: len(move.name), default=None)


def _parametrised(name: str) -> Move | None:
    """Moves that carry a source, categories, a length, a factor or a seed in their name."""
    if match := re.fullmatch(r"(\d+(?:\.\d+)?) times the (rows|epochs)", name):
        return times_rows(float(match[1])) if match[2] == "rows" else times_epochs(float(match[1]))
    if match := re.fullmatch(r"(prompt|answer)s of at most (\d+) characters", name):
        return short(match[1], int(match[2]))
    if match := re.fullmatch(r"other rows, draw (\d+)", name):
        return other_rows(int(match[1]))
    if (match := re.fullmatch(r"without (\".*\")", name)) and len(found := _unquoted(match[1])) == 1:
        return without(found[0])
    if (match := re.fullmatch(r"rows of (\".*\") first", name)) and (found := _unquoted(match[1])):
        return prefer(found)
    return None


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _unquoted(texts: str) -> tuple[str, ...]:
    """The texts of `"a", "b"`; none when they are not written so."""
    try:
        return tuple(str(text) for text in json.loads(f"[{texts}]"))
    except ValueError:
        return ()


def move_of(trial: Experiment) -> str:
    """The name of the move that made an experiment; empty for a first draft or a plan in other words."""
    if trial.plan is None or trial.plan.parent == 0:
        return ""
    strategy = trial.plan.data_strategy if trial.plan.factor == "data" else trial.plan.training_strategy
    return strategy if move_named(strategy) else ""


def changed_config(config: TrainingConfig, move: TrainingMove) -> TrainingConfig:
    """The configuration after a move."""
    changed = {field: _scaled(getattr(config, field), factor) for field, factor in move.factors.items()}
    return config.model_copy(update=changed)


def _scaled(value: float, factor: float) -> float:
    """A hyperparameter times a factor; whole numbers stay whole and positive."""
    return max(1, round(value * factor)) if isinstance(value, int) else value * factor


def changes_something(move: Move, parent: Experiment, survey: Survey) -> bool:
    """Whether the move leads elsewhere than to the parent, to something that can be trained."""
    if parent.config is None or parent.recipe is None:
        return False
    if isinstance(move, TrainingMove):
        after = changed_config(parent.config, move)
        return after != parent.config and _valid(after)
    before = design_of(parent.recipe, survey)
    changed = move.change(before, survey, parent.data)
    enough = changed.rows is None or changed.rows == before.rows or changed.rows >= FEWEST_ROWS
    return bool(changed.sources) and enough and recipe_of(changed, survey, parent.recipe.reason) != parent.recipe


def _valid(config: TrainingConfig) -> bool:
    try:
        TrainingConfig.model_validate(config.model_dump())
    except ValidationError:
        return False
    return True
