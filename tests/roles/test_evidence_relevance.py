"""Which sources resemble the benchmark: told by means over rows."""

import cases
import pytest

from eval.result import ItemResult
from roles.evidence.relevance import LOOKED_AT, find

ASKED = (
    "Which security is a loan to a company that pays interest?",
    "What is the yield of a government bond?",
    "Which insurance covers damage by fire?",
)
TAUGHT = (
    "What do we call a loan to a company on which interest is paid?",
    "How is the yield of a bond of the government worked out?",
    "What insurance pays when a house burns down?",
)
OFF_TOPIC = (
    "The home team scored twice in the second half.",
    "Simmer the onions until they are golden, then add garlic.",
    "Heavy snow is expected in the mountains tonight.",
)


def items() -> list[ItemResult]:
    """Feedback items about finance."""
    return [cases.item(number, prompt=prompt) for number, prompt in enumerate(ASKED)]


def test_a_source_about_something_else_is_told_from_one_about_the_benchmark() -> None:
    taught = [cases.row(content=text, source="exams") for text in TAUGHT]
    others = [cases.row(content=text, source="chatter") for text in OFF_TOPIC]
    found = find(cases.case(items=items(), rows=[*taught, *others]))
    assert found
    assert found.figures["exams"] > 0.6
    assert found.figures["chatter"] < 0.3
    assert (found.count, found.of) == (3, 6)
    assert all(part in found.claim for part in ("3 of 6", "exams 0.", "chatter 0."))


def test_a_row_that_is_an_item_is_as_near_as_can_be() -> None:
    found = find(cases.case(items=items(), rows=[cases.row(content=ASKED[0])]))
    assert found
    assert found.figures == {"exams": pytest.approx(1.0, abs=1e-3)}
    assert found.count == found.of == 1


def test_rows_are_looked_at_from_the_whole_source_but_not_all_of_them() -> None:
    """Only the last tenth is on topic; a look at the first rows would miss it."""
    rows = [cases.row(content=OFF_TOPIC[n % 3] if n < 90 else TAUGHT[n % 3], number=n) for n in range(100)]
    found = find(cases.case(items=items(), rows=rows))
    assert found
    assert found.of == LOOKED_AT
    assert found.count == pytest.approx(LOOKED_AT / 10, abs=1)


@pytest.mark.parametrize("missing", ["rows", "items"])
def test_without_rows_or_items_nothing_can_be_said(missing: str) -> None:
    given = {"rows": [cases.row()], "items": items()} | {missing: []}
    assert find(cases.case(**given)) is None
