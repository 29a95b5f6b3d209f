"""Small computations of the starter task: questions filled with drawn numbers, results worked out exactly."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tasks.starter.fact_rules import options_clash

MAX_ATTEMPTS = 10_000

Numbers = Mapping[str, Fraction]


@dataclass(frozen=True)
class Computation:
    """A computation in words: questions for sources and benchmark, its solution, and how results come about.

    `results` gives the right result first and then the results of three common mistakes.
    """

    subject: str
    train: str
    bench: str
    solution: str
    ranges: Mapping[str, range]
    results: Callable[[Numbers], tuple[Fraction, ...]]
    unit: str = ""


@dataclass(frozen=True)
class Case:
    """A computation with its numbers filled in."""

    train: str
    bench: str
    solution: str
    answer: str
    distractors: tuple[str, ...]


def draw_cases(computation: Computation, count: int, rng: random.Random) -> list[Case]:
    """Draw `count` cases with different results, each with four distinct options."""
    cases: dict[str, Case] = {}
    for _ in range(MAX_ATTEMPTS):
        if len(cases) == count:
            return list(cases.values())
        values = {name: Fraction(rng.choice(span)) for name, span in computation.ranges.items()}
        results = computation.results(values)
        if any(result <= 0 or (result * 100).denominator != 1 for result in results):
            continue
        options = [_written(result) + computation.unit for result in results]
        if options[0] not in cases and not options_clash(options):
            cases[options[0]] = _fill(computation, values, options)
    raise ValueError(f"{computation.subject}: no {count} different cases of '{computation.train}'")


def _fill(computation: Computation, values: Numbers, options: list[str]) -> Case:
    shown = {name: _written(value) for name, value in values.items()}
    return Case(
        train=computation.train.format(**shown),
        bench=computation.bench.format(**shown),
        solution=computation.solution.format(**shown, result=options[0]),
        answer=options[0],
        distractors=tuple(options[1:]),
    )


def _written(value: Fraction) -> str:
    if value.denominator == 1:
        return f"{value.numerator:,}"
    return f"{float(value):,.2f}".rstrip("0")
