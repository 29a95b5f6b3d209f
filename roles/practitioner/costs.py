"""What a move costs: the tokens that its training sees."""

from memory.records import Experiment, TrainingData
from roles.briefing import Remaining, Survey
from roles.practitioner.design import Design, design_of
from roles.practitioner.moves import Move, TrainingMove, left_out

MARGIN = 0.9
"""Part of the time left that a plan may count on: speeds vary, and a training that runs out of time is lost."""


def tokens_of(move: Move | None, parent: Experiment, survey: Survey) -> float:
    """Tokens (rows times tokens times epochs) that an experiment with this move trains on; 0 if not known.

    Args:
        move: None for the parent's own training.
    """
    if parent.data is None or parent.config is None or parent.recipe is None:
        return 0.0
    tokens = parent.data.tokens * parent.config.epochs
    if isinstance(move, TrainingMove):
        return tokens * move.factors.get("epochs", 1.0)
    if move is None:
        return tokens
    before = design_of(parent.recipe, survey)
    after = move.change(before, survey, parent.data)
    return tokens * rows_after(before, after, parent.data) / parent.data.rows


def rows_after(before: Design, after: Design, data: TrainingData) -> float:
    """Rows that a changed design should leave where the one before left `data`."""
    if after.rows is None or after.rows == before.rows:
        return data.rows
    grown = data.rows * max(1.0, after.rows / (before.rows or data.rows))
    return min(after.rows, grown, data.rows + left_out(data))


def affordable(move: Move, parent: Experiment, survey: Survey, remaining: Remaining) -> bool:
    """Whether the time that is left, nearly all of it, is enough for this move."""
    most = remaining.most_tokens
    return most is None or tokens_of(move, parent, survey) <= most * MARGIN
