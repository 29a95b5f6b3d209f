"""Formulas: found from rows of one wording, right about the wrong ones, silent where there is none."""

import random
from collections.abc import Callable

import pytest

from roles.data_steps.formulas import FEWEST, MOST, Computation, results

Rule = Callable[..., float]


def asked(wording: str, given: tuple[float, ...], value: float, unit: str = "", place: int = 0) -> Computation:
    """A question with four options; the right one stands at `place` and is stated."""
    others = [value * factor + 7 for factor in (1.1, 0.5, 2)]
    options = [f"{option:,.10g}{unit}" for option in [*others[:place], value, *others[place:]]]
    return Computation(wording.format(*(f"{number:,}" for number in given)), options[place], tuple(options))


def bank(wording: str, rule: Rule, ranges: list[range], rows: int, seed: int = 0, unit: str = "") -> list[Computation]:
    rng = random.Random(seed)
    made: list[Computation] = []
    for row in range(rows):
        given = tuple(rng.choice(numbers) for numbers in ranges)
        made.append(asked(wording, given, rule(*given), unit, row % 4))
    return made


def wronged(row: Computation, by: int = 1) -> Computation:
    return row._replace(answer=row.options[(row.options.index(row.answer) + by) % 4])


KINDS: dict[str, tuple[str, Rule, list[range], str]] = {
    "difference": ("Assets are {} and debts are {}. What is left?", lambda a, b: a - b,
                   [range(1000, 9000, 100), range(100, 900, 50)], ""),
    "ratio": ("Assets are {}, debts {}. What is the ratio?", lambda a, b: a / b,
              [range(1000, 9000, 100), range(200, 900, 200)], ""),
    "margin": ("Sales of {} cost {}. Which margin is that?", lambda s, c: 100 * (s - c) / s,
               [range(5000, 9000, 500), range(1000, 4000, 100)], " per cent"),
    "interest": ("What do {} earn at {} per cent in {} years?", lambda p, i, n: p * i * n / 100,
                 [range(1000, 9000, 100), range(2, 9), range(2, 7)], ""),
    "compound": ("To what do {} grow at {} per cent within two years?", lambda p, i: p * (1 + i / 100) ** 2,
                 [range(1000, 9000, 100), range(2, 9)], ""),
    "tax": ("Income is {}, the allowance {}, the rate {} per cent. What is due?", lambda y, a, r: (y - a) * r / 100,
            [range(30000, 90000, 1000), range(5000, 9000, 500), range(10, 40, 5)], ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_formula_that_most_rows_follow_corrects_the_others(kind: str) -> None:
    wording, rule, ranges, unit = KINDS[kind]
    rows = bank(wording, rule, ranges, 16, unit=unit)
    given = [wronged(row) if number % 5 == 2 else row for number, row in enumerate(rows)]
    assert results(given) == {number: row.options.index(row.answer) for number, row in enumerate(rows)}


def test_solutions_without_options_help_and_wordings_do_not_mix() -> None:
    wording, rule, ranges, _ = KINDS["interest"]
    rows = bank(wording, rule, ranges, 6)
    solutions = [Computation(row.question, f"So the answer is {row.answer}.") for row in rows[1:]]
    assert results([wronged(rows[0]), *solutions]) == {0: rows[0].options.index(rows[0].answer)}
    other = [one._replace(question=one.question.replace("earn", "lose")) for one in solutions]
    assert results([wronged(rows[0]), *other]) == {}


def test_too_few_rows_tell_no_formula() -> None:
    wording, rule, ranges, _ = KINDS["tax"]
    rows = bank(wording, rule, ranges, FEWEST)
    assert len(results(rows)) == FEWEST
    assert results(rows[1:]) == {}
    assert results([*rows[1:], rows[1], rows[1]]) == {}


def test_answers_that_follow_no_formula_are_left_alone() -> None:
    """Distractors are sums and products of the numbers too, so single rows fit many formulas."""
    wording, rule, ranges, _ = KINDS["interest"]
    rng = random.Random(4)
    assert results([wronged(row, rng.randrange(4)) for row in bank(wording, rule, ranges, 30)]) == {}


def test_what_is_no_computation_is_passed_over() -> None:
    rows = [
        Computation("What is a bond?", "a debt", ("a debt", "a share")),
        Computation("What is 5 plus 5?", "ten", ("ten", "two")),
        Computation("What is 5 plus 5 on 1/2/3?", "10", ("10", "2")),
        Computation("1 2 3 4 5 6 7", "28", ("28", "1 or 2")),
        Computation("", ""),
        Computation("What is 0 / 0?", "0", ("0", "1")),
    ]
    assert results(rows * 6) == {}


def test_rounded_results_are_recognised_and_inexact_ones_are_not() -> None:
    rows = [Computation(f"What is the {a}th part of {b}?", f"{b / a:.2f}", (f"{b / a:.2f}", f"{b / a + 0.05:.2f}"))
            for a, b in ((7, 500), (11, 830), (13, 990), (17, 1010), (19, 1300))]  # fmt: skip
    assert results(
        [row._replace(question=row.question.replace("th part of", " parts, of")) for row in rows]
    ) == dict.fromkeys(range(5), 0)


def test_many_rows_of_one_wording() -> None:
    wording, rule, ranges, unit = KINDS["margin"]
    rows = bank(wording, rule, ranges, 3 * MOST, unit=unit)
    assert len(results(rows)) == 3 * MOST
