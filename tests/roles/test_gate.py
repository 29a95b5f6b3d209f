"""The gate: rows that cannot be learned from, or would teach the wrong form, stay out; a broken recipe fails fast."""

from pathlib import Path
from typing import Any

import pytest

from eval.render import prompt_ids
from roles.data_steps.gate import TRIAL, GatedRow, pass_gate
from roles.data_steps.row import DataRow
from tasks.failure import FailureKind, StageError
from tasks.task import Benchmark, Task

TASK = Task(
    name="toy", domain="colours", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ question }}",
    answer="{{ answer }}", options=("red", "blue"), scorer={"name": "choice"},
)  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(tiny_model: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model)


class CountingTokenizer:
    """The tiny tokenizer, with a count of the prompts it was asked to render."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.rendered = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner(*args, **kwargs)

    def apply_chat_template(self, *args: Any, **kwargs: Any) -> Any:
        self.rendered += 1
        return self._inner.apply_chat_template(*args, **kwargs)


def row(number: int = 1, **fields: Any) -> DataRow:
    """A good row, changed."""
    good = {"prompt": f"Colour {number}?", "answer": "red", "options": ["red", "blue"], "task_format": True}
    kept = {name: value for name, value in (good | fields).items() if value is not None}
    return DataRow(source="a", row=number, fields=kept)


def others(n: int) -> list[DataRow]:
    """Good rows with other numbers."""
    return [row(number) for number in range(2, n + 2)]


def gate(rows: list[DataRow], tokenizer: Any, max_length: int = 200) -> tuple[list[GatedRow], dict[str, int]]:
    passed, removed = pass_gate(rows, TASK, tokenizer, max_length)
    return passed, dict(removed)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"prompt": None}, "schema (prompt: Field required); was the source formatted?"),
        ({"prompt": ""}, "schema (prompt: String should have at least 1 character)"),
        ({"answer": None}, "schema (answer: Field required)"),
        ({"answer": ""}, "schema (answer: String should have at least 1 character)"),
        ({"answer": 3}, "schema (answer: Input should be a valid string)"),
        ({"options": "red"}, "schema (options: "),
        ({"task_format": "yes"}, "schema (task_format: "),
        ({"prompt": "x" * 200}, "longer than 200 tokens"),
        ({"answer": "green"}, "answer does not parse"),
        ({"answer": "red or blue"}, "answer does not parse"),
        ({"prompt": "COLOUR 2", "answer": "Red."}, "duplicate"),
        ({"answer": "green", "task_format": False}, None),
        ({"answer": "A"}, None),
        ({"unknown": 1}, None),
    ],
)
def test_a_row_passes_or_is_counted_under_its_reason(tokenizer: Any, fields: dict[str, Any], reason: str | None):
    passed, removed = gate([*others(3), row(1, **fields)], tokenizer)
    if reason is None:
        assert removed == {}
        assert [each.row for each in passed] == [2, 3, 4, 1]
    else:
        assert [each.row for each in passed] == [2, 3, 4]
        assert [(found.startswith(reason), count) for found, count in removed.items()] == [(True, 1)]


def test_the_same_prompt_with_another_answer_is_no_duplicate(tokenizer: Any) -> None:
    assert len(gate([row(1), row(1, answer="blue")], tokenizer)[0]) == 2


def test_tokens_are_counted_as_training_will_see_them(tokenizer: Any) -> None:
    """Prompt in the chat template, answer, end of turn; the limit itself passes."""
    tokens = len(prompt_ids(tokenizer, "Colour 1?")) + len("red") + 1
    assert gate([row()], tokenizer, tokens)[0][0].tokens == tokens
    with pytest.raises(StageError, match=f"longer than {tokens - 1} tokens"):
        gate([row()], tokenizer, tokens - 1)


def test_a_row_keeps_origin_options_and_content(tokenizer: Any) -> None:
    passed, _ = gate([row(7, content="colour"), row(8)], tokenizer)
    assert (passed[0].source, passed[0].row, passed[0].options, passed[0].content) == (
        "a",
        7,
        ("red", "blue"),
        "colour",
    )
    assert passed[1].content == "Colour 8?"


@pytest.mark.parametrize(
    ("fields", "kind"),
    [({"answer": "green"}, FailureKind.FORMAT), ({"prompt": ""}, FailureKind.DATA)],
)
def test_more_than_half_of_the_first_hundred_refused_fails_fast(tokenizer: Any, fields, kind) -> None:
    counting = CountingTokenizer(tokenizer)
    rows = [row(n, **(fields if n <= 51 else {})) for n in range(1, 1001)]
    with pytest.raises(StageError, match=f"of the first {TRIAL} rows") as failed:
        gate(rows, counting)
    assert failed.value.failure.kind == kind
    assert "51" in failed.value.failure.message
    assert counting.rendered <= TRIAL


@pytest.mark.parametrize("start", [1, 101])
def test_half_of_them_or_later_ones_do_not_end_the_recipe(tokenizer: Any, start: int) -> None:
    last = 50 if start == 1 else 200
    rows = [row(n, **({"answer": "green"} if start <= n <= last else {})) for n in range(1, 201)]
    passed, removed = gate(rows, tokenizer)
    assert (len(passed), removed) == (200 - (last - start + 1), {"answer does not parse": last - start + 1})


def test_duplicates_are_no_fault_of_the_recipe(tokenizer: Any) -> None:
    passed, removed = gate([row() for _ in range(120)], tokenizer)
    assert (len(passed), removed) == (1, {"duplicate": 119})


def test_few_rows_are_judged_by_their_own_number(tokenizer: Any) -> None:
    with pytest.raises(StageError, match="of the first 3 rows"):
        gate([row(1), row(2, answer="green"), row(3, answer="green")], tokenizer)


@pytest.mark.parametrize("rows", [[], [row(answer="green")]], ids=["none given", "none passes"])
def test_no_row_is_a_failure(tokenizer: Any, rows: list[DataRow]) -> None:
    with pytest.raises(StageError) as failed:
        gate(rows, tokenizer)
    assert failed.value.failure.kind in (FailureKind.DATA, FailureKind.FORMAT)
