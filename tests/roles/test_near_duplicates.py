"""Near duplicates: small edits are found, other questions stay, contradictions are decided as asked."""

import random
from typing import Any

import pytest

from memory.records import Step
from roles.data_steps import load_step
from roles.data_steps.near_duplicates import CONFLICT, MISSED, NEAR, PERMUTATIONS, NearDuplicates, _bands
from roles.data_steps.row import Applied, DataRow, StepContext
from tasks.failure import InputError, StageError
from tasks.task import Benchmark, Task

TASK = Task(name="toy", domain="x", description="", sources=(), benchmark=Benchmark(path="x"), prompt="{{ q }}",
            answer="{{ a }}", scorer={"name": "exact"})  # fmt: skip
OPTIONS = ["a rise in the general price level", "a fall in output", "a tax on imports", "a loan without security"]
QUESTION = "Which of these statements describes inflation best in an open economy?"
WORDS = [f"word{n}" for n in range(200)]


def drop(given: list[DataRow], **parameters: Any) -> Applied:
    return load_step(Step(name="near_duplicates", parameters=parameters)).apply(given, StepContext(TASK, 0))


def asked(content: str, number: int = 1, answer: str = OPTIONS[0], source: str = "exams", **fields: Any) -> DataRow:
    made = {"prompt": f"Q: {content}", "content": content, "options": OPTIONS, "answer": answer, **fields}
    return DataRow(source=source, row=number, fields=made)


def raw(number: int, source: str = "raw", **fields: Any) -> DataRow:
    return DataRow(source=source, row=number, fields=fields)


def kept(applied: Applied) -> list[int]:
    return [row.row for row in applied.rows]


@pytest.mark.parametrize(
    "copy",
    [
        "which of these statements  DESCRIBES inflation best in an open economy",
        "Which of these statements describes inflatoin best in an open economy?",
        "Which of these statements explains inflation best in an open economy?",
        "Which of these statements describes inflation best in open economy?",
        "Q12. Which of these statements describes inflation best in an open economy?",
    ],
    ids=["case", "typing error", "synonym", "word less", "prefix"],
)
def test_a_lightly_edited_copy_is_dropped_and_the_first_stays(copy: str) -> None:
    applied = drop([asked("What is a bond?", 1), asked(QUESTION, 2), asked(copy, 3)])
    assert (kept(applied), applied.removed) == ([1, 2], {NEAR: 1})
    assert kept(drop([asked(copy, 3), asked(QUESTION, 2)])) == [3]


@pytest.mark.parametrize(
    "other",
    [
        asked("What does an economist call a lasting increase of all prices together?", 2),
        asked(QUESTION, 2, options=["a bond", "a share", "a fund", "a loan"]),
        asked(QUESTION + " Round to 3 digits.", 2),
        asked(QUESTION.replace("inflation", "deflation"), 2, OPTIONS[1]),
    ],
    ids=["other wording", "other options", "other numbers", "an exchanged word leads to another answer"],
)
def test_another_question_stays(other: DataRow) -> None:
    assert kept(drop([asked(QUESTION), other])) == [1, 2]


def test_numbers_may_be_ignored_but_not_those_of_the_answer() -> None:
    first, second = (
        asked("A bond of 5,000 pays 4 per cent", 1, "200"),
        asked("A bond of 5000.0 pays 4 per cent", 2, "200"),
    )
    third, fourth = (
        asked("A bond of 6,000 pays 4 per cent", 3, "200"),
        asked("A bond of 6,000 pays 4 per cent", 4, "240"),
    )
    rows = [first, second, third, fourth]
    assert kept(drop(rows, conflicts="drop_all")) == [1]
    assert kept(drop(rows, same_numbers=False, threshold=0.5)) == [1, 4]


def test_the_order_of_options_does_not_count() -> None:
    assert kept(drop([asked(QUESTION), asked(QUESTION, 2, options=OPTIONS[::-1])])) == [1]


@pytest.mark.parametrize(("conflicts", "stay"), [("keep_first", [1, 4]), ("drop_all", [4])])
def test_equal_rows_with_different_answers_contradict_each_other(conflicts: str, stay: list[int]) -> None:
    rows = [asked(QUESTION), asked(QUESTION.upper(), 2), asked(QUESTION, 3, OPTIONS[2]), asked("What is a bond?", 4)]
    applied = drop(rows, conflicts=conflicts)
    assert kept(applied) == stay
    assert applied.removed == {NEAR: 1, CONFLICT: 3 - len(stay)}


def test_a_chain_of_edits_is_compared_with_what_was_kept() -> None:
    """Row 2 repeats row 1, row 3 repeats row 2 but not row 1: it stays, because row 2 has gone."""
    one = WORDS[:14]
    two = [*one[3:], *WORDS[20:23]]
    three = [*two[3:], *WORDS[30:33]]
    rows = [asked(" ".join(tokens), number) for number, tokens in enumerate((one, two, three), start=1)]
    assert kept(drop(rows)) == [1, 3]
    assert kept(drop(rows[1:])) == [2]


def test_raw_rows_are_compared_on_all_texts_within_their_source() -> None:
    rows = [
        raw(1, id="x1", question=QUESTION, a="one", b="two", answer="A"),
        raw(2, id="x2", question=QUESTION + " please", a="one", b="two", answer="A"),
        raw(3, id="x3", question=QUESTION + " please", a="one", b="three", answer="A"),
        raw(4, id="x4", question=QUESTION, a="one", answer="A"),
        raw(5, "other", id="x5", question=QUESTION, a="one", b="two", answer="A"),
    ]
    assert kept(drop(rows)) == [1, 3, 4, 5]
    assert kept(drop(rows, fields=["question"])) == [1]
    assert kept(drop(rows, fields=["question"], source="raw")) == [1, 5]
    assert kept(drop(rows, fields=["b"])) == [1, 3, 4]


def test_formatted_rows_are_compared_over_sources() -> None:
    assert kept(drop([asked(QUESTION), asked(QUESTION + " please", 2, source="mock")])) == [1]


def test_rows_without_text_pass() -> None:
    rows = [raw(1, n=1), raw(2, n=1), raw(3, q=""), raw(4, q="?!"), raw(5), raw(6)]
    assert kept(drop(rows)) == [1, 2, 3, 4, 5, 6]


def test_longer_runs_of_words_see_their_order() -> None:
    rows = [raw(1, q="one two three four five six"), raw(2, q="six five four three two one")]
    assert kept(drop(rows)) == [1]
    assert kept(drop(rows, words=2)) == [1, 2]


def test_fields_or_sources_that_no_row_has_are_named() -> None:
    with pytest.raises(InputError, match="no row has the field 'body'; there are: q"):
        drop([raw(1, q="x")], fields=["body"])
    with pytest.raises(InputError, match="no row is of source 'web'; there are: raw"):
        drop([raw(1, q="x")], source="web")
    with pytest.raises(StageError, match="threshold"):
        drop([raw(1, q="x")], threshold=0)


# ----- against a comparison of all pairs


def edited(rng: random.Random, tokens: list[str]) -> list[str]:
    tokens = list(tokens)
    for _ in range(rng.randrange(0, 4)):
        tokens[rng.randrange(len(tokens))] = rng.choice(WORDS)
    return tokens


@pytest.mark.parametrize("threshold", [0.3, 0.6, 0.9])
def test_signatures_find_what_a_comparison_of_all_pairs_finds(threshold: float) -> None:
    """Each pair at the threshold is missed with probability 0.001 at most; above it with less."""
    rng = random.Random(1)
    texts = [rng.sample(WORDS, 12) for _ in range(60)]
    texts += [edited(rng, rng.choice(texts)) for _ in range(120)]
    rows = [raw(number, q=" ".join(tokens)) for number, tokens in enumerate(texts, start=1)]
    stay: list[set[str]] = []
    expected: list[int] = []
    for number, tokens in enumerate(texts, start=1):
        found = set(tokens)
        if not any(len(found & other) / len(found | other) >= threshold for other in stay):
            stay.append(found)
            expected.append(number)
    assert kept(drop(rows, threshold=threshold)) == expected


@pytest.mark.parametrize("threshold", [0.05, 0.2, 0.35, 0.5, 0.6, 0.75, 0.9, 0.99, 1.0])
def test_the_bands_miss_few_at_the_threshold(threshold: float) -> None:
    bands, rows = _bands(threshold)
    assert 1 <= bands * rows <= PERMUTATIONS
    assert (1 - threshold**rows) ** bands <= MISSED or rows == 1


def test_thousands_of_rows() -> None:
    """Seconds with the index; minutes when all pairs are compared."""
    rng = random.Random(2)
    texts = [" ".join(rng.sample(WORDS, 15)) for _ in range(2000)]
    rows = [raw(number, q=text) for number, text in enumerate([*texts, *(f"{text} again" for text in texts)], start=1)]
    assert kept(drop(rows)) == list(range(1, 2001))


def test_what_a_row_repeats_is_told() -> None:
    copies = NearDuplicates().copies([asked(QUESTION), asked("What is a bond?", 2), asked(QUESTION + " please", 3)])
    assert {row: (copy.position, copy.reason) for row, copy in copies.items()} == {2: (0, NEAR)}
