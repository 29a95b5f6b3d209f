"""Diverse rows: every subject gets in, whatever is frequent."""

from typing import Any

import numpy as np
import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.row import Applied, DataRow, StepContext
from roles.data_steps.select_diverse import spread
from tasks.failure import InputError
from tasks.task import Benchmark, Task

TASK = Task(name="toy", domain="x", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ q }}",
            answer="{{ a }}", scorer={"name": "exact"})  # fmt: skip
RARE = (
    "How deep does a submarine dive?",
    "What does a sonnet rhyme with?",
    "When do bees leave their hive?",
    "Which violin is the oldest one?",
)
FREQUENT = [f"What is the interest on a loan of {100 * n} euros over {n % 9 + 1} years?" for n in range(1, 77)]


def rows(*texts: str, source: str = "a", field: str = "q") -> list[DataRow]:
    return [DataRow(source=source, row=n, fields={field: text, "id": str(n)}) for n, text in enumerate(texts, start=1)]


def apply(given: list[DataRow], seed: int = 0, **parameters: Any) -> Applied:
    return load_step(Step(name="select_diverse", parameters=parameters)).apply(given, StepContext(TASK, seed))


def test_rare_subjects_get_in() -> None:
    """A random sample would find 0.6 of the four."""
    given = rows(*FREQUENT[:40], *RARE, *FREQUENT[40:])
    found = []
    for seed in range(5):
        kept = apply(given, rows=12, seed=seed).rows
        assert len(kept) == 12
        assert kept == [row for row in given if row in kept]
        found.append(sum(row.fields["q"] in RARE for row in kept))
    assert min(found) >= 2, found
    assert sum(found) >= 14, found


def test_the_seed_decides_and_nothing_else() -> None:
    given = rows(*FREQUENT)
    assert apply(given, rows=10).rows == apply(given, rows=10).rows
    assert apply(given, rows=10).rows != apply(given, rows=10, seed=1).rows
    assert apply(given, rows=10, seed=1).removed == {"like others": 66}


def test_other_sources_and_rows_without_text_pass() -> None:
    given = [*rows(*FREQUENT[:20]), *rows("", " "), *rows(*FREQUENT[20:23], source="b")]
    kept = apply(given, source="a", field="q", rows=5).rows
    assert len(kept) == 5 + 2 + 3
    with pytest.raises(InputError, match="no row has the field 'text'"):
        apply(given, field="text", rows=5)
    with pytest.raises(InputError, match="no row is of source 'c'"):
        apply(given, source="c", rows=5)


def test_fewer_rows_than_wanted_all_stay() -> None:
    given = rows(*FREQUENT[:5])
    assert apply(given, rows=5).rows == given


def test_equal_rows_are_drawn_when_nothing_else_is_left() -> None:
    vectors = np.repeat(np.eye(4, dtype=np.float32)[:2], 5, axis=0)
    drawn = spread(vectors, 6, [0])
    assert len(set(drawn)) == 6
    assert {place // 5 for place in drawn[:2]} == {0, 1}
