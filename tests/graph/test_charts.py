"""The charts: what they show where, that they are well-formed, and that no text gets out of its place."""

import itertools
import re
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from made_up import experiment, groups, plan, result, trained, training, verdict, whole_run

from eval.result import GroupScore
from graph.report.charts import COLOURS, Curve, categories, colour, incumbents, losses, trajectory, tree
from graph.report.figures import Scale, plain, scale_of
from graph.report.svg import span, ticks
from memory.records import Replicate
from tasks.failure import Failure, FailureKind
from tasks.task import Metric

SHARES = Scale("accuracy", percent=True, up=True)
ERRORS = Scale("rmse", percent=False, up=False)
ATTACK = "</text></svg><script>alert(1)</script><img src=x onerror=alert(1)>"
FAILURE = Failure(stage="train", kind=FailureKind.OOM, message="")


def parsed(chart: str) -> ET.Element:
    """A chart as a tree; it must be well-formed and read out as its own title and description."""
    svg = ET.fromstring(chart)
    assert svg.tag == "svg"
    ids = {element.get("id"): element.text for element in svg if element.tag in ("title", "desc")}
    assert [bool(ids[name]) for name in svg.attrib["aria-labelledby"].split()] == [True, True]
    assert "nan" not in re.sub(r">[^<]*<", "><", chart)
    return svg


def kinds(svg: ET.Element, wanted: str) -> list[ET.Element]:
    """Elements of a class."""
    return [element for element in svg.iter() if wanted in (element.get("class") or "").split()]


def place(element: ET.Element) -> tuple[float, float]:
    """Where a symbol is moved to."""
    found = re.fullmatch(r"translate\((.*),(.*)\)", element.attrib["transform"])
    assert found
    return float(found[1]), float(found[2])


def symbols(svg: ET.Element) -> list[tuple[float, float]]:
    """Places of the symbols, in order."""
    return [place(element) for element in svg.iter("path") if "transform" in element.attrib]


def test_colours_belong_to_experiments() -> None:
    """The untouched model has its own; the others repeat after `COLOURS`."""
    assert [colour(number) for number in (0, 1, COLOURS, COLOURS + 1)] == ["e0", "e1", "e10", "e1"]


def test_the_best_so_far_moves_by_verdict_only() -> None:
    """Not by score: experiment 2 scores more than 1 and is undecided."""
    assert incumbents(whole_run()) == [0, 1, 1, 1, 1, 1, 6]


def test_a_better_score_is_higher_and_later_is_right() -> None:
    """One symbol an experiment; the failed one lies at the bottom."""
    svg = parsed(trajectory(whole_run(), SHARES, 0.25))
    places = symbols(svg)
    assert len(places) == 7
    assert [x for x, _ in places] == sorted(x for x, _ in places)
    heights = [y for _, y in places]
    assert heights[6] < heights[2] < heights[5] < heights[1] < heights[4] < heights[0] < heights[3]


def test_intervals_replicates_feedback_and_chance_are_drawn() -> None:
    """Six scored experiments: a bar and two ends each; two replicates; six lighter feedback circles; one line."""
    svg = parsed(trajectory(whole_run(), SHARES, 0.25))
    assert len(kinds(svg, "whisker")) == 6 * 3
    assert len([circle for circle in svg.iter("circle") if "full" in circle.attrib["class"]]) == 2
    assert len(kinds(svg, "faint")) == 6
    assert len(kinds(svg, "chance")) == 1
    assert "guessing: 25.0 %" in "".join(svg.itertext())
    assert kinds(parsed(trajectory(whole_run(), SHARES, None)), "chance") == []


def test_the_line_of_the_best_steps_where_the_verdict_says_so() -> None:
    """Three levels for the untouched model, experiment 1 and experiment 6; flat between."""
    line = kinds(parsed(trajectory(whole_run(), SHARES, None)), "best")[0]
    levels = [float(point.split(",")[1]) for point in line.attrib["points"].split()]
    assert [levels[0]] * 2 + [levels[2]] * 10 + [levels[-1]] * 2 == levels
    assert levels[0] > levels[2] > levels[-1]


def test_a_metric_where_less_is_better_says_so() -> None:
    """Values outside 0 and 1 get an axis of their own; the best line falls."""
    runs = [
        experiment(0, 0.5, selection=result(412.0, standard_error=30.0), feedback=None),
        trained(1, 0.5, verdict("better", 90.0), selection=result(322.0, standard_error=30.0), feedback=None),
    ]
    svg = parsed(trajectory(runs, ERRORS, None))
    said = "".join(svg.itertext())
    assert "less is better" in said
    assert "%" not in said.replace("95 %", "")
    first, second = symbols(svg)
    assert second[1] > first[1]
    assert "400" in said


@pytest.mark.parametrize("number", [0, 1, 25, 120])
def test_any_number_of_experiments_fits(number: int) -> None:
    """Symbols stay inside the drawing, and the labels below do not crowd."""
    runs = [experiment(0, 0.1), *(experiment(k, plan=plan(k - 1), failure=FAILURE) for k in range(1, number))][:number]
    for chart in (trajectory(runs, SHARES, None), tree(runs)):
        svg = parsed(chart)
        width, height = (float(part) for part in svg.attrib["viewBox"].split()[2:])
        assert len(symbols(svg)) == number
        assert all(0 < x < width and 0 < y < height for x, y in symbols(svg))
    below = kinds(parsed(trajectory(runs, SHARES, None)), "middle")
    assert len(below) <= 22


def test_the_tree_continues_a_chain_and_branches_below() -> None:
    """0, 1, 2, 4 are a chain; 3 and 5 also started from 1; 6 continues 5."""
    svg = parsed(tree(whole_run()))
    lanes = [y for _, y in symbols(svg)]
    assert [lanes.index(y) for y in lanes] == [0, 0, 0, 3, 0, 5, 5]
    assert len(kinds(svg, "branch")) == 6
    assert "6 from 5" in "".join(svg.itertext())


def test_losses_are_smoothed_and_thinned() -> None:
    """A long curve keeps its ends and few points; noise about a level shrinks."""
    noisy = [2.0 + (-1) ** step for step in range(5000)]
    svg = parsed(losses([Curve(1, noisy), Curve(12, [3.0, 2.5, 2.0])]))
    long, short = kinds(svg, "curve")
    assert len(long.attrib["points"].split()) <= 260
    heights = [float(point.split(",")[1]) for point in long.attrib["points"].split()]
    assert max(heights[10:-10]) - min(heights[10:-10]) < 3
    assert "dashed" not in long.attrib["class"]
    assert "dashed" in short.attrib["class"]
    assert {name.text for name in kinds(svg, "name")} == {"1", "12"}


@pytest.mark.parametrize(("number", "apart"), [(10, 12.9), (25, 10.0)])
def test_numbers_of_curves_that_end_together_do_not_cover_each_other(number: int, apart: float) -> None:
    """Equal curves down to the axis, readable numbers inside the drawing."""
    names = kinds(parsed(losses([Curve(k, [3.0, 0.0]) for k in range(1, number + 1)])), "name")
    heights = sorted(float(name.attrib["y"]) for name in names)
    assert all(after - before >= apart for before, after in itertools.pairwise(heights))
    assert heights[0] > 0
    assert heights[-1] <= 270


@pytest.mark.parametrize("curve", [[], [1.5], [0.0, 0.0], [1e30, 1.0]])
def test_odd_losses_make_a_chart(curve: list[float]) -> None:
    """No step, one step, nothing to fall, an explosion."""
    parsed(losses([Curve(1, curve)]))


def test_bars_are_as_long_as_their_scores() -> None:
    """From the same zero; the untouched model's above."""
    before = (GroupScore(group="a", n=10, score=0.2, low=0.1, high=0.4),)
    after = (
        GroupScore(group="a", n=10, score=0.8, low=0.5, high=0.9),
        GroupScore(group="b", n=9, score=0.4, low=0.2, high=0.6),
    )
    bars = kinds(parsed(categories(before, after, 3, SHARES)), "bar")
    assert [bar.attrib["class"].split()[0] for bar in bars] == ["e0", "e3", "e3"]
    widths = [float(bar.attrib["width"]) for bar in bars]
    assert widths[1] == pytest.approx(4 * widths[0], abs=0.3)
    assert widths[2] == pytest.approx(2 * widths[0], abs=0.3)
    assert float(bars[0].attrib["y"]) < float(bars[1].attrib["y"]) < float(bars[2].attrib["y"])


def test_long_names_are_cut_and_whole_on_hover() -> None:
    """So that they do not run into the bars."""
    name = "a group with a name that is too long for the chart"
    svg = parsed(categories((), groups(0.4, (name, "b")), 1, SHARES))
    label = kinds(svg, "label")[0]
    assert len(label.text or "") <= 26
    assert label.findtext("title") == name


def test_text_cannot_leave_its_place() -> None:
    """A hypothesis or a group that holds markup stays text."""
    runs = [experiment(0, 0.1), experiment(1, plan=plan(0, ATTACK), failure=FAILURE)]
    table = tuple(GroupScore(group=ATTACK + name, n=5, score=0.4, low=0.1, high=0.8) for name in "ab")
    scale = SHARES._replace(metric=ATTACK)
    for chart in (tree(runs), categories(table, table, 1, scale), trajectory(runs, scale, 0.2)):
        assert "<script" not in chart
        assert "<img" not in chart
        assert {element.tag for element in parsed(chart).iter()} <= {
            "svg", "title", "desc", "path", "line", "text", "circle", "rect", "polyline"
        }  # fmt: skip


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1]),
        (0.05, 0.34, [0.05, 0.1, 0.15, 0.2, 0.25, 0.3]),
        (-3, 7, [-2, 0, 2, 4, 6]),
        (240, 480, [250, 300, 350, 400, 450]),
        (2, 2, [2]),
    ],
)
def test_ticks_are_round(low: float, high: float, values: list[float]) -> None:
    """Multiples of 1, 2 or 5 times a power of ten, inside the range."""
    assert ticks(low, high) == pytest.approx(values)


def test_spans_hold_their_values() -> None:
    """With air; a floor that is near ends them; one value has a width too."""
    assert span([0.1, 0.4], floor=0.0, ceiling=1.0)[0] == 0.0
    low, high = span([0.8, 0.9], floor=0.0, ceiling=1.0)
    assert 0.7 < low < 0.8
    assert 0.9 < high <= 1.0
    assert span([5.0])[0] < 5.0 < span([5.0])[1]
    assert span([])[0] < span([])[1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.12345, "0.123"), (0.0004, "0.000"), (12.3456, "12.35"), (333.33, "333.3"), (41234.5, "41234")],
)
def test_plain_numbers(value: float, text: str) -> None:
    """As many decimals as can be read."""
    assert plain(value) == text


@pytest.mark.parametrize(
    ("metric", "scores", "percent"),
    [
        (Metric(), (0.1, 0.4), True),
        (Metric(), (0.1, 1.4), False),
        (Metric(name="mae", direction="down"), (0.1, 0.4), False),
        (Metric(), (), True),
    ],
)
def test_shares_are_percent_and_nothing_else_is(metric: Metric, scores: tuple[float, ...], percent: bool) -> None:
    """More must be better, and every value, a replicate's too, between 0 and 1."""
    runs: list[Any] = [experiment(number, selection=result(score)) for number, score in enumerate(scores[:1])]
    extra = tuple(Replicate(training=training(1), selection=result(score)) for score in scores[1:])
    runs += [experiment(1, replicates=extra)]
    assert scale_of(metric, runs, None).percent is percent
