"""The rules of the practitioner: each looks for one cause and names the moves against it with what they should bring.

A rule is a function from a `View` to a `Suspicion`, or None where it does not fire. Expected effects are changes of the
metric; where a figure of the evidence bounds them (a share of unreadable answers, of wrong labels), the rule uses it.
"""

from collections.abc import Sequence

from roles.practitioner.rules import answers, failures, rows, training
from roles.practitioner.rules.view import Rule, Suspicion, View

OF_FAILURES: Sequence[Rule] = (
    failures.out_of_memory,
    failures.out_of_time,
    failures.exploded,
    failures.data_refused,
    failures.unchanged_model,
)
RULES: Sequence[Rule] = (
    *OF_FAILURES,
    training.divergence,
    answers.wrong_form,
    answers.cut_answers,
    training.overfitting,
    training.underfitting,
    rows.label_noise,
    rows.duplicates,
    rows.imbalance,
    answers.weak_categories,
    rows.format_mismatch,
    rows.unread_sources,
    rows.off_topic,
    training.spare_time,
    training.diagnosed,
    training.exploration,
    rows.chance_rows,
)


def suspicions(view: View, rules: Sequence[Rule] = RULES) -> list[Suspicion]:
    """What rules say, in their order."""
    return [found for rule in rules if (found := rule(view))]
