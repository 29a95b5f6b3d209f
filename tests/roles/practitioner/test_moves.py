"""Moves: names that survive the way through a strategy, changes of one factor, and what they cost."""

import json
from typing import Any

import pytest
import situations as s
import views as v

from memory.records import Experiment, Plan, TrainingConfig
from roles.practitioner.costs import MARGIN, affordable, tokens_of
from roles.practitioner.moves import (
    DATA_MOVES,
    FEWEST_ROWS,
    MOVES,
    TRAINING_MOVES,
    DataMove,
    Move,
    changed_config,
    changes_something,
    move_in,
    move_named,
    move_of,
    other_rows,
    prefer,
    short,
    without,
)

SURVEY = v.survey()
PARAMETRISED = (
    without("glossary"),
    without("old forum"),
    without('a "quoted", odd \\ name'),
    without("near duplicates"),  # a source with the name of a move
    prefer(("red",)),
    prefer(("blue", "dark green, olive")),
    prefer(('rows of "x" first', "größer ∞")),
    short("prompt", 400),
    short("answer", 7),
    other_rows(12),
)
FOUNDED = v.trained(recipe=v.FOREIGN)
"""An experiment whose recipe another mind wrote."""


def named(name: str) -> Move:
    found = move_named(name)
    assert found
    return found


@pytest.mark.parametrize("move", [*MOVES.values(), *PARAMETRISED], ids=lambda move: move.name)
def test_a_move_is_found_again_by_its_name(move: Move) -> None:
    """The same name, and the same change: of the design or of the configuration."""
    again = move_named(move.name)
    assert again
    assert again.name == move.name
    assert type(again) is type(move)
    if isinstance(move, DataMove) and isinstance(again, DataMove):
        before = v.design(preferred=("z",))
        assert again.change(before, SURVEY, v.data()) == move.change(before, SURVEY, v.data())
    assert move_in(move.name) is not None
    assert getattr(move_in(move.name), "name", "") == move.name


def test_no_two_moves_share_a_name() -> None:
    names = [move.name for move in (*MOVES.values(), *PARAMETRISED)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Train with More Epochs, please", "more epochs"),
        ("use all sources but more rows", "all sources"),  # the longest name counts
        ("more rows", "more rows"),
        ("drop what repeats, without near duplicates", "without near duplicates"),
        (' without "glossary" ', 'without "glossary"'),
        ("without the glossary", None),
        ("rows of red first", None),
        ('without "glossary", "exams"', None),
        ("answers of at most nine characters", None),
        ("keep", None),
        ("", None),
    ],
)
def test_free_words_name_a_move_only_where_they_contain_one(text: str, name: str | None) -> None:
    found = move_in(text)
    assert (found.name if found else None) == name


@pytest.mark.parametrize(
    ("plan", "name"),
    [
        (s.plan(parent=1, data="clean labels"), "clean labels"),
        (s.plan(parent=1, training="more epochs"), "more epochs"),
        (s.plan(parent=1, data='without "old forum"'), 'without "old forum"'),
        (s.plan(parent=1, training="a few more epochs, and a new scheduler"), ""),  # whose effect would that be?
        (s.plan(data="first draft, half the rows", training="first draft"), ""),
        (None, ""),
    ],
)
def test_an_effect_belongs_to_a_move_only_where_the_plan_asked_for_nothing_else(plan: Plan | None, name: str) -> None:
    assert move_of(v.trained(2, plan).model_copy(update={"plan": plan})) == name


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("more epochs", {"epochs": 4.0}),
        ("fewer epochs", {"epochs": 1.0}),
        ("higher learning rate", {"learning_rate": 4e-4}),
        ("lower learning rate", {"learning_rate": 1e-4}),
        ("larger adapter", {"lora_rank": 32, "lora_alpha": 64}),
        ("smaller batches", {"batch_size": 4}),
    ],
)
def test_a_training_move_changes_its_own_fields_and_no_other(name: str, changed: dict[str, Any]) -> None:
    after = changed_config(TrainingConfig(), TRAINING_MOVES[name])
    before = TrainingConfig().model_dump()
    assert {field: value for field, value in after.model_dump().items() if value != before[field]} == changed


def test_every_training_move_has_a_test_of_its_fields() -> None:
    assert len(TRAINING_MOVES) == 6


EDGES = TrainingConfig(learning_rate=1.0, epochs=50, batch_size=1, lora_rank=512, lora_alpha=1)


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("more epochs", False),
        ("fewer epochs", True),
        ("higher learning rate", False),
        ("lower learning rate", True),
        ("larger adapter", False),
        ("smaller batches", False),
    ],
)
def test_a_training_move_beyond_what_a_configuration_may_be_is_none(name: str, possible: bool) -> None:
    parent = v.trained(config=EDGES)
    assert changes_something(TRAINING_MOVES[name], parent, SURVEY) == possible
    if possible:
        TrainingConfig.model_validate(json.loads(changed_config(EDGES, TRAINING_MOVES[name]).model_dump_json()))


@pytest.mark.parametrize("move", [*DATA_MOVES.values(), *PARAMETRISED], ids=lambda move: move.name)
def test_a_data_move_done_twice_changes_nothing_the_second_time(move: DataMove) -> None:
    """Except moves of an amount, which can be repeated."""
    after = move.change(v.design(), SURVEY, v.data())
    amounts = ("more rows", "half the rows", "fewer rows in other forms")
    if move.name not in amounts:
        assert move.change(after, SURVEY, v.data()) == after


IMPOSSIBLE: dict[str, tuple[str, Experiment]] = {
    "all read already": ("all sources", v.trained()),
    "only the task's form already": (
        "task format only",
        v.trained(recipe=v.recipe(v.design(sources=("bank",), others=0))),
    ),
    "clean already": ("clean labels", v.trained(recipe=v.recipe(v.design(clean_labels=True)))),
    "no row was left out, so there are no more": ("more rows", v.trained(data=v.data(sampled_out=0))),
    "as many as are allowed": ("more rows", v.trained(recipe=v.recipe(v.design(rows=400)))),
    "no row was left out, so there are no others": ("other rows, draw 1", v.trained(data=v.data(sampled_out=0))),
    "few rows": ("half the rows", v.trained(data=v.data(2 * FEWEST_ROWS - 1))),
    "the last source": ('without "bank"', v.trained(recipe=v.recipe(v.design(sources=("bank",), others=0)))),
    "an unknown source": ('without "atlas"', v.trained()),
    "no other forms": ("fewer rows in other forms", v.trained(recipe=v.recipe(v.design(sources=("bank",), others=0)))),
    "no categories": (
        "balance the categories",
        v.trained(recipe=v.recipe(v.design(sources=("glossary",), others=200))),
    ),
    "nothing to choose from": ('rows of "red" first', v.trained(recipe=v.recipe(v.design(rows=900)))),
    "some are preferred": ("balance the categories", v.trained(recipe=v.recipe(v.design(preferred=("red",))))),
    "evened out": ('rows of "red" first', v.trained(recipe=v.recipe(v.design(balanced=True)))),
    "not trained": ("clean labels", v.trained().model_copy(update={"config": None})),
    "no recipe": ("more epochs", v.trained().model_copy(update={"recipe": None})),
}


@pytest.mark.parametrize(("name", "parent"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_a_move_that_would_change_no_row_is_none(name: str, parent: Experiment) -> None:
    assert not changes_something(named(name), parent, SURVEY)


POSSIBLE = [
    *(name for name in DATA_MOVES if name != "all sources"),
    *('without "old forum"', 'rows of "blue" first', "answers of at most 9 characters", "other rows, draw 1"),
]


@pytest.mark.parametrize("name", POSSIBLE)
def test_the_same_moves_are_possible_where_they_change_rows(name: str) -> None:
    assert changes_something(named(name), v.trained(), SURVEY)


@pytest.mark.parametrize(
    ("name", "possible"),
    [
        ("clean labels", True),
        ("without near duplicates", True),
        ("half the rows", True),
        ("answers of at most 9 characters", True),
        ("task format only", False),
        ("all sources", False),
        ("more rows", False),
        ("fewer rows in other forms", False),
        ("balance the categories", False),
        ('rows of "blue" first', False),
        ('without "glossary"', False),
        ("other rows, draw 1", False),
        ("more epochs", True),
    ],
)
def test_of_another_minds_recipe_only_what_comes_after_its_steps_can_change(name: str, possible: bool) -> None:
    """Its script stays; what would rewrite its steps is not offered."""
    assert changes_something(named(name), FOUNDED, SURVEY) == possible


@pytest.mark.parametrize(
    ("name", "rows", "sampled_out", "tokens"),
    [
        (None, 200, 100, 20_000),
        ("more epochs", 200, 100, 40_000),
        ("larger adapter", 200, 100, 20_000),
        ("clean labels", 200, 100, 20_000),
        ("more rows", 200, 100, 30_000),
        ("more rows", 150, 100, 22_500),  # the design has 200, the gate dropped 50
        ("half the rows", 200, 100, 10_000),
        ("half the rows", 150, 0, 7_500),
    ],
)
def test_what_a_move_costs(name: str | None, rows: int, sampled_out: int, tokens: float) -> None:
    """The parent trains on rows of 50 tokens for two epochs."""
    parent = v.trained(data=v.data(rows, sampled_out=sampled_out))
    assert tokens_of(named(name) if name else None, parent, SURVEY) == pytest.approx(tokens)


def test_there_are_no_more_rows_to_pay_for_than_were_left_out() -> None:
    parent = v.trained(data=v.data(200, sampled_out=20))
    assert tokens_of(named("more rows"), parent, SURVEY) == pytest.approx(22_000)


def test_the_cost_of_halving_another_minds_rows() -> None:
    assert tokens_of(DATA_MOVES["half the rows"], FOUNDED, SURVEY) == pytest.approx(10_000)


@pytest.mark.parametrize(("most", "possible"), [(None, True), (44_500, True), (44_400, False)])
def test_a_move_must_fit_into_nearly_all_the_time_there_is(most: int | None, possible: bool) -> None:
    """Twice 20,000 tokens, and a tenth in reserve: a training that runs out of time is lost."""
    remaining = s.remaining(None if most is None else 10_000, most=most)
    assert pytest.approx(0.9) == MARGIN
    assert affordable(TRAINING_MOVES["more epochs"], v.trained(), SURVEY, remaining) == possible
