"""Rules about what the model answers: whether it can be read, where it is cut, where it is wrong."""

from roles.practitioner.moves import prefer, short
from roles.practitioner.rules.view import FIRST_EFFECT, Suspicion, View, sign_of, suspect, weak_groups

UNPARSED = 0.1
"""Share of unreadable answers above which the form is at fault."""
CUT = 0.05
"""Share of answers cut at the token limit that calls for shorter ones."""
LONG_ANSWER = 1.5
"""A training answer is long when it has this many times the characters of the benchmark's longest."""


def wrong_form(view: View) -> Suspicion | None:
    """Answers cannot be read; if all could, they would be right as often as those that can."""
    found, feedback = view.evidence("parse_failures"), view.parent.feedback
    if found is None or feedback is None or found.share <= UNPARSED:
        return None
    right = feedback.score if sign_of(view.survey.task.metric) > 0 else 1 - feedback.score
    of_the_read = max(right / max(1 - found.share, 0.1), view.survey.task.chance or FIRST_EFFECT)
    gain = found.share * min(1.0, of_the_read)
    moves = (("fewer rows in other forms", gain), ("task format only", gain), ("more epochs", gain / 2))
    return suspect("wrong form", found.claim, *moves)


def cut_answers(view: View) -> Suspicion | None:
    """Answers run into the token limit, and long ones are taught; prompts that leave no room are another matter."""
    found = view.evidence("truncation")
    if found is None or not found.of:
        return None
    share = (found.count - found.figures.get("prompts_too_long", 0.0)) / found.of
    bound = longest_answer(view)
    return suspect("truncation", found.claim, (short("answer", bound), share / 2)) if share > CUT and bound else None


def longest_answer(view: View) -> int:
    """Characters that a training answer may have, by the benchmark's longest; 0 where no training answer has more."""
    found = view.evidence("truncation")
    figures = found.figures if found else {}
    bound = int(LONG_ANSWER * figures.get("longest_answer_characters", 0.0))
    return bound if figures.get("longest_row_characters", 0.0) > bound else 0


def weak_categories(view: View) -> Suspicion | None:
    """Some categories score surely worse than the whole."""
    found, feedback = view.evidence("categories"), view.parent.feedback
    weak = weak_groups(feedback, view.survey.task.metric)
    if found is None or feedback is None or not weak:
        return None
    lost = sum(group.n * abs(feedback.score - group.score) for group in weak) / feedback.n
    return suspect("weak categories", found.claim, (prefer(tuple(group.group for group in weak)), lost / 3))
