"""What computations come to, by the formula that most rows of the same wording follow.

Rows that ask for the same computation with other numbers are no witnesses for each other's results, but for the way to
them: of all short formulas over the numbers of the question, the one that gives most of the stated results.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tasks.text import numbers, words

FEWEST = 4
"""Rows of the same wording and different numbers that a formula is looked for in."""
AGREEING = 0.6
"""Share of them that a formula must be right about."""
MOST = 20
"""Rows that formulas are tried on at a time; there are up to 300,000 formulas."""
GIVEN = 4
"""Numbers that a question may have."""
ROUNDED = 1e-3
"""Relative error that is taken for rounding, where the last digit of a result allows for it."""

Values = NDArray[np.float64]


class Computation(NamedTuple):
    """A question with numbers, and a number as its answer."""

    question: str
    answer: str
    options: tuple[str, ...] = ()


def results(rows: Sequence[Computation]) -> dict[int, int]:
    """The number of the option, from 0, that the formula of its wording leads to, by row.

    Args:
        rows: all questions, computations or not. The last number of an answer is the result. Rows without options only
            help to find a formula.
    """
    groups: dict[tuple[object, ...], list[_Case]] = defaultdict(list)
    for row, one in enumerate(rows):
        case = _case(row, one)
        if case:
            groups[len(case.given), *_wording(one.question)].append(case)
    found: dict[int, int] = {}
    for cases in groups.values():
        found |= _solved(cases)
    return found


class _Number(NamedTuple):
    """A number as it is stated."""

    value: float
    step: float
    """Of its last digit."""


class _Case(NamedTuple):
    """A computation as numbers."""

    row: int
    given: tuple[float, ...]
    stated: _Number
    offered: tuple[_Number, ...]


def _wording(question: str) -> tuple[str, ...]:
    return tuple(word for word in words(question).split() if not any(map(str.isdigit, word)))


def _case(row: int, one: Computation) -> _Case | None:
    given = tuple(value for _, value in numbers(one.question))
    stated = _numbers(one.answer)[-1:]
    offered = [_numbers(option) for option in one.options]
    if not stated or not 0 < len(given) <= GIVEN or not all(map(math.isfinite, given)):
        return None
    if any(len(found) != 1 for found in offered):
        return None
    return _Case(row, given, stated[0], tuple(found[0] for found in offered))


def _numbers(text: str) -> list[_Number]:
    """The finite numbers of a text, and how exactly they are stated."""
    found = [(value, written) for written, value in numbers(text) if math.isfinite(value)]
    return [_Number(value, 10.0 ** -len(written.partition(".")[2].rstrip("%"))) for value, written in found]


def _solved(cases: Sequence[_Case]) -> dict[int, int]:
    """The options that the best formula leads to, when it is right about most of the cases."""
    different = list({(case.given, case.stated): case for case in cases}.values())[:MOST]
    if len({case.given for case in different}) < FEWEST:
        return {}
    right = _equal(_formulas(different), [case.stated for case in different]).sum(axis=1)
    best = int(right.argmax())
    found: dict[int, int] = {}
    for start in range(0, len(cases) if right[best] >= AGREEING * len(different) else 0, MOST):
        chunk = cases[start : start + MOST]
        for case, value in zip(chunk, _formulas(chunk)[best], strict=True):
            fitting = [number for number, option in enumerate(case.offered) if _equal(value, [option]).all()]
            if len(fitting) == 1:
                found[case.row] = fitting[0]
    return found


def _equal(values: Values, stated: Sequence[_Number]) -> NDArray[np.bool_]:
    """Where values are what is stated, but for rounding; the last axis goes with `stated`."""
    target = np.array([number.value for number in stated])
    step = np.array([number.step for number in stated])
    slack = np.minimum(0.5 * step, ROUNDED * np.abs(target)) + 1e-9 * np.abs(target)
    with np.errstate(invalid="ignore"):
        return np.abs(values - target) <= slack


def _formulas(cases: Sequence[_Case]) -> Values:
    """The value of every formula for every case: shape (formulas, cases).

    A formula joins up to three of the given numbers by the four operations, each as it is or as a percentage added to
    or taken from one, and may be turned into a percentage itself.
    """
    given = np.array([case.given for case in cases]).T
    with np.errstate(all="ignore"):
        one = np.concatenate([given, given / 100, 1 + given / 100, 1 - given / 100])
        two = _joined(one, one)
        every = np.concatenate([one, two, _joined(two, one)])
        return np.concatenate([every, 100 * every])


def _joined(left: Values, right: Values) -> Values:
    a, b = left[:, None], right[None]
    return np.concatenate([each.reshape(-1, left.shape[1]) for each in (a + b, a - b, b - a, a * b, a / b, b / a)])
