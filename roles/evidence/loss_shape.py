"""How the training loss ran: where it began and ended, and whether it was still falling."""

import math
from collections.abc import Sequence
from statistics import fmean, variance

from memory.records import Evidence
from roles.evidence.case import Case

FEWEST = 12
"""Steps below which there is no shape to speak of; the halves of the last third then have two steps each."""


def find(case: Case) -> Evidence | None:
    """Beginning, end, lowest point and tail of the losses; None below `FEWEST` steps."""
    losses = case.losses
    if len(losses) < FEWEST:
        return None
    tenth, fifth = len(losses) // 10, len(losses) // 5
    first, last = fmean(losses[:tenth]), fmean(losses[-tenth:])
    lowest = min(fmean(losses[start : start + fifth]) for start in range(len(losses) - fifth + 1))
    change, error = _tail(losses[-(len(losses) // 3) :])
    claim = (
        f"Over {len(losses)} optimiser steps the training loss went from {first:.3f} (mean of the first tenth) to "
        f"{last:.3f} (mean of the last tenth); its lowest mean over any fifth of the steps was {lowest:.3f}; within "
        f"the last third of the steps it {'rose' if change > 0 else 'fell'} by {100 * abs(change):.0f} % "
        f"(standard error {100 * error:.0f} %)."
    )
    figures = {"first": first, "last": last, "lowest": lowest, "tail_change": change, "tail_error": error}
    return Evidence(
        name="loss_shape",
        claim=claim,
        count=len(losses),
        of=len(losses),
        figures={name: round(value, 4) for name, value in figures.items()},
    )


def _tail(losses: Sequence[float]) -> tuple[float, float]:
    """Relative change from the mean of the first half to that of the second, and its standard error."""
    half = len(losses) // 2
    early, late = losses[:half], losses[-half:]
    level = fmean(early)
    if level == 0:
        return 0.0, 0.0
    return (fmean(late) - level) / level, math.sqrt((variance(early) + variance(late)) / half) / level
