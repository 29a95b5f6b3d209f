"""The final answer of a table question: each sentence of the two protocols is a case here."""

import json
import os
import time
from pathlib import Path

import pytest

from tasks import scoring
from tasks.final_answer import final_answer
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")


def score(prediction: str, answer: str, protocol: Protocol = "honest") -> ItemScore:
    scorer = scoring.load({"name": "table_exact", "protocol": protocol})
    return scorer.score(prediction, Sample(id="t1", prompt="?", answer=answer))


@pytest.mark.parametrize(
    ("text", "paper", "honest"),
    [
        ("Rows 2 and 5 fit.\nFinal Answer: Oslo", "Oslo", "Oslo"),
        ("FINAL ANSWER:Oslo  \nSome more.", "Oslo", "Oslo"),
        ("final answer: \n\n  Oslo, Bergen\nmore", "Oslo, Bergen", "Oslo, Bergen"),
        ("**Final Answer:** Oslo", "** Oslo", "** Oslo"),
        ("Final Answer: Rome. No:\nFinal Answer: Oslo", "Rome. No:", "Oslo"),
        ("Final Answer: a Final Answer: b", "a Final Answer: b", "b"),
        ("  Oslo \n Bergen ", "Oslo \n Bergen", "Oslo \n Bergen"),
        ("**Final Answer**: Oslo", "**Final Answer**: Oslo", "**Final Answer**: Oslo"),
        ("I give up. Final Answer:", "I give up. Final Answer:", ""),
        ("I give up. Final Answer: \n ", "", ""),
        ("Final Answer: Oslo\nFinal Answer:", "Oslo", "Oslo"),
        ("", "", ""),
    ],
)
def test_final_answer(text: str, paper: str, honest: str) -> None:
    assert final_answer(text, "paper") == paper
    assert final_answer(text, "honest") == honest


@pytest.mark.parametrize(
    ("prediction", "answer", "paper", "honest"),
    [
        # the same under both protocols
        ("The sum is 41.\nFinal Answer: 41", "41", 1, 1),
        ("Final Answer: 42", "41", 0, 0),
        ("Final Answer: OSLO.", "oslo", 1, 1),
        ("Final Answer:  oslo ,  bergen", "Oslo,Bergen", 1, 1),
        ("Final Answer: bergen, oslo", "oslo, bergen", 0, 0),
        ("Final Answer: Oslo", "Final Answer: oslo\nby the table", 1, 1),
        ("Oslo", "Oslo", 1, 1),
        ("It is Oslo", "Oslo", 0, 0),
        ("Final Answer: 37.64", "37.64%", 1, 1),
        ("Final Answer: $37.64", "37.64", 1, 1),
        ("Final Answer: 1,234", "1234", 0, 0),
        ("Final Answer: 10.60", "10.6", 0, 0),
        ("Final Answer: 125", "12.5", 0, 0),
        ("Final Answer: 12.5 km", "12.5", 0, 0),
        ("Final Answer: -12.5%.", "-12.5", 1, 1),
        ("Final Answer: \u221212.5", "-12.5", 1, 1),
        ("Final Answer: - 12.5", "-12.5", 1, 1),
        ("Final Answer: **-$12.5**", "-12.5", 1, 1),
        ("Final Answer: 1994\u201395", "1994-95", 1, 1),
        ("Final Answer: 22 - 35", "22-35", 1, 1),
        ("Final Answer: o'neal", "o neal", 1, 1),
        ("Final Answer: route -8", "route 8", 1, 1),
        ("Final Answer: snake_case", "snake case", 0, 0),
        ("Final Answer: %%", "7", 0, 0),
        ("", "7", 0, 0),
        # repaired: sign and decimal point of numbers
        ("Final Answer: 12.5", "-12.5", 1, 0),
        ("Final Answer: -12.5", "12.5", 1, 0),
        ("Final Answer: 12 5", "-12.5", 1, 0),
        ("Final Answer: 12 5", "12.5", 1, 0),
        ("Final Answer: 12,5", "12.5", 1, 0),
        ("Final Answer: 41, -8", "41, 8", 1, 0),
        # repaired: the last marker
        ("Final Answer: 40. I was wrong.\nFinal Answer: 41", "41", 0, 1),
        ("Final Answer: 41\nFinal Answer: 40", "41", 1, 0),
    ],
)
def test_score(prediction: str, answer: str, paper: int, honest: int) -> None:
    assert score(prediction, answer, "paper").score == paper
    assert score(prediction, answer, "honest").score == honest


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_parsed_and_extracted(protocol: Protocol) -> None:
    result = score("So:\nFinal Answer: **41**", "7", protocol)
    assert (result.parsed, result.extracted) == (True, "**41**")
    for prediction in ("", " \n", "...", "Final Answer: --", "\x00"):
        assert score(prediction, "7", protocol) == ItemScore(score=0, parsed=False)


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize("answer", ["", " ", "--", "Final Answer: %"])
def test_broken_reference_raises(answer: str, protocol: Protocol) -> None:
    with pytest.raises(ValueError, match="sample t1 holds no word"):
        score("Final Answer: 41", answer, protocol)


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize(
    "text",
    [
        *(unit * (100_000 // len(unit)) for unit in ("Final Answer:", "final ", "9", ".1", " \n", "\u0130", "{[(")),
        "Final Answer: " + "-" * 100_000,
        "Final Answer:" + "\n" * 100_000,
    ],
    ids=lambda text: text[:14],
)
def test_adversarial_text_takes_less_than_a_second(text: str, protocol: Protocol) -> None:
    started = time.process_time()
    assert score(text, "7", protocol).score == 0
    assert time.process_time() - started < 1


def test_honest_reads_the_end_of_a_long_text() -> None:
    assert score("Final Answer: 40\n" + "x" * 20_000 + "\nFinal Answer: 41", "41").score == 1
    assert score("Final Answer: 41\n" + "x" * 20_000, "41").score == 0


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_every_reference_equals_itself(protocol: Protocol) -> None:
    lines = Path(DATA or "", "tablebench", "TableBench_TCoT.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["qtype"] in ("FactChecking", "NumericalReasoning")]
    assert len(rows) == 96 + 397
    for row in rows:
        assert score(f"By the table.\nFinal Answer: {row['answer']}", row["answer"], protocol).score == 1, row["id"]
