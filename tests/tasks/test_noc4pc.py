"""The scorer of NOC4PC: how the label is read, and which items stay in the denominator under each protocol."""

import json
import os
import time
from pathlib import Path

import pytest

from eval.f1 import f1_of_counts
from tasks import scoring
from tasks.task import ItemScore, Sample

DATA = os.environ.get("FT_DOJO_DATA")
PROTOCOLS = ("paper", "honest")


def score(protocol: str, prediction: str, reference: str) -> ItemScore:
    return scoring.load({"name": "noc4pc", "protocol": protocol}).score(
        prediction, Sample(id="7", prompt="", answer=reference)
    )


CASES = [
    # JSON `code` when it is one of the three
    ('```json\n{"code": "102"}\n```', "102"),
    ('```json\n{"reason": "Not 103.", "code": "ALLOW"}\n```', "ALLOW"),
    ('103?\n```\n{"code": "102"}\n```', "102"),
    ('{"code": "allow"}', "ALLOW"),
    ('{"code": " 103 "}', "103"),
    ('{"code": 103}', "103"),
    # other values: on to the next steps, within the block
    ('{"code": "101"}', None),
    ('{"code": 103.0}', "103"),
    ('{"code": ["103"]}', "103"),
    ('{"code": null, "reason": "no motivation, 103"}', "103"),
    ('{"label": "103"}', "103"),
    ('ALLOW\n```json\n{"code": "none"}\n```', None),
    # regular expressions: either quote, any case
    ('Not ALLOW: {"code": "103"', "103"),
    ("Not ALLOW: {\"code\": '103'", "103"),
    ('Not ALLOW: {"CODE" : "allow", "x": 102', "ALLOW"),
    ("Not ALLOW. Code: 103", "103"),
    ("Not ALLOW. code = 103.", "103"),
    ("code: 1030, so ALLOW", "ALLOW"),
    ('code: 102 or "code": \'103\' or "code": "ALLOW"', "ALLOW"),
    # substring search in the order ALLOW, 102, 103
    ("It is 103 and not 102", "102"),
    ("Rejected under 103; not allowable", "ALLOW"),
    ("section 1031", "103"),
    ("obvious", None),
    ("", None),
    ("   ", None),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("prediction", "expected"), CASES)
def test_label(protocol: str, prediction: str, expected: str | None) -> None:
    for reference in ("ALLOW", "102", "103"):
        result = score(protocol, prediction, reference)
        assert (result.extracted, result.parsed) == (expected, expected is not None)
        assert result.score == float(expected == reference)


def test_counts_name_all_labels() -> None:
    zero = {f"{count}.{label}": 0 for count in ("tp", "fp", "fn") for label in ("102", "103", "ALLOW")}
    for protocol in PROTOCOLS:
        assert score(protocol, "102", "102").metrics == {**zero, "tp.102": 1}
        assert score(protocol, "ALLOW", "102").metrics == {**zero, "fp.ALLOW": 1, "fn.102": 1}
    assert score("honest", "no idea", "102").metrics == {**zero, "fn.102": 1}


def test_unparsed_items_leave_the_denominator_under_paper_only() -> None:
    assert score("paper", "no idea", "102").metrics == {}
    pairs = [("102", "102"), ("no idea", "102"), ("103", "103"), ("ALLOW", "103")]
    paper, honest = (
        f1_of_counts(score(protocol, prediction, reference).metrics for prediction, reference in pairs)
        for protocol in PROTOCOLS
    )
    assert paper == pytest.approx((1 + 2 / 3 + 0) / 3)
    assert honest == pytest.approx((2 / 3 + 2 / 3 + 0) / 3)
    assert f1_of_counts([score("paper", "no idea", "102").metrics]) is None


@pytest.mark.parametrize(
    "reference", ["allow", " ALLOW ", '{"code": "ALLOW", "reason": "new"}', '```\n{"code": "ALLOW"}\n```']
)
def test_the_reference_is_a_label_or_such_an_object(reference: str) -> None:
    assert score("paper", '{"code": "ALLOW"}', reference).score == 1


@pytest.mark.parametrize("reference", ["", "101", "{}"])
def test_a_reference_without_a_label_is_named(reference: str) -> None:
    with pytest.raises(ValueError, match="of sample 7 is none of ALLOW, 102, 103"):
        score("honest", "102", reference)
    assert score("honest", "no idea", reference).parsed is False


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "text",
    ["```json" + " " * 100_000, "code" + " " * 100_000, '"code":' * 14_000, '{"code":' * 12_000, "[" * 100_000],
    ids=lambda text: text[:12],
)
def test_attacks_take_less_than_a_second(protocol: str, text: str) -> None:
    started = time.process_time()
    assert score(protocol, text, "102").score == 0
    assert time.process_time() - started < 1


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("name", ["noc4pc.jsonl", "noc4pc_derived.jsonl"])
def test_real_rows(name: str) -> None:
    for row in map(json.loads, (Path(str(DATA)) / "panorama" / name).read_text().splitlines()):
        gold = {"code": row["answer"]["code"]}
        for protocol in PROTOCOLS:
            assert score(protocol, f"```json\n{json.dumps(gold)}\n```", row["answer"]["code"]).score == 1
            assert score(protocol, json.dumps(gold), json.dumps(row["answer"])).score == 1
