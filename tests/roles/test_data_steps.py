"""Data steps: one contract for all that the folder holds, then what each of them does."""

import copy
import inspect
import json
from collections import Counter
from typing import Any

import pytest
from fake_models import models
from pydantic import ValidationError

from memory.records import Step
from roles.data_steps import SCRIPT, describe_steps, load_step, names, step_class
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import FailureKind, InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(
    name="toy", domain="colours", description="", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }} {{ first }} or {{ second }}?", answer="{{ answer }}",
    options=("{{ first }}", "{{ second }}"), scorer={"name": "choice"},
)  # fmt: skip
CONTEXT = StepContext(TASK, 0, models())
PARAMETERS: dict[str, dict[str, Any]] = {
    "balance": {"by": "source"},
    "choices": {"source": "a", "answer": "answer", "number": 2},
    "deduplicate": {},
    "filter": {"require": ["answer"], "where": "answer != 'red'"},
    "format": {"source": "a", "prompt": "{{ question }}", "answer": "{{ answer }}"},
    "html_clean": {"field": "question", "select": {"text": "b"}},
    "label_clean": {},
    "label_vote": {"draws": 1},
    "mix": {"shares": {"a": 0.5, "b": 0.5}},
    "molecule_items": {"source": "a", "field": "question", "kinds": ["fg_count"]},
    "near_duplicates": {},
    "rejection_sample": {"source": "a"},
    "sample": {"rows": 3, "by": "source"},
    "select_diverse": {"rows": 4},
    "shuffle_options": {"source": "a", "options": ["first", "second"]},
    SCRIPT: {"code": "pass"},
    "synthesize": {"source": "a", "prompt": "{{ question }}", "into": "reason"},
}
"""Good parameters of each step; a new step needs a line here."""


def rows(*fields: dict[str, Any], source: str = "a") -> list[DataRow]:
    return [DataRow(source=source, row=n, fields=each) for n, each in enumerate(fields, start=1)]


def apply(name: str, given: list[DataRow], context: StepContext = CONTEXT, **parameters: Any) -> Applied:
    return load_step(Step(name=name, parameters=parameters)).apply(given, context)


def answers(applied: Applied) -> list[Any]:
    return [row.fields["answer"] for row in applied.rows]


MIXED = [
    *rows(*({"question": f"Q{n // 2}?", "answer": ["red", "red", "blue", ""][n % 4]} for n in range(8))),
    *rows(*({"question": f"P{n}?", "answer": "green"} for n in range(4)), source="b"),
]
LABELLED = [
    *rows(
        *(
            {"content": content, "options": ["a rise in prices", "a fall in prices"], "answer": f"a {way} in prices"}
            for way, content in (
                ("rise", "What does the term inflation mean?"),
                ("rise", "How is inflation defined in economics?"),
                ("fall", "Which statement explains the term inflation?"),
            )
        )
    ),
    *rows({"content": "a rise in prices", "options": [], "answer": "inflation"}, source="b"),
]
"""Formatted rows; the third contradicts the others."""
CHOICES = rows(*({"question": f"Q{n}?", "first": "red", "second": "blue", "answer": "red"} for n in range(3)))
VOTED = rows(*({"prompt": f"Q{n}?", "options": ["red", "blue"], "answer": "blue"} for n in range(3)))
GIVEN = {"label_clean": LABELLED, "label_vote": VOTED, "rejection_sample": CHOICES, "shuffle_options": CHOICES}
"""Rows for steps that can do nothing with `MIXED`."""

# ----- the contract of every step


def test_every_step_has_good_parameters_here() -> None:
    assert sorted(PARAMETERS) == names()


@pytest.mark.parametrize("name", names())
def test_a_step_is_documented_to_its_last_parameter(name: str) -> None:
    cls = step_class(name)
    assert len((cls.__doc__ or "").strip()) > 20
    described = {each["name"]: each for each in describe_steps()}[name]
    assert described["does"] == inspect.getdoc(cls)
    assert set(described["parameters"]) == set(cls.model_fields)
    plain = ("min_characters", "max_characters", "wall_seconds")
    assert all(field.description or key in plain for key, field in cls.model_fields.items())
    json.dumps(described)


@pytest.mark.parametrize("name", names())
def test_a_step_refuses_unknown_parameters_and_names_them(name: str) -> None:
    with pytest.raises(StageError, match=rf"step '{name}'.*mistake") as refused:
        load_step(Step(name=name, parameters=PARAMETERS[name] | {"mistake": 1}))
    assert refused.value.failure.kind == FailureKind.CONFIG


@pytest.mark.parametrize("name", names())
def test_a_step_is_immutable_and_has_a_version(name: str) -> None:
    step = load_step(Step(name=name, parameters=PARAMETERS[name]))
    assert type(step).version >= 1
    field = next(iter(type(step).model_fields))
    with pytest.raises(ValidationError, match="frozen"):
        setattr(step, field, getattr(step, field))


@pytest.mark.parametrize("name", [name for name in names() if name != SCRIPT])
def test_a_step_is_deterministic_and_leaves_its_input_alone(name: str) -> None:
    original = GIVEN.get(name, MIXED)
    given = copy.deepcopy(original)
    first = apply(name, given, **PARAMETERS[name])
    assert given == original
    assert first == apply(name, copy.deepcopy(original), **PARAMETERS[name])
    assert first.removed or first.changed or name == "format"
    assert len(first.rows) + sum(first.removed.values()) == len(original)
    kept = [(row.source, row.row) for row in first.rows]
    assert kept == [(row.source, row.row) for row in original if (row.source, row.row) in kept]


@pytest.mark.parametrize("name", [name for name in names() if name != SCRIPT])
def test_a_step_bears_no_rows(name: str) -> None:
    assert apply(name, [], **PARAMETERS[name]) == Applied([], Counter())


def test_an_unknown_step_is_refused_with_the_known_ones() -> None:
    with pytest.raises(StageError, match="unknown step 'shuffle'") as refused:
        load_step(Step(name="shuffle"))
    assert refused.value.failure.kind == FailureKind.CONFIG
    assert all(name in refused.value.failure.message for name in names())


@pytest.mark.parametrize(
    "name",
    [
        *("gate", "row", "pipeline", "witnesses", "label_agreement", "formulas", "models", "written", "outcome"),
        *("__main__", "../format", ""),
    ],
)
def test_what_is_no_step_cannot_be_loaded_as_one(name: str) -> None:
    with pytest.raises(StageError, match="unknown step"):
        step_class(name)


def test_a_script_does_not_run_as_a_typed_step() -> None:
    with pytest.raises(TypeError, match="Script"):
        load_step(Step(name=SCRIPT, parameters=PARAMETERS[SCRIPT])).apply(MIXED, CONTEXT)


# ----- filter


@pytest.mark.parametrize(
    ("parameters", "kept", "reason"),
    [
        ({"require": ["answer"]}, ["red", 0, False, "ab c"], "no answer"),
        ({"require": ["missing"]}, [], "no missing"),
        ({"field": "answer", "min_characters": 2}, ["red", "  ", False, "ab c"], "answer too short"),
        ({"field": "answer", "max_characters": 3}, ["red", "", None, "  ", 0, []], "answer too long"),
        ({"where": "answer == 'red'"}, ["red"], "not answer == 'red'"),
        ({"where": "size > 3"}, [], "not size > 3"),
    ],
)
def test_filter_keeps_what_meets_the_condition_and_names_the_fault(parameters, kept, reason) -> None:
    given = rows(*({"answer": value} for value in ["red", "", None, "  ", 0, False, [], "ab c"]))
    applied = apply("filter", given, **parameters)
    assert answers(applied) == kept
    assert applied.removed == {reason: 8 - len(kept)}


def test_filter_leaves_other_sources_alone() -> None:
    given = [*rows({"answer": ""}), *rows({"answer": ""}, source="b")]
    assert [row.source for row in apply("filter", given, source="a", require=["answer"]).rows] == ["b"]


@pytest.mark.parametrize("where", ["answer ==", "answer + 1 > 2", "answer | nosuchfilter"])
def test_filter_with_a_broken_condition_is_an_error_that_shows_it(where: str) -> None:
    with pytest.raises(InputError) as refused:
        apply("filter", rows({"answer": "red"}), where=where)
    assert where in str(refused.value)


def test_a_condition_cannot_reach_python() -> None:
    """The attack: a template that climbs to the interpreter's classes."""
    with pytest.raises(InputError, match="unsafe"):
        apply("filter", rows({"answer": "red"}), where="''.__class__.__mro__[1].__subclasses__()")


# ----- deduplicate


@pytest.mark.parametrize(
    ("parameters", "kept"),
    [
        ({}, ["1a", "2a", "3a", "5a", "1b"]),
        ({"fields": ["question"]}, ["1a", "3a", "5a"]),
        ({"fields": ["question"], "source": "a"}, ["1a", "3a", "5a", "1b"]),
        ({"fields": ["topic"]}, ["1a", "2a", "3a", "4a", "5a", "1b"]),
    ],
)
def test_deduplicate_keeps_the_first_of_what_reads_alike(parameters, kept) -> None:
    """Row 4 repeats row 1 but for case, punctuation, blanks and `id`; row 2 has another answer; 1b another source."""
    given = rows(
        {"id": 1, "question": "What is red?", "answer": "a colour"},
        {"id": 2, "question": "What is red?", "answer": "a wine"},
        {"id": 3, "question": "What is -3.5?", "answer": "a colour"},
        {"id": 4, "question": "what is  RED", "answer": "A colour."},
        {"id": 5, "question": "What is 3.5?", "answer": "a colour"},
    )
    given += rows({"id": 1, "question": "What is red?", "answer": "a colour"}, source="b")
    applied = apply("deduplicate", given, **parameters)
    assert [f"{row.row}{row.source}" for row in applied.rows] == kept
    assert applied.removed.total() == 6 - len(kept)


# ----- sample


def numbered(n: int, source: str = "a", **fields: Any) -> list[DataRow]:
    return rows(*({"answer": k, **fields} for k in range(n)), source=source)


def test_sample_keeps_the_order_and_counts_the_rest() -> None:
    applied = apply("sample", numbered(50), rows=10)
    assert answers(applied) == sorted(answers(applied))
    assert (len(applied.rows), applied.removed) == (10, {"not sampled": 40})
    assert answers(applied) != list(range(10))


def test_sample_larger_than_the_rows_keeps_all() -> None:
    assert apply("sample", numbered(5), rows=10) == Applied(numbered(5), apply("sample", [], rows=1).removed)


def test_seeds_choose_other_rows_and_a_smaller_sample_is_part_of_a_larger() -> None:
    base = set(answers(apply("sample", numbered(50), rows=20)))
    assert base != set(answers(apply("sample", numbered(50), rows=20, seed=1)))
    assert base != set(answers(apply("sample", numbered(50), StepContext(TASK, 1), rows=20)))
    assert set(answers(apply("sample", numbered(50), rows=10))) < base


def test_sample_spreads_evenly_over_sources_and_fields() -> None:
    given = [*numbered(50, "a", topic="x"), *numbered(4, "b", topic="x"), *numbered(50, "c", topic="y")]
    by_source = [row.source for row in apply("sample", given, rows=24, by="source").rows]
    assert {name: by_source.count(name) for name in "abc"} == {"a": 10, "b": 4, "c": 10}
    by_topic = [row.fields["topic"] for row in apply("sample", given, rows=20, by="topic").rows]
    assert by_topic.count("x") == by_topic.count("y") == 10


def test_sample_draws_unequal_parts() -> None:
    """By largest remainders; a value without enough rows gives what it has, one that is not named nothing."""
    given = [*numbered(50, topic="x"), *numbered(50, topic="y"), *numbered(2, topic="z"), *numbered(9, topic="w")]
    applied = apply("sample", given, rows=21, by="topic", shares={"x": 2, "y": 1, "z": 1})
    assert Counter(row.fields["topic"] for row in applied.rows) == {"x": 11, "y": 5, "z": 2}
    assert applied.removed == {"not sampled": 93}
    for wrong in ({"shares": {"x": 1}}, {"by": "topic", "shares": {"x": -1}}, {"by": "topic", "shares": {"x": 0}}):
        with pytest.raises(StageError, match="shares"):
            apply("sample", given, rows=4, **wrong)


def test_sample_of_one_source_leaves_the_others_alone() -> None:
    kept = [row.source for row in apply("sample", numbered(9) + numbered(9, "b"), rows=2, source="a").rows]
    assert (kept.count("a"), kept.count("b")) == (2, 9)


@pytest.mark.parametrize(("rows", "preferred"), [(4, 4), (6, 6), (10, 6), (40, 6)])
def test_sample_takes_preferred_rows_first_and_fills_up_with_others(rows: int, preferred: int) -> None:
    """Six rows are preferred; rows that lack the field are not, and all stay in their order."""
    given = [*numbered(20, topic="tax"), *numbered(6, "b", topic="funds, old"), *numbered(20, "c")]
    kept = apply("sample", given, rows=rows, prefer='topic in ["funds, old", "bonds"]').rows
    assert len(kept) == rows
    assert [row.source for row in kept].count("b") == preferred
    assert kept == [row for row in given if row in kept]


def test_sample_prefers_within_its_source_and_evenly_within_each_value() -> None:
    given = [*numbered(20, topic="x"), *numbered(20, topic="y"), *numbered(9, "b", topic="x")]
    kept = apply("sample", given, rows=8, source="a", by="topic", prefer="answer >= 16").rows
    assert [row.fields["topic"] for row in kept if row.source == "a"] == ["x"] * 4 + ["y"] * 4
    assert all(row.fields["answer"] >= 16 for row in kept if row.source == "a")
    assert [row.source for row in kept].count("b") == 9


def test_sample_with_a_broken_wish_is_an_error_that_shows_it() -> None:
    with pytest.raises(InputError, match="topic =="):
        apply("sample", numbered(5, topic="x"), rows=2, prefer="topic ==")


# ----- format

GOOD = {"question": "Which?", "first": "red", "second": "blue", "answer": "red"}


def test_format_as_the_task_renders_prompt_options_and_content() -> None:
    applied = apply("format", rows(GOOD), source="a", answer="{{ answer }}")
    assert applied.rows[0].fields == GOOD | {
        "prompt": "Which? red or blue?",
        "answer": "red",
        "options": ["red", "blue"],
        "content": "Which?",
        "task_format": True,
    }


def test_format_computes_new_fields_before_the_prompt() -> None:
    raw = {"q": "Which?", "o1": "red", "o2": "blue", "right": "2"}
    new = {"question": "{{ q }}", "first": "{{ o1 }}", "second": "{{ o2 }}", "both": ["{{ o1 }}", "{{ o2 }}"]}
    applied = apply("format", rows(raw), source="a", answer="{{ both[right | int - 1] }}", fields=new)
    made = applied.rows[0].fields
    assert (made["prompt"], made["answer"], made["options"]) == ("Which? red or blue?", "blue", ["red", "blue"])


def test_format_with_an_own_prompt_is_not_held_to_the_tasks_form() -> None:
    applied = apply("format", rows(GOOD), source="a", prompt="Say: {{ question }}", answer="It is {{ answer }}.")
    assert applied.rows[0].fields == GOOD | {
        "prompt": "Say: Which?", "answer": "It is red.", "options": [], "content": "Which?", "task_format": False,
    }  # fmt: skip


def test_raw_fields_stay_beside_what_format_makes_of_them_for_the_steps_after_it() -> None:
    """A category that the prompt does not show can still decide which rows are kept."""
    made = apply("format", rows(GOOD | {"topic": "x"}, GOOD | {"topic": "y"}), source="a", answer="{{ first }}").rows
    kept = apply("filter", made, where="topic == 'y'").rows
    assert [(row.row, row.fields["prompt"], row.fields["question"]) for row in kept] == [
        (2, "Which? red or blue?", "Which?")
    ]
    other = apply("format", rows(GOOD | {"topic": "x"}), source="a", prompt="{{ topic }}?", answer="{{ first }}").rows
    assert other[0].fields["first"] == "red"


def test_format_touches_its_own_source_only_and_keeps_the_origin() -> None:
    given = [*rows(GOOD), *rows(GOOD, source="b")]
    applied = apply("format", given, source="a", answer="{{ answer }}")
    assert applied.rows[1] == given[1]
    assert [(row.source, row.row) for row in applied.rows] == [("a", 1), ("b", 1)]


def test_format_drops_rows_that_do_not_render_and_says_how_many() -> None:
    lacking = {key: value for key, value in GOOD.items() if key != "second"}
    applied = apply("format", rows(GOOD, lacking, GOOD, lacking), source="a", answer="{{ answer }}")
    assert [row.row for row in applied.rows] == [1, 3]
    assert applied.removed == {"a: a template does not render": 2}


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"answer": "{{ gold }}"}, ["{{ gold }}", "question, first, second, answer"]),
        ({"answer": "{{ answer", "prompt": "x"}, ["{{ answer", "not a valid template"]),
        ({"answer": "{{ answer }}", "prompt": "{{ title }}"}, ["{{ title }}", "question, first"]),
        ({"answer": "{{ answer }}", "fields": {"x": "{{ nothing }}"}}, ["{{ nothing }}", "question, first"]),
        ({"answer": "{{ answer }}", "prompt": "{% if %}"}, ["{% if %}", "not a valid template"]),
    ],
)
def test_format_that_renders_no_row_names_the_template_and_the_fields(parameters, said) -> None:
    with pytest.raises(InputError) as refused:
        apply("format", rows(GOOD, GOOD), source="a", **parameters)
    assert all(words in str(refused.value) for words in said)
