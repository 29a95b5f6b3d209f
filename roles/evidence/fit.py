"""How well the model fits rows that it meets for the first time, and rows that it has met before.

In the first pass each row is new, so the loss there is an honest estimate of the loss on new rows; the gap to the loss
on repeated rows is what was learned by heart. Rows that say the same in other words count as new.
"""

import math
from statistics import fmean

from memory.records import Evidence
from roles.evidence.case import Case


def find(case: Case) -> Evidence | None:
    """Loss on new rows and on repeated ones; None without losses."""
    data, config, losses = case.experiment.data, case.experiment.config, case.losses
    if data is None or config is None or not losses:
        return None
    steps = math.ceil(data.rows / config.batch_size)  # of one pass
    first, later = losses[:steps], losses[steps:]
    fresh = fmean(first[len(first) // 2 :])
    figures = {"fresh": round(fresh, 4)}
    claim = f"Rows seen for the first time had a mean loss of {fresh:.3f} in the second half of the first pass; "
    if later:
        repeated = fmean(later[-max(1, steps // 4) :])
        figures |= {"repeated": round(repeated, 4), "gap": round(fresh - repeated, 4)}
        claim += (
            f"at the end of training, rows seen before had {repeated:.3f}: a gap of {fresh - repeated:.3f}, which "
            "grows as rows are learned by heart."
        )
    else:
        claim += "no row was seen twice."
    return Evidence(name="fit", claim=claim, count=len(later), of=len(losses), figures=figures)
