"""Rows of the starter data files, from questions and facts."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tasks.starter.fact_files import Fact
from tasks.starter.questions import (
    OPTIONS,
    TRAIN_CASES,
    Question,
    SubjectCases,
    bench_questions,
    train_definition,
    train_questions,
)

LETTERS = "ABCD"
EXAM_COLUMNS = ("id", "subject", "question", "option_a", "option_b", "option_c", "option_d", "answer")
DUPLICATE_SHARE = 0.03
DEFECT_SHARE = 0.02
WORKED_PER_SUBJECT = 20
WORKED_CASES = 4

ExamRow = dict[str, str]


def benchmark_rows(
    facts: Mapping[str, Sequence[Fact]], cases: Mapping[str, SubjectCases], rng: random.Random
) -> list[dict[str, object]]:
    """The benchmark, subject by subject, each right option as often in one position as in another."""
    rows: list[dict[str, object]] = []
    for subject, entries in facts.items():
        questions = bench_questions(entries, cases[subject], rng)
        rng.shuffle(questions)
        for number, (question, place) in enumerate(zip(questions, _places(len(questions), rng), strict=True), 1):
            row_id = f"{subject[:3]}-{number:04d}"
            options = _ordered(question, place, rng)
            head: dict[str, object] = {"id": row_id, "subject": subject, "question": question.text}
            rows.append(head | {"options": options, "answer": question.answer})
    return rows


def exam_rows(
    facts: Mapping[str, Sequence[Fact]], cases: Mapping[str, SubjectCases], rng: random.Random
) -> list[ExamRow]:
    """The exam bank in mixed order: sound rows, a few repeated rows and a few with a defect."""
    questions = [q for subject, entries in facts.items() for q in train_questions(entries, cases[subject], rng)]
    places = _places(len(questions), rng)
    sound = [_exam_row(question, place, rng) for question, place in zip(questions, places, strict=True)]
    rows = [*sound, *_duplicates(sound, rng), *_defects(facts, round(len(sound) * DEFECT_SHARE), rng)]
    rng.shuffle(rows)
    return [{"id": f"exam-{number:04d}", **row} for number, row in enumerate(rows, 1)]


def glossary_rows(facts: Mapping[str, Sequence[Fact]]) -> list[dict[str, object]]:
    """One row per fact: its term, its definition and its subject."""
    return [
        {"term": fact.term, "definition": fact.definition, "subject": subject}
        for subject, entries in facts.items()
        for fact in entries
    ]


def worked_rows(
    facts: Mapping[str, Sequence[Fact]], cases: Mapping[str, SubjectCases], rng: random.Random
) -> list[dict[str, object]]:
    """Worked solutions: computations, aspects with a stated reason, and definitions to fill up."""
    rows: list[dict[str, object]] = []
    for subject, entries in facts.items():
        own = [
            (case.train, case.solution, case.answer) for case in cases[subject].train[:: TRAIN_CASES // WORKED_CASES]
        ]
        own += _reasoned(entries)
        missing = max(0, WORKED_PER_SUBJECT - len(own))
        own += [_explained(fact, i) for i, fact in enumerate(rng.sample(list(entries), missing))]
        for question, solution, answer in own:
            rows.append({"subject": subject, "question": question, "solution": solution, "answer": answer})
    return rows


def _reasoned(facts: Sequence[Fact]) -> list[tuple[str, str, str]]:
    aspects = [aspect for fact in facts for aspect in fact.aspects if aspect.why]
    return [
        (aspect.ask_train[i % 2], f"{aspect.why} The answer is therefore: {aspect.answer}.", aspect.answer)
        for i, aspect in enumerate(aspects)
    ]


def _explained(fact: Fact, index: int) -> tuple[str, str, str]:
    question = (f'Explain the term "{fact.term}".', f'Say in a few words what "{fact.term}" is.')[index % 2]
    return question, f'The term "{fact.term}" stands for the following: {fact.definition}.', fact.definition


def _places(count: int, rng: random.Random) -> list[int]:
    """A shuffled list of option positions in which each occurs equally often, give or take one."""
    places = [index % OPTIONS for index in range(count)]
    rng.shuffle(places)
    return places


def _ordered(question: Question, place: int, rng: random.Random) -> list[str]:
    options = rng.sample(question.distractors, OPTIONS - 1)
    options.insert(place, question.answer)
    return options


def _exam_row(question: Question, place: int, rng: random.Random) -> ExamRow:
    cells = [question.subject, question.text, *_ordered(question, place, rng), LETTERS[place]]
    return dict(zip(EXAM_COLUMNS[1:], cells, strict=True))


def _duplicates(sound: Sequence[ExamRow], rng: random.Random) -> list[ExamRow]:
    """Repeated rows: in turn an exact copy, one in capitals and one with stray white space."""
    copies: list[ExamRow] = []
    for index, row in enumerate(rng.sample(sound, round(len(sound) * DUPLICATE_SHARE))):
        text = row["question"]
        written = (text, text.upper(), "  " + text.replace(" ", "  ") + " ")[index % 3]
        copies.append(row | {"question": written})
    return copies


def _defects(facts: Mapping[str, Sequence[Fact]], count: int, rng: random.Random) -> list[ExamRow]:
    """Rows to be filtered out: a third wording of a definition, without its answer or without an option."""
    everything = [(entries, index) for entries in facts.values() for index in range(len(entries))]
    rows: list[ExamRow] = []
    for number, (entries, index) in enumerate(rng.sample(everything, count)):
        place = rng.randrange(OPTIONS)
        row = _exam_row(train_definition(index, 2, entries, rng), place, rng)
        rows.append(row | {("answer", f"option_{LETTERS[place].lower()}", "option_d")[number % 3]: ""})
    return rows
