"""The diagnostician's decision: the cause whose cure promises most, with the evidence as findings."""

import pytest
import situations as s
import views as v

from memory.records import Diagnosis, Experiment
from roles.practitioner.diagnoses import diagnosis
from roles.practitioner.moves import DATA_MOVES, move_in
from tasks.failure import Failure, FailureKind

FORM = v.evidence("parse_failures", 40, 100)
NOISE = v.evidence("label_noise", 8, 100)
FALLING = v.evidence("loss_shape", first=2.0, last=0.5, lowest=0.5, tail_change=-0.3)


def diagnosed(experiment: Experiment) -> Diagnosis:
    return diagnosis(s.diagnostician(experiment, survey=v.survey()))


def failed(kind: FailureKind, stage: str = "train") -> Experiment:
    failure = Failure(stage=stage, kind=kind, message="so it was")
    return v.trained(failure=kind, evidence=(NOISE,)).model_copy(update={"failure": failure})


@pytest.mark.parametrize(
    ("experiment", "cause", "proposal"),
    [
        (v.trained(evidence=(NOISE, FORM)), "wrong form", "fewer rows in other forms"),
        (v.trained(evidence=(NOISE,)), "label noise", "clean labels"),
        (v.trained(evidence=(FALLING,)), "underfitting", "more epochs"),
        (v.trained(evidence=(FALLING, NOISE), score=0.35), "label noise", "clean labels"),
        (v.trained(), "unexplored", "higher learning rate"),
        (failed(FailureKind.OOM), "out of memory", "smaller batches"),
        (failed(FailureKind.DIVERGED), "divergence", "lower learning rate"),
        (failed(FailureKind.DATA, "prepare_data"), "data refused", "task format only"),
        (failed(FailureKind.TIMEOUT), "out of time", "half the rows"),
    ],
)
def test_the_cause_whose_cure_promises_most_is_named(experiment: Experiment, cause: str, proposal: str) -> None:
    found = diagnosed(experiment)
    assert (found.suspected_cause, found.next_intervention) == (cause, proposal)
    assert found.next_factor == ("data" if proposal in DATA_MOVES else "training")


@pytest.mark.parametrize("kind", [FailureKind.ENVIRONMENT, FailureKind.PROVIDER, FailureKind.SANDBOX])
def test_what_lies_outside_the_configuration_is_not_blamed_on_it(kind: FailureKind) -> None:
    experiment = failed(kind).model_copy(update={"evidence": ()})
    found = diagnosed(experiment)
    assert found.suspected_cause == "nothing in the data or the configuration"
    assert move_in(found.next_intervention) is None


def test_the_untouched_model_is_not_diagnosed_with_a_training_fault() -> None:
    assert move_in(diagnosed(s.untouched()).next_intervention) is None


def test_findings_are_the_evidence_with_its_counts_and_the_failure_comes_first() -> None:
    assert [(one.claim, one.count, one.of) for one in diagnosed(v.trained(evidence=(FORM, NOISE))).findings] == [
        (FORM.claim, 40, 100),
        (NOISE.claim, 8, 100),
    ]
    assert [one.claim for one in diagnosed(failed(FailureKind.OOM)).findings] == ["train failed: OOM", NOISE.claim]


def test_weak_groups_are_those_surely_below_the_score_lowest_first_and_at_most_three() -> None:
    lines = [("a", 0.3, 0.45), ("b", 0.1, 0.3), ("c", 0.2, 0.49), ("d", 0.25, 0.4), ("e", 0.05, 0.6)]
    table = tuple(s.group(name, score, high) for name, score, high in lines)
    assert diagnosed(v.trained(groups=table)).weak_groups == ("b", "c", "d")
