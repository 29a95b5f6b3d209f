"""The scorer `math` under `honest` and `paper`: boxes, anchors, the judge, long and hostile answers."""

import json
import os
import threading
import time
from pathlib import Path

import pytest

from tasks import scoring
from tasks.task import ItemScore, Sample

DATA = os.environ.get("FT_DOJO_DATA")


def score(protocol: str, prediction: str, reference: str, judge: object = None) -> ItemScore:
    context = {} if judge is None else {"judge_response": judge}
    sample = Sample.model_validate({"id": "7", "prompt": "", "answer": reference, "context": context})
    return scoring.load({"name": "math", "protocol": protocol}).score(prediction, sample)


# prediction, reference, score under paper, score under honest; None: unparsed
CASES: list[tuple[str, str, int | None, int | None]] = [
    # a box, alone or in a formula
    ("So it is \\boxed{70}.", "70", 1, 1),
    ("So it is $\\boxed{70}$.", "70", 1, 1),
    ("\\[ x = \\boxed{70} \\]", "70", 1, 1),
    ("\\(\\boxed{71}\\)", "70", 0, 0),
    ("\\boxed{\\frac{140}{2}}", "70", 1, 1),
    ("\\boxed{m + n = 70}", "70", 1, 1),
    ("\\boxed{70^\\circ}", "70", 1, 1),
    ("\\boxed{70 \\text{ coins}}", "70", 1, 1),
    ("\\boxed{70\\%}", "70", 1, 1),
    # the gold is parsed between dollars: leading zeros and degrees are no obstacle
    ("\\boxed{70}", "070", 1, 1),
    ("\\boxed{070}", "70", 1, 1),
    ("\\boxed{70}", "70^\\circ", 1, 1),
    ("\\boxed{0.5}", "\\frac{1}{2}", 1, 1),
    # no bare numbers
    ("The answer is 70.", "70", None, None),
    ("70", "70", None, None),
    ("**70**", "70", None, None),
    # a formula without a box: paper wants "answer" before it
    ("The final answer is $70$.", "70", 1, 1),
    ("Answer: \\(70\\)", "70", 1, 1),
    ("So we get $70$.", "70", None, 1),
    # the box comes first
    ("\\boxed{70}, or is the answer $71$?", "70", 1, 1),
    ("\\boxed{70", "70", None, None),
    ("\\boxed{}", "70", None, None),
    # two boxes close together are merged under paper; honest takes the last
    ("\\boxed{1} \\boxed{234}", "1234", 1, 0),
    ("\\boxed{1} \\boxed{234}", "234", 0, 1),
    ("\\boxed{12}\n\\boxed{345}", "12345", 1, 0),
    ("\\boxed{69}, or \\boxed{70}", "70", 0, 1),
    ("\\boxed{70} \\boxed{70}", "70", 1, 1),
    (
        "\\boxed{69} was my first thought. Another look at the two sides of the figure gives \\boxed{70}",
        "70",
        1,
        1,
    ),
]


@pytest.mark.parametrize(("prediction", "reference", "paper", "honest"), CASES)
def test_protocols(prediction: str, reference: str, paper: int | None, honest: int | None) -> None:
    for protocol, expected in (("paper", paper), ("honest", honest)):
        result = score(protocol, prediction, reference)
        assert (result.score, result.parsed) == (expected or 0, expected is not None), protocol
        assert result.metrics == {}


def test_bare_numbers_never_count_under_paper() -> None:
    sample = Sample(id="7", prompt="", answer="70")
    for protocol, expected in (("paper", 0), ("honest", 1)):
        scorer = scoring.load({"name": "math", "bare": True, "protocol": protocol})
        assert scorer.score("The answer is 70.", sample).score == expected


@pytest.mark.parametrize("reference", ["", "x" * 400])
def test_paper_names_a_reference_that_it_cannot_read(reference: str) -> None:
    with pytest.raises(ValueError, match="of sample 7 is no formula that can be read"):
        score("paper", "\\boxed{70}", reference)


# --- the judge


@pytest.mark.parametrize(
    ("reply", "accepted"),
    [
        ("A", True),
        (" a\n", True),
        ("CORRECT", True),
        ("correct, the values agree", True),
        ("Correctly reasoned, but B", True),
        ("B", False),
        ("A.", False),
        ("A: CORRECT", False),
        ("INCORRECT", False),
        ("", False),
    ],
)
def test_the_judge_makes_up_for_a_rejection_under_paper_only(reply: str, accepted: bool) -> None:
    for prediction in ("\\boxed{71}", "seventy"):
        paper, honest = (score(protocol, prediction, "70", reply) for protocol in ("paper", "honest"))
        assert (paper.score, honest.score) == (accepted, 0)
        assert paper.metrics == honest.metrics == {"judge": accepted, "rule": 0}
        assert paper.parsed is (accepted or prediction != "seventy")
    for protocol in ("paper", "honest"):
        assert score(protocol, "\\boxed{70}", "70", reply).score == 1


def test_a_reply_that_is_no_text_is_named() -> None:
    with pytest.raises(ValueError, match="judge_response of sample 7 is 3; expected text"):
        score("paper", "\\boxed{70}", "70", 3)


# --- long and hostile answers


@pytest.mark.parametrize(
    "text",
    [
        "Let us see. " * 8_000 + "\\boxed{70}",
        "\\boxed{70}" + " Let $x$ be {that}." * 5_000,
        "Let $x$ be that. " * 5_000 + "The final answer is $70$.",
        "\\boxed{69} is wrong, as the second line shows by itself without any more work on it.\n" * 50 + "\\boxed{70}",
    ],
    ids=["box at the end", "box at the start", "formula at the end", "many boxes"],
)
def test_paper_reads_long_answers(text: str) -> None:
    assert score("paper", text, "70").score == 1


HOSTILE = [
    "\\[ \\boxed{1} " * 8_000,
    "\\( \\boxed{1} " * 8_000,
    "\\(" * 30_000 + "\\boxed{1} " * 3,
    "\\boxed{" * 14_000,
    "\\boxed{1}" + "}" * 100_000,
    "\\boxed{" + "(" * 100_000,
    "\\boxed{" + "(" * 90 + "1" + ")" * 90 + "}",
    "\\boxed{" + "1+" * 2_000 + "1}",
    ("answer" + "\\(" * 22) * 2_000,
    ("answer: " + "\\[" * 21) * 2_000,
    "answer $" + "(" * 90 + "1" + ")" * 90 + "$",
    "final answer is \\[" * 6_000,
    "$" * 100_000,
    "\x00" * 100_000,
    "\\boxed{9^{9^9}}",
    "\\boxed{10000000!}",
    "\\boxed{(x+y+z+w)^{50}}",
    "\\boxed{\\prod_{n=1}^{1000000} n}",
    "\\boxed{\\log(\\sqrt{\\sqrt{\\log(0.5-y)}})}",
]


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: text[:20])
def test_hostile_answers_take_less_than_a_second_under_paper(text: str) -> None:
    score("paper", "\\boxed{1}", "70")
    started = time.process_time()
    assert score("paper", text, "70").score == 0
    assert time.process_time() - started < 1


def test_paper_works_outside_the_main_thread_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    results: list[float] = []
    work = [threading.Thread(target=lambda: results.append(score("paper", "\\boxed{x+x}", "2x").score)) for _ in "ab"]
    for thread in work:
        thread.start()
    for thread in work:
        thread.join()
    assert results == [1, 1]
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@pytest.mark.parametrize("name", ["aime24", "aime25"])
def test_real_rows(name: str) -> None:
    rows = [json.loads(line) for line in (Path(str(DATA)) / name / "test.jsonl").read_text().splitlines()]
    assert len(rows) == 30
    for row in rows:
        gold = str(row["answer"])
        for protocol in ("paper", "honest"):
            assert score(protocol, f"Therefore the value is $\\boxed{{{gold}}}$.", gold).score == 1
            assert score(protocol, f"Therefore the value is \\boxed{{1{gold}}}.", gold).score == 0
