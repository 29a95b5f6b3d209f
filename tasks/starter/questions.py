"""Questions with options, built from facts and computations: training phrasings and benchmark phrasings."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.starter.computation_table import COMPUTATIONS
from tasks.starter.computations import Case, draw_cases
from tasks.starter.fact_files import SUBJECTS, Fact
from tasks.starter.fact_rules import options_clash

OPTIONS = 4
BENCH_PER_SUBJECT = 60
BENCH_CASES = 4
TRAIN_CASES = 8

TRAIN_TEMPLATES = (
    'What does the term "{term}" mean in {area}?',
    'Which of these statements defines "{term}"?',
    'In {area}, what is meant by "{term}"?',
    'How is the term "{term}" defined?',
    'A student looks up "{term}". Which explanation is right?',
    'What is the correct meaning of "{term}"?',
)
BENCH_MEANING_TEMPLATES = (
    'If a report mentions "{term}", it refers to which of the following?',
    'Pick the phrase describing "{term}" most accurately.',
    'Someone unfamiliar with {area} wonders about "{term}". What should the reply be?',
)
BENCH_TERM_TEMPLATES = (
    'Which concept is described here: "{definition}"?',
    'Name the expression from {area} that fits this description: "{definition}".',
    'A glossary entry reads "{definition}". To which headword does it belong?',
)


@dataclass(frozen=True)
class Question:
    """A question with its right answer and three wrong ones, not yet in any order."""

    subject: str
    text: str
    answer: str
    distractors: tuple[str, ...]


@dataclass(frozen=True)
class SubjectCases:
    """The drawn computations of one subject, divided so that no numbers are used in two places."""

    bench: list[Case]
    train: list[Case]


def subject_cases(subject: str, rng: random.Random) -> SubjectCases:
    """Draw the computations of a subject, evenly over its kinds."""
    kinds = [computation for computation in COMPUTATIONS if computation.subject == subject]
    bench: list[Case] = []
    train: list[Case] = []
    for kind in kinds:
        cases = draw_cases(kind, (BENCH_CASES + TRAIN_CASES) // len(kinds), rng)
        share = BENCH_CASES // len(kinds)
        bench += cases[:share]
        train += cases[share:]
    return SubjectCases(bench, train)


def bench_questions(facts: Sequence[Fact], cases: SubjectCases, rng: random.Random) -> list[Question]:
    """The benchmark questions of one subject: every definition and aspect once, then second phrasings."""
    questions = [_bench_definition(index, fact, facts, rng) for index, fact in enumerate(facts)]
    questions += _aspect_questions(facts, 0, rng)
    questions += [_case_question(facts[0].subject, case, case.bench) for case in cases.bench]
    missing = BENCH_PER_SUBJECT - len(questions)
    again = _aspect_questions(facts, 1, rng)
    if not 0 <= missing <= len(again):
        raise ValueError(f"{facts[0].subject}.yaml: its facts cannot make {BENCH_PER_SUBJECT} benchmark questions")
    return questions + [again[i] for i in sorted(rng.sample(range(len(again)), missing))]


def train_questions(facts: Sequence[Fact], cases: SubjectCases, rng: random.Random) -> list[Question]:
    """The exam bank questions of one subject: two phrasings of every definition and aspect, and computations."""
    questions: list[Question] = []
    for index, fact in enumerate(facts):
        questions += [train_definition(index, turn, facts, rng) for turn in (0, 1)]
        for turn in (0, 1):
            questions += _aspect_questions([fact], turn, rng, train=True)
    return questions + [_case_question(facts[0].subject, case, case.train) for case in cases.train]


def train_definition(index: int, turn: int, facts: Sequence[Fact], rng: random.Random) -> Question:
    """The definition question of one fact in the template that `turn` selects; turns differ in wording."""
    fact = facts[index]
    template = TRAIN_TEMPLATES[(index + 2 * turn) % len(TRAIN_TEMPLATES)]
    return _meaning(fact, template, facts, rng)


def _bench_definition(index: int, fact: Fact, facts: Sequence[Fact], rng: random.Random) -> Question:
    if index % 2:
        return _meaning(fact, BENCH_MEANING_TEMPLATES[index // 2 % len(BENCH_MEANING_TEMPLATES)], facts, rng)
    template = BENCH_TERM_TEMPLATES[index // 2 % len(BENCH_TERM_TEMPLATES)]
    text = template.format(definition=fact.definition, area=SUBJECTS[fact.subject])
    return Question(fact.subject, text, fact.term, _from_siblings(fact, facts, lambda other: other.term, rng))


def _meaning(fact: Fact, template: str, facts: Sequence[Fact], rng: random.Random) -> Question:
    text = template.format(term=fact.term, area=SUBJECTS[fact.subject])
    distractors = _from_siblings(fact, facts, lambda other: other.definition, rng)
    return Question(fact.subject, text, fact.definition, distractors)


def _from_siblings(
    fact: Fact, facts: Sequence[Fact], text: Callable[[Fact], str], rng: random.Random
) -> tuple[str, ...]:
    """Wrong options taken from other facts of the subject, leaving out terms marked as too near."""
    siblings = [other for other in facts if other != fact and other.term not in fact.near]
    siblings = [other for other in siblings if fact.term not in other.near]
    chosen = [text(fact)]
    for other in rng.sample(siblings, len(siblings)):
        if len(chosen) < OPTIONS and not options_clash([*chosen, text(other)]):
            chosen.append(text(other))
    if len(chosen) < OPTIONS:
        raise ValueError(f"{fact.subject}.yaml: {fact.term}: too few terms of the subject can be wrong options")
    return tuple(chosen[1:])


def _aspect_questions(facts: Sequence[Fact], turn: int, rng: random.Random, train: bool = False) -> list[Question]:
    questions: list[Question] = []
    for fact in facts:
        for aspect in fact.aspects:
            text = (aspect.ask_train if train else aspect.ask_bench)[turn]
            distractors = tuple(rng.sample(aspect.distractors, OPTIONS - 1))
            questions.append(Question(fact.subject, text, aspect.answer, distractors))
    return questions


def _case_question(subject: str, case: Case, text: str) -> Question:
    return Question(subject, text, case.answer, case.distractors)
