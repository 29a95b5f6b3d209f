"""Answers that keep a scorer busy for ever, or end its process."""

import os
import time
from typing import Any, ClassVar, Literal

import pytest

from tasks import scoring
from tasks.failure import InputError
from tasks.record import Record
from tasks.task import AnswerContract, ItemScore, Sample
from tasks.time_limit import within

ITEM = Sample(id="1", prompt="?", answer="x")


class Moody(Record):
    """Does what the answer says; the first answer of a process may take long."""

    ITEM_SECONDS: ClassVar[float] = 0.5

    name: Literal["moody"] = "moody"

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        if prediction == "sleep":
            time.sleep(60)
        if prediction == "die":
            os._exit(3)
        if prediction == "refuse":
            raise ValueError("no such sub-task")
        return ItemScore(score=float(prediction == sample.answer), parsed=True)

    def contract(self) -> AnswerContract:
        return AnswerContract(description="x", example="x")


class Bare(Moody):
    """Its package is missing."""

    def score(self, prediction: str, sample: Sample) -> ItemScore:
        raise InputError("pip install it")


def double(number: int, calls: int = 0) -> Any:
    if calls:
        raise RuntimeError(f"call {number}")
    return 2 * number


def test_results_come_in_order() -> None:
    assert within(10, double, [(n,) for n in range(50)], warm=(0,)) == [2 * n for n in range(50)]


def test_what_the_function_raises_is_raised() -> None:
    with pytest.raises(RuntimeError, match="call 3"):
        within(10, double, [(3, 1)], warm=(0,))


def test_one_bad_answer_spoils_no_other() -> None:
    texts = ["x", "sleep", "y", "die", "refuse", "x"]
    began = time.monotonic()
    scores = scoring.score_each(Moody(), [(text, ITEM) for text in texts])
    assert time.monotonic() - began < 30
    assert [score.score if isinstance(score, ItemScore) else str(score) for score in scores] == [
        1, 0, 0, 0, "no such sub-task", 1]  # fmt: skip
    assert [isinstance(score, ItemScore) and scoring.FAILED in score.metrics for score in scores] == [
        False, True, False, True, False, False]  # fmt: skip
    with pytest.raises(ValueError, match="no such sub-task"):
        scoring.score_all(Moody(), [(text, ITEM) for text in texts])


def test_a_missing_package_is_told_once() -> None:
    with pytest.raises(InputError, match="pip install it"):
        scoring.score_each(Bare(), [("x", ITEM)] * 3)


@pytest.mark.parametrize(
    ("name", "group", "gold", "answer", "context"),
    [
        ("math", "all", "\\frac{1}{2}", "\\boxed{0.5}", {}),
        ("mol_und", "ring_count", "3", '{"count": 3}', {}),
        ("reaction", "fs", "CCO", '{"Major Product": "OCC"}', {}),
        ("mol_opt", "logp", "better", '{"Final Target Molecule": "CCCCCc1ccccc1"}', {"source_smiles": "Cc1ccccc1"}),
        ("mol_edit", "add", "x", '{"output": "OCCc1ccccc1"}', {"source_smiles": "CCc1ccccc1", "group_a": "hydroxyl"}),
    ],
)
def test_scorers_with_heavy_libraries_have_a_limit(
    name: str, group: str, gold: str, answer: str, context: dict[str, Any]
) -> None:
    scorer = scoring.load(name)
    sample = Sample(id="1", prompt="?", answer=gold, group=group, context=context)
    assert vars(type(scorer))["ITEM_SECONDS"] == 30
    pairs = [(answer, sample), ("nothing", sample)]
    assert scoring.score_all(scorer, pairs) == [scorer.score(*pair) for pair in pairs]
    assert scoring.score_all(scorer, pairs)[0].score == 1
