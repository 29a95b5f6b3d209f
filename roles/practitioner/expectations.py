"""What a move should bring: the rule's expectation, corrected by what the same move brought before."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from memory.records import Experiment
from roles.briefing import Recollection
from roles.practitioner.moves import Move, move_of
from tasks.failure import FailureKind
from tasks.task import Metric

PRIOR_WEIGHT = 2.0
"""Observations that a rule's expectation is worth."""
RELATED_WEIGHT = 0.5
"""What an observation on another task or model is worth."""
FAILED_EFFECT = -0.05
"""What a move counts for that made an experiment fail."""
_OWN_FAULT = frozenset(
    {FailureKind.OOM, FailureKind.DIVERGED, FailureKind.DATA, FailureKind.FORMAT, FailureKind.CONFIG,
     FailureKind.TIMEOUT}
)  # fmt: skip


class Expectation(NamedTuple):
    """An expected effect and what it rests on."""

    effect: float
    prior: float
    """What the rule alone expects."""
    seen: tuple[str, ...] = ()
    """Ids of the experiments that corrected it."""

    def basis(self, metric: Metric) -> str:
        """In words: the prior, and what was seen."""
        expected = f"Expected: {metric.difference(self.effect)}"
        if not self.seen:
            return f"{expected}."
        return f"{expected}; the rule says {metric.difference(self.prior)}, corrected by {', '.join(self.seen)}."


def expect(move: Move, prior: float, task: str, model: str, known: Iterable[Experiment]) -> Expectation:
    """The expectation of a move on a task and model, given experiments of this and other runs."""
    made_so = [(one, effect) for one in known if move_of(one) == move.name and (effect := effect_of(one)) is not None]
    return corrected(prior, made_so, task, model)


def corrected(prior: float, seen: Sequence[tuple[Experiment, float]], task: str, model: str) -> Expectation:
    """The weighted mean of the prior and of observed effects.

    One from an evaluation that stopped early, because it looked bad, counts as far as it had come: so the mean of what
    has no effect stays 0.
    """
    weights = [(1.0 if (one.task, one.model) == (task, model) else RELATED_WEIGHT) * _seen(one) for one, _ in seen]
    total = PRIOR_WEIGHT * prior + sum(weight * effect for weight, (_, effect) in zip(weights, seen, strict=True))
    mean = total / (PRIOR_WEIGHT + sum(weights))
    return Expectation(round(mean, 4), prior, tuple(one.id for one, _ in seen))


def _seen(experiment: Experiment) -> float:
    """Part of the selection items that were answered; 1 where there was no evaluation."""
    selection = experiment.selection
    return selection.n / selection.split_n if selection and selection.split_n else 1.0


def effect_of(experiment: Experiment) -> float | None:
    """What an experiment changed against its parent; None when nothing can be said of it."""
    failure = experiment.failure
    if failure:
        return FAILED_EFFECT if failure.kind in _OWN_FAULT else None
    return experiment.effect


def all_known(trials: Iterable[Experiment], recalled: Iterable[Recollection]) -> list[Experiment]:
    """The experiments of this run and those remembered, each once."""
    return list({one.id: one for one in (*trials, *(each.experiment for each in recalled))}.values())


def cautious_gain(one: Recollection, sign: int) -> float:
    """What a remembered experiment gained over its untouched model, less two standard errors; 0 if not known.

    Args:
        sign: 1 where higher scores are better, else -1.
    """
    selection = one.experiment.selection
    if selection is None or one.baseline is None:
        return 0.0
    return sign * (selection.score - one.baseline) - 2 * selection.standard_error
