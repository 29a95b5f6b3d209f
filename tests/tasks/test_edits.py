"""Small edits change the words of a question and neither its numbers nor the words that must stay."""

import random

import pytest
import starter_files as files

from tasks.starter.edits import (
    Edit,
    added_word,
    dropped_word,
    edited,
    keywords,
    prefix,
    punctuation,
    synonym,
    typo,
)
from tasks.text import numbers

TEXT = 'Which of these clients usually pays 1,200 at 5 per cent? What is the "margin call" of a broker?'
EDITS = {
    "typo": typo,
    "synonym": synonym,
    "dropped_word": dropped_word,
    "added_word": added_word,
    "punctuation": punctuation,
    "prefix": prefix(("Q{number}. ", "Warm-up: ")),
}


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_is_small_and_leaves_numbers_and_keywords(name: str) -> None:
    keep = keywords("margin call")
    seen: set[str] = set()
    for seed in range(60):
        changed = EDITS[name](TEXT, keep, random.Random(seed))
        assert changed
        assert [value for _, value in numbers(changed)] == [1200.0, 5.0]
        assert "margin call" in changed
        assert files.similarity(changed, TEXT) >= (1 if name == "punctuation" else 0.75)
        assert (files.squeeze(changed) == files.squeeze(TEXT)) == (name == "punctuation")
        seen.add(changed)
    assert len(seen) >= {"added_word": 1}.get(name, 2)


@pytest.mark.parametrize(
    ("edit", "text", "keep", "expected"),
    [
        (synonym, "What does a firm do?", "", "What does a company do?"),
        (synonym, "What does a Firm do?", "firm", None),
        (synonym, "A yearly fee.", "", None),  # `A annual` would be wrong
        (synonym, "A lump-sum firm-wide part-company.", "", None),  # parts of other words stay
        (dropped_word, "The rate of a loan", "", "The rate of loan"),
        (dropped_word, "Rates rise.", "", None),
        (added_word, "Name the rate.", "", "Please name the rate."),
        (added_word, "Prices fall. What happens to the value of what is left?", "",
         "Prices fall. What exactly happens to the value of what is left?"),
        (added_word, "Which rate?", "", None),
        (typo, "What is it?", "", None),
        (typo, "What is depreciation?", "depreciation", None),
    ],
)  # fmt: skip
def test_where_an_edit_fits(edit: Edit, text: str, keep: str, expected: str | None) -> None:
    assert edit(text, keywords(keep), random.Random(1)) == expected


def test_the_first_edit_that_fits_is_made() -> None:
    assert (
        edited("Which rate?", (typo, added_word, prefix(("Q: ",))), frozenset(), random.Random(0)) == "Q: Which rate?"
    )
    with pytest.raises(ValueError, match=r"no edit fits 'Which rate\?'"):
        edited("Which rate?", (typo, added_word), frozenset(), random.Random(0))
