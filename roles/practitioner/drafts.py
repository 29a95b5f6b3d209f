"""Plans that start from the untouched model: a first draft, or what worked best in another run with a change on top."""

from collections.abc import Sequence

from memory.records import Experiment, Plan
from roles.briefing import PlannerBriefing, Recollection
from roles.practitioner.costs import tokens_of
from roles.practitioner.design import draft, recipe_of
from roles.practitioner.expectations import Expectation, all_known, cautious_gain, corrected, effect_of
from roles.practitioner.formats import format_steps
from roles.practitioner.moves import DataMove, Move
from roles.practitioner.options import Option, rank
from roles.practitioner.rules import OF_FAILURES, suspicions
from roles.practitioner.rules.view import FIRST_EFFECT, View, sign_of
from roles.practitioner.spending import MOST_AT_ONCE, at_once, draft_share, fair_share, share_of
from tasks.failure import FailureKind, StageError

DRAFT = "first draft"
AS = "as "
"""A strategy that begins so takes over an experiment of the memory: `as RUN/003, clean labels`."""


def plan_of_draft(briefing: PlannerBriefing, tried: Sequence[Experiment]) -> Plan:
    """The plan while nothing is trained: out of the memory if it knows what works here, else a first draft.

    Raises:
        StageError: CONFIG, when no source can be read or no remedy is left against failing drafts; BUDGET, when a
            person sent back all there is to propose.
    """
    known = None if tried else best_remembered(briefing)
    if known and not was_declined(found := _from_memory(briefing, known), briefing):
        return found
    found = _first_draft(briefing, tried)
    if was_declined(found, briefing):
        raise StageError("plan", FailureKind.BUDGET, "the rules know no other first draft, and it was sent back")
    return found


def was_declined(plan: Plan, briefing: PlannerBriefing) -> bool:
    """Whether a person sent back a plan of this run that makes the same change."""
    return any(_change(plan) == _change(review.proposed) for review in briefing.declined)


def _change(plan: Plan) -> tuple[int, str, str, str]:
    return plan.parent, plan.factor, plan.data_strategy, plan.training_strategy


def best_remembered(briefing: PlannerBriefing) -> Recollection | None:
    """The remembered experiment on this task and model with the best cautious gain over its untouched model, if any."""
    card, sign = briefing.survey.task, sign_of(briefing.survey.task.metric)
    known = [
        one
        for one in briefing.recalled
        if (one.experiment.task, one.experiment.model) == (card.name, briefing.survey.model)
        and one.experiment.training
        and cautious_gain(one, sign) > 0
    ]
    return max(known, key=lambda one: (cautious_gain(one, sign), one.id), default=None)


def _from_memory(briefing: PlannerBriefing, known: Recollection) -> Plan:
    """Start where an earlier run ended: its best experiment, and the next change on top of it."""
    metric = briefing.survey.task.metric
    remembered, sign = known.experiment, sign_of(metric)
    view = View(briefing.survey, remembered, briefing.trials, at_once(briefing.remaining))
    options = rank(view, briefing.recalled)
    first = options[0] if options else None
    selection = remembered.selection
    gained = sign * (selection.score - known.baseline) if selection and known.baseline is not None else FIRST_EFFECT
    tokens = tokens_of(first.move if first else None, remembered, briefing.survey)
    fair = fair_share(briefing.remaining)
    share = max(fair, min(MOST_AT_ONCE, share_of(tokens, briefing.remaining)))
    taken_over = f"{AS}{known.id}"
    return Plan(
        hypothesis=(
            f"What worked best on this task and model ({known.id}) works again"
            f"{f', and {first.move.name} adds to it' if first else ''}."
        ),
        parent=0,
        factor="both",
        data_strategy=_on_top(taken_over, first.move if first and isinstance(first.move, DataMove) else None),
        training_strategy=_on_top(taken_over, first.move if first and not isinstance(first.move, DataMove) else None),
        predicted_effect=bounded(gained + (first.expected.effect if first else 0.0)),
        reason=f"Memory: {known.summary}. {first.reason(metric) if first else 'Nothing that is known adds to it.'}",
        memory_ids=tuple(dict.fromkeys([known.id, *(memories(first, briefing) if first else ())])),
        outlook=outlook(options[1:], briefing),
        budget_share=share,
    )


def _on_top(strategy: str, move: Move | None) -> str:
    return f"{strategy}, {move.name}" if move else strategy


def _first_draft(briefing: PlannerBriefing, tried: Sequence[Experiment]) -> Plan:
    """All sources that can be read, sized to a part of the time; after a failed draft, a changed one."""
    if not format_steps(briefing.survey):
        fields = "; ".join(f"{source.name}: {', '.join(source.fields)}" for source in briefing.survey.corpus.sources)
        message = f"no source has fields that read as question and answer, or as a term ({fields})"
        raise StageError("plan", FailureKind.CONFIG, message)
    drafts = [trial for trial in tried if trial.plan and trial.plan.data_strategy.startswith(DRAFT)]
    data, training, reason = _remedied(briefing, drafts) if drafts else (DRAFT, DRAFT, "Nothing is trained yet.")
    expected = _draft_expectation(briefing)
    basis = expected.basis(briefing.survey.task.metric)
    return Plan(
        hypothesis=f"The raw sources teach what {briefing.survey.task.name} asks.",
        parent=0,
        factor="both",
        data_strategy=data,
        training_strategy=training,
        predicted_effect=bounded(expected.effect),
        reason=f"{reason} Sized to a part of the time, so that the rest can improve on it. {basis}",
        memory_ids=tuple(id_ for id_ in expected.seen if id_ not in {trial.id for trial in briefing.trials}),
        outlook=("what the evidence of the first draft asks for", "a longer training of the best"),
        budget_share=draft_share(briefing.remaining),
    )


def _remedied(briefing: PlannerBriefing, drafts: Sequence[Experiment]) -> tuple[str, str, str]:
    """Data strategy, training strategy and reason of the draft after failed ones."""
    failed = drafts[-1]
    plans = [*(one.plan for one in drafts if one.plan), *(review.proposed for review in briefing.declined)]
    asked = {(plan.data_strategy, plan.training_strategy) for plan in plans}
    data, training = (failed.plan.data_strategy, failed.plan.training_strategy) if failed.plan else (DRAFT, DRAFT)
    view = View(briefing.survey, failed, briefing.trials, briefing.remaining)
    found = suspicions(view, OF_FAILURES)
    if not found:
        kind = failed.failure.kind if failed.failure else "no result"
        return data, training, f"Experiment {failed.number} failed for a reason outside its configuration ({kind})."
    for suspicion in found:
        for move, _ in suspicion.moves:
            of_data = isinstance(move, DataMove)
            pair = (_on_top(DRAFT, move), training) if of_data else (data, _on_top(DRAFT, move))
            if pair not in asked and (not of_data or _changes_draft(move, briefing)):
                return *pair, f"Rule {suspicion.cause}: {suspicion.reason}"
    raise StageError("plan", FailureKind.CONFIG, f"every draft failed; no remedy is left against {found[0].cause}")


def _changes_draft(move: DataMove, briefing: PlannerBriefing) -> bool:
    survey, design = briefing.survey, draft(briefing.survey)
    return recipe_of(move.change(design, survey, None), survey, "") != recipe_of(design, survey, "")


def _draft_expectation(briefing: PlannerBriefing) -> Expectation:
    """The usual effect, or that of guessing in the right form, averaged with what first drafts brought elsewhere."""
    card, untouched = briefing.survey.task, briefing.trials[0].selection
    guessing = card.chance - untouched.score if card.chance and untouched and sign_of(card.metric) > 0 else 0.0
    drafts = [one for one in all_known((), briefing.recalled) if one.plan and one.plan.parent == 0]
    seen = [(one, effect) for one in drafts if (effect := effect_of(one)) is not None]
    return corrected(max(FIRST_EFFECT, guessing), seen, card.name, briefing.survey.model)


def memories(option: Option, briefing: PlannerBriefing) -> tuple[str, ...]:
    """Ids of the remembered experiments that an option's expectation rests on."""
    own = {trial.id for trial in briefing.trials}
    return tuple(id_ for id_ in option.expected.seen if id_ not in own)


def outlook(options: Sequence[Option], briefing: PlannerBriefing) -> tuple[str, ...]:
    """What the experiments after the next one would try, as far as it is known now."""
    left = max(0, briefing.remaining.experiments - 1)
    return tuple(f"{option.move.name} ({option.suspicion.cause})" for option in options[:left])


def bounded(effect: float) -> float:
    """An effect as a plan may predict it."""
    return round(max(-1.0, min(1.0, effect)), 3)
