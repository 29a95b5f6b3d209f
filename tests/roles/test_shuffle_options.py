"""The options of multiple-choice rows in other orders."""

from collections import Counter
from typing import Any

import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.row import Applied, DataRow, StepContext
from roles.data_steps.shuffle_options import ShuffleOptions
from tasks.failure import InputError, StageError
from tasks.finance import finance_starter

CONTEXT = StepContext(finance_starter, 0)
TEXTS = ("a bond", "a share", "an option", "a swap")


def rows(number: int = 40, **changes: Any) -> list[DataRow]:
    """Rows whose right option is always the first."""
    fields = {**dict(zip("ABCD", TEXTS, strict=True)), "answer": "A", **changes}
    return [DataRow(source="bank", row=n, fields={"question": f"Q{n}", **fields}) for n in range(1, number + 1)]


def shuffled(given: list[DataRow], **parameters: Any) -> Applied:
    return ShuffleOptions(source="bank", **{"options": tuple("ABCD"), **parameters}).apply(given, CONTEXT)


def right(row: DataRow) -> str:
    return row.fields[row.fields["answer"]]


def test_letters_go_with_their_options_to_all_places() -> None:
    made = shuffled(rows()).rows
    assert {right(row) for row in made} == {"a bond"}
    assert all(sorted(row.fields[letter] for letter in "ABCD") == sorted(TEXTS) for row in made)
    places = Counter(row.fields["answer"] for row in made)
    assert set(places) == set("ABCD")
    assert max(places.values()) < 20


def test_a_list_in_one_field_and_an_answer_in_words() -> None:
    given = rows(options=list(TEXTS), answer="a swap")
    made = shuffled(given, options=("options",)).rows
    assert all(row.fields["answer"] == "a swap" for row in made)
    assert len({tuple(row.fields["options"]) for row in made}) > 10
    assert all(row.fields["A"] == "a bond" for row in made)  # a field that was not named stays


def test_copies_differ_from_each_other_and_from_the_original() -> None:
    made = shuffled(rows(5), copies=3, keep_original=True).rows
    assert [row.row for row in made] == [n for n in range(1, 6) for _ in range(4)]
    for start in range(0, 20, 4):
        orders = [tuple(row.fields[letter] for letter in "ABCD") for row in made[start : start + 4]]
        assert len(set(orders)) == 4
        assert orders[0] == TEXTS


def test_of_two_options_there_are_but_two_orders() -> None:
    given = rows(3, A="yes", B="no", answer="B")
    assert len(shuffled(given, options=("A", "B"), copies=8).rows) == 6
    assert len(shuffled(given, options=("A", "B"), copies=8, keep_original=True).rows) == 6


def test_the_seed_decides() -> None:
    one, again, other = (shuffled(rows(), seed=seed).rows for seed in (0, 0, 1))
    assert one == again != other


def test_rows_that_cannot_be_read_are_dropped_and_counted() -> None:
    given = [*rows(1), *rows(1, answer="E"), *rows(1, B=""), *rows(1, answer=""), *rows(1, answer="a stock")]
    applied = shuffled(given)
    assert len(applied.rows) == 1
    assert dict(applied.removed) == {"without options and an answer among them": 4}


def test_other_sources_pass_and_missing_fields_are_named() -> None:
    other = DataRow(source="glossary", row=1, fields={"term": "yield"})
    assert shuffled([other, *rows(1)]).rows[0] == other
    with pytest.raises(InputError, match="no row has the field 'E'"):
        shuffled(rows(1), options=("A", "E"))
    with pytest.raises(InputError, match="no row is of source 'bank'"):
        shuffled([other])
    with pytest.raises(StageError, match="options names a field twice"):
        load_step(Step(name="shuffle_options", parameters={"source": "bank", "options": ["A", "A"]}))


def test_an_option_that_is_itself_a_letter_is_read_as_text() -> None:
    given = rows(20, A="B", B="C", C="D", D="A", answer="B")  # the text of A, not the letter of B
    assert {row.fields["answer"] for row in shuffled(given).rows} == {"B"}
