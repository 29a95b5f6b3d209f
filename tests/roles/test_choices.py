"""Open rows become multiple choice: the right answer among answers of other rows."""

import pytest

from roles.data_steps.choices import Choices
from roles.data_steps.row import DataRow, StepContext
from tasks.failure import InputError
from tasks.finance import finance_starter

CONTEXT = StepContext(finance_starter, 0)
TERMS = {"bond": "debt", "share": "equity", "option": "right", "future": "duty", "swap": "exchange", "fund": "pool"}


def rows(source: str = "glossary", **more: str) -> list[DataRow]:
    """One row a term."""
    return [
        DataRow(source=source, row=n, fields={"term": term, "definition": text, "subject": "x", **more})
        for n, (term, text) in enumerate(TERMS.items(), start=1)
    ]


def made(step: Choices, given: list[DataRow]) -> list[list[str]]:
    return [row.fields["options"] for row in step.apply(given, CONTEXT).rows]


def test_each_row_gets_its_answer_and_different_others() -> None:
    for row in Choices(source="glossary", answer="term").apply(rows(), CONTEXT).rows:
        options = row.fields["options"]
        assert len(set(options)) == 4
        assert row.fields["term"] in options
        assert set(options) <= set(TERMS)


def test_the_right_answer_stands_in_different_places() -> None:
    applied = Choices(source="glossary", answer="term").apply(rows(), CONTEXT)
    assert len({row.fields["options"].index(row.fields["term"]) for row in applied.rows}) > 1


def test_the_same_seed_gives_the_same_options_and_another_gives_others() -> None:
    one, again, other = (made(Choices(source="glossary", answer="term", seed=seed), rows()) for seed in (0, 0, 1))
    assert one == again != other


def test_options_share_the_value_of_by() -> None:
    given = rows()[:4] + [row.model_copy(update={"fields": {**row.fields, "subject": "y"}}) for row in rows()[4:]]
    applied = Choices(source="glossary", answer="term", by="subject", number=2).apply(given, CONTEXT)
    assert len(applied.rows) == 6
    for row in applied.rows:
        group = {other.fields["term"] for other in given if other.fields["subject"] == row.fields["subject"]}
        assert set(row.fields["options"]) <= group


def test_too_few_answers_drop_the_row_with_the_reason() -> None:
    applied = Choices(source="glossary", answer="term", number=7).apply(rows(), CONTEXT)
    assert (applied.rows, applied.removed) == ([], {"too few other answers": 6})


def test_an_option_that_holds_another_is_not_offered_beside_it() -> None:
    given = rows()
    given[1] = given[1].model_copy(update={"fields": {**given[1].fields, "term": "government bond"}})
    for options in made(Choices(source="glossary", answer="term"), given):
        assert not {"bond", "government bond"} <= set(options)


@pytest.mark.parametrize("answer", ["", "x" * 101])
def test_rows_without_a_short_answer_are_dropped(answer: str) -> None:
    given = [*rows(), DataRow(source="glossary", row=9, fields={"term": answer})]
    applied = Choices(source="glossary", answer="term").apply(given, CONTEXT)
    assert len(applied.rows) == 6
    assert applied.removed == {"no short term": 1}
    assert all(answer not in row.fields["options"] for row in applied.rows if answer)


def test_other_sources_pass_untouched_and_lend_no_options() -> None:
    given = [*rows(), DataRow(source="forum", row=1, fields={"term": "joke"})]
    applied = Choices(source="glossary", answer="term").apply(given, CONTEXT)
    assert applied.rows[-1] == given[-1]
    assert all("joke" not in row.fields["options"] for row in applied.rows[:-1])


def test_a_field_that_no_row_has_is_an_error() -> None:
    with pytest.raises(InputError, match="'glossary' has the field 'word'"):
        Choices(source="glossary", answer="word").apply(rows(), CONTEXT)
