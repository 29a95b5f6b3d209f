"""Data analysis over tables: each sentence of the two protocols is a case here."""

import json
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from tasks import scoring
from tasks.scoring.table_analysis import overlap_paper
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
NEAR = ("CorrelationAnalysis", "TrendForecasting", "StatisticalAnalysis", "correlation", "trend", "statistical")
EXACT = ("ImpactAnalysis", "impact")
OVERLAP = ("CausalAnalysis", "DescriptiveAnalysis", "AnomalyDetection", "causal", "descriptive", "anomaly", "other")
PERFECT = 2 / (2 + 1e-8)


def score(prediction: str, answer: str, group: str, protocol: Protocol = "honest") -> ItemScore:
    scorer = scoring.load({"name": "table_analysis", "protocol": protocol})
    return scorer.score(prediction, Sample(id="t1", prompt="?", answer=answer, group=group))


@pytest.mark.parametrize(
    ("prediction", "answer", "paper", "honest"),
    [
        ("Final Answer: Strong positive correlation, 0.81", "Strong positive correlation, 0.81", 1, 1),
        ("They rise together.\nFinal answer: 0.85", "Strong positive correlation, 0.81", 1, 1),
        ("Final Answer: 0.90", "Weak positive correlation, 0.81", 0, 0),
        ("Final Answer: No correlation, 0.81", "Strong positive correlation, 0.81", 1, 1),
        ("Final Answer: -0.81", "0.81", 0, 0),
        ("Final Answer: -109", "-100", 1, 1),
        ("Final Answer: 110", "100", 1, 1),
        ("Final Answer: 111", "100", 0, 0),
        ("Final Answer: 90", "100", 1, 1),
        ("Final Answer: 12,500 tons", "12500", 1, 1),
        ("Final Answer: 12.5%", "12.5", 1, 1),
        ("Final Answer: 12.5, 70", "12.5, 3", 1, 1),
        ("Final Answer: 12,70", "12, 70", 0, 0),
        ("Final Answer: 12", "12,70", 0, 0),
        ("Final Answer: in 3 years 70", "70", 0, 0),
        ("Final Answer: 5.", "5", 1, 1),
        ("Final Answer: .5", "0.5", 0, 0),
        ("Final Answer: 0.0000001", "0", 1, 1),
        ("Final Answer: 0.01", "0", 0, 0),
        ("Final Answer: Increasing Trend", "increasing trend", 1, 1),
        ("Final Answer: Increasing trend.", "Increasing trend", 0, 0),
        ("Final Answer: 13", "Increasing trend", 0, 0),
        ("0.81", "Final Answer: 0.81", 1, 1),
        ("I count 4 rows. It is 100", "100", 0, 0),
        ("Final Answer: " + "9" * 400, "100", 0, 0),
        ("", "100", 0, 0),
        # repaired: the last marker
        ("Final Answer: 50. No.\nFinal Answer: 100", "100", 0, 1),
    ],
)
def test_near(prediction: str, answer: str, paper: int, honest: int) -> None:
    for group in NEAR:
        assert score(prediction, answer, group, "paper").score == paper
        assert score(prediction, answer, group, "honest").score == honest


@pytest.mark.parametrize(
    ("prediction", "answer", "paper", "honest"),
    [
        ("Final Answer: positive impact.", "Positive impact", 1, 1),
        ("Final Answer: rainfall, staff", "Rainfall,Staff", 1, 1),
        ("Final Answer: staff, rainfall", "rainfall, staff", 0, 0),
        ("Final Answer: Positive", "Positive impact", 0, 0),
        ("Final Answer: 12.5", "-12.5", 1, 0),
        ("Final Answer: yes\nFinal Answer: No clear impact", "No clear impact", 0, 1),
    ],
)
def test_exact(prediction: str, answer: str, paper: int, honest: int) -> None:
    for group in EXACT:
        assert score(prediction, answer, group, "paper").score == paper
        assert score(prediction, answer, group, "honest").score == honest


GOLD = "The table lists ferries by year. Two ferries have no captain."


@pytest.mark.parametrize(
    ("prediction", "answer", "paper", "honest"),
    [
        (f"Final Answer: {GOLD.upper()}", GOLD, PERFECT, 1),
        ("Final Answer: ferries by year", "ferries by year", PERFECT, 1),
        ("Final Answer: by year ferries", "ferries by year", 2 / 3, 2 / 3),
        ("Final Answer: ferries, by year", "ferries by year", 2 / 3, 2 / 3),
        ("Final Answer: cat cat cat", "cat", PERFECT, 1),
        ("Final Answer: cat dog. year", "dog cat year", 4 / 6, 4 / 6),
        ("Final Answer: year. cat", "cat year", PERFECT, 1),
        ("Final Answer: ferries\nby year", "ferries by year", 1 / 2, 1 / 2),
        ("Final Answer: bus", GOLD, 0, 0),
        ("Final Answer: ...", GOLD, 0, 0),
        ("", "nothing is empty", 1 / 2, 0),
        ("Final Answer: ", "nothing is empty", 1 / 2, 0),
        ("", GOLD, 0, 0),
        ("ferries by year", "Final Answer: ferries by year", 6 / 8, 1),
        ("Final Answer: bus\nFinal Answer: ferries", "ferries", 0, 1),
    ],
)
def test_overlap(prediction: str, answer: str, paper: float, honest: float) -> None:
    for group in OVERLAP:
        for protocol, expected in (("paper", paper), ("honest", honest)):
            result = score(prediction, answer, group, protocol)  # pyright: ignore[reportArgumentType]
            assert result.score == pytest.approx(expected, abs=1e-6 if protocol == "paper" else 1e-12)
            assert result.metrics == ({} if not result.parsed and protocol == "honest" else {"rouge_l": result.score})


def test_a_sentence_too_long_for_the_package_fails_under_paper_only() -> None:
    text = " ".join(f"word{i}" for i in range(1_200))
    assert score(text, "word3 ferry", "other", "paper").score == 0
    assert score(text, "word3 ferry", "other").score > 0
    assert score(text.replace("word600", "."), "word3 ferry", "other", "paper").score > 0


@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_unknown_group_lists_the_known_ones(protocol: Protocol) -> None:
    with pytest.raises(ValueError, match=r"sample t1 has the unknown group 'all'; known groups: Correl.*, other"):
        score("Final Answer: 41", "41", "all", protocol)
    assert not score("...", "41", "all").parsed
    for text, parses in (("...", False), ("Final Answer: ferry", True)):
        assert scoring.parses(scoring.load({"name": "table_analysis", "protocol": protocol}), text) is parses


def test_group_in_any_case() -> None:
    assert score("Final Answer: 105", "100", "trendforecasting").score == 1


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize("group", ["trend", "impact", "other"])
def test_parsed_is_the_same_for_each_group_and_a_broken_reference_raises(group: str, protocol: Protocol) -> None:
    for prediction in ("", " ", "Final Answer: %%", "\x00"):
        result = score(prediction, "41", group, protocol)
        assert (result.score, result.parsed, result.extracted) == (0, False, None)
    assert score("Final Answer: ferry", "41", group, protocol).extracted == "ferry"
    with pytest.raises(ValueError, match="sample t1 holds no word"):
        score("Final Answer: 41", " ... ", group, protocol)


@pytest.mark.parametrize("protocol", ["honest", "paper"])
@pytest.mark.parametrize("group", ["trend", "impact", "other"])
@pytest.mark.parametrize(
    "text",
    [
        *(
            unit * (100_000 // len(unit))
            for unit in ("Final Answer:", "ferry ", "by.", ". ", "9", "-", "1,", "by year ")
        ),
        ". ".join(f"year by {i}" for i in range(9_000)),
    ],
    ids=lambda text: text[:14],
)
def test_adversarial_text_takes_less_than_a_second(text: str, group: str, protocol: Protocol) -> None:
    started = time.process_time()
    assert score(text, f"{GOLD} " * 12, group, protocol).score < 0.9
    assert time.process_time() - started < 1


def test_a_long_reference_too_takes_seconds_at_most() -> None:
    started = time.process_time()
    assert score("a b " * 5_000, "b a " * 5_000, "other").score == 1
    assert time.process_time() - started < 3


def test_overlap_equals_the_package() -> None:
    package = pytest.importorskip("rouge", reason="needs the package rouge 1.0.1, which is the source of the measure")
    texts = [
        GOLD.lower(),
        "two ferries have no captain",
        "a. b a. c",
        "a b. . c a",
        "the table lists the ferries, by year",
        "no captain has two ferries. the year lists the table",
        ".a.",
        "- - 0.5 of 1.5. -",
        "year",
        "by year by table by ferries by no captain by",
    ]
    for first in texts:
        for second in texts:
            official = package.Rouge().get_scores(first, second)[0]["rouge-l"]["f"]
            assert overlap_paper(first, second) == pytest.approx(official, abs=1e-12), (first, second)


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_every_reference_scores_one_against_itself(protocol: Protocol) -> None:
    lines = Path(DATA or "", "tablebench", "TableBench_TCoT.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["qtype"] == "DataAnalysis"]
    groups = Counter(row["qsubtype"] for row in rows)
    assert set(groups) == {*NEAR[:3], *EXACT[:1], *OVERLAP[:3]}
    assert groups.total() == 343
    for row in rows:
        text = f"By the table.\nFinal Answer: {' '.join(row['answer'].split())}"
        assert score(text, row["answer"], row["qsubtype"], protocol).score == pytest.approx(1, abs=1e-8), row["id"]
