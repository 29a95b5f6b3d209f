"""The aggregate of a split: scores, intervals, and what is shown to whom."""

import math

import pytest
from pydantic import ValidationError

from eval.result import EvalResult, ItemResult, Split, summarise, wilson
from tasks.task import Metric

MEAN, GROUPED = Metric(), Metric(aggregate="group_mean")


def item(
    id_: str, scores: tuple[float, ...], group: str = "all", parsed: tuple[bool, ...] = (), truncated: bool = False
) -> ItemResult:
    return ItemResult(
        id=id_,
        group=group,
        prompt="p",
        answer="a",
        completions=("c",) * len(scores),
        scores=scores,
        parsed=parsed or (True,) * len(scores),
        truncated=truncated,
    )


UNEVEN = [
    item("1", (1,), "b", truncated=True),
    item("2", (0,), "a", parsed=(False,)),
    item("3", (1,), "a"),
    item("4", (1,), "a"),
    item("5", (0,), "a"),
]
"""Group a has 2 of 4 right, group b 1 of 1."""


def summary(items: list[ItemResult], metric: Metric = MEAN, split: Split = "feedback") -> EvalResult:
    return summarise(items, split, metric, generated=3, seconds=1.26, split_n=9)


@pytest.mark.parametrize(("metric", "score"), [(MEAN, 3 / 5), (GROUPED, (2 / 4 + 1) / 2)])
def test_aggregates(metric: Metric, score: float) -> None:
    assert summary(UNEVEN, metric).score == score
    assert summary(UNEVEN[::-1], metric).score == score


def test_an_item_scores_the_mean_of_its_samples() -> None:
    assert item("1", (1, 0, 0, 1)).score == 0.5
    assert summary([item("1", (1, 0, 0, 1)), item("2", (1, 1, 1, 1))]).score == 0.75


@pytest.mark.parametrize(
    ("metric", "error"),
    [
        (MEAN, math.sqrt((3 * 0.4**2 + 2 * 0.6**2) / 4 / 5)),
        # Group b has one item, so both are taken around the mean of all, 0.6; their weighted deviations average 0.03.
        (GROUPED, math.sqrt(5 / 4 * (2 * 0.02**2 + 2 * 0.105**2 + 0.17**2))),
    ],
)
def test_standard_errors_by_hand(metric: Metric, error: float) -> None:
    assert summary(UNEVEN, metric).standard_error == round(error, 4)


def test_one_item_has_no_standard_error() -> None:
    for metric in (MEAN, GROUPED):
        assert summary([item("1", (1,))], metric).standard_error == 0


def test_an_unparsed_answer_stays_in_the_denominator() -> None:
    found = summary([item("1", (0, 1), parsed=(False, True)), item("2", (0, 0), parsed=(False, False))])
    assert (found.n, found.samples) == (2, 2)
    assert found.score == 0.25
    assert found.unparsed == 0.75


def test_counts_and_shares() -> None:
    found = summary(UNEVEN)
    assert (found.split, found.n, found.samples, found.generated, found.seconds) == ("feedback", 5, 1, 3, 1.3)
    assert (found.unparsed, found.truncated) == (0.2, 0.2)


def test_the_category_table() -> None:
    rows = [(row.group, row.n, row.score) for row in summary(UNEVEN).groups]
    assert rows == [("a", 4, 0.5), ("b", 1, 1.0)]
    for row in summary(UNEVEN).groups:
        assert (row.low, row.high) == tuple(round(bound, 3) for bound in wilson(row.score, row.n))


@pytest.mark.parametrize("split", ["selection", "test"])
def test_sealed_splits_have_no_category_table(split: Split) -> None:
    assert summary(UNEVEN, split=split).groups == ()


def test_figures_are_rounded() -> None:
    found = summary([item(str(i), (float(i == 0),), parsed=(i > 1,), truncated=i == 2) for i in range(7)])
    assert (found.score, found.unparsed, found.truncated) == (0.143, 0.286, 0.143)


@pytest.mark.parametrize(
    ("score", "n", "low", "high"),
    [
        (0.0, 10, 0.0, 0.27754),  # z^2 / (n + z^2)
        (1.0, 10, 0.72246, 1.0),
        (0.5, 10, 0.23659, 0.76341),
        (0.8, 100, 0.71117, 0.86663),
        (0.0, 0, 0.0, 1.0),
    ],
)
def test_wilson(score: float, n: int, low: float, high: float) -> None:
    assert wilson(score, n) == pytest.approx((low, high), abs=1e-4)


def test_records_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        EvalResult.model_validate({**summary(UNEVEN).model_dump(), "items": []})
    with pytest.raises(ValidationError):
        summary(UNEVEN).score = 1.0  # type: ignore[misc]
