"""What a rule looks at, and what it says."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from eval.result import EvalResult, GroupScore
from memory.records import Evidence, Experiment
from roles.briefing import Remaining, Survey
from roles.practitioner.moves import MOVES, Move
from tasks.task import Metric

FIRST_EFFECT = 0.1
"""Expected of a first training when nothing else is known."""
MOST_WEAK = 3
"""Weak categories that are named."""


class View(NamedTuple):
    """What the rules look at."""

    survey: Survey
    parent: Experiment
    """The experiment that the next one would start from."""
    trials: Sequence[Experiment]
    """The experiments so far; number 0 is the untouched model."""
    remaining: Remaining

    def evidence(self, name: str) -> Evidence | None:
        """A finding about the parent."""
        return next((found for found in self.parent.evidence if found.name == name), None)


class Suspicion(NamedTuple):
    """A cause, why it is suspected, and what can be done."""

    cause: str
    reason: str
    moves: tuple[tuple[Move, float], ...]
    """Moves with their expected effects, the most promising first."""


Rule = Callable[[View], Suspicion | None]


def suspect(cause: str, reason: str, *moves: tuple[str | Move, float]) -> Suspicion:
    """A suspicion; moves without parameters are given by name."""
    found = ((MOVES[move] if isinstance(move, str) else move, round(effect, 4)) for move, effect in moves)
    return Suspicion(cause, reason, tuple(found))


def sign_of(metric: Metric) -> int:
    """1 where higher scores are better, else -1."""
    return 1 if metric.direction == "up" else -1


def gained(view: View) -> float | None:
    """What the parent gained over the untouched model, positive when better; None without both scores."""
    untouched = view.trials[0].selection if view.trials else None
    if untouched is None or view.parent.selection is None:
        return None
    return sign_of(view.survey.task.metric) * (view.parent.selection.score - untouched.score)


def weak_groups(feedback: EvalResult | None, metric: Metric) -> list[GroupScore]:
    """Groups whose interval excludes the overall score on the bad side; the worst three, the worst first."""
    if feedback is None:
        return []
    sign = sign_of(metric)
    weak = [g for g in feedback.groups if (g.high < feedback.score if sign > 0 else g.low > feedback.score)]
    return sorted(weak, key=lambda group: sign * group.score)[:MOST_WEAK]
