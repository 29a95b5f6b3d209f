"""The scorer of PAR4PC: what counts as a letter under each protocol, F1, silver letters, attacks."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from eval.f1 import f1_of_counts
from tasks import scoring
from tasks.task import ItemScore, Sample

DATA = os.environ.get("FT_DOJO_DATA")
AE = 2 / 3
"""The F1 of a gold letter and one wrong letter."""


def score(protocol: str, prediction: str, reference: Any) -> ItemScore:
    answer = reference if isinstance(reference, str) else json.dumps(reference)
    return scoring.load({"name": "par4pc", "protocol": protocol}).score(
        prediction, Sample(id="7", prompt="", answer=answer)
    )


# prediction, letters under paper, letters under honest; None: the same
CASES = [
    # where the JSON is found
    ('```json\n{"answer": "G"}\n```', "G", None),
    ('A draft:\n```\n{"answer": "B"}\n```\nFinal:\n```json\n{"answer": "G"}\n```', "G", None),
    ('```json\n{"answer": "G"}\n```\nor\n```json\n{"answer": "H"}\n```', "G", None),
    ('```\n{"answer": "G"}\n```\n```\n{"answer": "H"}\n```', "G", None),
    ('{"answer": "G"}', "G", None),
    (' \n{"reason": "close prior art", "answer": ["C", "G"]}\n', "CG", None),
    ('```json{"answer": "G"}```', "G", None),
    # a block that never closes is none: the field is looked for in the whole text
    ('```json\n{"answer": "G"}', "AEG", "G"),
    # another language's name is part of the content
    ('```python\n{"answer": "G"}\n```', "AEG", "G"),
    # later steps see only the block
    ("Patents B and C.\n```\nG\n```", "G", None),
    ("G\n```json\n{}\n```", "", None),
    ("G\n```\nnothing here\n```", "", None),
    # a string: one letter, or split at commas and blanks
    ('{"answer": "g"}', "G", None),
    ('{"answer": " G "}', "G", None),
    ('{"answer": "A, C"}', "AC", None),
    ('{"answer": "A,C F\\nH"}', "ACFH", None),
    ('{"answer": "I, Z"}', "", None),
    ('{"answer": ""}', "", None),
    # what sorts between A and H is kept whole
    ('{"answer": "A AND C"}', ["A", "AND", "C"], "AC"),
    ('{"answer": "a and c"}', ["A", "AND", "C"], "AC"),
    ('{"answer": "B."}', ["B."], "B"),
    ('{"answer": "C (see above)"}', ["C", "ABOVE)"], "C"),
    ('{"answer": "(G)"}', "", "G"),
    ('{"answer": "HE, G"}', "G", None),
    # a list of single letters
    ('{"answer": ["G"]}', "G", None),
    ('{"answer": ["g", " A ", "A"]}', "AG", None),
    ('{"answer": ["G", "AND", "I", 3, null, ["A"]]}', "G", None),
    ('{"answer": []}', "", None),
    # a JSON object without the key is the empty answer
    ('{"letters": "G"}', "", None),
    ("{}", "", None),
    # an answer of another kind, or JSON of another kind: on to the next steps
    ('{"answer": null, "choice": "G"}', "G", None),
    ('{"answer": {"G": true}}', "G", None),
    ('["G"]', "G", None),
    ('"G"', "G", None),
    # the field in text: its letters, and under paper the A and E of "answer"
    ('I say {"answer": "G"}', "AEG", "G"),
    ('I say {"answer": "B, D"} and not F', "ABDE", "BD"),
    ('I say {"ANSWER" : [ "b" , "d" ]} and not F', "ABDE", "BD"),
    ('{"reason": "the "inner" ring of C", "answer": ["G"]}', "AEG", "G"),
    ('"answer": "B", or "answer": ["G"]', "AEG", "G"),
    ('{"answer": ["B", "AND"', "B", None),
    # every letter that stands alone
    ("G", "G", None),
    ("The cited patents are B and G.", "BG", None),
    ("b, d", "BD", None),
    ("a c", "AC", None),
    ("A patent like a valve: G.", "AG", None),
    ("It is a valve, so G", "AG", "G"),
    ("As in the claim, e.g. the valve: G", "EG", "G"),
    ("option_G, G2 and Gs", "", None),
    ("None of them.", "", None),
    ("", "", None),
    ("  \n", "", None),
]


@pytest.mark.parametrize(("prediction", "paper", "honest"), CASES)
def test_letters(prediction: str, paper: str | list[str], honest: str | None) -> None:
    for protocol, expected in (("paper", paper), ("honest", paper if honest is None else honest)):
        result = score(protocol, prediction, ["G"])
        named = set(expected)
        assert result.extracted == (", ".join(sorted(named)) or None), protocol
        assert result.parsed is bool(named)
        assert result.score == pytest.approx(2 * ("G" in named) / (1 + len(named))), protocol


# prediction, reference, F1, exact match, custom score
COUNTED: list[tuple[str, Any, float, float, float]] = [
    ('{"answer": "G"}', ["G"], 1, 1, 1),
    ('{"answer": "B"}', ["G"], 0, 0, 0),
    ('{"answer": ["G", "B"]}', ["G"], AE, 0, 0.5),
    ('{"answer": "G"}', ["A", "G"], AE, 0, 0.25),
    ('{"answer": ["A", "B"]}', ["A", "G"], 0.5, 0, 0),
    ('{"answer": ["A", "B", "C", "D"]}', ["G"], 0, 0, 0),
    ("nothing", ["A", "G"], 0, 0, 0),
    # a list has no silver letters; an object has
    ('{"answer": ["G", "E"]}', {"gold": ["G"]}, AE, 0, 0.5),
    ('{"answer": "E"}', {"gold": ["G"], "silver": ["E"]}, 0, 0, 0),
    # other ways to write the reference
    ('{"answer": "G"}', "G", 1, 1, 1),
    ('{"answer": ["A", "G"]}', "a, g", 1, 1, 1),
    ('{"answer": "G"}', {"gold_answers": "G", "silver_answers": ["E"], "negative_answers": ["A"]}, 1, 1, 1),
    ('{"answer": "G"}', '{"answer": ["G"]}', 1, 1, 1),
    ('{"answer": "G"}', '```json\n{"answer": "G"}\n```', 1, 1, 1),
    ('{"answer": "G"}', {"gold": ["G"], "silver": None}, 1, 1, 1),
]


@pytest.mark.parametrize("protocol", ["paper", "honest"])
@pytest.mark.parametrize(("prediction", "reference", "f1", "exact", "custom"), COUNTED)
def test_scores(protocol: str, prediction: str, reference: Any, f1: float, exact: float, custom: float) -> None:
    result = score(protocol, prediction, reference)
    assert result.score == pytest.approx(f1)
    assert (result.metrics["exact_match"], result.metrics["custom"]) == pytest.approx((exact, custom))
    assert f1_of_counts([result.metrics]) == pytest.approx(f1)


def test_silver_letters_are_neither_right_nor_wrong() -> None:
    reference = {"gold": ["G"], "silver": ["E"]}
    paper, honest = (score(protocol, '{"answer": ["E", "G"]}', reference) for protocol in ("paper", "honest"))
    assert paper.score == honest.score == paper.metrics["custom"] == honest.metrics["custom"] == 1
    assert (paper.metrics["exact_match"], honest.metrics["exact_match"]) == (0, 1)


def test_the_aggregate_is_the_micro_f1() -> None:
    predictions = ['{"answer": ["A", "B"]}', '{"answer": "G"}', "no idea"]
    items = [score("paper", prediction, reference) for prediction, reference in zip(predictions, "AGH", strict=True)]
    assert f1_of_counts(item.metrics for item in items) == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert [item.parsed for item in items] == [True, True, False]


@pytest.mark.parametrize(
    "reference", ["", "[]", '["I"]', "null", '{"silver": ["A"]}', '{"gold": "G", "silver": [1]}', "3"]
)
def test_a_reference_without_letters_is_named(reference: str) -> None:
    with pytest.raises(ValueError, match="of sample 7 does not name letters A to H"):
        score("honest", '{"answer": "A"}', reference)


@pytest.mark.parametrize("protocol", ["paper", "honest"])
@pytest.mark.parametrize(
    "text",
    [
        "```json" + " " * 100_000,
        "```" * 33_000,
        "```json" * 15_000,
        '{"answer":' * 10_000,
        "[" * 100_000,
        '{"answer": ["A",' + '"A",' * 25_000,
        '"answer"' + " " * 100_000,
        "A, " * 33_000,
        "\x00" * 100_000,
        '{"answer": ' + "9" * 50_000 + "}",
    ],
    ids=lambda text: text[:12],
)
def test_attacks_take_less_than_a_second(protocol: str, text: str) -> None:
    started = time.process_time()
    assert score(protocol, text, ["H"]).score == 0
    assert time.process_time() - started < 1


def test_a_long_answer_is_read_at_its_end_under_honest_only() -> None:
    long = '{"answer": "G"}' + " filler" * 5_000
    assert (score("paper", long, ["G"]).score, score("honest", long, ["G"]).score) == (pytest.approx(0.5), 0)
    assert score("honest", "filler " * 5_000 + '{"answer": "G"}', ["G"]).score == 1


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("name", ["par4pc.jsonl", "par4pc_derived.jsonl"])
def test_real_rows(name: str) -> None:
    lines = (Path(str(DATA)) / "panorama" / name).read_text().splitlines()
    for row in map(json.loads, lines):
        reference = {"gold": row["gold_answers"], "silver": row["silver_answers"]}
        for protocol in ("paper", "honest"):
            result = score(protocol, f"```json\n{json.dumps({'answer': row['gold_answers']})}\n```", reference)
            assert (result.score, result.metrics["exact_match"], result.metrics["custom"]) == (1, 1, 1)
            wrong = score(protocol, json.dumps({"answer": row["negative_answers"]}), reference)
            assert (wrong.score, wrong.metrics["custom"]) == (0, 0)
            assert score(protocol, json.dumps({"answer": row["silver_answers"]}), reference).metrics["fp.all"] == 0
