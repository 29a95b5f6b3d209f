"""The diagnostician's decision: the cause whose cure promises most, and the evidence as findings."""

from memory.records import Diagnosis, Finding
from roles.briefing import DiagnosticianBriefing
from roles.practitioner.moves import DataMove
from roles.practitioner.rules import OF_FAILURES, RULES, suspicions
from roles.practitioner.rules.view import Suspicion, View, weak_groups


def diagnosis(briefing: DiagnosticianBriefing) -> Diagnosis:
    """The cause whose cure promises most; of a failed experiment, the cause of its failure."""
    experiment = briefing.experiment.model_copy(update={"evidence": briefing.evidence})
    view = View(briefing.survey, experiment, briefing.trials, briefing.remaining)
    findings = [Finding(claim=one.claim, count=one.count, of=one.of) for one in briefing.evidence]
    if experiment.failure:
        claim = f"{experiment.failure.stage} failed: {experiment.failure.kind}"
        findings.insert(0, Finding(claim=claim, count=1, of=1))
    cause = max(suspicions(view, OF_FAILURES if experiment.failure else RULES), key=_promise, default=None)
    move = cause.moves[0][0] if cause else None
    return Diagnosis(
        findings=tuple(findings),
        suspected_cause=cause.cause if cause else "nothing in the data or the configuration",
        next_intervention=move.name if move else "the same again",
        next_factor="data" if isinstance(move, DataMove) else "training",
        weak_groups=tuple(group.group for group in weak_groups(experiment.feedback, briefing.survey.task.metric)),
    )


def _promise(suspicion: Suspicion) -> float:
    return suspicion.moves[0][1]
