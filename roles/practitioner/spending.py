"""How the time that is left is shared among the experiments that are left.

What a share of the time buys is known at two points, an even share and all of it, and is linear between and beyond
them: time goes into training, but for a fixed part that an experiment needs besides (evaluation, data, start).
"""

from roles.briefing import Remaining

DRAFT_PART = 0.8
"""Of its fair share, what a first draft takes: what comes after it is often longer, seldom shorter."""
LEAST_TRAINING = 1.0
"""Training should take at least so many times what an experiment needs besides; else fewer experiments are better."""
MOST_AT_ONCE = 0.7
"""Share that an experiment out of the memory takes at most while others are left: what works is known, so most of the
time goes into it."""


def fair_share(remaining: Remaining) -> float:
    """The part of the time left for one experiment: an even one, or more where training would be too short to matter.

    1 where there is time for one experiment only.
    """
    even, most, part = remaining.training_tokens, remaining.most_tokens, _even_part(remaining)
    if even is None or most is None:
        return part
    if not 0 < even < most:
        return 1.0
    besides = part - even * (1 - part) / (most - even)
    return min(1.0, max(part, (1 + LEAST_TRAINING) * besides))


def draft_share(remaining: Remaining) -> float:
    """The part of the time left for a first draft; all of it when it is the only experiment."""
    fair = fair_share(remaining)
    return fair if fair == 1 else DRAFT_PART * fair


def share_of(tokens: float, remaining: Remaining) -> float:
    """The part of the time left that an experiment takes whose training sees so many tokens; at most 1."""
    even, most, part = remaining.training_tokens, remaining.most_tokens, _even_part(remaining)
    if even is None or most is None:
        return part
    if not 0 < even < most:
        return 1.0
    return min(1.0, max(0.0, part + (tokens - even) / (most - even) * (1 - part)))


def at_once(remaining: Remaining) -> Remaining:
    """What is left as the first experiment out of the memory sees it: its even share is the most it may take."""
    even, most, part = remaining.training_tokens, remaining.most_tokens, _even_part(remaining)
    if even is None or most is None or part >= MOST_AT_ONCE:
        return remaining
    share = (MOST_AT_ONCE - part) / (1 - part)
    return remaining.model_copy(update={"training_tokens": int(even + share * (most - even))})


def _even_part(remaining: Remaining) -> float:
    return 1 / max(1, remaining.experiments)
