"""250 handwritten paraphrases and 205 other questions about the same facts: the former are found, the latter kept.

`python -m benchmarks.decontamination` prints the shares on the half that thresholds were chosen on and on the other.
"""

import re
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.leak_corpora import LETTERS, Paraphrase, half, paraphrases
from tasks.decontaminate import Content, Decontaminator
from tasks.embedding import SentenceEmbedder
from tasks.resemblance import longest_shared
from tasks.task import Sample

KNOWN = paraphrases()
ENGLISH = [one for one in KNOWN if not one.chinese]
CHINESE = [one for one in KNOWN if one.chinese]


def with_options(row: Content) -> Content:
    return row


def without_options(row: Content) -> Content:
    text = row.options[LETTERS.index(row.answer)] if row.options and row.answer in tuple(LETTERS) else row.answer
    return Content(question=row.question, answer=text)


def listed(row: Content) -> str:
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, row.options, strict=False))


def with_options_in_the_prompt(row: Content) -> Content:
    prompt = f"Question: {row.question}\n{listed(row)}\nAnswer with the text of the right option."
    return without_options(row).model_copy(update={"question": prompt}) if row.options else row


def with_a_letter(row: Content) -> Content:
    answer = without_options(row).answer
    if answer not in row.options:
        return row
    return Content(question=f"{row.question}\n{listed(row)}", answer=LETTERS[row.options.index(answer)])


SHOWN: list[Callable[[Content], Content]] = [with_options, without_options, with_options_in_the_prompt, with_a_letter]


@pytest.fixture(scope="module")
def items() -> list[Sample]:
    """Of the starter benchmark and of the file."""
    from tasks.benchmark import load_benchmark
    from tasks.finance import finance_starter

    samples = {**load_benchmark(finance_starter, None).samples, **{one.item.id: one.item for one in KNOWN}}
    return list(samples.values())


@pytest.fixture(scope="module")
def guard(items: list[Sample]) -> Decontaminator:
    return Decontaminator(items)


def share(guard: Decontaminator, rows: list[Content]) -> float:
    return sum(reason is not None for reason in guard.leaks(rows)) / len(rows)


def test_the_file_holds_paraphrases_and_no_light_edits(guard: Decontaminator) -> None:
    assert (len(ENGLISH), len(CHINESE)) == (210, 40)
    assert len({one.row.question for one in KNOWN}) == len(KNOWN)
    assert sum(len(one.legal) for one in KNOWN) == 205
    assert sum(guard.copied(one.row) is not None for one in KNOWN) <= 3
    pieces = [longest_shared(one.item.content, one.row.question) / len(one.row.question) for one in KNOWN]
    assert sum(piece < 0.4 for piece in pieces) >= 0.95 * len(pieces)


@pytest.mark.parametrize("show", SHOWN)
def test_four_in_five_english_paraphrases_are_found(guard: Decontaminator, show: Callable[[Content], Content]) -> None:
    """On the half that thresholds were chosen on, and on the other one: 84 and 81 % when this was written."""
    for side in (0, 1):
        rows = [show(one.row) for one in ENGLISH if half(one.item.id) == side]
        assert len(rows) > 100
        assert share(guard, rows) >= 0.8


@pytest.mark.parametrize(
    ("show", "least"), [*((show, 0.8) for show in SHOWN if show is not without_options), (without_options, 0.6)]
)
def test_chinese_paraphrases_are_found_by_their_characters(
    guard: Decontaminator, show: Callable[[Content], Content], least: float
) -> None:
    """33 of 40 with options and 26 without them when this was written."""
    assert share(guard, [show(one.row) for one in CHINESE]) >= least


@pytest.mark.parametrize("show", SHOWN)
def test_other_questions_about_the_same_facts_are_kept(
    guard: Decontaminator, show: Callable[[Content], Content]
) -> None:
    rows = [show(row) for one in KNOWN for row in one.legal]
    assert share(guard, rows) < 0.01


def wrong(one: Paraphrase) -> Content:
    right = without_options(one.row).answer
    other = next(option for option in one.row.options if right not in option and option not in right)
    return one.row.model_copy(update={"answer": other})


def test_a_paraphrase_with_another_answer_is_no_leak(guard: Decontaminator) -> None:
    """Three of 175 are like an item about the other answer."""
    rows = [wrong(one) for one in KNOWN if one.row.options]
    assert len(rows) > 150
    assert share(guard, rows) < 0.02


def test_a_paraphrase_with_other_numbers_is_no_leak(guard: Decontaminator) -> None:
    """One of 30 is found: its item says `two` in words, which a paraphrase may say in another way."""
    numbered = [one.row for one in ENGLISH if one.item.id.startswith("word") and re.search(r"\d", one.row.question)]
    rows = [
        row.model_copy(
            update={"question": re.sub(r"\d+", lambda number: str(int(number[0]) + 1), row.question, count=1)}
        )
        for row in numbered
    ]
    assert len(rows) >= 25
    assert share(guard, numbered) >= 0.8
    assert share(guard, rows) <= 1 / len(rows)


def embedded(folder: Path) -> int:
    with sqlite3.connect(folder / f"{SentenceEmbedder.name}.sqlite") as store:
        return int(store.execute("SELECT count(*) FROM vectors").fetchone()[0])


def test_only_rows_that_can_have_an_items_solution_are_embedded_and_once(tmp_path: Path) -> None:
    few = [one for one in ENGLISH if one.item.options][:20]
    others = [
        Content(question=f"What does note {number} on the wall say?", answer=f"x{number}") for number in range(50)
    ]
    guard = Decontaminator([one.item for one in few], tmp_path)
    assert guard.leaks(others) == [None] * len(others)
    assert embedded(tmp_path) == 0
    found = guard.leaks([*(one.row for one in few), *others])
    known = embedded(tmp_path)
    assert 0 < known <= 2 * len(few)
    again = Decontaminator([one.item for one in few], tmp_path)
    assert again.leaks([*(one.row for one in few), *others]) == found
    assert embedded(tmp_path) == known
