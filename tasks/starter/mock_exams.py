"""Practice papers that somebody collected: some of their questions are items of the benchmark, most are not.

Leaked items stand there as they are or lightly edited, drawn from the whole benchmark and so from all its splits. The
other questions are legal: they ask for the same facts from another side, in other words or with other numbers.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.starter.edits import added_word, dropped_word, edited, keywords, prefix, punctuation, rotated, synonym, typo
from tasks.starter.fact_files import Fact
from tasks.starter.fact_rules import options_clash
from tasks.starter.planted import Planted
from tasks.starter.questions import (
    ComputationCases,
    Question,
    aspect_question,
    case_question,
    meaning_question,
    ordered_options,
    other_terms,
    spread_places,
)
from tasks.starter.source_table import SourceTable
from tasks.starter.wordings import MOCK_MEANING, MOCK_PREFIXES

EXACT = 60
EDITED = 60
MEANINGS = 90
ASPECTS = 90
PAPERS = 12
NONE = "none of these"

_PREFIX = prefix(MOCK_PREFIXES)
_WORD_EDITS = (typo, synonym, added_word, dropped_word)

_Facts = Mapping[str, Sequence[Fact]]
_Row = dict[str, Any]


def mock_exams(
    facts: _Facts,
    cases: Mapping[str, Sequence[ComputationCases]],
    items: Sequence[Mapping[str, Any]],
    rng: random.Random,
) -> SourceTable:
    """The papers, with leaks drawn from `items`, the benchmark."""
    leaked = rng.sample(items, EXACT + EDITED)
    rows = [_repeated(item, index, rng) for index, item in enumerate(leaked[:EXACT])]
    rows += [_altered(item, index, facts, rng) for index, item in enumerate(leaked[EXACT:])]
    questions = _legal(facts, cases, {item["fact"] for item in leaked}, rng)
    for question, place in zip(questions, spread_places(len(questions), rng), strict=True):
        rows.append(_row(question.text, ordered_options(question, place, rng), question.answer))
    order = rng.sample(range(len(rows)), len(rows))
    number = {index: place for place, index in enumerate(order, start=1)}
    planted = Planted(
        leaks_exact={number[index]: leaked[index]["id"] for index in range(EXACT)},
        leaks_edited={number[index]: leaked[index]["id"] for index in range(EXACT, len(leaked))},
        legal=tuple(sorted(number[index] for index in range(len(leaked), len(rows)))),
    )
    return SourceTable(
        [{"set": f"Paper {place * PAPERS // len(rows) + 1}", **rows[index]} for place, index in enumerate(order)],
        planted,
    )


def _row(text: str, choices: Sequence[str], correct: str) -> _Row:
    return {"question": text, "choices": list(choices), "correct": correct}


def _repeated(item: Mapping[str, Any], index: int, rng: random.Random) -> _Row:
    """An item as it is; in every other one the options stand in another order."""
    options: list[str] = item["options"]
    return _row(item["question"], rng.sample(options, len(options)) if index % 2 else options, item["answer"])


def _altered(item: Mapping[str, Any], index: int, facts: _Facts, rng: random.Random) -> _Row:
    """An item with one or two small edits of its words, at times also other punctuation or another wrong option."""
    fact = next((fact for fact in facts[item["subject"]] if fact.id == item["fact"]), None)
    keep = keywords(fact.term) if fact else frozenset[str]()
    text = edited(item["question"], rotated((*_WORD_EDITS, _PREFIX), index), keep, rng)
    if index % 2:
        text = edited(text, (*rotated(_WORD_EDITS, index // 2), punctuation), keep, rng)
    if index % 3 == 0:
        text = punctuation(text, keep, rng) or text
    options = rng.sample(item["options"], len(item["options"]))
    if index % 4 == 0:
        wrong = next(place for place, option in enumerate(options) if option != item["answer"])
        options[wrong] = _another_option(options, fact, facts[item["subject"]], rng)
    return _row(text, options, item["answer"])


def _another_option(options: Sequence[str], fact: Fact | None, facts: Sequence[Fact], rng: random.Random) -> str:
    """One more wrong option: a term where terms are offered, else a way out."""
    if fact is None or fact.term not in options:
        return NONE
    return rng.choice([other.term for other in other_terms(fact, facts) if not options_clash([*options, other.term])])


def _legal(
    facts: _Facts, cases: Mapping[str, Sequence[ComputationCases]], leaked: set[str], rng: random.Random
) -> list[Question]:
    """Other questions, first of all about facts of which an item is leaked."""
    known = [(fact, entries) for entries in facts.values() for fact in entries]
    known = sorted(rng.sample(known, len(known)), key=lambda each: each[0].id not in leaked)
    questions = [
        meaning_question(fact, MOCK_MEANING[index % len(MOCK_MEANING)], entries, rng)
        for index, (fact, entries) in enumerate(known[:MEANINGS])
    ]
    questions += [aspect_question(fact, _begun(rng.choice(fact.aspect.ask_train), rng)) for fact, _ in known[:ASPECTS]]
    kinds = [kind for drawn in cases.values() for kind in drawn]
    return questions + [case_question(kind, case, _begun(case.train, rng)) for kind in kinds for case in kind.mock]


def _begun(text: str, rng: random.Random) -> str:
    return _PREFIX(text, frozenset(), rng) or text
