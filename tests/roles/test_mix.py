"""Mix: the shares of the sources hold, whatever is scarce."""

import random
from collections import Counter
from typing import Any

import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(name="toy", domain="x", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ q }}",
            answer="{{ a }}", scorer={"name": "exact"})  # fmt: skip
CONTEXT = StepContext(TASK, 0)


def apply(name: str, given: list[DataRow], context: StepContext = CONTEXT, **parameters: Any) -> Applied:
    return load_step(Step(name=name, parameters=parameters)).apply(given, context)


def rows(**sizes: int) -> list[DataRow]:
    given = [DataRow(source=name, row=n, fields={"q": f"{name} {n}"}) for name, size in sizes.items()
             for n in range(1, size + 1)]  # fmt: skip
    random.Random(0).shuffle(given)
    return given


def sizes(applied: Applied) -> dict[str, int]:
    return dict(Counter(row.source for row in applied.rows))


GIVEN = rows(bank=100, forum=300, glossary=40)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"shares": {"bank": 0.5, "forum": 0.5}}, {"bank": 100, "forum": 100}),
        ({"shares": {"bank": 3, "forum": 1}}, {"bank": 100, "forum": 33}),
        ({"shares": {"bank": 0.7, "forum": 0.2, "glossary": 0.1}}, {"bank": 100, "forum": 28, "glossary": 14}),
        ({"shares": {"bank": 0.1, "glossary": 0.9}}, {"bank": 4, "glossary": 40}),
        ({"shares": {"forum": 1}}, {"forum": 300}),
        ({"shares": {"bank": 1, "forum": 1, "glossary": 1}, "rows": 100}, {"bank": 34, "forum": 33, "glossary": 33}),
        ({"shares": {"bank": 1, "forum": 1, "glossary": 1}, "rows": 5}, {"bank": 2, "forum": 2, "glossary": 1}),
        ({"shares": {"bank": 0.5, "forum": 0.5}, "rows": 1000}, {"bank": 100, "forum": 100}),
        ({"shares": {"bank": 0.995, "forum": 0.005}, "rows": 20}, {"bank": 20}),
    ],
)
def test_shares_hold_but_for_rounding(parameters: dict[str, Any], expected: dict[str, int]) -> None:
    applied = apply("mix", GIVEN, **parameters)
    assert sizes(applied) == expected
    assert len(applied.rows) + applied.removed.total() == len(GIVEN)


def test_decimal_shares_are_taken_as_written() -> None:
    """0.1 + 0.2 is not 0.3 in binary; a tenth of 1,000 rows is 100 all the same."""
    given = rows(a=100, b=200, c=700)
    assert sizes(apply("mix", given, shares={"a": 0.1, "b": 0.2, "c": 0.7})) == {"a": 100, "b": 200, "c": 700}


def test_no_mix_takes_more_than_there_is_or_strays_by_a_row() -> None:
    rng = random.Random(3)
    for _ in range(50):
        available = {name: rng.randrange(1, 60) for name in "abcd"}
        shares = {name: rng.randrange(1, 100) / 100 for name in "abcd"}
        found = sizes(apply("mix", rows(**available), shares=shares, rows=rng.choice([None, rng.randrange(1, 100)])))
        total, whole = sum(found.values()), sum(shares.values())
        for name, share in shares.items():
            assert found.get(name, 0) <= available[name]
            assert abs(found.get(name, 0) - total * share / whole) < 1


def test_what_goes_is_counted_by_source() -> None:
    removed = apply("mix", GIVEN, shares={"bank": 1, "forum": 1}).removed
    assert removed == {"forum: over its share": 200, "glossary: no share": 40}


def test_rows_keep_their_order_and_are_those_that_sample_keeps() -> None:
    kept = apply("mix", GIVEN, shares={"forum": 1}, rows=30).rows
    assert kept == [row for row in GIVEN if row in kept]
    forum = [row for row in GIVEN if row.source == "forum"]
    assert kept == apply("sample", forum, rows=30).rows
    other = apply("mix", GIVEN, shares={"forum": 1}, rows=30, seed=5).rows
    assert other != kept
    assert other == apply("sample", forum, rows=30, seed=5).rows
    assert apply("mix", GIVEN, StepContext(TASK, 1), shares={"forum": 1}, rows=30).rows != kept


def test_a_smaller_mix_is_part_of_a_larger_one() -> None:
    shares = {"bank": 1, "forum": 2}
    small, large = ({(r.source, r.row) for r in apply("mix", GIVEN, shares=shares, rows=n).rows} for n in (30, 90))
    assert small < large


def test_a_source_that_has_no_rows_is_named() -> None:
    with pytest.raises(InputError, match="no row is of source 'web'; there are: bank, forum, glossary"):
        apply("mix", GIVEN, shares={"bank": 1, "web": 1})


@pytest.mark.parametrize("shares", [{}, {"bank": 0}, {"bank": -1}, {"bank": float("nan")}, {"bank": float("inf")}])
def test_wrong_shares_are_refused(shares: dict[str, float]) -> None:
    with pytest.raises(StageError, match="step 'mix': shares"):
        apply("mix", GIVEN, shares=shares)
