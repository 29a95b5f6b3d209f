"""What the planner does when a person sends its plan back: the rules cannot read, but they do not repeat themselves."""

from typing import Any

import pytest
import situations as s
import views as v

from memory.records import Experiment, Plan, Review
from roles.practitioner.planning import plan
from tasks.failure import Failure, FailureKind, StageError

NOISY = v.trained(evidence=(v.evidence("label_noise", 8, 100), v.evidence("parse_failures", 40, 100)))


def declined(*plans: Plan, experiment: int = 2) -> tuple[Review, ...]:
    """These plans, sent back."""
    return tuple(Review(experiment=experiment, decision="back", proposed=one, comment="no") for one in plans)


def planned(*trials: Experiment, **rest: Any) -> Plan:
    """The next plan."""
    return plan(s.planner(*trials, **{"survey": v.survey()} | rest))


def change(one: Plan) -> tuple[int, str, str]:
    """What a plan changes, and of which experiment."""
    return one.parent, one.data_strategy, one.training_strategy


def strategy(one: Plan) -> str:
    """The strategy that changes something."""
    return one.training_strategy if one.data_strategy == "keep" else one.data_strategy


def all_plans(*trials: Experiment, **rest: Any) -> list[Plan]:
    """One plan after the other, each sent back, until there is none."""
    found: list[Plan] = []

    def more() -> None:
        while len(found) < 50:
            found.append(planned(*trials, declined=declined(*found), **rest))

    with pytest.raises(StageError) as end:
        more()
    assert end.value.failure.kind == FailureKind.BUDGET
    assert "sent back" in end.value.failure.message
    return found


def test_the_next_best_change_follows_and_none_comes_twice() -> None:
    """In the order of what they promise, until the rules know nothing else, and say so."""
    found = all_plans(NOISY, incumbent=1)
    assert change(found[0]) == change(planned(NOISY, incumbent=1))
    assert len(found) >= 4
    assert len(set(map(change, found))) == len(found)
    assert found[0].outlook[0].startswith(strategy(found[1]))


def test_what_was_sent_back_is_not_foreseen_either() -> None:
    """Nor proposed in a later round."""
    first = planned(NOISY, incumbent=1)
    wanted = planned(NOISY, incumbent=1, declined=declined(first))
    assert strategy(first) not in " ".join(wanted.outlook)
    later = v.trained(2, wanted, score=0.4).model_copy(update={"effect": -0.1})
    assert change(planned(NOISY, later, incumbent=1)) == change(first)
    assert change(planned(NOISY, later, incumbent=1, declined=declined(first))) != change(first)


def test_the_same_change_of_another_experiment_may_be_proposed() -> None:
    """A person spoke of one plan, not of the move."""
    first = planned(NOISY, incumbent=1)
    elsewhere = first.model_copy(update={"parent": 7})
    assert planned(NOISY, incumbent=1, declined=declined(elsewhere)) == first


def test_there_is_one_first_draft() -> None:
    """Sent back, nothing is left to propose before something has been trained."""
    assert [change(one) for one in all_plans()] == [(0, "first draft", "first draft")]


def test_instead_of_what_is_remembered_a_first_draft_is_proposed() -> None:
    """What worked elsewhere comes first, a plain draft when it is not wanted."""
    found = all_plans(recalled=(v.remembered(v.trained(3, score=0.6)),))
    assert [one.data_strategy for one in found] == ["as other/003", "first draft"]


def test_after_a_failed_draft_another_remedy_is_proposed() -> None:
    """The remedies in turn, as if the first had been tried."""
    failed = v.trained(1, planned(), failure=FailureKind.DIVERGED).model_copy(
        update={"failure": Failure(stage="train", kind=FailureKind.DIVERGED, message="so it was")}
    )
    first = planned(failed)
    second = planned(failed, declined=declined(first))
    assert first.training_strategy == "first draft, lower learning rate"
    assert second.training_strategy == "first draft, fewer epochs"
