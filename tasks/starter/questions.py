"""Questions with options, built from facts and computations."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.starter.computation_table import COMPUTATIONS
from tasks.starter.computations import Case, draw_cases
from tasks.starter.fact_files import SUBJECTS, Fact
from tasks.starter.fact_rules import options_clash

OPTIONS = 4
LETTERS = "ABCD"
BENCHMARK_CASES = 5
EXAM_CASES = 12
WORKED_CASES = 2
MOCK_CASES = 2


@dataclass(frozen=True)
class Question:
    """A question with its right answer and three wrong ones, not yet in any order."""

    fact: str
    """Id of the fact or of the kind of computation that it asks for."""
    subject: str
    text: str
    answer: str
    distractors: tuple[str, ...]
    keywords: str = ""
    """Words that an edit must leave alone."""


@dataclass(frozen=True)
class ComputationCases:
    """The drawn cases of one kind of computation, divided so that no numbers are used in two places."""

    id: str
    subject: str
    benchmark: list[Case]
    exam: list[Case]
    worked: list[Case]
    mock: list[Case]


def computation_cases(subject: str, rng: random.Random) -> list[ComputationCases]:
    """Draw the computations of a subject; ids such as `acc-c1` count its kinds in the table."""
    kinds = [computation for computation in COMPUTATIONS if computation.subject == subject]
    drawn: list[ComputationCases] = []
    for number, kind in enumerate(kinds, start=1):
        cases = iter(draw_cases(kind, BENCHMARK_CASES + EXAM_CASES + WORKED_CASES + MOCK_CASES, rng))
        shares = [
            [next(cases) for _ in range(share)] for share in (BENCHMARK_CASES, EXAM_CASES, WORKED_CASES, MOCK_CASES)
        ]
        drawn.append(ComputationCases(f"{subject[:3]}-c{number}", subject, *shares))
    return drawn


def term_question(fact: Fact, template: str, facts: Sequence[Fact], rng: random.Random) -> Question:
    """The definition is given and the term is asked for."""
    text = template.format(definition=fact.definition, area=SUBJECTS[fact.subject])
    return Question(fact.id, fact.subject, text, fact.term, _siblings(fact, facts, lambda other: other.term, rng))


def meaning_question(fact: Fact, template: str, facts: Sequence[Fact], rng: random.Random) -> Question:
    """The term is given and the definition is asked for."""
    text = template.format(term=fact.term, area=SUBJECTS[fact.subject])
    distractors = _siblings(fact, facts, lambda other: other.definition, rng)
    return Question(fact.id, fact.subject, text, fact.definition, distractors, fact.term)


def aspect_question(fact: Fact, text: str) -> Question:
    """One wording of the aspect of a fact."""
    return Question(fact.id, fact.subject, text, fact.aspect.answer, fact.aspect.distractors, fact.term)


def case_question(kind: ComputationCases, case: Case, text: str) -> Question:
    """One wording of a computation."""
    return Question(kind.id, kind.subject, text, case.answer, case.distractors)


def spread_places(count: int, rng: random.Random) -> list[int]:
    """A shuffled list of option positions in which each occurs equally often, give or take one."""
    places = [index % OPTIONS for index in range(count)]
    rng.shuffle(places)
    return places


def ordered_options(question: Question, place: int, rng: random.Random) -> list[str]:
    """The options with the right one at a position from 0, the others mixed."""
    options = rng.sample(question.distractors, OPTIONS - 1)
    options.insert(place, question.answer)
    return options


def other_terms(fact: Fact, facts: Sequence[Fact]) -> list[Fact]:
    """Facts of the subject that may be offered beside one, leaving out what is marked as too near."""
    return [
        other for other in facts if other.id != fact.id and other.term not in fact.near and fact.term not in other.near
    ]


def _siblings(fact: Fact, facts: Sequence[Fact], text: Callable[[Fact], str], rng: random.Random) -> tuple[str, ...]:
    """Wrong options taken from other facts of the subject."""
    siblings = other_terms(fact, facts)
    chosen = [text(fact)]
    for other in rng.sample(siblings, len(siblings)):
        if len(chosen) < OPTIONS and not options_clash([*chosen, text(other)]):
            chosen.append(text(other))
    if len(chosen) < OPTIONS:
        raise ValueError(f"{fact.subject}.yaml: {fact.term}: too few terms of the subject can be wrong options")
    return tuple(chosen[1:])
