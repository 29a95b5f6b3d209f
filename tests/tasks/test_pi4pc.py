"""The scorer of PI4PC: which number is the answer under each protocol, the graded scale, attacks."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tasks import scoring
from tasks.task import ItemScore, Sample

DATA = os.environ.get("FT_DOJO_DATA")
GRADED = {"gold_answers": [17], "silver_answers": [21], "negative_answers": [3, 5]}


def score(protocol: str, prediction: str, reference: Any) -> ItemScore:
    answer = reference if isinstance(reference, str) else json.dumps(reference)
    return scoring.load({"name": "pi4pc", "protocol": protocol}).score(
        prediction, Sample(id="7", prompt="", answer=answer)
    )


SAME = "same"
# prediction, the number under paper, the number under honest
CASES: list[tuple[str, int | None, int | str | None]] = [
    # JSON, through int()
    ('```json\n{"answer": 17}\n```', 17, SAME),
    ('```\n{"answer": 17}\n```', 17, SAME),
    ('{"answer": 17}', 17, SAME),
    ('{"answer": "17"}', 17, SAME),
    ('{"answer": " 0017 "}', 17, SAME),
    ('{"answer": 17.9}', 17, SAME),
    ('{"answer": true}', 1, SAME),
    ('{"answer": -17}', -17, SAME),
    ('Two 2\n```json\n{"reason": "step 1", "answer": 17}\n```', 17, SAME),
    # int() refuses: on to the expressions and to the numbers of the block
    ('{"reason": "paragraph 4", "answer": "17.0"}', 4, None),
    ('{"answer": "17th"}', None, SAME),
    ('{"answer": [17]}', 17, SAME),
    ('{"answer": [17, 4]}', 17, None),
    ('{"answer": null, "key": 17}', 17, SAME),
    ('{"answer": Infinity, "key": 17}', 17, SAME),
    ('{"key": 17}', 17, SAME),
    ("{}", None, SAME),
    # regular expressions
    ('Of 5 options: {"answer": 17}', 17, SAME),
    ('Of 5 options: {"answer" : "17"}', 17, SAME),
    ('{"reason": "the "5" teeth", "answer": 17}', 17, SAME),
    ("Of 5 options, answer: 17", 17, SAME),
    ("Of 5 options, Answer = 17", 17, SAME),
    ('answer: 5, "answer": "17"', 17, SAME),
    ("ANSWER:17.5 of 5", 17, SAME),
    # the first run of digits that stands alone; honest wants it to be the only number
    ("17", 17, SAME),
    ("Paragraph [0017] shows it.", 17, SAME),
    ("17 it is, paragraph 17", 17, SAME),
    ("Claim 10 is shown in paragraph 17", 10, None),
    ("The answer is 17, not 21", 17, None),
    ("x17, 17th, 17_a", None, SAME),
    ("it is -17", 17, SAME),
    ("12.5", 12, None),
    ("none", None, SAME),
    ("", None, SAME),
    # later steps see only the block
    ("17\n```\nnone\n```", None, SAME),
    ("9" * 5000, None, SAME),
]


@pytest.mark.parametrize(("prediction", "paper", "honest"), CASES, ids=lambda value: str(value)[:40])
def test_number(prediction: str, paper: int | None, honest: int | str | None) -> None:
    for protocol, expected in (("paper", paper), ("honest", paper if honest == SAME else honest)):
        result = score(protocol, prediction, [17])
        assert result.extracted == (None if expected is None else str(expected)), protocol
        assert (result.parsed, result.score) == (expected is not None, float(expected == 17)), protocol


@pytest.mark.parametrize("protocol", ["paper", "honest"])
@pytest.mark.parametrize(
    ("prediction", "reference", "expected", "graded"),
    [
        ('{"answer": 17}', GRADED, 1, 1),
        ('{"answer": 21}', GRADED, 0, 0.5),
        ('{"answer": 3}', GRADED, 0, 0),
        ("none", GRADED, 0, 0),
        ('{"answer": 21}', {"gold": [17], "silver": [21]}, 0, 0.5),
        ('{"answer": 17}', [4, 17], 1, 1),
        ('{"answer": 17}', ["17"], 1, 1),
        ('{"answer": 17}', 17, 1, 1),
        ('{"answer": 17}', "17", 1, 1),
        # a gold given as text means every run of digits in it
        ('{"answer": 17}', "paragraphs 4 and 17", 1, 1),
        ('{"answer": 17}', {"gold": "[0004], [0017]", "silver": "21"}, 1, 1),
        ('{"answer": 21}', {"gold": "4,17", "silver": "21"}, 0, 0.5),
        ('{"answer": 17}', '{"answer": 17}', 1, 1),
    ],
)
def test_scores(protocol: str, prediction: str, reference: Any, expected: float, graded: float) -> None:
    result = score(protocol, prediction, reference)
    assert (result.score, result.metrics) == (expected, {"graded": graded})


@pytest.mark.parametrize("reference", ["", "[]", "none", '{"silver": [17]}', '{"gold": []}', "[null]"])
def test_a_reference_without_a_number_is_named(reference: str) -> None:
    with pytest.raises(ValueError, match="of sample 7 holds no number of a paragraph"):
        score("paper", '{"answer": 17}', reference)


@pytest.mark.parametrize("protocol", ["paper", "honest"])
@pytest.mark.parametrize(
    "text",
    [
        "```json" + " " * 100_000,
        '{"answer":' * 10_000,
        '{"answer": ' + "9" * 50_000 + "}",
        '"answer":' + " " * 100_000,
        "answer" + " " * 100_000,
        "1a" * 50_000,
        "1 2 " * 25_000,
        "9" * 100_000,
        "[" * 100_000,
    ],
    ids=lambda text: text[:12],
)
def test_attacks_take_less_than_a_second(protocol: str, text: str) -> None:
    started = time.process_time()
    assert score(protocol, text, [17]).score == 0
    assert time.process_time() - started < 1


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
def test_real_rows() -> None:
    for row in map(json.loads, (Path(str(DATA)) / "panorama" / "pi4pc.jsonl").read_text().splitlines()):
        reference = {key: row[key] for key in GRADED}
        for protocol in ("paper", "honest"):
            answers = [row["gold_answers"][0], row["silver_answers"][0], row["negative_answers"][0]]
            results = [score(protocol, json.dumps({"answer": answer}), reference) for answer in answers]
            assert [result.score for result in results] == [1, 0, 0]
            assert [result.metrics["graded"] for result in results] == [1, 0.5, 0]
