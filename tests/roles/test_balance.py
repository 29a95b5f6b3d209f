"""Balance: classes come nearer to each other, by fewer rows or by repetitions that pass the gate."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.gate import pass_gate
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(name="toy", domain="x", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ question }}",
            answer="{{ answer }}", scorer={"name": "exact"})  # fmt: skip
CONTEXT = StepContext(TASK, 0)


def apply(name: str, given: list[DataRow], context: StepContext = CONTEXT, **parameters: Any) -> Applied:
    return load_step(Step(name=name, parameters=parameters)).apply(given, context)


def balance(given: list[DataRow], context: StepContext = CONTEXT, **parameters: Any) -> Applied:
    return apply("balance", given, context, **{"by": "topic", **parameters})


def rows(source: str = "a", **sizes: int) -> list[DataRow]:
    """Rows whose topics alternate as long as they can."""
    topics = sorted((n / size, topic) for topic, size in sizes.items() for n in range(size))
    return [
        DataRow(source=source, row=number, fields={"topic": topic, "question": f"Q{number}?", "answer": f"A{number}"})
        for number, (_, topic) in enumerate(topics, start=1)
    ]


def sizes(applied: Applied) -> dict[str, int]:
    return dict(Counter(row.fields.get("topic") for row in applied.rows))


GIVEN = rows(tax=60, funds=25, loans=8)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({}, {"tax": 8, "funds": 8, "loans": 8}),
        ({"ratio": 1.5}, {"tax": 12, "funds": 12, "loans": 8}),
        ({"ratio": 2.9}, {"tax": 23, "funds": 23, "loans": 8}),
        ({"ratio": 100}, {"tax": 60, "funds": 25, "loans": 8}),
        ({"least": 9}, {"tax": 25, "funds": 25, "loans": 8}),
        ({"least": 1000}, {"tax": 60, "funds": 25, "loans": 8}),
        ({"how": "oversample", "most": 100}, {"tax": 60, "funds": 60, "loans": 60}),
        ({"how": "oversample", "most": 100, "ratio": 2.5}, {"tax": 60, "funds": 25, "loans": 24}),
        ({"how": "oversample"}, {"tax": 60, "funds": 60, "loans": 32}),
        ({"how": "oversample", "most": 2}, {"tax": 60, "funds": 50, "loans": 16}),
        ({"how": "oversample", "least": 9}, {"tax": 60, "funds": 60, "loans": 8}),
    ],
)
def test_sizes_after_balancing(parameters: dict[str, Any], expected: dict[str, int]) -> None:
    applied = balance(GIVEN, **parameters)
    assert sizes(applied) == expected
    added = sum(applied.changed.values())
    assert len(GIVEN) + added - applied.removed.total() == len(applied.rows)


def test_what_is_dropped_or_repeated_is_counted_by_value() -> None:
    assert balance(GIVEN).removed == {"too many of topic tax": 52, "too many of topic funds": 17}
    applied = balance(GIVEN, how="oversample", ratio=2)
    assert (applied.removed, applied.changed) == ({}, {"repeated of topic funds": 5, "repeated of topic loans": 22})


def test_rows_keep_their_order_and_repetitions_follow_their_row() -> None:
    left = [row.row for row in balance(GIVEN).rows]
    assert left == sorted(left)
    places = [(row.row, row.repeat) for row in balance(GIVEN, how="oversample").rows]
    assert places == sorted(places)
    assert len(set(places)) == len(places)


def test_repetitions_are_spread_evenly_over_the_rows_of_a_value() -> None:
    times = Counter(row.row for row in balance(GIVEN, how="oversample").rows if row.fields["topic"] == "funds")
    assert Counter(times.values()) == {2: 15, 3: 10}


def test_seeds_choose_other_rows() -> None:
    def left(applied: Applied) -> list[int]:
        return [row.row for row in applied.rows]

    first = left(balance(GIVEN))
    assert first == left(balance(GIVEN))
    assert first != left(balance(GIVEN, seed=1))
    assert first != left(balance(GIVEN, StepContext(TASK, 1)))


def test_only_the_named_source_is_balanced_and_rows_without_a_value_pass() -> None:
    without = [DataRow(source="a", row=n, fields={"topic": value}) for n, value in ((101, None), (102, ""), (103, " "))]
    given = [*GIVEN, *rows("b", tax=9, loans=2), *without, DataRow(source="a", row=104, fields={})]
    applied = balance(given, source="a")
    left = Counter((row.source, row.fields.get("topic")) for row in applied.rows)
    assert left == {("a", "tax"): 8, ("a", "funds"): 8, ("a", "loans"): 8, ("b", "tax"): 9, ("b", "loans"): 2,
                    ("a", None): 2, ("a", ""): 1, ("a", " "): 1}  # fmt: skip


def test_sources_can_be_balanced() -> None:
    given = [*rows("a", tax=9), *rows("b", tax=4)]
    assert Counter(row.source for row in balance(given, by="source").rows) == {"a": 4, "b": 4}


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match="no row has the field 'subject'; there are: topic, question, answer"):
        balance(GIVEN, by="subject")
    with pytest.raises(InputError, match="no row is of source 'web'; there are: a"):
        balance(GIVEN, source="web")
    for wrong in ({"ratio": 0.5}, {"how": "both"}, {"most": 1}):
        with pytest.raises(StageError, match=next(iter(wrong))):
            balance(GIVEN, **wrong)


# ----- repetitions and the gate


def gated(given: list[DataRow], model: Path) -> list[tuple[int, str]]:
    from transformers import AutoTokenizer

    formatted = apply("format", given, source="a", answer="{{ answer }}").rows
    passed, _ = pass_gate(formatted, TASK, AutoTokenizer.from_pretrained(model), 200)
    return [(row.row, row.answer) for row in passed]


def test_repetitions_survive_format_and_gate(tiny_model: Path) -> None:
    given = rows(tax=6, loans=2)
    assert len(gated(balance(given, how="oversample").rows, tiny_model)) == 12


def test_a_repetition_does_not_shelter_rows_that_really_repeat(tiny_model: Path) -> None:
    """The attack: a copy of a row under another number, doubled like it. Its text passes as often as was meant."""
    given = rows(tax=6, loans=1)
    loan = next(row for row in given if row.fields["topic"] == "loans")
    given.append(loan.model_copy(update={"row": 99}))
    doubled = balance(given, how="oversample", most=2).rows
    assert len(doubled) == 10
    assert Counter(answer for _, answer in gated(doubled, tiny_model))[loan.fields["answer"]] == 2


def test_balancing_twice_keeps_repetitions_apart() -> None:
    once = balance(rows(tax=6, loans=2), how="oversample").rows
    by_source = [*once, *rows("b", tax=30)]
    twice = balance(by_source, by="source", how="oversample").rows
    marks = [(row.source, row.row, row.repeat) for row in twice]
    assert len(set(marks)) == len(marks) == 60
