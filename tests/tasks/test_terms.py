"""Which of many terms stand in a text."""

import random

import pytest

from tasks.question import compared
from tasks.terms import Owners, Terms

TERMS = [compared(term) for term in ("yield", "yield to maturity", "the yield curve", "12", "到期收益率", "a b", "")]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The yield to maturity is 12.", ["yield", "yield to maturity", "12"]),
        ("Yields to maturity are 1.2 or 120.", []),
        ("A, B and the yield-curve", ["yield", "the yield curve", "a b"]),
        ("持有到期的到期收益率是多少", ["到期收益率"]),
        ("", []),
    ],
)
def test_terms_are_whole_words(text: str, expected: list[str]) -> None:
    assert Terms(TERMS).named(compared(text)) == {compared(term) for term in expected}


def test_no_term_is_overlooked() -> None:
    rng = random.Random(2)
    words = [f"w{number}" for number in range(30)]
    terms = [compared(" ".join(rng.choices(words, k=rng.randrange(1, 4)))) for _ in range(300)]
    known, owners = Terms(terms), Owners((term, number) for number, term in enumerate(terms))
    for _ in range(200):
        text = compared(" ".join(rng.choices(words, k=20)))
        assert known.named(text) == {term for term in terms if term in text}
        assert owners.of(text) == {number for number, term in enumerate(terms) if term in text}
