"""How many of the planted leaks of the starter corpus are found, and how many of its honest rows are kept.

The rows are shown as different recipes would show them: with options, without, as a letter behind a prompt that lists
the options.
"""

from collections.abc import Callable
from typing import Any

import pytest

from tasks.benchmark import load_benchmark
from tasks.decontaminate import Content, Decontaminator
from tasks.finance import finance_starter
from tasks.rows import load_rows
from tasks.starter.planted import Planted, read_planted

Show = Callable[[str, list[str], str], Content]
LETTERS = "ABCD"


def with_options(question: str, choices: list[str], answer: str) -> Content:
    return Content(question=question, answer=answer, options=tuple(choices))


def without_options(question: str, choices: list[str], answer: str) -> Content:
    return Content(question=question, answer=answer)


def with_a_letter(question: str, choices: list[str], answer: str) -> Content:
    return Content(question=question, answer=LETTERS[choices.index(answer)], options=tuple(choices))


def with_options_in_the_prompt(question: str, choices: list[str], answer: str) -> Content:
    listed = "\n".join(f"{letter}. {choice}" for letter, choice in zip(LETTERS, choices, strict=True))
    return Content(question=f"{question}\n{listed}", answer=LETTERS[choices.index(answer)])


SHOWN: list[Show] = [with_options, without_options, with_a_letter, with_options_in_the_prompt]


@pytest.fixture(scope="module")
def guard() -> Decontaminator:
    return Decontaminator(load_benchmark(finance_starter, None).samples.values())


@pytest.fixture(scope="module")
def planted() -> dict[str, Planted]:
    return read_planted()


def raw_rows(source: str) -> list[dict[str, Any]]:
    return load_rows(next(one for one in finance_starter.sources if one.name == source), finance_starter.base_dir, None)


@pytest.fixture(scope="module", params=SHOWN, ids=lambda show: show.__name__)
def flagged(request: pytest.FixtureRequest, guard: Decontaminator) -> dict[int, str | None]:
    """By row number of the mock exams: the reason to drop it, or None."""
    contents = [request.param(row["question"], row["choices"], row["correct"]) for row in raw_rows("mock_exams")]
    return dict(enumerate(guard.leaks(contents), start=1))


def test_every_exact_copy_is_found(flagged: dict[int, str | None], planted: dict[str, Planted]) -> None:
    rows = planted["mock_exams"].leaks_exact
    assert len(rows) == 60
    assert [number for number in rows if flagged[number] is None] == []


def test_edited_copies_are_found(flagged: dict[int, str | None], planted: dict[str, Planted]) -> None:
    """95 % are asked for; all 60 were found when this was written."""
    rows = planted["mock_exams"].leaks_edited
    assert len(rows) == 60
    assert sum(flagged[number] is not None for number in rows) >= 0.95 * len(rows)


def test_other_questions_about_the_same_facts_are_kept(
    flagged: dict[int, str | None], planted: dict[str, Planted]
) -> None:
    """99 % are asked for; all 240 were kept when this was written."""
    rows = planted["mock_exams"].legal
    assert len(rows) == 240
    assert sum(flagged[number] is None for number in rows) >= 0.99 * len(rows)


@pytest.mark.parametrize("show", SHOWN, ids=lambda show: show.__name__)
def test_the_exam_bank_is_kept(guard: Decontaminator, planted: dict[str, Planted], show: Show) -> None:
    rows = raw_rows("exam_bank")
    assert set(planted["exam_bank"].legal) == set(range(1, len(rows) + 1))
    contents: list[Content] = []
    for row in rows:
        choices = [row[f"option_{letter.lower()}"] for letter in LETTERS]
        letter = row["answer"].strip(" .").upper()
        if letter and all(choices):
            contents.append(show(row["question"], choices, choices[LETTERS.index(letter)]))
    assert len(contents) > 1000
    assert sum(reason is None for reason in guard.leaks(contents)) >= 0.99 * len(contents)


GLOSSARY = [
    "{definition}",
    "Which term of finance means: {definition}?",
    "What is the term for {definition}?",
    'Which word is defined as "{definition}"?',
    "Term for: {definition}",
]


@pytest.mark.parametrize("wording", GLOSSARY)
def test_the_glossary_is_kept_although_the_benchmark_quotes_its_definitions(
    guard: Decontaminator, wording: str
) -> None:
    rows = [row for row in raw_rows("glossary") if row["definition"].strip()]
    contents = [Content(question=wording.format_map(row), answer=row["term"]) for row in rows]
    contents += [Content(question=f"What does {row['term']} mean?", answer=row["definition"]) for row in rows]
    assert len(contents) > 900
    assert sum(reason is None for reason in guard.leaks(contents)) >= 0.99 * len(contents)


def test_the_worked_solutions_are_kept(guard: Decontaminator) -> None:
    rows = raw_rows("worked_solutions")
    contents = [
        Content(question=row["question"], answer=row[field]) for row in rows for field in ("solution", "answer")
    ]
    assert len(contents) >= 600
    assert sum(reason is None for reason in guard.leaks(contents)) >= 0.99 * len(contents)
