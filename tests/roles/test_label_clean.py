"""Wrong labels: found by what the other rows say, dropped or mended, and left alone where nobody contradicts them."""

import csv
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.label_agreement import Suspicion, suspicious
from roles.data_steps.row import Applied, DataRow, StepContext
from roles.data_steps.witnesses import Answered, answer_number
from tasks.child import CHECKOUT
from tasks.failure import InputError, StageError
from tasks.finance import finance_starter
from tasks.starter.planted import read_planted

CONTEXT = StepContext(finance_starter, 0)
DIRECTIONS = ("a lasting rise of the general price level", "a lasting fall of the general price level",
              "a tax on imported goods", "a loan without any security")  # fmt: skip
RISE, FALL, DUTY, LOAN = range(4)
WORDINGS = ('What does the term "inflation" mean in economics?', 'How is the term "inflation" defined?',
            'Which of these statements explains the term "inflation"?')  # fmt: skip


def apply(name: str, given: list[DataRow], **parameters: Any) -> Applied:
    return load_step(Step(name=name, parameters=parameters)).apply(given, CONTEXT)


def clean(given: list[DataRow], **parameters: Any) -> Applied:
    return apply("label_clean", given, **parameters)


def exam(content: str, answer: str | int, number: int = 1, options: Sequence[str] = DIRECTIONS, source: str = "exams"):
    answer = options[answer] if isinstance(answer, int) else answer
    fields = {"prompt": content, "content": content, "options": list(options), "answer": answer, "task_format": True}
    return DataRow(source=source, row=number, fields=fields)


def told(content: str, answer: str, number: int = 1, source: str = "glossary") -> DataRow:
    return exam(content, answer, number, (), source)


def answers(applied: Applied) -> dict[int, str]:
    return {row.row: row.fields["answer"] for row in applied.rows if row.source == "exams"}


OUTVOTED = [exam(WORDINGS[0], RISE, 1), exam(WORDINGS[1], FALL, 2), exam(WORDINGS[2], RISE, 3)]


def test_an_outvoted_answer_is_dropped() -> None:
    applied = clean(OUTVOTED)
    assert [row.row for row in applied.rows] == [1, 3]
    assert (applied.removed, applied.changed) == ({"contradicted by other rows": 1}, {})


def test_an_outvoted_answer_is_mended() -> None:
    applied = clean(OUTVOTED, action="fix")
    assert answers(applied) == dict.fromkeys((1, 2, 3), DIRECTIONS[RISE])
    assert (applied.removed, applied.changed) == ({}, {"answer exchanged": 1})
    assert [row.model_dump(exclude={"fields": {"answer"}}) for row in applied.rows] == [
        row.model_dump(exclude={"fields": {"answer"}}) for row in OUTVOTED
    ]


@pytest.mark.parametrize(("written", "mended"), [("B", "A"), ("b", "a"), ("(B)", "(A)"), ("B.", "A.")])
def test_a_letter_stays_a_letter(written: str, mended: str) -> None:
    letters = [exam(WORDINGS[0], "A", 1), exam(WORDINGS[1], written, 2), exam(WORDINGS[2], "A", 3)]
    assert answers(clean(letters, action="fix")) == {1: "A", 2: mended, 3: "A"}


@pytest.mark.parametrize(
    "witness",
    [
        told(DIRECTIONS[RISE], "inflation"),
        told("inflation", f"In short: {DIRECTIONS[RISE]}, say the books.", source="forum"),
        told(
            'Explain the term "inflation".',
            f"Money buys less every year. So it is {DIRECTIONS[RISE]}.",
            source="worked",
        ),
    ],
    ids=["glossary", "forum", "worked solution"],
)
def test_rows_without_options_are_heard(witness: DataRow) -> None:
    """One wording against another is settled by a third row, on either side."""
    for wrong, right in ((0, 1), (1, 0)):
        labels = {wrong: FALL, right: RISE}
        given = [exam(WORDINGS[n], labels[n], n) for n in (0, 1)]
        assert list(answers(clean([*given, witness]))) == [right]


@pytest.mark.parametrize(
    "rows",
    [
        [exam(WORDINGS[0], RISE, 1), exam("Who is protected by a guarantee?", FALL, 2)],
        [exam(WORDINGS[0], RISE, 1), exam('What does the term "deflation" mean in economics?', FALL, 2)],
        [exam("Which of these is inflation?", RISE, 1), exam("Which of these is not inflation?", DUTY, 2)],
        [exam("What is 5 % of 200?", "10", 1, ("10", "20")), exam("What is 10 % of 200?", "20", 2, ("10", "20"))],
        [exam(WORDINGS[0], RISE, 1), exam(WORDINGS[1], RISE, 2), told(DIRECTIONS[FALL], "deflation")],
    ],
    ids=["other subject", "an exchanged word", "negation", "other numbers", "agreement"],
)
def test_rows_that_do_not_contradict_each_other_stay(rows: list[DataRow]) -> None:
    assert clean(rows) == Applied(rows, clean([]).removed)


def test_copies_of_a_row_are_one_witness() -> None:
    """A wrong row that was typed in four times does not outvote two others."""
    copies = [exam(WORDINGS[1] + " " * n, FALL, 10 + n) for n in range(4)]
    given = [exam(WORDINGS[0], RISE, 1), exam(WORDINGS[2], RISE, 2), *copies]
    assert list(answers(clean(given))) == [1, 2]


def test_computations_are_judged_by_their_formula() -> None:
    def row(number: int, capital: int, debt: int, answer: int) -> DataRow:
        options = tuple(f"{value:,}" for value in (capital - debt, capital + debt, 2 * capital, debt))
        return exam(f"A firm owns {capital:,} and owes {debt:,}. What is it worth?", answer, number, options)

    rows = [row(n, 9000 + 700 * n, 4000 - 300 * n, 2 if n == 3 else 0) for n in range(7)]
    assert answers(clean(rows, action="fix"))[3] == "8,000"


def test_only_the_named_source_is_judged_but_all_are_heard() -> None:
    given = [exam(WORDINGS[0], RISE, 1, source="mock"), OUTVOTED[1], exam(WORDINGS[2], RISE, 3, source="mock")]
    assert [row.row for row in clean(given, source="exams").rows] == [1, 3]
    assert [row.row for row in clean(given, source="mock").rows] == [1, 2, 3]


def test_a_larger_margin_finds_fewer() -> None:
    assert [len(clean(OUTVOTED, margin=margin).rows) for margin in (0, 0.999)] == [2, 3]


def test_a_trusted_source_outweighs_a_doubtful_one() -> None:
    given = [exam(WORDINGS[0], FALL, 1), told(WORDINGS[1], DIRECTIONS[RISE], source="forum")]
    assert len(clean(given, trust={"forum": 0.98, "exams": 0.5}).rows) == 1
    assert len(clean(given, trust={"forum": 0.3, "exams": 0.9}).rows) == 2


def test_rows_that_are_not_formatted_pass() -> None:
    raw = DataRow(source="raw", row=9, fields={"question": "x", "answer": "A"})
    assert [row.row for row in clean([*OUTVOTED, raw]).rows] == [1, 3, 9]


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match=r"no row has a list of `options`.*after the `format` step"):
        clean([told("a", "b")])
    with pytest.raises(InputError, match=r"no row has a list of `options`"):
        clean([*OUTVOTED, told("a", "b")], source="glossary")
    for parameters in ({"source": "web"}, {"trust": {"web": 0.5}}):
        with pytest.raises(InputError, match="no row is of source 'web'; there are: exams"):
            clean(OUTVOTED, **parameters)
    for wrong in ({"trust": {"exams": 1.0}}, {"margin": -0.1}, {"neighbours": 0}, {"action": "mark"}):
        with pytest.raises(StageError, match=next(iter(wrong))):
            clean(OUTVOTED, **wrong)


# ----- the function behind it


class Axes:
    """An embedder for tests: texts that begin with the same letter are the same, others have nothing in common."""

    name, dimension = "axes", 26

    def embed(self, texts: Sequence[str]) -> Any:
        vectors = np.zeros((len(texts), 26), dtype=np.float32)
        for vector, text in zip(vectors, texts, strict=True):
            vector[(ord((text or "a")[0].lower()) - ord("a")) % 26] = 1
        return vectors


def test_hostile_rows_do_no_harm() -> None:
    rows = [
        Answered("", ""), Answered("", "", ()), Answered("q", "x", ("x",)), Answered("q", "x", ("x", "x")),
        Answered("q", "y", ("", "y")), Answered("?!", "A", ("", "")), Answered("q" * 10_000, "B", ("a", "b")),
        Answered("q nan 1/0 1e999", "1e999", ("1e999", "2")), Answered("通货膨胀", "价格", ("价格", "税")),
    ]  # fmt: skip
    assert all(isinstance(one, Suspicion) for one in suspicious(rows, embedder=Axes()))
    assert suspicious([], embedder=Axes()) == []


def test_suspicions_name_row_option_and_margin() -> None:
    rows = [Answered("quick alpha beta", "one", ("one", "two")), Answered("quick beta gamma", "one", ("two", "one")),
            Answered("quick gamma alpha", "two", ("one", "two"))]  # fmt: skip
    (found,) = suspicious(rows, embedder=Axes())
    assert (found.row, found.better) == (2, 0)
    assert 0 < found.margin < 1


@pytest.mark.parametrize(
    ("answer", "number"),
    [
        ("red", 0),
        (" RED. ", 0),
        ("B", 1),
        ("(b)", 1),
        ("c", 2),
        ("D", None),
        ("dark red", None),
        ("", None),
        ("1", None),
    ],
)
def test_answers_name_options_by_text_or_letter(answer: str, number: int | None) -> None:
    assert answer_number(answer, ("red", "blue", "C")) == number


# ----- on the starter's exam bank

SUBJECTS = ("banking", "insurance", "tax", "accounting")


def starter() -> list[DataRow]:
    """Formatted rows of four subjects: the exam bank with its planted faults, glossary and worked solutions."""
    folder = CHECKOUT / "tasks" / "starter" / "data"
    with (folder / "exam_bank.csv").open(encoding="utf-8", newline="") as file:
        given = [DataRow(source="exam_bank", row=n, fields=dict(row)) for n, row in enumerate(csv.DictReader(file), 1)]
    for name in ("glossary", "worked_solutions"):
        lines = (folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        given += [DataRow(source=name, row=n, fields=json.loads(line)) for n, line in enumerate(lines, 1)]
    options = [f"option_{letter}" for letter in "abcd"]
    rows = apply("filter", [row for row in given if row.fields["subject"] in SUBJECTS], where="subject").rows
    rows = apply("filter", rows, source="exam_bank", require=["question", *options, "answer"]).rows
    rows = apply("deduplicate", rows, fields=["question", *options, "answer"]).rows
    letters = "{'A': option_a, 'B': option_b, 'C': option_c, 'D': option_d}"
    lists = [f"{{{{ {option} }}}}" for option in options]
    fields = {"question": "{{ question }}", "options": lists}
    rows = apply("format", rows, source="exam_bank", answer=f"{{{{ {letters}[answer | trim] }}}}", fields=fields).rows
    rows = apply("format", rows, source="glossary", prompt="{{ definition }}", answer="{{ term }}").rows
    return apply("format", rows, source="worked_solutions", prompt="{{ question }}", answer="{{ solution }}").rows


def test_most_planted_wrong_labels_are_found_and_little_else() -> None:
    rows = starter()
    wrong = read_planted()["exam_bank"].wrong_labels
    raw = {row.row: row.fields for row in rows if row.source == "exam_bank"}
    planted = wrong.keys() & raw.keys()
    mended = clean(rows, action="fix").rows
    found = {row.row: row.fields["answer"] for row, before in zip(mended, rows, strict=True) if row != before}
    assert len(planted) > 30
    assert len(found.keys() & planted) >= 0.8 * len(found)
    assert len(found.keys() & planted) >= 0.65 * len(planted)
    right = [found[row] == raw[row][f"option_{wrong[row].lower()}"] for row in found.keys() & planted]
    assert sum(right) >= 0.9 * len(right)
