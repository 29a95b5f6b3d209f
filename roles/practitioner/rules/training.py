"""Rules about how training went, and about the time there is for more of it."""

import math

from roles.practitioner.costs import MARGIN, tokens_of
from roles.practitioner.moves import Move, left_out, move_in, times_epochs, times_rows
from roles.practitioner.rules.view import FIRST_EFFECT, Suspicion, View, gained, suspect

STILL_FALLING = 0.1
"""Relative fall of the loss over its last third: above it, training has not ended by itself."""
ERRORS = 2.0
"""Standard errors by which a fall must exceed chance."""
HIGH_LOSS = 0.25
MEMORISED = 0.5
"""Loss on repeated rows over the loss on rows when they were new: below it, rows are learned by heart."""
SPARE = 1.5
"""Time for so many times the parent's training is time to train longer."""
MOST_TIMES = 8.0
"""An experiment is no larger than so many times its parent."""
OLD_ROWS = 0.8
"""What a pass over the same rows is worth against as many new ones."""
A_DOUBLING = 0.25
"""Part of what a training gained that twice as much of it should add."""
DIAGNOSED = 0.015
"""Expected of what a diagnostician proposes without a figure."""
UNTRIED = ("higher learning rate", "more rows", "more epochs", "lower learning rate", "larger adapter")
"""What is worth a try without evidence, the learning rate first."""


def divergence(view: View) -> Suspicion | None:
    """The loss ended above where it began."""
    shape = view.evidence("loss_shape")
    if shape is None or shape.figures["last"] <= shape.figures["first"]:
        return None
    return suspect("divergence", shape.claim, ("lower learning rate", 0.05), ("fewer epochs", 0.01))


def overfitting(view: View) -> Suspicion | None:
    """Rows are learned by heart, and no more items were fixed than broken."""
    fit, flips = view.evidence("fit"), view.evidence("flips")
    if fit is None or flips is None or not by_heart(view) or flips.figures["fixed"] > flips.figures["broken"]:
        return None
    moves = (("fewer epochs", 0.02), ("more rows", 0.02), ("lower learning rate", 0.01))
    return suspect("overfitting", f"{fit.claim} {flips.claim}", *moves)


def by_heart(view: View) -> bool:
    """Whether the loss on repeated rows lies far below the loss on new ones."""
    fit = view.evidence("fit")
    fresh, repeated = (fit.figures.get(name) for name in ("fresh", "repeated")) if fit else (None, None)
    return bool(fresh) and repeated is not None and repeated < MEMORISED * fresh


def underfitting(view: View) -> Suspicion | None:
    """The loss was still falling, or is still high, when training ended, and rows are not known by heart."""
    shape = view.evidence("loss_shape")
    if shape is None or by_heart(view) or divergence(view):
        return None
    fall, error = -shape.figures["tail_change"], shape.figures.get("tail_error", 0.0)
    falling, last = fall > max(STILL_FALLING, ERRORS * error), shape.figures["last"]
    if not falling and last <= HIGH_LOSS:
        return None
    high = f"The training loss was still {last:.2f} at the end; above {HIGH_LOSS} there is usually more to learn."
    reason = shape.claim if falling else high
    gain = _gain_of_training(view, 2.0)
    moves = (("more epochs", OLD_ROWS * gain), ("higher learning rate", gain / 3), ("larger adapter", gain / 4))
    return suspect("underfitting", reason, *moves)


def spare_time(view: View) -> Suspicion | None:
    """The next training may be much longer than the parent's: more rows where there are any, else more passes."""
    there, spent = view.remaining.training_tokens, tokens_of(None, view.parent, view.survey)
    if there is None or not spent or MARGIN * there < SPARE * spent:
        return None
    factor = _halves(min(MOST_TIMES, MARGIN * there / spent))
    data, moves = view.parent.data, list[tuple[Move, float]]()
    most = min(data.rows + left_out(data), view.survey.max_train_rows) / data.rows if data else 0.0
    if (enough := _halves(min(factor, most))) >= SPARE:
        moves.append((times_rows(enough), _gain_of_training(view, enough)))
    if not by_heart(view):
        moves.append((times_epochs(factor), OLD_ROWS * _gain_of_training(view, factor)))
    reason = f"The next training may see {there:,} tokens; that of experiment {view.parent.number} saw {int(spent):,}."
    return suspect("short training", reason, *moves) if moves else None


def _halves(factor: float) -> float:
    """Rounded down to halves."""
    return math.floor(2 * factor) / 2


def diagnosed(view: View) -> Suspicion | None:
    """The diagnostician, whoever it is, proposes a move that the hands know."""
    diagnosis = view.parent.diagnosis
    move: Move | None = move_in(diagnosis.next_intervention) if diagnosis else None
    if diagnosis is None or move is None:
        return None
    reason = f"The diagnosis of experiment {view.parent.number} proposes: {diagnosis.next_intervention}."
    return suspect(diagnosis.suspected_cause, reason, (move, DIAGNOSED))


def exploration(view: View) -> Suspicion | None:
    """Whatever else is found: what matters most should have been tried, unless the evidence speaks against it."""
    if view.parent.training is None:
        return None
    avoided = {"more epochs", "higher learning rate"} if by_heart(view) or divergence(view) else set[str]()
    moves = ((name, 0.01 - 0.001 * place) for place, name in enumerate(UNTRIED) if name not in avoided)
    return suspect("unexplored", "The learning rate decides most, then the amount of training.", *moves)


def _gain_of_training(view: View, factor: float) -> float:
    """What `factor` times the training should bring: a part of what the parent gained, for each doubling.

    A parent that gained nothing was hardly trained, or badly; then the usual first effect stands in.
    """
    before = gained(view)
    return A_DOUBLING * (before if before and before > 0 else FIRST_EFFECT) * math.log2(max(factor, 1.0))
