"""The charts of the page as SVG text: pure functions of records. No benchmark text goes in, so none comes out.

Every experiment has one colour wherever it is drawn (class `e0` for the untouched model, `e1` to `e10` in turn for the
others), and its verdict has a shape, so that colour alone says nothing.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.etree.ElementTree import Element

from eval.result import GroupScore
from graph.report.figures import Scale
from graph.report.svg import Box, add, drawing, markup, polyline, span, ticks, x_axis, y_axis
from memory.recall import Outcome, outcome
from memory.records import Experiment

WIDTH = 760.0
COLOURS = 10
"""Colours before they repeat."""
DRAWN = 240
"""Points of a loss curve that are drawn."""
_LABEL = 26
"""Characters of a group's name that fit beside its bars."""
_SYMBOLS: dict[Outcome, str] = {
    "better": "M0,-7 L7,5 L-7,5 Z",
    "worse": "M0,7 L7,-5 L-7,-5 Z",
    "failed": "M-5,-5 L5,5 M-5,5 L5,-5",
    "baseline": "M-5,-5 H5 V5 H-5 Z",
}
_DOT = "M-5,0 A5,5 0 1 0 5,0 A5,5 0 1 0 -5,0 Z"


def colour(number: int) -> str:
    """The class that gives an experiment its colour."""
    return f"e{(number - 1) % COLOURS + 1}" if number else "e0"


def incumbents(experiments: Sequence[Experiment]) -> list[int]:
    """After each experiment, the number of the best one by verdict."""
    found, best = list[int](), 0
    for experiment in experiments:
        best = experiment.number if experiment.advances else best
        found.append(best)
    return found


def trajectory(experiments: Sequence[Experiment], scale: Scale, chance: float | None, delivered: int = 0) -> str:
    """Selection score of each experiment with its 95 % interval, feedback beside it, and the best so far as a line.

    Args:
        chance: what guessing scores; drawn as a line where it is known.
        delivered: the experiment that is marked as delivered; 0 for none.
    """
    svg = drawing("trajectory", "Score of each experiment", _described(experiments, scale), WIDTH, 340)
    heights = [bound for e in experiments if e.selection for bound in scale.bounds(e.selection)]
    heights += [e.feedback.score for e in experiments if e.feedback] + ([chance] if chance is not None else [])
    low, high = span(heights, floor=0.0 if scale.percent else None, ceiling=1.0 if scale.percent else None)
    last = max((e.number for e in experiments), default=0)
    box = Box(62, 34, WIDTH - 24, 290, -0.5, last + 0.5, low, high)
    y_axis(svg, box, scale.tick, f"{scale.metric} on selection ({'more' if scale.up else 'less'} is better)")
    every = 1 + last // 20
    x_axis(svg, box, [e.number for e in experiments if e.number % every == 0], "experiment")
    if chance is not None:
        _level(svg, box, chance, "chance", f"guessing: {scale.score(chance)}")
    _best_so_far(svg, box, experiments, scale)
    for experiment in experiments:
        _scores(svg, box, experiment, scale)
        if delivered and experiment.number == delivered and experiment.selection:
            above = box.y(scale.bounds(experiment.selection)[1]) - 7
            add(svg, "text", x=box.x(delivered), y=above, kind="label middle", text="delivered")
    return markup(svg)


def _described(experiments: Sequence[Experiment], scale: Scale) -> str:
    scores = [f"{e.number}: {scale.score(e.selection.score) if e.selection else outcome(e)}" for e in experiments]
    return f"Selection scores by experiment: {', '.join(scores) or 'none yet'}."


def _level(svg: Element, box: Box, value: float, kind: str, name: str) -> None:
    add(svg, "line", x1=box.left, x2=box.right, y1=box.y(value), y2=box.y(value), kind=kind)
    add(svg, "text", x=box.left + 4, y=box.y(value) - 5, kind="tick", text=name)


def _best_so_far(svg: Element, box: Box, experiments: Sequence[Experiment], scale: Scale) -> None:
    """A line of steps from the untouched model on; it moves only when a verdict says better."""
    scores = {e.number: e.selection.score for e in experiments if e.selection}
    points: list[tuple[float, float]] = []
    for experiment, best in zip(experiments, incumbents(experiments), strict=True):
        if best in scores:
            level, at = box.y(scores[best]), experiment.number
            points += [(box.x(at - 0.5), level), (box.x(at + 0.5), level)]
    if points:
        polyline(svg, points, kind="best", hover="the best so far, by verdict")


def _scores(svg: Element, box: Box, experiment: Experiment, scale: Scale) -> None:
    at, kind = box.x(experiment.number), colour(experiment.number)
    if experiment.feedback:
        hover = f"feedback of {experiment.number}: {scale.score(experiment.feedback.score)}"
        add(svg, "circle", cx=at + 9, cy=box.y(experiment.feedback.score), r=3.5, kind=f"{kind} faint", hover=hover)
    for replicate in experiment.replicates:
        hover = f"{experiment.number} with seed {replicate.training.seed}: {scale.score(replicate.selection.score)}"
        add(svg, "circle", cx=at - 9, cy=box.y(replicate.selection.score), r=3, kind=f"{kind} full", hover=hover)
    result = experiment.selection
    if result is None and experiment.feedback and not experiment.failure:
        return  # nobody asked for more than feedback
    if result is None:
        _symbol(svg, at, box.bottom - 10, experiment, f"experiment {experiment.number}: {outcome(experiment)}")
        return
    low, high = (box.y(bound) for bound in scale.bounds(result))
    add(svg, "path", d=f"M{at:.1f},{low:.1f} V{high:.1f}", kind=f"{kind} whisker")
    for end in (low, high):
        add(svg, "path", d=f"M{at - 4:.1f},{end:.1f} H{at + 4:.1f}", kind=f"{kind} whisker")
    words = f"{scale.score(result.score)}, 95 % interval {scale.around(result)}, {outcome(experiment)}"
    _symbol(svg, at, box.y(result.score), experiment, f"experiment {experiment.number}: {words}")


def _symbol(svg: Element, x: float, y: float, experiment: Experiment, hover: str) -> None:
    """The shape of a verdict in the colour of an experiment."""
    found = outcome(experiment)
    kind = f"{colour(experiment.number)} {'crossed' if found == 'failed' else 'full'}"
    add(svg, "path", d=_SYMBOLS.get(found, _DOT), transform=f"translate({x:.1f},{y:.1f})", kind=kind, hover=hover)


def tree(experiments: Sequence[Experiment]) -> str:
    """Which experiment started from which: one lane a chain, to the right in time."""
    lanes = _lanes(experiments)
    described = "; ".join(f"{e.number} from {e.plan.parent}" for e in experiments if e.plan)
    height = 34.0 * (max(lanes.values(), default=0) + 1) + 24
    svg = drawing("tree", "Which experiment started from which", described or "No experiment yet.", WIDTH, height)
    last = max(lanes, default=0)
    box = Box(40, 30, WIDTH - 40 if last > 9 else 40 + 72 * max(last, 1), height - 24, 0, max(last, 1), 0, 1)
    places = {number: (box.x(number), 30 + 34.0 * lane) for number, lane in lanes.items()}
    for experiment in experiments:
        if experiment.plan and experiment.plan.parent in places:
            (x1, y1), (x2, y2) = places[experiment.plan.parent], places[experiment.number]
            bend = min(30.0, (x2 - x1) / 2)
            path = f"M{x1:.1f},{y1:.1f} C{x1 + bend:.1f},{y1:.1f} {x1:.1f},{y2:.1f} {x1 + bend:.1f},{y2:.1f} H{x2:.1f}"
            add(svg, "path", d=path, kind="branch")
    for experiment in experiments:
        x, y = places[experiment.number]
        plan = f" from {experiment.plan.parent}: {experiment.plan.hypothesis}" if experiment.plan else ""
        _symbol(svg, x, y, experiment, f"experiment {experiment.number}, {outcome(experiment)}{plan}")
        add(svg, "text", x=x, y=y - 11, kind="tick middle", text=str(experiment.number))
    return markup(svg)


def _lanes(experiments: Sequence[Experiment]) -> dict[int, int]:
    """The lane of each experiment: its parent's when it is the first to continue it, else a new one below."""
    lanes: dict[int, int] = {}
    continued: set[int] = set()
    for experiment in experiments:
        parent = experiment.plan.parent if experiment.plan else None
        if parent is None or parent not in lanes or parent in continued:
            lanes[experiment.number] = max(lanes.values(), default=-1) + 1
        else:
            lanes[experiment.number] = lanes[parent]
        continued |= {parent} if parent is not None else set()
    return lanes


class Curve(NamedTuple):
    """The losses of one training, one value a step."""

    number: int
    losses: Sequence[float]


def losses(curves: Sequence[Curve]) -> str:
    """Training loss by step, each curve a running mean; its number stands at its end."""
    smooth = {curve.number: _smoothed(curve.losses) for curve in curves if curve.losses}
    ends_of = {curve.number: _ends(curve.losses) for curve in curves if curve.losses}
    said = ", ".join(f"{number}: {first:.2f} to {last:.2f}" for number, (first, last) in ends_of.items())
    svg = drawing(
        "losses",
        "Training loss by step",
        f"Losses, means of the first and the last tenth, {said or 'none yet'}.",
        WIDTH,
        320,
    )
    low, high = span([loss for points in smooth.values() for _, loss in points], floor=0.0)
    longest = max((points[-1][0] for points in smooth.values()), default=1)
    box = Box(52, 34, WIDTH - 40, 270, 1 if longest > 1 else 0, longest, low, high)
    y_axis(svg, box, lambda value: f"{value:.3g}", "loss")
    x_axis(svg, box, [value for value in ticks(0, longest) if value >= 1 and value == int(value)], "optimiser step")
    for number, points in smooth.items():
        hover = "experiment {}: {:.2f} to {:.2f}".format(number, *ends_of[number])
        kind = f"{colour(number)} curve{' dashed' if number > COLOURS else ''}"
        polyline(svg, [(box.x(step), box.y(loss)) for step, loss in points], kind=kind, hover=hover)
    ends = {number: (box.x(points[-1][0]) + 5, box.y(points[-1][1]) + 4) for number, points in smooth.items()}
    for number, (x, y) in _apart(ends, box.bottom).items():
        add(svg, "text", x=x, y=y, kind=f"{colour(number)} name", text=str(number))
    return markup(svg)


def _ends(values: Sequence[float]) -> tuple[float, float]:
    """Means of the first and of the last tenth, as the records of a training have them."""
    tenth = max(1, len(values) // 10)
    return sum(values[:tenth]) / tenth, sum(values[-tenth:]) / tenth


def _smoothed(values: Sequence[float]) -> list[tuple[int, float]]:
    """Steps and running means over a twentieth of the training, thinned to what can be seen."""
    half = len(values) // 40
    every = max(1, len(values) // DRAWN)
    steps = sorted({*range(0, len(values), every), len(values) - 1})
    windows = [values[max(0, step - half) : step + half + 1] for step in steps]
    return [(step + 1, sum(window) / len(window)) for step, window in zip(steps, windows, strict=True)]


def _apart(places: Mapping[int, tuple[float, float]], lowest: float) -> dict[int, tuple[float, float]]:
    """The same places, none below `lowest`, those that would cover each other moved up."""
    moved: dict[int, tuple[float, float]] = {}
    line = min(13.0, lowest / max(1, len(places)))
    for number, (x, y) in sorted(places.items(), key=lambda item: -item[1][1]):
        free = min(y, lowest)
        for other_x, other_y in sorted(moved.values(), key=lambda place: -place[1]):
            if abs(other_x - x) < 16 and abs(other_y - free) < line:
                free = other_y - line
        moved[number] = (x, free)
    return moved


def categories(before: Sequence[GroupScore], after: Sequence[GroupScore], number: int, scale: Scale) -> str:
    """Score of each group, untouched (above) and of an experiment (below), with Wilson's 95 % intervals.

    Args:
        number: of the experiment that `after` belongs to.
    """
    old = {group.group: group for group in before}
    said = "; ".join(f"{g.group}: {scale.score(g.score)}" for g in after)
    height = 40.0 * len(after) + 64
    svg = drawing("categories", f"Feedback by group, experiment {number}", said or "No groups.", WIDTH, height)
    high = max([1.0 if scale.percent else 0.0, *(g.high for g in [*before, *after])])
    box = Box(200, 20, WIDTH - 60, height - 44, 0.0, high, 0.0, 1.0)
    for value in ticks(0.0, high):
        add(svg, "line", x1=box.x(value), x2=box.x(value), y1=box.top - 6, y2=box.bottom, kind="grid")
        add(svg, "text", x=box.x(value), y=box.bottom + 18, kind="tick middle", text=scale.tick(value))
    add(svg, "text", x=box.right, y=box.bottom + 36, kind="axis end", text=f"{scale.metric} on feedback")
    for row, group in enumerate(after):
        y = box.top + 40 * row
        name = group.group if len(group.group) <= _LABEL else f"{group.group[: _LABEL - 1]}…"
        add(svg, "text", x=box.left - 10, y=y + 20, kind="label end", text=name, hover=group.group)
        add(svg, "text", x=box.right + 8, y=y + 20, kind="tick", text=f"n {group.n}")
        if group.group in old:
            _bar(svg, box, y, old[group.group], "e0", scale, "untouched")
        _bar(svg, box, y + 15, group, colour(number), scale, f"experiment {number}")
    return markup(svg)


def _bar(svg: Element, box: Box, y: float, group: GroupScore, kind: str, scale: Scale, whose: str) -> None:
    width = max(1.0, box.x(group.score) - box.left)
    hover = f"{whose}, {group.group}: {scale.score(group.score)} (95 % {scale.interval(group.low, group.high)})"
    add(svg, "rect", x=box.left, y=y, width=width, height=13, kind=f"{kind} bar", hover=hover)
    low, high = box.x(group.low), box.x(group.high)
    add(svg, "path", d=f"M{low:.1f},{y + 6.5:.1f} H{high:.1f}", kind="error")
