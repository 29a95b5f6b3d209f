"""The built-in practitioner: every rule fires where it should, and does not where it should not."""

import json

import pytest
import situations as s

from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import Question
from roles.backbones.expert import (
    CAUSES,
    DATA_MOVES,
    TRAINING_MOVES,
    Expert,
    configuration,
    diagnosis,
    plan,
    recipe,
)
from roles.backbones.scripted import Scripted
from roles.data_steps import load_step
from tasks.failure import FailureKind
from tasks.task import Metric

SCHEMAS = {"planner": Plan, "data_engineer": DataRecipe, "trainer": TrainingConfig, "diagnostician": Diagnosis}


def move(decided: Plan) -> str:
    """The strategy that changes something."""
    return decided.training_strategy if decided.data_strategy == "keep" else decided.data_strategy


# ----- all roles


@pytest.mark.parametrize("role", SCHEMAS)
@pytest.mark.parametrize("mind", [Expert(), Scripted()], ids=lambda mind: mind.name)
@pytest.mark.parametrize("briefings", [s.full_briefings, s.minimal_briefings], ids=["full", "minimal"])
def test_built_in_minds_answer_every_role_deterministically(role, mind, briefings) -> None:
    first, usage = mind.decide(Question(role, briefings()[role], SCHEMAS[role]))
    again, _ = mind.decide(Question(role, briefings()[role], SCHEMAS[role]))
    assert isinstance(first, SCHEMAS[role])
    assert first == again
    assert (usage.mind, usage.input_tokens) == (mind.name, 0)


@pytest.mark.parametrize("role", SCHEMAS)
def test_the_expert_does_not_read_the_memory(role) -> None:
    """The value of the memory is measured against minds that read it; this one is the same with and without."""
    briefing = s.full_briefings()[role]
    assert briefing.recalled
    survey = briefing.survey.model_copy(update={"remembered": 99})
    without = briefing.model_copy(update={"recalled": (), "survey": survey})
    decisions = [Expert().decide(Question(role, each, SCHEMAS[role]))[0] for each in (briefing, without)]
    assert decisions[0] == decisions[1]


# ----- planner


def test_the_first_draft_uses_all_sources_and_changes_both() -> None:
    decided = plan(s.planner())
    assert (decided.factor, decided.parent, decided.data_strategy) == ("both", 0, "all sources")
    assert decided.training_strategy == "defaults"


@pytest.mark.parametrize(
    ("kind", "data", "training"),
    [
        (FailureKind.OOM, "all sources", "smaller batches"),
        (FailureKind.DIVERGED, "all sources", "lower learning rate"),
        (FailureKind.DATA, "task format only", "defaults"),
        (FailureKind.FORMAT, "task format only", "defaults"),
        (FailureKind.TIMEOUT, "task format only", "defaults"),
    ],
)
def test_a_failed_first_draft_is_followed_by_one_that_meets_the_failure(kind, data, training) -> None:
    decided = plan(s.planner(s.trial(1, failure=kind)))
    assert (decided.factor, decided.parent) == ("both", 0)
    assert (decided.data_strategy, decided.training_strategy) == (data, training)


@pytest.mark.parametrize("kind", [FailureKind.OOM, FailureKind.DIVERGED])
def test_a_draft_that_fails_twice_alike_is_not_tried_a_third_time_alike(kind) -> None:
    second = plan(s.planner(s.trial(1, failure=kind)))
    third = plan(s.planner(s.trial(1, failure=kind), s.trial(2, second, failure=kind)))
    assert (third.data_strategy, third.training_strategy) != (second.data_strategy, second.training_strategy)


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("wrong form", "task format only"),
        ("underfitting", "more epochs"),
        ("overfitting", "fewer epochs"),
        ("divergence", "lower learning rate"),
        ("out of memory", "smaller batches"),
        ("data refused", "task format only"),
        ("weak knowledge", "higher learning rate"),
        ("none looked for", "higher learning rate"),
        (None, "higher learning rate"),
    ],
)
def test_each_cause_has_its_intervention_and_changes_one_factor(cause, expected) -> None:
    decided = plan(s.planner(s.trial(1, cause=cause), incumbent=1))
    assert (move(decided), decided.parent) == (expected, 1)
    assert decided.factor == ("data" if expected in DATA_MOVES else "training")
    assert [decided.data_strategy, decided.training_strategy].count("keep") == 1


def test_a_failed_latest_experiment_brings_its_own_cause() -> None:
    good = s.trial(1)
    failed = s.trial(2, s.plan(parent=1, training="larger adapter"), failure=FailureKind.OOM)
    assert move(plan(s.planner(good, failed, incumbent=1))) == "smaller batches"
    late = s.trial(3, s.plan(parent=1, training="more epochs"))
    assert move(plan(s.planner(good, failed, late, incumbent=1))) == "higher learning rate"


def test_a_move_tried_from_this_parent_is_passed_over_and_one_from_another_parent_is_not() -> None:
    good = s.trial(1, cause="underfitting")
    same = s.trial(2, s.plan(parent=1, training="more epochs"))
    assert move(plan(s.planner(good, same, incumbent=1))) == "higher learning rate"
    child = s.trial(2, s.plan(parent=1, training="more epochs"), cause="underfitting")
    assert move(plan(s.planner(good, child, incumbent=2))) == "more epochs"


def test_no_plan_repeats_from_the_same_parent_however_long_the_run() -> None:
    trials = [s.trial(1, cause="wrong form")]
    for number in range(2, 25):
        trials.append(s.trial(number, plan(s.planner(*trials, incumbent=1))))
    asked = [move(each.plan) for each in trials[1:] if each.plan]
    assert len(set(asked)) == len(asked)
    assert set(TRAINING_MOVES) & set(asked) >= {"more epochs", "higher learning rate", "larger adapter"}


@pytest.mark.parametrize(("tokens", "expected"), [(None, "more epochs"), (40_000, "more epochs"), (30_000, "higher")])
def test_more_epochs_are_planned_only_where_they_can_be_afforded(tokens, expected) -> None:
    """The parent has 10,000 tokens and 2 epochs."""
    decided = plan(s.planner(s.trial(1, cause="underfitting"), incumbent=1, tokens=tokens))
    assert move(decided).startswith(expected)


@pytest.mark.parametrize(("rows", "expected"), [(101, "half the rows"), (100, "higher learning rate")])
def test_half_the_rows_need_more_than_a_hundred(rows, expected) -> None:
    good = s.trial(1, rows=rows, cause="out of memory")
    tried = s.trial(2, s.plan(parent=1, training="smaller batches"))
    assert move(plan(s.planner(good, tried, incumbent=1))) == expected


def test_sources_are_changed_only_to_others_than_the_parent_has() -> None:
    narrow = s.FULL_RECIPE.model_copy(update={"sources": ("exams",)})
    from_all = plan(s.planner(s.trial(1, cause="wrong form"), incumbent=1))
    from_narrow = plan(s.planner(s.trial(1, cause="wrong form", recipe=narrow), incumbent=1))
    assert (move(from_all), move(from_narrow)) == ("task format only", "more epochs")


@pytest.mark.parametrize(
    ("incumbent", "direction", "expected"), [(2, "up", 2), (0, "up", 1), (0, "down", 3), (4, "up", 1)]
)
def test_the_parent_is_the_incumbent_or_else_the_best_trained(incumbent, direction, expected) -> None:
    trials = [s.trial(1, score=0.6), s.trial(2, score=0.5), s.trial(3, score=0.4)]
    trials.append(s.trial(4, s.plan(parent=1, training="more epochs"), failure=FailureKind.OOM))
    survey = s.survey(task=s.card(metric=Metric(direction=direction)))
    assert plan(s.planner(*trials, incumbent=incumbent, survey=survey)).parent == expected


# ----- data engineer


def names(decided: DataRecipe) -> list[str]:
    return [step.name for step in decided.steps]


def sample(decided: DataRecipe) -> dict[str, object]:
    return dict(decided.steps[-1].parameters)


def test_a_recipe_cleans_deduplicates_formats_and_samples_what_can_be_understood() -> None:
    decided = recipe(s.data_engineer())
    assert decided.sources == ("exams", "glossary")
    assert names(decided) == ["filter", "filter", "deduplicate", "format", "format", "sample", "sample"]
    assert [load_step(step) for step in decided.steps]
    assert sample(decided) == {"source": None, "rows": 2000, "seed": 0}


@pytest.mark.parametrize(
    ("strategy", "sources", "expected"),
    [
        ("task format only", (s.EXAMS, s.GLOSSARY), ("exams",)),
        ("task format only", (s.GLOSSARY,), ("glossary",)),
        ("all sources", (s.EXAMS, s.GLOSSARY), ("exams", "glossary")),
    ],
)
def test_sources_follow_the_strategy_as_far_as_there_are_any(strategy, sources, expected) -> None:
    assert recipe(s.data_engineer(strategy, survey=s.survey(*sources))).sources == expected


@pytest.mark.parametrize(
    ("strategy", "tokens", "trials", "rows"),
    [
        ("all sources", None, (), 2000),
        ("half the rows", None, (), 1000),
        ("all sources", 30_000, (s.trial(1),), 300),
        ("half the rows", 30_000, (s.trial(1),), 150),
        ("all sources", 10, (s.trial(1),), 20),
        ("all sources", 10**9, (s.trial(1),), 2000),
    ],
)
def test_rows_are_what_two_epochs_can_afford(strategy, tokens, trials, rows) -> None:
    """Rows of the trial have 50 tokens."""
    assert sample(recipe(s.data_engineer(strategy, *trials, tokens=tokens)))["rows"] == rows


def test_rows_without_a_trial_are_guessed_from_the_longest_source() -> None:
    lengths = ({"exams": 25, "glossary": 5}, {"exams": 25, "glossary": 400})
    surveys = [s.survey(s.EXAMS, s.GLOSSARY, row_tokens=each) for each in lengths]
    short, long = (int(str(sample(recipe(s.data_engineer(survey=each, tokens=60_000)))["rows"])) for each in surveys)
    assert 60_000 / 2 / 25 > short > long > 60_000 / 2 / 500


def test_other_rows_are_other_rows_each_time() -> None:
    seeds = [
        sample(recipe(s.data_engineer("other rows 3", *(s.trial(k + 1) for k in range(n)))))["seed"] for n in (1, 2)
    ]
    assert sorted({0, *map(int, map(str, seeds))}) == [0, 2, 3]


# ----- trainer


def test_the_first_configuration_covers_the_longest_row() -> None:
    lengths = {n: configuration(s.trainer(data=s.training_data(longest=n))).max_length for n in (20, 700)}
    assert lengths == {20: 64, 700: 700}


@pytest.mark.parametrize(
    ("strategy", "changed"),
    [
        ("more epochs", {"epochs": 4.0}),
        ("fewer epochs", {"epochs": 1.0}),
        ("higher learning rate", {"learning_rate": 4e-4}),
        ("lower learning rate", {"learning_rate": 1e-4}),
        ("larger adapter", {"lora_rank": 32, "lora_alpha": 64}),
        ("smaller batches", {"batch_size": 4}),
        ("keep", {}),
        ("be bold", {}),
    ],
)
def test_a_training_move_changes_its_own_fields_and_no_other(strategy, changed) -> None:
    parent = TrainingConfig()
    decided = configuration(s.trainer(strategy, parent_config=parent))
    before, after = (json.loads(each.model_dump_json(exclude={"reason"})) for each in (parent, decided))
    assert {name: value for name, value in after.items() if value != before[name]} == changed


def test_every_training_move_stays_possible_at_the_edge() -> None:
    smallest = TrainingConfig(batch_size=1, lora_rank=1, lora_alpha=1)
    for strategy in TRAINING_MOVES:
        assert TrainingConfig.model_validate(configuration(s.trainer(strategy, parent_config=smallest)).model_dump())


@pytest.mark.parametrize(("tokens", "epochs"), [(None, 2.0), (20_000, 2.0), (17_000, 2.0), (12_000, 1.2), (10, 0.5)])
def test_epochs_shrink_to_what_can_be_afforded(tokens, epochs) -> None:
    """The data has 10,000 tokens; a fifth too much is within the error of the estimate."""
    assert configuration(s.trainer(tokens=tokens)).epochs == epochs


# ----- diagnostician


@pytest.mark.parametrize(
    ("experiment", "flips", "cause"),
    [
        (s.trial(1, failure=FailureKind.OOM), (0, 0), "out of memory"),
        (s.trial(1, failure=FailureKind.DIVERGED), (0, 0), "divergence"),
        (s.trial(1, failure=FailureKind.DATA), (0, 0), "data refused"),
        (s.trial(1, failure=FailureKind.FORMAT), (0, 0), "data refused"),
        (s.trial(1, failure=FailureKind.TIMEOUT), (0, 0), "weak knowledge"),
        (s.untouched(), (0, 0), "weak knowledge"),
        (s.trial(1, unparsed=0.11), (0, 0), "wrong form"),
        (s.trial(1, unparsed=0.1), (0, 0), "weak knowledge"),
        (s.trial(1, unparsed=0.5, final_loss=0.01), (0, 5), "wrong form"),
        (s.trial(1, final_loss=0.04), (2, 3), "overfitting"),
        (s.trial(1, final_loss=0.04), (3, 3), "weak knowledge"),
        (s.trial(1, final_loss=0.06), (2, 3), "weak knowledge"),
        (s.trial(1, final_loss=0.26), (2, 3), "underfitting"),
        (s.trial(1, final_loss=0.25), (2, 3), "weak knowledge"),
    ],
)
def test_a_cause_is_named_by_what_was_seen(experiment, flips, cause) -> None:
    fixed, broken = flips
    decided = diagnosis(s.diagnostician(experiment, fixed=fixed, broken=broken))
    assert decided.suspected_cause == cause
    assert decided.next_intervention == CAUSES[cause][0]
    assert decided.next_factor == ("data" if CAUSES[cause][0] in DATA_MOVES else "training")


def test_findings_carry_their_counts() -> None:
    decided = diagnosis(s.diagnostician(s.trial(1, score=0.6, unparsed=0.25), fixed=4, broken=1))
    assert [(finding.count, finding.of) for finding in decided.findings] == [(5, 20), (4, 20), (1, 20), (8, 20)]


def test_weak_groups_are_those_surely_below_the_score_lowest_first_and_at_most_three() -> None:
    lines = [("a", 0.3, 0.45), ("b", 0.1, 0.3), ("c", 0.2, 0.49), ("d", 0.25, 0.4), ("e", 0.05, 0.6)]
    table = tuple(s.group(name, score, high) for name, score, high in lines)
    decided = diagnosis(s.diagnostician(s.trial(1, score=0.5, groups=table)))
    assert decided.weak_groups == ("b", "c", "d")


def test_every_move_of_every_cause_is_one_that_the_hands_understand() -> None:
    assert {each for moves in CAUSES.values() for each in moves} <= {*DATA_MOVES, *TRAINING_MOVES}


# ----- repairs


@pytest.mark.parametrize(
    ("complaints", "field", "factor"),
    [
        (["OOM: 8 rows do not fit"], "batch_size", 0.5),
        (["OOM: a", "OOM: b"], "batch_size", 0.25),
        (["DIVERGED: the loss is nan"], "learning_rate", 0.5),
        ([], "batch_size", 1),
        ([], "learning_rate", 1),
    ],
)
def test_a_failed_training_is_repaired_not_repeated(complaints: list[str], field: str, factor: float) -> None:
    question = Question("trainer", s.trainer(), TrainingConfig, complaints)
    repaired, _ = Expert().decide(question)
    assert getattr(repaired, field) == getattr(configuration(s.trainer()), field) * factor


def test_the_move_that_made_the_parent_is_not_undone() -> None:
    """Fewer epochs than an experiment with more epochs is what was there before."""
    first = s.trial(1, cause="underfitting")
    for tried, expected in (("more epochs", "lower learning rate"), ("larger adapter", "fewer epochs")):
        second = s.trial(2, s.plan(parent=1, training=tried), cause="overfitting")
        assert move(plan(s.planner(first, second, incumbent=2))) == expected


def test_only_fields_that_the_format_reads_are_required() -> None:
    rows = {"question": "Which?", "answer": "red", "note": ""}
    briefing = s.data_engineer()
    survey = briefing.survey.model_copy(update={"corpus": s.survey(s.source("open", rows)).corpus})
    decided = recipe(briefing.model_copy(update={"survey": survey}))
    filters = [step for step in decided.steps if step.name == "filter"]
    assert [step.parameters["require"] for step in filters] == [["answer", "question"]]


def test_at_most_a_third_of_the_rows_are_in_another_form_than_the_benchmarks() -> None:
    samples = [step.parameters for step in recipe(s.data_engineer()).steps if step.name == "sample"]
    whole = samples[-1]["rows"]
    assert samples == [
        {"source": "glossary", "rows": whole // 3, "seed": 0},
        {"source": None, "rows": whole, "seed": 0},
    ]


@pytest.mark.parametrize(("gib", "rate"), [(0.25, 1e-3), (3.0, 5e-4), (15.0, 2e-4)])
def test_small_models_learn_at_higher_rates(gib: float, rate: float) -> None:
    briefing = s.trainer()
    survey = briefing.survey.model_copy(update={"model_gib": gib})
    assert configuration(briefing.model_copy(update={"survey": survey})).learning_rate == rate


def test_other_rows_are_taken_only_when_as_many_can_be_afforded() -> None:
    """Otherwise fewer rows would be a second thing that changes."""
    tried = [s.trial(k, s.plan(parent=1, training=move)) for k, move in enumerate(TRAINING_MOVES, start=2)]
    first = s.trial(1, cause="weak knowledge", recipe=s.FULL_RECIPE)
    enough = plan(s.planner(first, *tried, incumbent=1, tokens=20_000))
    short = plan(s.planner(first, *tried, incumbent=1, tokens=2_000))
    assert move(enough) == "other rows"
    assert move(short) != "other rows"
