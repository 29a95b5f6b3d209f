"""The planner's decision: a first draft, then the single change that promises most, with the whole run in view."""

from collections.abc import Sequence

from memory.records import Experiment, Plan
from roles.briefing import PlannerBriefing
from roles.practitioner.drafts import bounded, memories, outlook, plan_of_draft, was_declined
from roles.practitioner.moves import DataMove
from roles.practitioner.options import Option, rank
from roles.practitioner.rules.view import View, sign_of
from tasks.failure import FailureKind, StageError

PROBABLY = 0.2
"""An undecided experiment is built upon when chance alone would look as good less often than this."""


def plan(briefing: PlannerBriefing) -> Plan:
    """The next experiment; what a person sent back is not proposed again.

    Raises:
        StageError: nothing that the rules know is left to try in the time there is; the run then ends.
    """
    tried = [trial for trial in briefing.trials if trial.number > 0]
    starts = parents(briefing)
    if not starts:
        return plan_of_draft(briefing, tried)
    found: list[tuple[Experiment, list[Option]]] = []
    for parent in starts:
        view = View(briefing.survey, parent, briefing.trials, briefing.remaining)
        ranked = rank(view, briefing.recalled)
        options = [one for one in ranked if not was_declined(_intervention(briefing, parent, [one]), briefing)]
        if options and options[0].expected.effect > 0:
            return _intervention(briefing, parent, options)
        if options:
            found.append((parent, options))
    if not found:
        message = "all that the rules know has been tried, or takes longer than there is time"
        message += ", or was sent back" if briefing.declined else ""
        raise StageError("plan", FailureKind.BUDGET, message)
    return _intervention(briefing, *found[0])


def parents(briefing: PlannerBriefing) -> list[Experiment]:
    """The trained and scored experiments, the one to build on first.

    First what is probably better than the incumbent, though undecided: small gains add up, and together they are
    found sooner. Then the incumbent, then the others by their selection score.
    """
    sign = sign_of(briefing.survey.task.metric)

    def order(trial: Experiment) -> tuple[float, bool, float, int]:
        verdict, selection = trial.verdict, trial.selection
        probable = verdict and verdict.outcome == "undecided" and verdict.incumbent == briefing.incumbent
        chance = verdict.p_better if verdict and probable and verdict.p_better < PROBABLY else 1.0
        score = sign * selection.score if selection else 0.0
        return chance, trial.number != briefing.incumbent, -score, trial.number

    return sorted((trial for trial in briefing.trials if trial.training and trial.selection), key=order)


def _intervention(briefing: PlannerBriefing, parent: Experiment, options: Sequence[Option]) -> Plan:
    """One change of one factor."""
    option, *others = options
    of_data, name = isinstance(option.move, DataMove), option.move.name
    started = f"{name[0].upper()}{name[1:]} improves on experiment {parent.number}"
    return Plan(
        hypothesis=f"{started}; suspected: {option.suspicion.cause}.",
        parent=parent.number,
        factor="data" if of_data else "training",
        data_strategy=name if of_data else "keep",
        training_strategy="keep" if of_data else name,
        predicted_effect=bounded(option.expected.effect),
        reason=option.reason(briefing.survey.task.metric),
        memory_ids=memories(option, briefing),
        outlook=outlook(others, briefing),
        budget_share=max(option.share, option.fair),
    )
