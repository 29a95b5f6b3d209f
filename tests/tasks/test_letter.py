"""The scorer of FinanceIQ: which letter is the answer under each protocol."""

import csv
import os
import time
from pathlib import Path

import pytest

from tasks import scoring
from tasks.task import ItemScore, Sample

DATA = os.environ.get("FT_DOJO_DATA")


def score(protocol: str, prediction: str, reference: str) -> ItemScore:
    return scoring.load({"name": "letter", "protocol": protocol}).score(
        prediction, Sample(id="7", prompt="", answer=reference)
    )


# prediction, the letter under paper, the letter under honest
CASES = [
    ("B", "B", "B"),
    (" B.\n", "B", "B"),
    ("答案是: B", "B", "B"),
    ("B. 到期收益率", "B", "B"),
    # the last upper-case character, in the sense of Unicode
    ("B, because ROE", "E", "B"),
    ("答案是B\uff0c因为ROE较高", "E", "B"),
    ("答案\uff1aC。A项错误。", "A", "C"),
    ("The answer is (B), since GDP fell", "P", "B"),
    ("The answer is B. Élan", "É", "B"),
    ("答案是\uff22", "\uff22", "B"),
    ("B Ⅳ", "Ⅳ", "B"),
    ("选B\uff0c见表Ω", "Ω", "B"),
    # after 答案 or answer, the last of them
    ("Answer: A. On reflection the answer is D, not C", "C", "D"),
    ("ANSWER = **C** (A falls)", "A", "C"),
    ("正确答案为选项【C】\uff0cA不对", "A", "C"),
    ("答案\uff1a\n\n$\\boxed{\\text{D}}$, A", "A", "D"),
    ("答案应选 D\uff0c而非A", "A", "D"),
    ("答案不是A\uff0c而是C", "C", "C"),
    ("The answer depends on the yield, which is why D holds", "D", "D"),
    ("The answer is not A but C", "C", "C"),
    # else the last letter that stands alone
    ("A不对\uff0c故选C。", "C", "C"),
    ("(D) is right; NPV is negative", "V", "D"),
    ("D: R&D costs", "D", "D"),
    ("C, see R&D", "D", "C"),
    ("C\uff0c适用于A股", "A", "C"),
    ("C, as in the U.S.A", "A", "C"),
    ("A or B", "B", "B"),
    # nothing to read
    ("AB", "B", None),
    ("ROE", "E", None),
    ("E", "E", None),
    ("b", None, None),
    ("the answer is b", None, None),
    ("", None, None),
    ("不知道", None, None),
]


@pytest.mark.parametrize(("prediction", "paper", "honest"), CASES)
def test_letter(prediction: str, paper: str | None, honest: str | None) -> None:
    for protocol, expected in (("paper", paper), ("honest", honest)):
        for reference in "ABCD":
            result = score(protocol, prediction, reference)
            assert (result.extracted, result.parsed) == (expected, expected is not None), protocol
            assert result.score == float(expected == reference)


def test_a_full_width_letter_is_no_answer_under_paper() -> None:
    assert (score("paper", "\uff22", "B").score, score("honest", "\uff22", "B").score) == (0, 1)


@pytest.mark.parametrize("reference", ["", "E", "b", "none"])
def test_a_reference_without_a_letter_is_named(reference: str) -> None:
    with pytest.raises(ValueError, match="of sample 7 names no letter A to D"):
        score("paper", "B", reference)


@pytest.mark.parametrize("protocol", ["paper", "honest"])
@pytest.mark.parametrize(
    "text",
    ["答案" * 50_000, "答案" + "是" * 100_000, "答案是" * 33_000, "answer" * 16_000, "answer is " * 10_000,
     "&" * 100_000, " " * 100_000, "E" * 100_000, "A." * 50_000 + "E", "\u0301" * 100_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_attacks_take_less_than_a_second(protocol: str, text: str) -> None:
    started = time.process_time()
    assert score(protocol, text, "B").score == 0
    assert time.process_time() - started < 1


def test_a_long_answer_is_read_at_its_end_under_honest() -> None:
    assert score("honest", "答案是A。" + "很长。" * 10_000, "A").parsed is False
    assert score("honest", "很长。" * 10_000 + "答案是A。", "A").score == 1


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
def test_real_rows() -> None:
    files = sorted((Path(str(DATA)) / "financeiq").glob("*/*.csv"))
    assert len(files) == 20
    for file in files:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            rows = list(csv.DictReader(opened))
        for row in rows:
            gold = row["Answer"]
            for protocol in ("paper", "honest"):
                assert score(protocol, gold, gold).score == score(protocol, f"答案是: {gold}", gold).score == 1
            assert score("honest", f"答案是{gold}\uff1a{row[gold]}", gold).score == 1
