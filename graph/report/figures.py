"""How the page writes numbers: shares as percent and points, any other metric as it is."""

import math
from collections.abc import Iterable
from typing import NamedTuple

from eval.evaluator_client import TestResult
from eval.result import EvalResult
from memory.records import Experiment
from tasks.task import Metric

Z = 1.96
"""Standard errors to each side of a 95 % interval."""


class Scale(NamedTuple):
    """The metric of a run as it is written."""

    metric: str
    percent: bool
    """All values are shares where more is better, so they are written as percent and differences in points."""
    up: bool
    """More is better."""

    def score(self, value: float) -> str:
        """`31.0 %`, or `0.31`."""
        return f"{100 * value:.1f} %" if self.percent else plain(value)

    def margin(self, result: EvalResult) -> str:
        """Half of the 95 % interval of a score, without unit."""
        return f"{100 * Z * result.standard_error:.1f}" if self.percent else plain(Z * result.standard_error)

    def interval(self, low: float, high: float) -> str:
        """The bounds of an interval of scores."""
        return f"{100 * low:.1f} to {100 * high:.1f} %" if self.percent else f"{plain(low)} to {plain(high)}"

    def around(self, result: EvalResult) -> str:
        """The 95 % interval of a score."""
        return self.interval(*self.bounds(result))

    def bounds(self, result: EvalResult) -> tuple[float, float]:
        """The 95 % interval of a score: 1.96 standard errors to each side, a share kept between 0 and 1."""
        half = Z * result.standard_error
        low, high = result.score - half, result.score + half
        return (max(0.0, low), min(1.0, high)) if self.percent else (low, high)

    def change(self, value: float) -> str:
        """A difference with its sign and unit: `+16.0 points`."""
        return f"{self.bare_change(value)} points" if self.percent else self.bare_change(value)

    def bare_change(self, value: float) -> str:
        """A difference with its sign: `+16.0`."""
        text = f"{100 * value:+.1f}" if self.percent else f"{'-' if value < 0 else '+'}{plain(abs(value))}"
        return text.replace("-0.0", "+0.0") if text == "-0.0" else text

    def changes(self, low: float, high: float) -> str:
        """The bounds of an interval of differences."""
        return f"{self.bare_change(low)} to {self.bare_change(high)}"

    def tick(self, value: float) -> str:
        """A score on an axis."""
        return f"{100 * value:.3g} %" if self.percent else f"{value:.4g}"


def plain(value: float) -> str:
    """Three decimals, fewer for large numbers."""
    if value == 0 or not math.isfinite(value):
        return f"{value:.3g}"
    return f"{value:.{max(0, min(3, 3 - math.floor(math.log10(abs(value)))))}f}"


def scale_of(metric: Metric, experiments: Iterable[Experiment], result: TestResult | None) -> Scale:
    """How the values of this run are written."""
    results = [r for e in experiments for r in (e.feedback, e.selection, *(x.selection for x in e.replicates)) if r]
    if result:
        results += [r for r in (result.baseline, result.best) if r]
    up = metric.direction == "up"
    return Scale(metric.name, up and all(0 <= r.score <= 1 for r in results), up)
