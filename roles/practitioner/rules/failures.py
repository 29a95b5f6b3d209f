"""Rules about an experiment that failed. They speak only of the experiment that is started from: a change that failed
is answered by another change of the same parent, not by curing the parent.
"""

from roles.practitioner.moves import Move, short
from roles.practitioner.rules.view import FIRST_EFFECT, Suspicion, View, suspect
from tasks.failure import Failure, FailureKind

CHARACTERS_A_TOKEN = 4
LONG_ROW = 2.0
"""A row is long when it has this many times the median of tokens."""


def out_of_memory(view: View) -> Suspicion | None:
    """The training did not fit: memory goes with the batch and the longest row."""
    failure = _failed(view, FailureKind.OOM)
    if failure is None:
        return None
    remedies: list[str | Move] = ["smaller batches"]
    if (data := view.parent.data) and data.tokens_max > LONG_ROW * data.tokens_median:
        remedies.append(short("prompt", int(LONG_ROW * data.tokens_median * CHARACTERS_A_TOKEN)))
    return _answered(view, failure, "out of memory", *remedies)


def out_of_time(view: View) -> Suspicion | None:
    """The training took longer than the budget allows."""
    failure = _failed(view, FailureKind.TIMEOUT, FailureKind.BUDGET)
    return _answered(view, failure, "out of time", "half the rows", "fewer epochs") if failure else None


def exploded(view: View) -> Suspicion | None:
    """The loss was not finite, or rose far above where it began."""
    failure = _failed(view, FailureKind.DIVERGED)
    return _answered(view, failure, "divergence", "lower learning rate", "fewer epochs") if failure else None


def data_refused(view: View) -> Suspicion | None:
    """The recipe left nothing to train on."""
    failure = _failed(view, FailureKind.DATA, FailureKind.FORMAT, FailureKind.CONFIG)
    if failure is None or failure.stage != "prepare_data":
        return None
    return _answered(view, failure, "data refused", "task format only", "all sources")


def unchanged_model(view: View) -> Suspicion | None:
    """The adapter leaves the model's answers as they were."""
    failure = _failed(view, FailureKind.FORMAT)
    if failure is None or failure.stage != "evaluate":
        return None
    return _answered(view, failure, "unchanged model", "higher learning rate", "more epochs")


def _failed(view: View, *kinds: FailureKind) -> Failure | None:
    failure = view.parent.failure
    return failure if failure and failure.kind in kinds else None


def _answered(view: View, failure: Failure, cause: str, *remedies: str | Move) -> Suspicion:
    reason = f"Experiment {view.parent.number} failed in {failure.stage} ({failure.kind}): {failure.message[-120:]}."
    return suspect(cause, reason, *((remedy, FIRST_EFFECT - 0.01 * place) for place, remedy in enumerate(remedies)))
