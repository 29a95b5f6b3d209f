"""What is cut for prompts, and that the note says so."""

from typing import Any

import situations as s

from memory.records import DataRecipe, Flow, Plan, Step
from roles.backbone import Question
from roles.prompt_text import (
    CODE,
    DETAILED,
    TRIALS,
    detailed,
    ends,
    fitting,
    flow_text,
    head,
    listed,
    parameter_lines,
    parameter_names,
    recipe_of,
    recipe_text,
    tail,
)


def recipe(*steps: Step) -> DataRecipe:
    return DataRecipe(sources=("bank",), steps=steps)


def test_texts_are_cut_at_the_end_that_matters_less() -> None:
    assert (head("abcdef", 6), tail("abcdef", 6)) == ("abcdef", "abcdef")
    assert head("abcdef", 2) == "ab [... 4 more characters]"
    assert tail("abcdef", 2) == "[4 characters before ...] ef"


def test_of_an_item_beginning_and_end_are_kept() -> None:
    table = "".join(f"row {n} | " for n in range(300)) + "Which row is the last?"
    found = ends(table, 300)
    assert found.startswith("row 0 | row 1 |")
    assert found.endswith("Which row is the last?")
    assert f"[... {len(table) - 300} more characters ...]" in found
    assert ends(table, len(table)) == table


def test_characters_that_take_more_tokens_have_less_room() -> None:
    """A Chinese character has three bytes in UTF-8, and about as many times the tokens of a Latin one."""
    text = "债券价格" * 100
    assert head(text, 300).startswith(text[:100] + " [... 300 more")
    assert tail(text, 300).endswith("...] " + text[-100:])
    assert head(text, 1200) == text
    assert ends("", 5) == head("", 5) == ""


def test_the_flow_of_rows_in_words() -> None:
    flow = (Flow(step="sources", rows=50), Flow(step="filter", rows=40, removed={"empty": 7, "too long": 3}),
            Flow(step="synthesize", rows=44, changed={"written": 4}), Flow(step="gate", rows=None))  # fmt: skip
    assert flow_text(flow) == "sources 50 > filter 40 (7 empty, 3 too long) > synthesize 44 (4 written) > gate"


def test_parameters_are_told_with_kind_default_and_limits() -> None:
    step = {
        "parameters": {
            "rows": {"type": "integer", "exclusiveMinimum": 0, "maximum": 9, "description": "rows to keep"},
            "how": {"enum": ["up", "down"], "default": "up"},
            "by": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None, "description": "a field"},
            "fields": {"type": "object", "additionalProperties": {"type": "array", "items": {"type": "string"}}},
        },
        "required": ["rows"],
    }
    assert parameter_lines(step) == [
        "`rows` (integer > 0 <= 9; required): rows to keep",
        '`how` ("up" or "down"; default "up")',
        "`by` (string or null; default null): a field",
        "`fields` (object of list of string; optional)",
    ]
    assert parameter_names(step) == ["rows (required)", "how", "by", "fields"]


def test_a_recipe_that_is_shown_already_is_named() -> None:
    first, again, other = s.trial(1), s.trial(2), s.trial(3, recipe=recipe(Step(name="deduplicate")))
    assert [recipe_of(trial, [first, again, other]) for trial in (first, again, other)] == [None, 1, None]
    assert recipe_of(again, [again]) is None


def test_the_memory_of_a_training_grows_with_its_rows() -> None:
    survey = s.survey(model_gib=15.0, shape=s.SHAPE)
    assert [length for length, _ in fitting(survey)] == [512, 2048, 8192]
    assert sorted(gib for _, gib in fitting(survey)) == [gib for _, gib in fitting(survey)]
    small = s.survey(model_gib=0.3, shape=s.SHAPE.model_copy(update={"context": 2048}))
    assert [length for length, _ in fitting(small)] == [512, 2048]


def test_a_long_script_does_not_hide_the_steps_after_it() -> None:
    code = "print(1)\n" * 1000
    found = recipe_text(recipe(Step(name="script", parameters={"code": code}), Step(name="deduplicate")))
    assert f"[... {len(code) - CODE} more characters]" in found
    assert '"deduplicate"' in found


def test_of_a_long_list_of_steps_the_last_are_named() -> None:
    steps = [Step(name="filter", parameters={"where": f"length > {n} and {'x' * 200}"}) for n in range(20)]
    found = recipe_text(recipe(*steps, Step(name="sample", parameters={"rows": 7})), 1500)
    assert len(found) <= 1500
    assert found.endswith('"filter", "sample"]}')
    assert "length > 0" in found
    assert recipe_text(recipe(*steps), 10**6).count("length > ") == 20


def trials(number: int) -> list[Any]:
    """An untouched model and a chain of trained ones."""
    plans = [s.plan(parent=max(0, n - 1)) for n in range(number)]
    return [s.untouched(), *(s.trial(n, plans[n]) for n in range(1, number))]


def test_of_many_trials_the_first_the_best_and_the_latest_are_listed() -> None:
    many = trials(60)
    assert listed(many[:TRIALS], 3) == many[:TRIALS]
    numbers = [trial.number for trial in listed(many, 3)]
    assert numbers == [0, 3, *range(60 - TRIALS + 2, 60)]
    assert len(numbers) == TRIALS
    shown = [trial.number for trial in detailed(many, 3)]
    assert shown == [3, 60 - DETAILED - 1, *range(60 - DETAILED, 60)]
    said = Question("planner", s.planner(*many[1:], incumbent=3), Plan).user
    assert "20 older experiments are left out of the table." in said
    assert len(said) < 40_000


def test_the_chance_level_is_told_where_it_is_known() -> None:
    card = s.card(options=4)
    said = Question("planner", s.planner(survey=s.survey(task=card)), Plan).user
    assert "Guessing among the 4 options scores 0.25." in said
    assert "Guessing" not in Question("planner", s.planner(), Plan).user
