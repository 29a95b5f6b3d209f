"""Stopping an evaluation that cannot end well.

A candidate is looked at after each sixth of the selection items. Where it has too little chance of being found better
at the end, even if its true effect were the one that the comparison is made to find, the rest is not generated
(stochastic curtailment: Lan, Simon and Halperin 1982; Jennison and Turnbull 2000, chapter 10).

Error rate: a candidate is accepted at the last look only, by the same test on all items. So the event "accepted" with
stopping is a part of the event "accepted" without: looking adds nothing to the error of the full test, whatever the
looks, the order of items or the dependence between them.

What stopping costs is power. At the effect that the full test finds with a chance of 80 %, at least 80 % of what is
stopped would have failed, and no more than 20 % fail; so at most a quarter is stopped, and at most 5 points of power
are lost. `benchmarks/verdict_null.py` measures what it is.
"""

import math
from collections.abc import Sequence
from statistics import NormalDist

from eval.power import POWER
from tasks.record import digest
from tasks.task import Sample

LOOKS = tuple(k / 6 for k in range(1, 7))
"""Shares of the items at which a candidate is judged; the last has all."""
HOPELESS = 0.2
"""Chance of acceptance below which an evaluation stops."""
FEWEST = 60
"""Items that a look must have."""


def looks(items: int) -> list[int]:
    """Numbers of items at which an evaluation of `items` may stop, the last of them all."""
    return [n for share in LOOKS[:-1] if (n := round(share * items)) >= FEWEST] + [items]


def in_order(samples: Sequence[Sample], key: str) -> list[Sample]:
    """The order in which items are answered, so that those answered so far stand for all.

    Groups advance together, and samples that share a cluster follow one another; else by a hash of `key` and the item.
    """
    place: dict[str, tuple[float, str]] = {}
    for group in sorted({sample.group for sample in samples}):
        units = {_unit(sample) for sample in samples if sample.group == group}
        for rank, (hashed, unit) in enumerate(sorted((digest([key, unit]), unit) for unit in units)):
            place.setdefault(unit, ((rank + 0.5) / len(units), hashed))
    return sorted(samples, key=lambda sample: (*place[_unit(sample)], sample.id))


def _unit(sample: Sample) -> str:
    return sample.cluster or f"item {sample.id}"


def chance(effect: float, error: float, share: float, alpha: float) -> float:
    """Conditional power: the chance that the last look accepts, seen from one before it.

    What is still to come is taken to have the effect that the whole comparison finds with a power of 80 %.

    Args:
        effect: found so far, positive when better.
        error: its standard error; 0 when nothing has changed yet.
        share: of the items that are answered, between 0 and 1.
        alpha: one-sided error rate of the last look.
    """
    normal = NormalDist()
    critical = normal.inv_cdf(1 - alpha)
    drift = critical + normal.inv_cdf(POWER)
    z = effect / error if error > 0 else math.copysign(math.inf, effect) if effect else 0.0
    return normal.cdf((z * math.sqrt(share) + drift * (1 - share) - critical) / math.sqrt(1 - share))
