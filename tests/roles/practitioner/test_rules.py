"""Every rule of the practitioner: situations in which it fires, and near ones in which it must not."""

from typing import Any, NamedTuple

import pytest
import situations as s
import views as v

from memory.records import Diagnosis, Experiment, Flow
from roles.practitioner.design import draft, recipe_of, with_sources
from roles.practitioner.moves import move_named
from roles.practitioner.rules import RULES, suspicions
from roles.practitioner.rules.view import Suspicion, View
from tasks.failure import Failure, FailureKind
from tasks.task import Metric

LENGTHS = {"answer_words_benchmark": 3.0, "prompt_words_benchmark": 20.0, "prompt_words_training": 20.0}
SHORTER = v.evidence("lengths", answer_words_training=6.0, **LENGTHS)
LONGER = v.evidence("lengths", answer_words_training=6.5, **LENGTHS)
LONG_ROWS = {"longest_answer_characters": 40.0, "longest_row_characters": 61.0}
FLAT = {"first": 2.0, "last": 0.2, "lowest": 0.2, "tail_change": -0.05, "tail_error": 0.01}
FALLING = FLAT | {"tail_change": -0.3, "tail_error": 0.05}
HEART = v.evidence("fit", fresh=1.0, repeated=0.4, gap=0.6)
KEPT = v.evidence("fit", fresh=1.0, repeated=0.6, gap=0.4)


def failed(kind: FailureKind, stage: str = "train", **changes: Any) -> View:
    """A draft that failed."""
    one = v.trained(failure=kind, **changes)
    return v.view(parent=one.model_copy(update={"failure": Failure(stage=stage, kind=kind, message="so it was")}))


def after_failure(kind: FailureKind, stage: str = "train") -> View:
    """A good parent whose child has failed."""
    child = v.trained(2, s.plan(parent=1, training="larger adapter"), failure=kind)
    child = child.model_copy(update={"failure": Failure(stage=stage, kind=kind, message="so it was")})
    return v.view(parent=v.trained(), trials=(v.trained(), child))


def of_sources(*names: str) -> Experiment:
    """An experiment on these sources."""
    return v.trained(recipe=recipe_of(with_sources(draft(v.survey()), v.survey(), names), v.survey(), ""))


def diagnosed(proposal: str) -> Experiment:
    """An experiment whose diagnosis proposes something."""
    found = Diagnosis(findings=(), suspected_cause="a hunch", next_intervention=proposal, next_factor="training")
    return v.trained(diagnosis=found)


def weak(high: float = 0.4, **task: Any) -> View:
    """One of two groups scores low; `high` ends its interval. The whole scores 0.5."""
    groups = (s.group("red", 0.8, 0.95), s.group("dark green, olive", 0.1, high))
    return v.view(v.evidence("categories", 1, 2), groups=groups, survey=v.survey(task=task))


DOWN = {"metric": Metric(name="error", direction="down")}
UNTOPICAL = {"bank": 0.6, "glossary": 0.5, "old forum": 0.3}


class Fires(NamedTuple):
    """A situation in which a rule fires."""

    view: View
    cause: str
    moves: tuple[str, ...]


FIRES: dict[str, dict[str, Fires]] = {
    "out_of_memory": {
        "rows of like lengths": Fires(failed(FailureKind.OOM), "out of memory", ("smaller batches",)),
        "some long rows": Fires(
            failed(FailureKind.OOM, data=v.data(tokens_max=101)),
            "out of memory",
            ("smaller batches", "prompts of at most 400 characters"),
        ),
    },
    "out_of_time": {
        "killed": Fires(failed(FailureKind.TIMEOUT), "out of time", ("half the rows", "fewer epochs")),
        "not begun": Fires(failed(FailureKind.BUDGET), "out of time", ("half the rows", "fewer epochs")),
    },
    "exploded": {"": Fires(failed(FailureKind.DIVERGED), "divergence", ("lower learning rate", "fewer epochs"))},
    "data_refused": {
        kind.value: Fires(failed(kind, "prepare_data"), "data refused", ("task format only", "all sources"))
        for kind in (FailureKind.DATA, FailureKind.FORMAT, FailureKind.CONFIG)
    },
    "unchanged_model": {
        "": Fires(failed(FailureKind.FORMAT, "evaluate"), "unchanged model", ("higher learning rate", "more epochs"))
    },
    "divergence": {
        "loss ends above its beginning": Fires(
            v.view(v.evidence("loss_shape", **FLAT | {"last": 2.1})),
            "divergence",
            ("lower learning rate", "fewer epochs"),
        )
    },
    "wrong_form": {
        "11 %": Fires(
            v.view(v.evidence("parse_failures", 11, 100)),
            "wrong form",
            ("fewer rows in other forms", "task format only", "more epochs"),
        )
    },
    "cut_answers": {
        "6 %": Fires(
            v.view(v.evidence("truncation", 6, 100, **LONG_ROWS)),
            "truncation",
            ("answers of at most 60 characters",),
        )
    },
    "overfitting": {
        "as many broken as fixed": Fires(
            v.view(HEART, v.evidence("flips", 6, 20, fixed=3.0, broken=3.0)),
            "overfitting",
            ("fewer epochs", "more rows", "lower learning rate"),
        )
    },
    "underfitting": {
        "still falling": Fires(
            v.view(v.evidence("loss_shape", **FALLING)),
            "underfitting",
            ("more epochs", "higher learning rate", "larger adapter"),
        ),
        "still high": Fires(
            v.view(v.evidence("loss_shape", **FLAT | {"last": 0.26}), KEPT),
            "underfitting",
            ("more epochs", "higher learning rate", "larger adapter"),
        ),
    },
    "label_noise": {"4 %": Fires(v.view(v.evidence("label_noise", 4, 100)), "label noise", ("clean labels",))},
    "duplicates": {"4 %": Fires(v.view(v.evidence("duplicates", 4)), "duplicates", ("without near duplicates",))},
    "imbalance": {
        "more than three to one": Fires(
            v.view(v.evidence("imbalance", ratio=3.1, missing=0.0)), "imbalance", ("balance the categories",)
        )
    },
    "weak_categories": {
        "surely below": Fires(weak(), "weak categories", ('rows of "dark green, olive" first',)),
        "surely above where less is better": Fires(
            v.view(
                v.evidence("categories", 1, 2),
                survey=v.survey(task=DOWN),
                groups=(
                    s.group("red", 0.8, 0.95).model_copy(update={"low": 0.6}),
                    s.group("dark green, olive", 0.1, 0.4),
                ),
            ),
            "weak categories",
            ('rows of "red" first',),
        ),
    },
    "format_mismatch": {
        "few rows in the task's form": Fires(
            v.view(v.evidence("format_match", 49)), "format mismatch", ("fewer rows in other forms", "task format only")
        ),
        "long answers": Fires(
            v.view(LONGER, v.evidence("truncation", 0, 100, **LONG_ROWS)),
            "format mismatch",
            ("answers of at most 60 characters",),
        ),
    },
    "unread_sources": {"": Fires(v.view(parent=of_sources("bank")), "unread sources", ("all sources",))},
    "off_topic": {
        "half as near": Fires(v.view(v.evidence("relevance", **UNTOPICAL)), "off topic", ('without "old forum"',))
    },
    "spare_time": {
        "rows left": Fires(
            v.view(remaining=s.remaining(45_000)), "short training", ("2 times the rows", "2 times the epochs")
        ),
        "all rows used": Fires(
            v.view(data=v.data(sampled_out=0), remaining=s.remaining(34_000)),
            "short training",
            ("1.5 times the epochs",),
        ),
        "rows known by heart": Fires(
            v.view(HEART, remaining=s.remaining(34_000)), "short training", ("1.5 times the rows",)
        ),
    },
    "diagnosed": {
        "in our words": Fires(v.view(parent=diagnosed("fewer epochs")), "a hunch", ("fewer epochs",)),
        "in free words": Fires(v.view(parent=diagnosed("Try a Larger adapter.")), "a hunch", ("larger adapter",)),
    },
    "exploration": {
        "": Fires(
            v.view(),
            "unexplored",
            ("higher learning rate", "more rows", "more epochs", "lower learning rate", "larger adapter"),
        ),
        "rows known by heart": Fires(
            v.view(HEART), "unexplored", ("more rows", "lower learning rate", "larger adapter")
        ),
        "a loss that rose": Fires(
            v.view(v.evidence("loss_shape", **FLAT | {"last": 2.1})),
            "unexplored",
            ("more rows", "lower learning rate", "larger adapter"),
        ),
    },
    "chance_rows": {
        "": Fires(v.view(), "chance", ("other rows, draw 1",)),
        "a draw before": Fires(
            v.view(trials=(v.trained(2, recipe=recipe_of(v.design(seed=3), v.survey(), "")),)),
            "chance",
            ("other rows, draw 4",),
        ),
    },
}

SILENT: dict[str, dict[str, View]] = {
    "out_of_memory": {"of another kind": failed(FailureKind.TIMEOUT), "in a child": after_failure(FailureKind.OOM)},
    "out_of_time": {"of another kind": failed(FailureKind.OOM), "in a child": after_failure(FailureKind.TIMEOUT)},
    "exploded": {"of another kind": failed(FailureKind.OOM), "in a child": after_failure(FailureKind.DIVERGED)},
    "data_refused": {
        "not in the data": failed(FailureKind.FORMAT, "evaluate"),
        "in a child": after_failure(FailureKind.DATA, "prepare_data"),
        "a dead process": failed(FailureKind.ENVIRONMENT, "prepare_data"),
    },
    "unchanged_model": {
        "in the data": failed(FailureKind.FORMAT, "prepare_data"),
        "in a child": after_failure(FailureKind.FORMAT, "evaluate"),
    },
    "divergence": {
        "as high as it began": v.view(v.evidence("loss_shape", **FLAT | {"last": 2.0})),
        "no losses": v.view(),
    },
    "wrong_form": {"10 %": v.view(v.evidence("parse_failures", 10, 100)), "nothing asked": v.view()},
    "cut_answers": {
        "5 %": v.view(v.evidence("truncation", 5, 100, **LONG_ROWS)),
        "no long answer is taught": v.view(
            v.evidence("truncation", 90, 100, **LONG_ROWS | {"longest_row_characters": 60.0})
        ),
        "prompts without room": v.view(v.evidence("truncation", 20, 100, prompts_too_long=15.0, **LONG_ROWS)),
        "nothing asked": v.view(v.evidence("truncation", 0, 0)),
    },
    "overfitting": {
        "more fixed than broken": v.view(HEART, v.evidence("flips", 7, 20, fixed=4.0, broken=3.0)),
        "not by heart": v.view(KEPT, v.evidence("flips", 6, 20, fixed=1.0, broken=5.0)),
        "no row twice": v.view(v.evidence("fit", fresh=1.0), v.evidence("flips", 6, 20, fixed=1.0, broken=5.0)),
    },
    "underfitting": {
        "flat and low": v.view(v.evidence("loss_shape", **FLAT)),
        "a fall within chance": v.view(v.evidence("loss_shape", **FALLING | {"tail_error": 0.16})),
        "known by heart": v.view(v.evidence("loss_shape", **FALLING), HEART),
        "diverged": v.view(v.evidence("loss_shape", **FALLING | {"last": 2.5})),
    },
    "label_noise": {"3 %": v.view(v.evidence("label_noise", 3, 100)), "nothing found": v.view()},
    "duplicates": {"3 %": v.view(v.evidence("duplicates", 3, 100)), "nothing found": v.view()},
    "imbalance": {"three to one": v.view(v.evidence("imbalance", ratio=3.0, missing=2.0)), "unknown": v.view()},
    "weak_categories": {
        "perhaps below": weak(high=0.6),
        "low is good": weak(**DOWN),
        "no evidence": v.view(groups=(s.group("red", 0.1, 0.2),)),
    },
    "format_mismatch": {
        "half in the task's form": v.view(v.evidence("format_match", 50), SHORTER),
        "long answers, unknown how long": v.view(LONGER),
        "a long median, but none too long": v.view(
            LONGER, v.evidence("truncation", 0, 100, **LONG_ROWS | {"longest_row_characters": 60.0})
        ),
    },
    "unread_sources": {
        "all read": v.view(),
        "read before, then left out": v.view(parent=of_sources("bank"), trials=(v.trained(),)),
        "not readable": v.view(survey=v.survey(sources=(*v.SOURCES, s.OPAQUE))),
    },
    "off_topic": {
        "near enough": v.view(v.evidence("relevance", **UNTOPICAL | {"old forum": 0.36})),
        "only one source": v.view(v.evidence("relevance", bank=0.1)),
    },
    "spare_time": {
        "less than half as much again": v.view(remaining=s.remaining(33_000)),
        "no time limit": v.view(),
        "nothing more to learn from": v.view(HEART, data=v.data(sampled_out=0), remaining=s.remaining(90_000)),
    },
    "diagnosed": {
        "words that name no move": v.view(parent=diagnosed("think again")),
        "no diagnosis": v.view(),
    },
    "exploration": {"not trained": failed(FailureKind.OOM)},
    "chance_rows": {"all rows used": v.view(data=v.data(sampled_out=0))},
}
NAMES = [rule.__name__ for rule in RULES]


def say(name: str, view: View) -> Suspicion | None:
    return {rule.__name__: rule for rule in RULES}[name](view)


def test_every_rule_has_situations_in_which_it_fires_and_in_which_it_does_not() -> None:
    assert sorted(FIRES) == sorted(SILENT) == sorted(NAMES)
    assert all([*FIRES.values(), *SILENT.values()])
    assert len(set(NAMES)) == len(NAMES)


@pytest.mark.parametrize(
    ("name", "case"),
    [pytest.param(name, case, id=f"{name} {id_}") for name, cases in FIRES.items() for id_, case in cases.items()],
)
def test_a_rule_fires(name: str, case: Fires) -> None:
    """It names its cause and its moves; the most promising comes first, and the hands know them all."""
    found = say(name, case.view)
    assert found
    assert found.cause == case.cause
    assert tuple(move.name for move, _ in found.moves) == case.moves
    effects = [effect for _, effect in found.moves]
    assert effects == sorted(effects, reverse=True)
    for move, _ in found.moves:
        known = move_named(move.name)
        assert known
        assert known.name == move.name
    assert (found.cause, found.reason) in [(one.cause, one.reason) for one in suspicions(case.view)]


@pytest.mark.parametrize(
    ("name", "view"),
    [pytest.param(name, view, id=f"{name} {id_}") for name, cases in SILENT.items() for id_, view in cases.items()],
)
def test_a_rule_does_not_fire(name: str, view: View) -> None:
    assert say(name, view) is None


@pytest.mark.parametrize("name", NAMES)
def test_a_rule_gives_its_reason_with_numbers(name: str) -> None:
    """The claim of the evidence, the failure with its message, or the figures it compared."""
    for case in FIRES[name].values():
        found = say(name, case.view)
        assert found
        evidence = [one.claim for one in case.view.parent.evidence]
        failure = case.view.parent.failure
        told = [failure.message, failure.kind] if failure else [claim for claim in evidence if claim in found.reason]
        assert found.reason
        assert all(part in found.reason for part in told)
        of_figures = ("underfitting", "unread_sources", "spare_time", "diagnosed", "exploration", "chance_rows")
        assert told or name in of_figures


def test_what_unread_answers_cost_bounds_what_their_form_can_bring() -> None:
    """Half of the answers cannot be read and the others are right 3 times in 5: 0.3 can be gained."""
    found = say("wrong_form", v.view(v.evidence("parse_failures", 50, 100), score=0.3))
    assert found
    assert {move.name: effect for move, effect in found.moves}["task format only"] == pytest.approx(0.3)


def test_without_a_right_answer_the_form_is_worth_as_much_as_guessing() -> None:
    for options, gain in ((4, 0.9 / 4), (None, 0.09)):
        world = v.survey(task={"options": options})
        found = say("wrong_form", v.view(v.evidence("parse_failures", 90, 100), score=0.0, survey=world))
        assert found
        assert found.moves[0][1] == pytest.approx(gain)


@pytest.mark.parametrize(("score", "down", "gain"), [(0.5, False, 0.05), (0.1, True, 0.05), (0.2, False, 0.025)])
def test_more_training_should_bring_a_quarter_of_what_training_brought(score: float, down: bool, gain: float) -> None:
    """The untouched model scores 0.3; where the parent is worse than that, the usual first effect stands in.

    Passes over rows seen before are worth a fifth less.
    """
    world = v.survey(task=DOWN) if down else v.survey()
    found = say("underfitting", v.view(v.evidence("loss_shape", **FALLING), score=score, survey=world))
    assert found
    assert [effect for _, effect in found.moves] == pytest.approx([0.8 * gain, gain / 3, gain / 4], abs=1e-4)


@pytest.mark.parametrize(("name", "move"), [("label_noise", "clean labels"), ("duplicates", "without near duplicates")])
def test_cleaning_is_worth_more_the_more_there_is_to_clean_up_to_a_limit(name: str, move: str) -> None:
    effects = []
    for count in (4, 8, 90, 100):
        found = say(name, v.view(v.evidence(name, count, 100)))
        assert found
        assert found.moves[0][0].name == move
        effects.append(found.moves[0][1])
    assert effects[0] < effects[1] < effects[2] == effects[3] <= 0.1


@pytest.mark.parametrize(
    ("sampled_out", "most", "move"),
    [(1000, 9000, "4 times the rows"), (1000, 500, "2.5 times the rows"), (150, 9000, "1.5 times the rows")],
)
def test_rows_grow_as_far_as_there_is_time_and_there_are_rows(sampled_out: int, most: int, move: str) -> None:
    """There is time for four times the training of 200 rows."""
    world = v.survey(max_train_rows=most)
    found = say("spare_time", v.view(data=v.data(sampled_out=sampled_out), survey=world, remaining=s.remaining(90_000)))
    assert found
    assert move in [one.name for one, _ in found.moves]


def test_the_worst_three_categories_are_named() -> None:
    table = tuple(s.group(name, score, 0.45) for name, score in zip("abcde", (0.3, 0.1, 0.4, 0.2, 0.35), strict=True))
    world = v.survey(task={"groups": dict.fromkeys("abcde", 9)})
    found = say("weak_categories", v.view(v.evidence("categories", 5, 5), groups=table, survey=world))
    assert found
    assert found.moves[0][0].name == 'rows of "b", "d", "a" first'


def test_a_larger_source_off_topic_is_worth_more_to_leave_out() -> None:
    effects = []
    for rows in (2, 20, 40):
        shares = {"bank": 200 - rows, "old forum": rows}
        view = v.view(v.evidence("relevance", **UNTOPICAL), data=v.data(rows_by_source=shares))
        found = say("off_topic", view)
        assert found
        effects.append(found.moves[0][1])
    assert effects == [0.01, 0.0125, 0.025]


def test_a_flow_without_a_sample_leaves_no_rows_to_draw() -> None:
    """Rows dropped by a filter are not spare rows."""
    flow = (Flow(step="filter", rows=200, removed={"no answer": 800}),)
    assert say("chance_rows", v.view(data=v.data(flow=flow))) is None
