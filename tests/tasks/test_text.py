"""Numbers of texts, as they compare."""

import pytest

from tasks.text import number_key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It costs 1,000.", "1000.0 is its cost"),
        ("5 per cent of 200", "5% of $200"),
        ("on 2024/05/06", "2024/05/06"),
        ("Q3 of H2O", "no number"),
        ("", "?"),
    ],
)
def test_the_same_numbers_have_the_same_key(one: str, other: str) -> None:
    assert number_key(one) == number_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("5 of 200", "200 of 5"),
        ("-3", "3"),
        ("1.5", "15"),
        ("on 2024/05/06", "on 2024/05/07"),
        ("1/0", "2/0"),
        ("1 and 1", "1"),
    ],
)
def test_other_numbers_have_another_key(one: str, other: str) -> None:
    assert number_key(one) != number_key(other)
