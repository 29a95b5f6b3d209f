"""The planner: a draft, then one change at a time by evidence, trials and memory, with the whole run in view."""

from typing import Any

import pytest
import situations as s
import views as v

from eval.verdict import Verdict
from memory.records import Experiment, Plan, TrainingConfig
from roles.briefing import PlannerBriefing, Recollection
from roles.practitioner.configurations import configuration
from roles.practitioner.costs import MARGIN
from roles.practitioner.design import recipe_of
from roles.practitioner.moves import DATA_MOVES, MOVES, move_of
from roles.practitioner.planning import parents, plan
from roles.practitioner.recipes import recipe
from roles.practitioner.spending import DRAFT_PART, MOST_AT_ONCE
from tasks.failure import Failure, FailureKind, StageError
from tasks.record import digest
from tasks.task import Metric

NOISE = v.evidence("label_noise", 8, 100)
FORM = v.evidence("parse_failures", 40, 100)


def briefing(*trials: Experiment, **rest: Any) -> PlannerBriefing:
    return s.planner(*trials, **{"survey": v.survey()} | rest)


def planned(*trials: Experiment, **rest: Any) -> Plan:
    return plan(briefing(*trials, **rest))


def move(decided: Plan) -> str:
    """The strategy that changes something."""
    return decided.training_strategy if decided.data_strategy == "keep" else decided.data_strategy


def child(number: int, decided: Plan | str, **changes: Any) -> Experiment:
    """What came of a plan, or of a move, from experiment 1: as good as its parent unless told."""
    if isinstance(decided, str):
        decided = s.plan(parent=1, **{"data" if decided in DATA_MOVES else "training": decided})
    verdict = changes.pop("verdict", undecided(1, 0.5))
    return v.trained(number, decided, **changes).model_copy(update={"verdict": verdict})


def undecided(incumbent: int, p_better: float, outcome: Any = "undecided") -> Verdict:
    return Verdict(
        outcome=outcome, incumbent=incumbent, effect=0.02, low=-0.05, high=0.1, p_better=p_better,
        p_worse=1 - p_better, alpha=0.03, n=28, fixed=3, broken=2, mcnemar_p=1.0, rule="paired bootstrap",
    )  # fmt: skip


# ----- first drafts


def test_the_first_draft_uses_all_sources_and_changes_both() -> None:
    decided = planned()
    assert (decided.factor, decided.parent) == ("both", 0)
    assert decided.data_strategy == decided.training_strategy == "first draft"
    assert decided.memory_ids == ()
    assert len(decided.outlook) == 2


@pytest.mark.parametrize(("experiments", "share"), [(1, 1.0), (2, DRAFT_PART / 2), (3, DRAFT_PART / 3), (20, 0.04)])
def test_the_first_draft_leaves_time_for_the_others_and_the_only_one_takes_it_all(
    experiments: int, share: float
) -> None:
    remaining = s.remaining(10_000, experiments=experiments)
    assert planned(remaining=remaining).budget_share == pytest.approx(share)


@pytest.mark.parametrize(
    ("tokens", "most", "share"),
    [(10_000, 30_000, DRAFT_PART / 3), (5_000, 25_000, DRAFT_PART / 3), (4_000, 24_000, DRAFT_PART * 0.4),
     (1_000, 21_000, DRAFT_PART * 0.6), (0, 20_000, 1.0)],
)  # fmt: skip
def test_fewer_experiments_are_better_than_trainings_too_short_to_matter(tokens: int, most: int, share: float) -> None:
    """A third of the time buys so many tokens, all of it 20,000 more: the smaller, the more goes into evaluation."""
    decided = planned(remaining=s.remaining(tokens, most=most))
    assert decided.budget_share == pytest.approx(share)


@pytest.mark.parametrize(("options", "score", "effect"), [(4, 0.05, 0.2), (4, 0.3, 0.1), (None, 0.0, 0.1)])
def test_a_first_draft_should_at_least_teach_to_guess_in_the_right_form(
    options: int | None, score: float, effect: float
) -> None:
    untouched = s.untouched().model_copy(update={"selection": s.result(score)})
    world = v.survey(task={"options": options})
    assert planned(survey=world, trials=(untouched,)).predicted_effect == pytest.approx(effect)


def failed(number: int, decided: Plan, kind: FailureKind, stage: str = "train") -> Experiment:
    one = v.trained(number, decided, failure=kind, data=v.data(tokens_max=300))
    return one.model_copy(update={"failure": Failure(stage=stage, kind=kind, message="so it was")})


@pytest.mark.parametrize(
    ("kind", "stage", "strategies"),
    [
        (
            FailureKind.OOM,
            "train",
            [
                ("first draft", "first draft, smaller batches"),
                ("first draft, prompts of at most 400 characters", "first draft, smaller batches"),
            ],
        ),
        (
            FailureKind.DIVERGED,
            "train",
            [("first draft", "first draft, lower learning rate"), ("first draft", "first draft, fewer epochs")],
        ),
        (FailureKind.DATA, "prepare_data", [("first draft, task format only", "first draft")]),
        (FailureKind.FORMAT, "prepare_data", [("first draft, task format only", "first draft")]),
        (
            FailureKind.TIMEOUT,
            "train",
            [
                ("first draft, half the rows", "first draft"),
                ("first draft, half the rows", "first draft, fewer epochs"),
            ],
        ),
        (
            FailureKind.FORMAT,
            "evaluate",
            [("first draft", "first draft, higher learning rate"), ("first draft", "first draft, more epochs")],
        ),
    ],
)
def test_a_failed_draft_is_followed_by_others_that_meet_the_failure_until_no_remedy_is_left(
    kind: FailureKind, stage: str, strategies: list[tuple[str, str]]
) -> None:
    trials = [failed(1, planned(), kind, stage)]
    for number, expected in enumerate(strategies, start=2):
        decided = planned(*trials)
        assert (decided.factor, decided.parent) == ("both", 0)
        assert (decided.data_strategy, decided.training_strategy) == expected
        assert all(part in decided.reason for part in (kind, "so it was", f"Experiment {number - 1}"))
        trials.append(failed(number, decided, kind, stage))
    with pytest.raises(StageError, match="no remedy is left"):
        planned(*trials)


def test_a_draft_that_failed_through_no_fault_of_its_own_is_tried_again() -> None:
    first = failed(1, planned(), FailureKind.ENVIRONMENT)
    second = planned(first)
    assert second.data_strategy == second.training_strategy == "first draft"
    assert "ENVIRONMENT" in second.reason


def test_remedies_for_different_failures_are_kept_together() -> None:
    first = failed(1, planned(), FailureKind.DATA, "prepare_data")
    second = failed(2, planned(first), FailureKind.DIVERGED)
    decided = planned(first, second)
    assert decided.data_strategy == "first draft, task format only"
    assert decided.training_strategy == "first draft, lower learning rate"


def test_sources_that_cannot_be_read_end_the_run_with_their_fields() -> None:
    with pytest.raises(StageError, match="ledger: x1, x2"):
        planned(survey=s.survey(s.OPAQUE))


# ----- interventions


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ((NOISE,), "clean labels"),
        ((FORM, NOISE), "fewer rows in other forms"),
        ((v.evidence("duplicates", 30, 100), v.evidence("label_noise", 4, 100)), "without near duplicates"),
        ((v.evidence("imbalance", ratio=4.0, missing=0.0),), "balance the categories"),
        ((), "higher learning rate"),
    ],
)
def test_what_promises_most_is_done_and_changes_one_factor(found: tuple[Any, ...], expected: str) -> None:
    decided = planned(v.trained(evidence=found), incumbent=1)
    assert (move(decided), decided.parent) == (expected, 1)
    assert decided.factor == ("data" if expected in DATA_MOVES else "training")
    assert [decided.data_strategy, decided.training_strategy].count("keep") == 1


def test_the_reason_names_the_rule_and_its_numbers_and_what_is_expected() -> None:
    decided = planned(v.trained(evidence=(NOISE,)), incumbent=1)
    assert decided.reason == "Rule label noise: label_noise found 8 of 100. Expected: +4.0 points."
    assert decided.predicted_effect == 0.04


def test_the_prediction_is_moved_by_what_the_same_move_brought_in_this_run() -> None:
    """Cleaning cost 0.1 from experiment 2; from experiment 1 it is expected to cost too, so something else is tried."""
    first = v.trained(evidence=(NOISE,))
    second = child(2, "larger adapter", evidence=(NOISE,), score=0.4)
    third = v.trained(3, s.plan(parent=2, data="clean labels"), effect=-0.1, score=0.3)
    decided = planned(first, second, third, incumbent=1)
    assert (move(decided), decided.parent) == ("higher learning rate", 1)
    kinder = planned(first, second, third.model_copy(update={"effect": 0.1}), incumbent=1)
    assert move(kinder) == "clean labels"
    assert kinder.predicted_effect == pytest.approx((2 * 0.04 + 0.1) / 3, abs=1e-3)
    assert "r/003" in kinder.reason
    assert kinder.memory_ids == ()


def test_a_failed_child_is_answered_by_another_move_not_by_curing_its_parent() -> None:
    good = v.trained()
    burst = failed(2, s.plan(parent=1, training="higher learning rate"), FailureKind.DIVERGED)
    decided = planned(good, burst, incumbent=1)
    assert move(decided) == "more rows"
    assert "failed" not in decided.reason


def test_a_move_tried_from_this_parent_is_not_tried_again_though_it_left_no_configuration() -> None:
    """A training that failed is recorded without one."""
    good = v.trained(evidence=(NOISE,))
    burst = failed(2, s.plan(parent=1, data="clean labels"), FailureKind.OOM)
    assert burst.config is None
    assert move(planned(good, burst, incumbent=1)) != "clean labels"


def test_the_move_that_made_the_parent_is_not_undone() -> None:
    """Fewer epochs than an experiment with more epochs is what was there before; after another move they are not."""
    heart = (v.evidence("fit", fresh=1.0, repeated=0.2, gap=0.8), v.evidence("flips", 8, 20, fixed=2.0, broken=6.0))
    first = v.trained(data=v.data(sampled_out=0))
    for tried, expected in (("more epochs", "lower learning rate"), ("larger adapter", "fewer epochs")):
        config = TrainingConfig(epochs=4.0) if tried == "more epochs" else TrainingConfig(lora_rank=32, lora_alpha=64)
        second = child(2, tried, config=config, evidence=heart, effect=0.0, score=0.6, data=v.data(sampled_out=0))
        assert move(planned(first, second, incumbent=2)) == expected


def test_a_configuration_that_was_reached_another_way_is_not_made_again() -> None:
    """A larger adapter and a higher rate lead to the same place in either order."""
    first = v.trained()
    second = child(2, "larger adapter", config=TrainingConfig(lora_rank=32, lora_alpha=64), score=0.6)
    other = child(3, "higher learning rate", config=TrainingConfig(learning_rate=4e-4))
    both = TrainingConfig(learning_rate=4e-4, lora_rank=32, lora_alpha=64)
    crossed = v.trained(4, s.plan(parent=3, training="larger adapter"), config=both)
    assert move(planned(first, second, other, incumbent=2)) == "higher learning rate"
    assert move(planned(first, second, other, crossed, incumbent=2)) != "higher learning rate"


def test_only_moves_that_change_something_are_planned() -> None:
    """Half of the labels contradict, but the parent's are clean already."""
    clean = v.trained(evidence=(v.evidence("label_noise", 50),), recipe=v.recipe(v.design(clean_labels=True)))
    assert move(planned(clean, incumbent=1)) == "higher learning rate"


@pytest.mark.parametrize(
    ("incumbent", "direction", "expected"),
    [(2, "up", [2, 1, 3]), (0, "up", [1, 2, 3]), (0, "down", [3, 2, 1]), (4, "up", [1, 2, 3])],
)
def test_the_parent_is_the_incumbent_or_else_the_best_trained(
    incumbent: int, direction: Any, expected: list[int]
) -> None:
    trials = [v.trained(number, score=score) for number, score in ((1, 0.6), (2, 0.5), (3, 0.4))]
    trials.append(failed(4, s.plan(parent=1, training="more epochs"), FailureKind.OOM))
    world = v.survey(task={"metric": Metric(direction=direction)})
    found = parents(briefing(*trials, incumbent=incumbent, survey=world))
    assert [one.number for one in found] == expected


@pytest.mark.parametrize(
    ("verdict", "parent"),
    [
        (undecided(1, 0.1), 2),
        (undecided(1, 0.3), 1),
        (undecided(0, 0.1), 1),  # it was compared with another one
        (undecided(1, 0.1, "worse"), 1),
    ],
)
def test_what_is_probably_better_is_built_upon_though_undecided(verdict: Verdict, parent: int) -> None:
    assert planned(v.trained(), child(2, "larger adapter", verdict=verdict), incumbent=1).parent == parent


def test_when_nothing_promising_is_left_from_the_best_the_next_best_is_built_upon() -> None:
    """Long before that, every rule has been heard; no plan repeats."""
    trials = [v.trained()]
    for number in range(2, 40):
        decided = planned(*trials, incumbent=1)
        parent = next(one for one in trials if one.number == decided.parent)
        trials.append(_carried_out(number, decided, parent))
    asked = [(one.plan.parent, move(one.plan)) for one in trials[1:] if one.plan]
    assert len(set(asked)) == len(asked)
    recipes = [digest([one.recipe and one.recipe.steps, one.config and one.config.model_dump(exclude={"reason"})])
               for one in trials]  # fmt: skip
    assert len(set(recipes)) == len(recipes)
    assert {name for parent, name in asked if parent == 1} >= set(MOVES) & {
        "higher learning rate", "lower learning rate", "more epochs", "more rows", "larger adapter",
    }  # fmt: skip
    assert {parent for parent, _ in asked} > {1}


def _carried_out(number: int, decided: Plan, parent: Experiment) -> Experiment:
    """An experiment a little worse than all before it, made by the hands as the plan asks."""
    trials = (*(v.trained(n) for n in range(1, parent.number)), parent)
    made = recipe(s.data_engineer("", *trials, plan=decided, parent_recipe=parent.recipe, survey=v.survey()))
    config = configuration(s.trainer("", plan=decided, parent_config=parent.config, survey=v.survey()))
    return child(number, decided, recipe=made, config=config, score=0.5 - 0.001 * number, effect=0.0)


# ----- time


def left(tokens: int, experiments: int = 3, most: int | None = None) -> dict[str, Any]:
    return {"remaining": s.remaining(tokens, experiments=experiments, most=most), "incumbent": 1}


FALLING = v.evidence("loss_shape", first=2.0, last=0.6, lowest=0.6, tail_change=-0.3)


def test_a_long_training_waits_for_the_end_when_something_shorter_is_nearly_as_good() -> None:
    """Twice the parent's 20,000 tokens should be 0.04 better, cleaning 0.03: of two experiments left, clean first."""
    parent = v.trained(evidence=(FALLING, v.evidence("label_noise", 6, 100)), data=v.data(sampled_out=0))
    early = planned(parent, **left(22_000, 2, most=60_000))
    assert move(early) == "clean labels"
    assert early.outlook[0] == "more epochs (underfitting)"
    assert move(planned(parent, **left(48_000, 1))) == "more epochs"
    assert move(planned(parent, **left(48_000, 2))) == "more epochs"


def test_a_plan_takes_its_even_share_or_what_its_move_needs() -> None:
    """Half of the time buys 22,000 tokens, all of it 60,000: for 40,000 it takes 18/38 of the other half."""
    parent = v.trained(evidence=(FALLING,), data=v.data(sampled_out=0))
    decided = planned(parent, **left(22_000, 2, most=60_000))
    assert move(decided) == "more epochs"
    assert decided.budget_share == pytest.approx(0.5 + 0.5 * 18 / 38)
    short = planned(v.trained(evidence=(NOISE,)), **left(22_000, 2, most=60_000))
    assert short.budget_share == 0.5


@pytest.mark.parametrize(("most", "expected"), [(45_000, "more epochs"), (44_000, "1.5 times the epochs")])
def test_what_does_not_fit_into_the_time_left_is_not_planned(most: int, expected: str) -> None:
    """Twice 20,000 tokens, with a tenth of the time in reserve."""
    parent = v.trained(evidence=(FALLING,), data=v.data(sampled_out=0))
    assert 40_000 / MARGIN < 45_000
    assert move(planned(parent, **left(most, 1))) == expected


def test_when_not_even_the_parents_training_fits_the_run_ends() -> None:
    with pytest.raises(StageError, match="all that the rules know") as ended:
        planned(v.trained(), **left(1_000, 2))
    assert ended.value.failure.kind == FailureKind.BUDGET


def test_the_outlook_is_no_longer_than_the_run() -> None:
    parent = v.trained(evidence=(NOISE, FORM))
    for experiments in (1, 2, 4):
        assert len(planned(parent, **left(90_000, experiments)).outlook) == experiments - 1
    assert "clean labels (label noise)" in planned(parent, **left(90_000, 9)).outlook


# ----- memory

BEST = v.remembered(v.trained(3, evidence=(NOISE,), score=0.6))
TRIED = v.remembered(v.trained(4, s.plan(parent=3, data="clean labels"), recipe=v.recipe(v.design(clean_labels=True)),
                               score=0.4, effect=-0.2))  # fmt: skip


def recalling(*recalled: Recollection, **rest: Any) -> Plan:
    return planned(recalled=recalled, **rest)


def test_the_best_remembered_experiment_is_taken_over_with_the_next_move_on_top() -> None:
    worse = v.remembered(v.trained(2, score=0.5))
    decided = recalling(worse, BEST)
    assert (decided.parent, decided.factor) == (0, "both")
    assert decided.data_strategy == "as other/003, clean labels"
    assert decided.training_strategy == "as other/003"
    assert decided.memory_ids == ("other/003",)
    assert decided.predicted_effect == pytest.approx(0.3 + 0.04)
    assert "label_noise found 8 of 100" in decided.reason
    assert BEST.summary in decided.reason


def test_a_training_move_on_top_goes_to_the_trainer() -> None:
    decided = recalling(v.remembered(v.trained(3, score=0.6)))
    assert decided.data_strategy == "as other/003"
    assert decided.training_strategy == "as other/003, higher learning rate"


def test_what_was_tried_on_top_of_it_in_the_other_run_is_not_tried_again() -> None:
    decided = recalling(BEST, TRIED)
    assert decided.data_strategy == "as other/003"
    assert decided.training_strategy == "as other/003, higher learning rate"


@pytest.mark.parametrize(
    "known",
    [
        v.remembered(v.trained(3, score=0.35)),  # no more than chance over the untouched model's 0.3
        v.remembered(v.trained(3, score=0.2)),
        v.remembered(v.trained(3, score=0.6), baseline=None),
        v.remembered(v.trained(3, score=0.6), model="another"),
        v.remembered(v.trained(3, score=0.6), task="another"),
        v.remembered(failed(3, s.plan(), FailureKind.OOM)),
    ],
    ids=["by chance", "worse", "against what", "another model", "another task", "failed"],
)
def test_what_did_not_surely_beat_its_untouched_model_here_is_not_taken_over(known: Recollection) -> None:
    assert recalling(known).data_strategy == "first draft"


def test_where_less_is_better_the_lowest_remembered_score_is_taken_over() -> None:
    world = v.survey(task={"metric": Metric(direction="down")})
    high, low = v.remembered(v.trained(3, score=0.9)), v.remembered(v.trained(4, score=0.1))
    assert recalling(high, low, survey=world).data_strategy.startswith("as other/004")
    assert recalling(high, survey=world).data_strategy == "first draft"


@pytest.mark.parametrize(
    ("experiments", "even", "share"),
    [(1, 16_000, 1.0), (2, 12_000, MOST_AT_ONCE), (2, 16_000, 20 / 32), (3, 10_000, 20 / 30)],
)
def test_what_is_known_to_work_may_take_more_than_its_share_but_not_all(
    experiments: int, even: int, share: float
) -> None:
    """It took 20,000 tokens; a share of the time buys so many in proportion here."""
    remaining = s.remaining(even, experiments=experiments)
    decided = recalling(v.remembered(v.trained(3, evidence=(NOISE,), score=0.6)), remaining=remaining)
    assert decided.budget_share == pytest.approx(share)
    assert 0.5 < MOST_AT_ONCE < 1


def test_what_is_known_to_work_is_trained_longer_where_most_of_the_run_is_enough() -> None:
    """It took 20,000 tokens: an even share of this run is no more, but the most that it may take at once is."""
    remaining = s.remaining(20_000, experiments=3)
    decided = recalling(v.remembered(v.trained(3, score=0.6)), remaining=remaining)
    assert decided.data_strategy == "as other/003, 1.5 times the rows"
    own = planned(v.trained(1, score=0.6), remaining=remaining, incumbent=1)
    assert own.training_strategy == "higher learning rate"  # in the middle of a run others need their share


def test_a_remembered_experiment_too_long_for_this_run_is_taken_over_as_it_is() -> None:
    """It will be cut; a change on top could not be told from the cut."""
    decided = recalling(BEST, remaining=s.remaining(5_000))
    assert decided.data_strategy == decided.training_strategy == "as other/003"
    assert decided.budget_share == MOST_AT_ONCE


def test_after_a_failed_draft_out_of_the_memory_a_plain_one_follows() -> None:
    first = failed(1, recalling(BEST), FailureKind.OOM)
    decided = planned(first, recalled=(BEST,))
    assert decided.data_strategy == decided.training_strategy == "first draft"


def test_a_move_that_cost_elsewhere_is_passed_over_and_one_that_paid_is_preferred() -> None:
    here = v.trained(evidence=(NOISE, v.evidence("duplicates", 8, 100)))
    bad = v.remembered(v.trained(2, s.plan(parent=1, data="clean labels"), effect=-0.2), model="another")
    good = v.remembered(v.trained(3, s.plan(parent=1, data="without near duplicates"), effect=0.3), model="another")
    broken = v.remembered(
        failed(4, s.plan(parent=1, data="clean labels"), FailureKind.DATA), run="third", model="another"
    )
    assert move(planned(here, incumbent=1)) == "clean labels"
    passed = planned(here, incumbent=1, recalled=(bad,))
    assert move(passed) == "without near duplicates"
    preferred = planned(here, incumbent=1, recalled=(good,))
    assert move(preferred) == "without near duplicates"
    assert preferred.memory_ids == ("other/003",)
    assert preferred.predicted_effect > passed.predicted_effect
    assert planned(here, incumbent=1, recalled=(broken,)).predicted_effect < 0.04


def test_first_drafts_elsewhere_move_the_expectation_of_the_first_draft() -> None:
    good = v.remembered(v.trained(1, effect=0.5), model="another")
    decided = recalling(good)
    assert decided.predicted_effect == pytest.approx((2 * 0.1 + 0.5 * 0.5) / 2.5)
    assert decided.memory_ids == ("other/001",)


def test_without_a_memory_nothing_is_remembered() -> None:
    here = v.trained(evidence=(NOISE,))
    assert planned().memory_ids == planned(here, incumbent=1).memory_ids == ()
    assert "other" not in planned(here, incumbent=1).reason


def test_what_the_memory_holds_of_this_very_run_counts_once() -> None:
    """With `--memory run` the trials are recalled too."""
    here = v.trained(evidence=(NOISE,))
    second = child(2, "larger adapter", config=TrainingConfig(lora_rank=32, lora_alpha=64), score=0.4)
    third = v.trained(3, s.plan(parent=2, data="clean labels"), effect=0.1, score=0.4)
    twice = tuple(v.remembered(one, run="r") for one in (here, second, third))
    decided = planned(here, second, third, incumbent=1)
    assert decided.predicted_effect == pytest.approx((2 * 0.04 + 0.1) / 3, abs=1e-3)
    assert decided == planned(here, second, third, incumbent=1, recalled=twice)


def test_what_was_tried_with_another_model_or_on_another_task_is_tried_here_too() -> None:
    """The same recipe and configuration do something else there."""
    here = v.trained(evidence=(NOISE,))
    clean = v.trained(2, recipe=v.recipe(v.design(clean_labels=True)), effect=None)
    for change in ({"model": "another"}, {"task": "another"}):
        assert move(planned(here, incumbent=1, recalled=(v.remembered(clean, **change),))) == "clean labels"
    assert move(planned(here, incumbent=1, recalled=(v.remembered(clean),))) != "clean labels"


def test_rows_that_were_trained_so_before_are_not_trained_so_again_though_the_recipe_differs() -> None:
    """A filter that dropped no row, and a rate that was halved because of it."""
    rose = v.evidence("loss_shape", first=1.0, last=1.5, lowest=0.9, tail_change=0.2)
    here = v.trained(evidence=(rose,))
    assert move(planned(here, incumbent=1)) == "lower learning rate"
    twin = child(
        2, "answers of at most 900 characters", recipe=v.recipe(v.design(longest_answer=900)),
        config=TrainingConfig(learning_rate=1e-4), score=0.4, effect=0.0,
    )  # fmt: skip
    assert move(planned(here, twin, incumbent=1)) != "lower learning rate"


def test_two_rules_that_lead_to_the_same_make_one_option() -> None:
    """Without the only other source, or with the task's form only: the better founded one is told."""
    world = v.survey(sources=(v.BANK, v.GLOSSARY))
    bare = v.design(sources=("bank", "glossary"))
    found = (v.evidence("relevance", bank=0.9, glossary=0.1), v.evidence("format_match", 40, 100))
    parent = v.trained(recipe=recipe_of(bare, world, ""), evidence=found)
    asked = planned(parent, survey=world, remaining=s.remaining(90_000, experiments=9), incumbent=1)
    told = " ".join([move(asked), *asked.outlook])
    assert ("task format only" in told) != ('without "glossary"' in told)


# ----- other minds


def test_a_plan_in_other_words_from_another_mind_is_understood_as_far_as_it_goes() -> None:
    """Its parent can be built upon; its effect is nobody's evidence."""
    theirs = s.plan(parent=1, data="rewrite the glossary with more epochs of care")
    second = v.trained(2, theirs, effect=0.4, score=0.7)
    decided = planned(v.trained(), second, incumbent=2)
    assert decided.parent == 2
    assert move_of(second) == ""
    assert decided.predicted_effect < 0.1


def test_from_another_minds_script_only_what_keeps_it_is_planned() -> None:
    found = (NOISE, v.evidence("relevance", bank=0.9, glossary=0.1), v.evidence("imbalance", ratio=9.0, missing=0.0))
    theirs = v.trained(recipe=v.FOREIGN, evidence=found)
    asked = [move(planned(theirs, incumbent=1)), *planned(theirs, **left(90_000, 9)).outlook]
    named = " ".join(asked)
    assert "clean labels" in named
    assert all(name not in named for name in ("without", "balance", "more rows", "task format", "other rows"))


def test_a_trained_experiment_without_a_score_is_no_parent() -> None:
    """Its evaluation failed."""
    unscored = v.trained().model_copy(update={"selection": None, "feedback": None, "verdict": None})
    assert planned(unscored).parent == 0
