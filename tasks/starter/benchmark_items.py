"""The benchmark of the starter task: the terms of definitions, aspects in wordings of their own, computations."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

from tasks.starter.fact_files import Fact
from tasks.starter.questions import (
    ComputationCases,
    Question,
    aspect_question,
    case_question,
    ordered_options,
    spread_places,
    term_question,
)
from tasks.starter.wordings import BENCHMARK_TERM

SECOND_WORDINGS = 35
"""Facts of a subject whose aspect is asked in both wordings; the others in one."""


def benchmark_items(
    facts: Mapping[str, Sequence[Fact]], cases: Mapping[str, Sequence[ComputationCases]], rng: random.Random
) -> list[dict[str, Any]]:
    """The items, subject by subject, each right option as often in one position as in another."""
    items: list[dict[str, Any]] = []
    for subject, entries in facts.items():
        questions = _questions(entries, cases[subject], rng)
        rng.shuffle(questions)
        places = spread_places(len(questions), rng)
        for number, (question, place) in enumerate(zip(questions, places, strict=True), start=1):
            items.append(
                {
                    "id": f"{subject[:3]}-{number:04d}",
                    "subject": subject,
                    "fact": question.fact,
                    "question": question.text,
                    "options": ordered_options(question, place, rng),
                    "answer": question.answer,
                }
            )
    return items


def _questions(facts: Sequence[Fact], cases: Sequence[ComputationCases], rng: random.Random) -> list[Question]:
    """Every definition once, every aspect once, the aspects of some facts again, and computations."""
    mixed = rng.sample(facts, len(facts))
    templates = [BENCHMARK_TERM[index % len(BENCHMARK_TERM)] for index in range(len(mixed))]
    questions = [term_question(fact, template, facts, rng) for fact, template in zip(mixed, templates, strict=True)]
    questions += [aspect_question(fact, fact.aspect.ask_bench[0]) for fact in facts]
    questions += [aspect_question(fact, fact.aspect.ask_bench[1]) for fact in rng.sample(facts, SECOND_WORDINGS)]
    return questions + [case_question(kind, case, case.bench) for kind in cases for case in kind.benchmark]
