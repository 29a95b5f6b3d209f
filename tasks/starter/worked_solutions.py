"""Worked solutions: computations with their steps and aspects with the reason, without options."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tasks.starter.computations import Case
from tasks.starter.fact_files import Fact
from tasks.starter.planted import Planted
from tasks.starter.questions import ComputationCases
from tasks.starter.source_table import SourceTable
from tasks.starter.wordings import ENDINGS

PER_SUBJECT = 35

_Row = dict[str, str]


def worked_solutions(
    facts: Mapping[str, Sequence[Fact]],
    cases: Mapping[str, Sequence[ComputationCases]],
    known: frozenset[str],
    rng: random.Random,
) -> SourceTable:
    """The solutions subject by subject; aspects that are not yet `known` come first."""
    rows: list[Mapping[str, str]] = []
    taught: set[str] = set()
    for subject, entries in facts.items():
        computed = [_computed(subject, case) for kind in cases[subject] for case in kind.worked]
        reasoned = [fact for fact in rng.sample(entries, len(entries)) if fact.aspect.why]
        reasoned = sorted(reasoned, key=lambda fact: fact.id in known)[: PER_SUBJECT - len(computed)]
        rows += computed
        rows += [_reasoned(fact, rng) for fact in sorted(reasoned, key=lambda fact: fact.id)]
        taught |= {fact.id for fact in reasoned}
    return SourceTable(rows, Planted(), aspects=frozenset(taught))


def _computed(subject: str, case: Case) -> _Row:
    return {"subject": subject, "question": case.train, "solution": case.solution, "answer": case.answer}


def _reasoned(fact: Fact, rng: random.Random) -> _Row:
    aspect = fact.aspect
    solution = f"{aspect.why} {rng.choice(ENDINGS).format(answer=aspect.answer)}"
    question = rng.choice(aspect.ask_train)
    return {"subject": fact.subject, "question": question, "solution": solution, "answer": aspect.answer}
