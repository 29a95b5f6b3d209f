"""The gate that ends every recipe: rows that cannot be learned from, or would teach the wrong form, stay out.

Checked of every row: the schema, true token lengths with the target tokenizer, that an answer in the task's format
parses under the task's own scorer, and that it is no repetition but one made on purpose. Decontamination follows, in
the evaluator.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from eval.render import training_ids
from roles.data_steps.row import DataRow
from tasks import scoring
from tasks.failure import FailureKind, StageError
from tasks.identity import identities
from tasks.record import Record, explain
from tasks.task import Task
from tasks.text import normalise

TRIAL = 100
"""Rows that are looked at before the rest, so that a broken recipe fails fast."""
WORST = 0.5
"""Share of the trial rows that may be refused for schema, length or format."""


class _Fields(BaseModel):
    """What `format` or a script must leave in a row."""

    model_config = ConfigDict(extra="ignore", strict=True)

    prompt: str = Field(min_length=1)
    answer: str = Field(min_length=1)
    options: list[str] = []
    content: str = ""
    task_format: bool = False


class GatedRow(Record):
    """A training row that passed the gate."""

    prompt: str
    answer: str
    options: tuple[str, ...]
    content: str
    identities: tuple[str, ...] = ()
    """Of what the row is about, where a field says so (`tasks/identity.py`)."""
    task_format: bool
    """Rendered by the task's own prompt."""
    source: str
    row: int
    tokens: int
    """Prompt and answer, as training will see them."""


def pass_gate(rows: list[DataRow], task: Task, tokenizer: Any, max_length: int) -> tuple[list[GatedRow], Counter[str]]:
    """Check every row.

    Returns:
        The rows that pass, in order, and the others counted by reason.

    Raises:
        StageError: DATA or FORMAT, when more than half of the first 100 rows are refused, or all rows are.
    """
    passed: list[GatedRow] = []
    removed: Counter[str] = Counter()
    seen: set[tuple[str, str, int]] = set()
    for number, (row, result) in enumerate(_checked(rows, task, tokenizer, max_length), start=1):
        if isinstance(result, GatedRow):
            key = (normalise(result.prompt), normalise(result.answer), row.repeat)
            if key in seen:
                result = "duplicate"
            seen.add(key)
        if isinstance(result, str):
            removed[result] += 1
        else:
            passed.append(result)
        if number == min(TRIAL, len(rows)):
            _judge_trial(removed, number)
    if not passed:
        raise StageError("prepare_data", FailureKind.DATA, f"no row passes the gate; refused: {dict(removed)}")
    return passed, removed


def _judge_trial(removed: Counter[str], looked_at: int) -> None:
    faults = {reason: count for reason, count in removed.items() if reason != "duplicate"}
    if sum(faults.values()) > WORST * looked_at:
        kind = FailureKind.FORMAT if any("parse" in reason for reason in faults) else FailureKind.DATA
        raise StageError("prepare_data", kind, f"of the first {looked_at} rows the gate refuses {faults}")


def _checked(
    rows: list[DataRow], task: Task, tokenizer: Any, max_length: int
) -> Iterator[tuple[DataRow, GatedRow | str]]:
    """Each row with what it becomes, or why it is refused."""
    scorer = scoring.load(task.scorer)
    for start in range(0, len(rows), TRIAL):
        part = rows[start : start + TRIAL]
        results = [_check(row, task, tokenizer, max_length) for row in part]
        answers = [
            (result.answer, result.options) for result in results if isinstance(result, GatedRow) and result.task_format
        ]
        readable = iter(scoring.parses_all(scorer, answers))
        for row, result in zip(part, results, strict=True):
            unreadable = isinstance(result, GatedRow) and result.task_format and not next(readable)
            yield row, "answer does not parse" if unreadable else result


def _check(row: DataRow, task: Task, tokenizer: Any, max_length: int) -> GatedRow | str:
    try:
        fields = _Fields.model_validate(row.fields)
    except ValidationError as error:
        return f"schema ({explain(error)}); was the source formatted?"
    tokens = len(training_ids(tokenizer, fields.prompt, fields.answer).input_ids)
    if tokens > max_length:
        return f"longer than {max_length} tokens"
    return GatedRow(
        prompt=fields.prompt,
        answer=fields.answer,
        options=tuple(fields.options),
        content=fields.content or fields.prompt,
        identities=identities(row.fields, task.identities),
        task_format=fields.task_format,
        source=row.source,
        row=row.row,
        tokens=tokens,
    )
