"""Raw sources are understood by the names and looks of their fields, and what comes out really renders."""

from pathlib import Path
from typing import Any

import pytest
import situations as s

from memory.records import Step
from roles.briefing import Survey
from roles.data_steps import load_step
from roles.data_steps.row import Applied, DataRow, StepContext
from roles.practitioner.design import design_of, draft, recipe_of
from roles.practitioner.formats import OFFERED, format_steps, group_field, in_task_format
from tasks.catalogue import find_task
from tasks.finance import finance_starter
from tasks.task import Benchmark, Task
from tasks.template import fields

LETTERED = finance_starter.model_copy(
    update={"prompt": "{{ question }} A {{ A }} B {{ B }}", "answer": "{{ answer }}", "options": ("{{ A }}", "{{ B }}")}
)
OPEN = Task(
    name="sums", domain="arithmetic", description="", sources=(), benchmark=Benchmark(path="x"),
    prompt="{{ question }}\nThink.", answer="{{ answer }}", scorer={"name": "numeric"},
)  # fmt: skip
FOUR = {"option_a": "a loan", "option_b": "a share", "option_c": "a fund", "option_d": "a tax"}


def survey(task: Task, *rows: dict[str, Any]) -> Survey:
    card = s.card(domain=task.domain, prompt=task.prompt, fields=tuple(fields(task.prompt)))
    return s.survey(s.source("raw", *rows), task=card)


def rendered(task: Task, *rows: dict[str, Any]) -> tuple[Step, Applied]:
    """The step that is found for rows, and what it makes of them."""
    step = format_steps(survey(task, *rows))["raw"]
    made = [DataRow(source="raw", row=n, fields=row) for n, row in enumerate(rows, start=1)]
    return step, load_step(step).apply(made, StepContext(task, 0))


def test_a_first_draft_over_molecules_asks_every_kind_of_question() -> None:
    """Each kind reads other fields of the prompt, so blank ones are no reason to drop a row."""
    task = find_task("chemistry_mol_und")
    kinds = ["fg_count", "ring_count", "Murcko_scaffold", "ring_system_scaffold", "equivalence"]
    rings = ("c1ccc2ccccc2c1", "c1ccncc1", "c1ccsc1", "C1CCCCC1")
    raw = [{"smiles": f"{'C' * n}OC(=O){ring}"} for n in range(1, 6) for ring in rings]
    read, groups = tuple(fields(task.prompt)), dict.fromkeys(kinds, 9)
    card = s.card(domain=task.domain, prompt=task.prompt, fields=read, groups=groups)
    known = s.survey(s.source("molecules", *raw), task=card)
    rows = [DataRow(source="molecules", row=n, fields=row) for n, row in enumerate(raw, start=1)]
    for step in recipe_of(draft(known), known, "").steps:
        rows = load_step(step).apply(rows, StepContext(task, 0)).rows
    assert {row.fields["subtask"] for row in rows} == {*kinds}
    assert len(rows) >= 15


QUESTION = "What is a bond?"
CASES: list[tuple[str, Task, dict[str, Any], bool, str]] = [
    ("letters, own names", finance_starter,
     {"Question": QUESTION, "A": "a loan", "B": "a share", "C": "a fund", "D": "a tax", "Answer": "B"}, True,
     "a share"),
    ("option_a", finance_starter, {"question": QUESTION, **FOUR, "answer": "D"}, True, "a tax"),
    ("choice_a, answer by text", finance_starter,
     {"question": QUESTION, **{k.replace("option", "choice"): v for k, v in FOUR.items()}, "answer": "a fund"},
     True, "a fund"),
    ("the task's own fields", LETTERED, {"question": QUESTION, "A": "a loan", "B": "a share", "answer": "A"},
     True, "a loan"),
    ("question and answer for a choice task", finance_starter, {"question": QUESTION, "answer": "a loan"},
     False, "a loan"),
    ("instruction and output", finance_starter, {"instruction": QUESTION, "output": "a loan"}, False, "a loan"),
    ("solution before answer", finance_starter, {"question": QUESTION, "solution": "It is a loan.", "answer": "loan"},
     False, "It is a loan."),
    ("term and definition", finance_starter, {"term": "bond", "definition": "a loan to a state"}, False, "bond"),
    ("GSM8K", OPEN, {"question": "Half of 36?", "answer": "36 / 2 = <<36/2=18>>18\n#### 18"}, True,
     "36 / 2 = <<36/2=18>>18\n#### 18"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "row", "as_benchmark", "answer"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_naming_pattern_gives_a_step_that_renders(task: Task, row: dict[str, Any], as_benchmark: bool, answer: str):
    step, applied = rendered(task, row)
    assert not applied.removed
    made = applied.rows[0].fields
    assert made["answer"] == answer
    assert in_task_format(step) == as_benchmark == made["task_format"]
    shown = [value for name, value in row.items() if name.lower() in ("question", "instruction", "definition")]
    assert all(value in made["prompt"] for value in shown)
    if as_benchmark and made["options"]:
        assert answer in made["options"]
        assert all(option in made["prompt"] for option in made["options"])


@pytest.mark.parametrize(
    "row",
    [
        {"x1": 3, "x2": 4},
        {"question": QUESTION},
        {"answer": "a loan"},
        {"term": "bond"},
        {"A": "a loan", "B": "a share", "answer": "A"},
        {"question": QUESTION, "Option A": "a loan", "Option B": "a share", "answer": "A"},
    ],
    ids=lambda row: ", ".join(row),
)
def test_what_cannot_be_understood_is_left_out(row: dict[str, Any]) -> None:
    assert format_steps(survey(finance_starter, row)) == {}


def test_options_are_left_out_where_the_task_reads_other_fields() -> None:
    other = finance_starter.model_copy(update={"prompt": "{{ passage }} {{ question }}"})
    assert format_steps(survey(other, {"question": QUESTION, **FOUR, "answer": "A"})) == {}


@pytest.mark.parametrize("letter", ["", "AB", "E", "ab", "BC"])
def test_a_letter_that_names_no_option_teaches_no_answer(letter: str) -> None:
    """Rows beyond the examples may hold gaps or several letters: they are dropped, never taken for the first."""
    good = {"question": QUESTION, **FOUR, "answer": "A"}
    step = format_steps(survey(finance_starter, good))["raw"]
    rows = [DataRow(source="raw", row=n, fields=good | {"answer": each}) for n, each in enumerate(["C", letter, " B "])]
    applied = load_step(step).apply(rows, StepContext(finance_starter, 0))
    assert [row.fields["answer"] for row in applied.rows] == ["a fund", "a share"]
    assert sum(applied.removed.values()) == 1


def test_options_need_all_letters_from_a_on() -> None:
    """`B` and `C` alone are no options; the rows are taken as open questions."""
    step = format_steps(survey(finance_starter, {"question": QUESTION, "B": "x", "C": "y", "answer": "B"}))["raw"]
    assert not in_task_format(step)


@pytest.mark.parametrize("options", [None, 4])
def test_the_sources_of_the_starter_task_are_all_understood(options: int | None, tmp_path: Path) -> None:
    """Every step of a first draft does its work on the real rows; only what has a gap is dropped before the samples.

    Where the benchmark's questions have options, open questions with short answers are given some.
    """
    from tasks.corpus import materialise, read_corpus
    from tasks.record import read_jsonl

    folder = materialise(finance_starter, None, tmp_path)
    corpus = read_corpus(folder)
    card = s.card(
        domain="finance", prompt=finance_starter.prompt, fields=tuple(fields(finance_starter.prompt)), options=options,
        groups=dict.fromkeys(SUBJECTS, 150),
    )  # fmt: skip
    found = s.survey(*corpus.sources, task=card)
    steps = format_steps(found)
    assert set(steps) == {source.name for source in corpus.sources}
    assert in_task_format(steps["glossary"]) == bool(options)
    drafted = recipe_of(draft(found), found, "")
    assert design_of(drafted, found) == draft(found)
    offered = {name for name, step in steps.items() if OFFERED in str(step.parameters)}
    assert {step.parameters["source"] for step in drafted.steps if step.name == "choices"} == offered
    rows = [
        DataRow(source=source.name, row=number, fields=row)
        for source in corpus.sources
        for number, row in enumerate(read_jsonl(folder / f"{source.name}.jsonl"), start=1)
    ]
    for step in drafted.steps:
        if step.name == "sample":
            break
        applied = load_step(step).apply(rows, StepContext(finance_starter, 0))
        assert step.name != "format" or not applied.removed, applied.removed
        assert applied.removed.total() < len(rows) / 10, (step, applied.removed)
        rows = applied.rows
    for source in corpus.sources:
        made = [row.fields for row in rows if row.source == source.name]
        assert len(made) > source.rows / 2, source.name
        assert all(row["prompt"] and row["answer"] for row in made)


SUBJECTS = (
    "accounting", "banking", "securities", "funds", "insurance", "economics", "tax", "futures", "financial_planning",
    "actuarial",
)  # fmt: skip
PAGES = (
    """<article><h1>Bonds (homework)</h1><div class="ad">Buy now</div>
    <div class="question"><div class="body">What is a <b>bond</b>?</div></div>
    <div class="answer"><div class="body">A share.</div></div>
    <div class="answer accepted"><div class="body"><blockquote>What is a bond?</blockquote>A loan.</div></div>""",
    """<article><h1>Funds</h1><div class="question"><div class="body">What is a fund?</div></div>
    <div class="answer"><div class="body">Who knows?</div></div></article>""",
)


def test_question_and_accepted_answer_are_read_out_of_pages() -> None:
    """Without quotations and advertisements; a page without an accepted answer is dropped."""
    found = survey(finance_starter, *({"id": n, "page": page} for n, page in enumerate(PAGES)))
    drafted = recipe_of(draft(found), found, "")
    rows = [DataRow(source="raw", row=n, fields={"id": n, "page": page}) for n, page in enumerate(PAGES)]
    for step in drafted.steps:
        rows = load_step(step).apply(rows, StepContext(finance_starter, 0)).rows
    assert [(row.fields["prompt"], row.fields["answer"]) for row in rows] == [("Question: What is a bond?", "A loan.")]


@pytest.mark.parametrize(
    "text", ["What is <b>a</b> bond?", "1 < 2 and 3 > 2", "<p>no answer here</p><p>x</p><i>y</i>", ""]
)
def test_text_with_few_tags_or_without_question_and_answer_is_no_page(text: str) -> None:
    assert format_steps(survey(finance_starter, {"id": 1, "page": text})) == {}


@pytest.mark.parametrize(
    ("rows", "groups", "field"),
    [
        (({"topic": "red", "x": 1}, {"topic": "blue", "x": 2}), ("red", "blue"), "topic"),
        (({"topic": "red"}, {"topic": "green"}), ("red", "blue"), None),
        (({"the topic": "red"},), ("red", "blue"), None),  # no condition can name it
        (({"topic": "red"},), ("red",), None),  # one category is none
        ((), ("red", "blue"), None),
    ],
)
def test_the_category_of_a_row_is_a_field_whose_values_are_the_benchmarks(rows, groups, field) -> None:
    source = s.source("raw", *rows).model_copy(update={"fields": ("topic", "the topic")})
    found = s.survey(source, task=s.card(groups=dict.fromkeys(groups, 9)))
    assert group_field(found, "raw") == field
    assert group_field(found, "atlas") is None
