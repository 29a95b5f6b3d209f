"""The exam bank: four options and a letter, typed in over the years by several hands, with the faults of such a file.

A third of the facts of a subject have all their questions, a third have two, a third have one; two subjects have only
a third of the rows. Of the rows some letters are wrong, some cells are empty, and some questions were typed in twice.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tasks.starter.edits import added_word, dropped_word, edited, keywords, prefix, rotated, synonym, typo
from tasks.starter.fact_files import Fact
from tasks.starter.planted import Planted
from tasks.starter.questions import (
    EXAM_CASES,
    LETTERS,
    OPTIONS,
    ComputationCases,
    Question,
    aspect_question,
    case_question,
    meaning_question,
    ordered_options,
    spread_places,
)
from tasks.starter.source_table import SourceTable
from tasks.starter.wordings import EXAM_MEANING, EXAM_PREFIXES

COLUMNS: tuple[str, ...] = (
    "id",
    "subject",
    "year",
    "question",
    "option_a",
    "option_b",
    "option_c",
    "option_d",
    "answer",
)
SPARSE = ("futures", "actuarial")
SHARE_OF_SPARSE = 3
"""One of so many facts and computations of a sparse subject is in the bank."""
WRONG = 0.10
EXACT_COPIES = 0.04
NEAR_COPIES = 0.04
GAPS = 0.02
ODD_LETTERS = 0.02
YEARS = range(2009, 2025)

_EDITS = (typo, synonym, dropped_word, added_word, prefix(EXAM_PREFIXES))


@dataclass(frozen=True)
class _Entry:
    """A row on its way into the bank."""

    origin: int
    """Number of the question; a copy has that of its original."""
    question: Question
    cells: Mapping[str, str]
    letter: str
    """The right one."""
    copy: Literal["", "exact", "near"] = ""


def exam_bank(
    facts: Mapping[str, Sequence[Fact]], cases: Mapping[str, Sequence[ComputationCases]], rng: random.Random
) -> SourceTable:
    """The bank in mixed order."""
    questions = [
        question for subject, entries in facts.items() for question in _questions(entries, cases[subject], rng)
    ]
    places = spread_places(len(questions), rng)
    sound = [
        _entry(origin, question, place, rng)
        for origin, (question, place) in enumerate(zip(questions, places, strict=True))
    ]
    entries = _with_faults(sound, rng)
    rng.shuffle(entries)
    rows = [{"id": f"exam-{number:04d}", **entry.cells} for number, entry in enumerate(entries, start=1)]
    aspects, definitions = _taught(facts, entries)
    return SourceTable(rows, _planted(entries), aspects, definitions)


def answer_letter(cell: str) -> str:
    """The letter that an answer cell means, however it is written: `C` for ` c ` and `C.`; empty for an empty one."""
    return cell.strip(" .").upper()


def _questions(facts: Sequence[Fact], cases: Sequence[ComputationCases], rng: random.Random) -> list[Question]:
    """The questions of a subject: all three, two or one of a fact, then computations."""
    sparse = facts[0].subject in SPARSE
    chosen = rng.sample(facts, len(facts) // SHARE_OF_SPARSE if sparse else len(facts))
    questions: list[Question] = []
    for index, fact in enumerate(chosen):
        meaning = meaning_question(fact, EXAM_MEANING[index % len(EXAM_MEANING)], facts, rng)
        aspects = [aspect_question(fact, text) for text in rng.sample(fact.aspect.ask_train, 2)]
        shown = ([meaning, *aspects], rng.sample([meaning, *aspects], 2), aspects[:1])[index % 3]
        questions += shown
    share = EXAM_CASES // SHARE_OF_SPARSE if sparse else EXAM_CASES
    return questions + [case_question(kind, case, case.train) for kind in cases for case in kind.exam[:share]]


def _entry(origin: int, question: Question, place: int, rng: random.Random) -> _Entry:
    values = [question.subject, str(rng.choice(YEARS)), question.text, *ordered_options(question, place, rng)]
    cells = dict(zip(COLUMNS[1:], [*values, LETTERS[place]], strict=True))
    return _Entry(origin, question, cells, LETTERS[place])


def _with_faults(entries: Sequence[_Entry], rng: random.Random) -> list[_Entry]:
    """The rows and their copies; any letter may be wrong, and no row has two of the other faults."""
    rows = [_mislabelled(entry, rng) if rng.random() < WRONG else entry for entry in entries]
    stock = rng.sample(range(len(rows)), len(rows))

    def take(share: float) -> list[int]:
        return [stock.pop() for _ in range(round(share * len(rows)))]

    for index, place in enumerate(take(GAPS)):
        rows[place] = _with_gap(rows[place], index)
    for index, place in enumerate(take(ODD_LETTERS)):
        rows[place] = _oddly_lettered(rows[place], index)
    copies = [_near_copy(rows[place], index, rng) for index, place in enumerate(take(NEAR_COPIES))]
    copies += [_exact_copy(rows[place], index) for index, place in enumerate(take(EXACT_COPIES))]
    return rows + copies


def _changed(entry: _Entry, **cells: str) -> _Entry:
    return replace(entry, cells={**entry.cells, **cells})


def _mislabelled(entry: _Entry, rng: random.Random) -> _Entry:
    return _changed(entry, answer=rng.choice(LETTERS.replace(entry.letter, "")))


def _with_gap(entry: _Entry, index: int) -> _Entry:
    """Without its answer, or without the option that is right or another one."""
    other = LETTERS[(LETTERS.index(entry.letter) + 1) % OPTIONS]
    empty = ("answer", f"option_{entry.letter.lower()}", f"option_{other.lower()}")[index % 3]
    return _changed(entry, **{"answer": entry.letter, empty: ""})


def _oddly_lettered(entry: _Entry, index: int) -> _Entry:
    letter = entry.cells["answer"]
    return _changed(entry, answer=(f" {letter.lower()} ", f"{letter}.")[index % 2])


def _exact_copy(entry: _Entry, index: int) -> _Entry:
    """The row once more: in turn as it is, in capitals, and with stray blanks."""
    text = entry.cells["question"]
    written = (text, text.upper(), "  " + text.replace(" ", "  ") + " ")[index % 3]
    return replace(_changed(entry, question=written), copy="exact")


def _near_copy(entry: _Entry, index: int, rng: random.Random) -> _Entry:
    """The row in a later paper, with a small edit of the question; its letter stays, also where it is wrong."""
    text = edited(entry.question.text, rotated(_EDITS, index), keywords(entry.question.keywords), rng)
    return replace(_changed(entry, question=text, year=str(rng.choice(YEARS))), copy="near")


def _planted(entries: Sequence[_Entry]) -> Planted:
    wrong: dict[int, str] = {}
    gaps: list[int] = []
    rows: dict[int, list[int]] = defaultdict(list)
    copies: dict[int, str] = {}
    for number, entry in enumerate(entries, start=1):
        rows[entry.origin].append(number)
        if entry.copy:
            copies[entry.origin] = entry.copy
        if not all(entry.cells.values()):
            gaps.append(number)
        elif answer_letter(entry.cells["answer"]) != entry.letter:
            wrong[number] = entry.letter
    return Planted(
        legal=tuple(range(1, len(entries) + 1)),
        wrong_labels=wrong,
        duplicates_exact=tuple(tuple(rows[origin]) for origin, copy in copies.items() if copy == "exact"),
        duplicates_near=tuple(tuple(rows[origin]) for origin, copy in copies.items() if copy == "near"),
        gaps=tuple(gaps),
    )


def _taught(facts: Mapping[str, Sequence[Fact]], entries: Sequence[_Entry]) -> tuple[frozenset[str], frozenset[str]]:
    """Facts whose aspect, and whose definition, a whole row with the right letter gives."""
    sound = [
        entry.question
        for entry in entries
        if all(entry.cells.values()) and answer_letter(entry.cells["answer"]) == entry.letter
    ]
    given = {(question.fact, question.answer) for question in sound}
    known = [fact for entries_ in facts.values() for fact in entries_]
    aspects = frozenset(fact.id for fact in known if (fact.id, fact.aspect.answer) in given)
    return aspects, frozenset(fact.id for fact in known if (fact.id, fact.definition) in given)
