"""What recurs of one text in another, and finding the texts that recur."""

import random
import string

import pytest

from tasks.resemblance import RUN, SKETCH, Sketches, longest_shared, recurrence, runs

TEXT = " the quick brown fox jumps over the lazy dog "


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (TEXT, 1.0),
        (f" before it{TEXT}and behind it ", 1.0),
        (" over the lazy dog the quick brown fox jumps ", 1.0),
        (TEXT.replace("brown", "brwon"), 43 / 45),
        (TEXT.replace("brown", "red"), 40 / 45),
        (TEXT.replace("brown ", ""), 40 / 45),
        (" the lazy dog ", 14 / 45),
        (" the ", 0.0),
        ("", 0.0),
    ],
)
def test_recurrence_counts_characters_in_shared_runs(other: str, share: float) -> None:
    assert recurrence(TEXT, runs(other)) == pytest.approx(share)


def test_a_typo_costs_about_one_character() -> None:
    for place in range(RUN, len(TEXT) - RUN):
        found = recurrence(TEXT, runs(f"{TEXT[:place]}#{TEXT[place + 1 :]}"))
        assert found >= (len(TEXT) - 1) / len(TEXT)


def test_texts_shorter_than_a_run_recur_nowhere() -> None:
    assert recurrence("short"[:RUN], runs("short")) == 0.0
    assert recurrence("", runs(TEXT)) == 0.0


def test_longest_shared() -> None:
    assert longest_shared(TEXT, " a quick brown fox ") == len(" quick brown fox ")
    assert longest_shared(TEXT, "###") == longest_shared("", TEXT) == 0
    assert longest_shared("ab" * 400, "b" + "ab" * 300) == 601  # also of letters that are frequent


def noise(rng: random.Random, length: int) -> str:
    return "".join(rng.choices(string.ascii_lowercase + " ", k=length))


@pytest.mark.parametrize("length", [40, 400, 4000])
def test_sketches_find_texts_whatever_their_length(length: int) -> None:
    """A text of which two thirds stand in another one is found, one of which a tenth does is not."""
    rng = random.Random(length)
    texts = [noise(rng, length) for _ in range(50)]
    sketches = Sketches(texts)
    for position, text in enumerate(texts):
        most = noise(rng, 200) + text[: 2 * length // 3] + noise(rng, 200)
        assert sketches.candidates(runs(most), 0.4) == [position]
        assert position not in sketches.candidates(runs(text[: length // 10]), 0.4)


def test_sketches_of_nothing() -> None:
    assert Sketches([]).candidates(runs(TEXT), 0.1) == []
    assert Sketches(["", "abc"]).candidates(runs(TEXT), 0.1) == []
    assert Sketches([TEXT, "", TEXT]).candidates(runs(TEXT), 1.0) == [0, 2]


def test_a_sketch_is_bounded_and_depends_on_nothing_but_the_text() -> None:
    text = noise(random.Random(0), 5000)
    sketches = Sketches([text])
    found = [run for run in runs(text) if sketches.candidates({run}, 1 / SKETCH)]
    assert len(found) == SKETCH
    assert Sketches(["x" * 100, text]).candidates(set(found), 1.0) == [1]
