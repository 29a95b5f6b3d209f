"""The data engineer's recipes: what the plan asks for, in the size that can be paid for, and nothing else."""

from typing import Any

import pytest
import situations as s
import views as v

from memory.records import DataRecipe, Plan, Step
from roles.briefing import DataBriefing
from roles.data_steps import load_step
from roles.practitioner.design import design_of
from roles.practitioner.moves import DATA_MOVES, move_named
from roles.practitioner.recipes import TOLERANCE, recipe
from tasks.failure import FailureKind, StageError

SURVEY = v.survey()


def briefing(strategy: str = "first draft", *trials: Any, tokens: int | None = None, **rest: Any) -> DataBriefing:
    """The data engineer's briefing; a plan from experiment 1 when there is one."""
    parent = trials[0] if trials and trials[0].training else None
    settings: dict[str, Any] = {
        "survey": SURVEY,
        "plan": s.plan(parent=1, data=strategy) if parent else s.plan(data=strategy),
        "parent_recipe": parent.recipe if parent else None,
        "tokens": tokens,
    }
    return s.data_engineer(strategy, *trials, **(settings | rest))


def rows_of(found: DataRecipe) -> int:
    return int(str(found.steps[-1].parameters["rows"]))


# ----- first drafts


def test_a_first_draft_takes_every_source_that_can_be_read() -> None:
    found = recipe(briefing())
    assert found.sources == ("bank", "glossary", "old forum")
    assert rows_of(found) == SURVEY.max_train_rows
    assert all(load_step(step) for step in found.steps)


@pytest.mark.parametrize(("tokens", "rows"), [(None, 400), (30_000, 400), (15_000, 300), (7_500, 150), (100, 20)])
def test_a_draft_is_sized_to_one_pass_within_what_the_plan_may_spend(tokens: int | None, rows: int) -> None:
    """A failed draft has measured 50 tokens a row. Fewer than twenty rows teach nothing, so no draft has fewer."""
    failed = v.trained(failure=FailureKind.OOM)
    assert rows_of(recipe(briefing("first draft", failed, tokens=tokens))) == rows


def test_without_a_measure_longer_rows_mean_fewer_of_them() -> None:
    lengths = ({"bank": 25, "glossary": 5}, {"bank": 25, "glossary": 400}, {"bank": 400, "glossary": 5})
    sizes = [
        rows_of(recipe(briefing(tokens=15_000, survey=v.survey(row_tokens={**each, "old forum": 900}))))
        for each in lengths
    ]
    assert sizes[0] > sizes[1] > sizes[2]
    assert sizes[2] > 15_000 / 420
    assert sizes[0] < 15_000 / 25, "the template and the prompt count too"


def test_a_page_is_not_counted_with_its_markup() -> None:
    sizes = [
        rows_of(
            recipe(briefing(tokens=15_000, survey=v.survey(row_tokens={"bank": 25, "glossary": 5, "old forum": n})))
        )
        for n in (100, 9_000)
    ]
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("strategy", "sources", "rows"),
    [
        ("first draft, task format only", ("bank",), 300),
        ("first draft, half the rows", ("bank", "glossary", "old forum"), 150),
        ('first draft, without "old forum"', ("bank", "glossary"), 300),
        ("start with all sources", ("bank", "glossary", "old forum"), 300),
        ("whatever you think", ("bank", "glossary", "old forum"), 300),
    ],
)
def test_a_draft_follows_its_strategy_as_far_as_it_is_understood(
    strategy: str, sources: tuple[str, ...], rows: int
) -> None:
    """Half of the rows is half of what could be paid for, not of what is allowed."""
    found = recipe(briefing(strategy, v.trained(failure=FailureKind.TIMEOUT), tokens=15_000))
    assert (found.sources, rows_of(found)) == (sources, rows)


def test_a_draft_bounds_its_prompts_when_it_is_asked_to() -> None:
    """The name of the remedy carries a number."""
    found = recipe(briefing("first draft, prompts of at most 400 characters"))
    assert {"field": "prompt", "max_characters": 400} in [step.parameters for step in found.steps]


def test_without_a_source_that_can_be_read_there_is_no_recipe() -> None:
    with pytest.raises(StageError, match="no source has fields"):
        recipe(briefing(survey=s.survey(s.OPAQUE)))


# ----- changes of a parent


@pytest.mark.parametrize(
    "strategy",
    [*(name for name in DATA_MOVES if name != "all sources"), 'without "old forum"', 'rows of "red" first'],
)
def test_a_change_changes_one_thing_of_the_parents_recipe(strategy: str) -> None:
    found = recipe(briefing(strategy, v.trained(), tokens=90_000))
    move = move_named(strategy)
    assert move
    changed = move.change(v.design(), SURVEY, v.data())  # type: ignore[union-attr]
    assert design_of(found, SURVEY) == changed != v.design()
    assert strategy in found.reason


@pytest.mark.parametrize("strategy", ["keep", "think of something", "more epochs", ""])
def test_without_a_data_move_the_parents_recipe_stays(strategy: str) -> None:
    """Its size too, however much could be paid for; only the reason is new."""
    found = recipe(briefing(strategy, v.trained(), tokens=90_000))
    assert found.model_copy(update={"reason": ""}) == v.recipe().model_copy(update={"reason": ""})


@pytest.mark.parametrize("strategy", ["clean labels", "without near duplicates", "answers of at most 9 characters"])
def test_another_minds_script_stays_under_the_change(strategy: str) -> None:
    parent = v.trained(recipe=v.FOREIGN)
    found = recipe(briefing(strategy, parent))
    assert found.steps[: len(v.FOREIGN.steps)] == v.FOREIGN.steps
    assert len(found.steps) == len(v.FOREIGN.steps) + 1
    assert found.sources == v.FOREIGN.sources


def test_the_rows_of_a_change_are_cut_only_where_they_cost_far_more_than_may_be_spent() -> None:
    """The parent costs 20,000 tokens: 200 rows of 50, twice. Within the tolerance of the estimate nothing is cut."""
    sizes = {
        tokens: rows_of(recipe(briefing("clean labels", v.trained(), tokens=tokens)))
        for tokens in (20_000, int(20_000 / TOLERANCE) + 1, 10_000, 100)
    }
    assert sizes == {20_000: 200, int(20_000 / TOLERANCE) + 1: 200, 10_000: 100, 100: 20}


def test_fewer_rows_are_affordable_where_more_are_not() -> None:
    assert rows_of(recipe(briefing("half the rows", v.trained(), tokens=10_000))) == 100
    assert rows_of(recipe(briefing("more rows", v.trained(), tokens=20_000))) == 200
    assert rows_of(recipe(briefing("more rows", v.trained(), tokens=30_000))) == 300


# ----- out of the memory

KNOWN = v.remembered(v.trained(3))


def from_memory(strategy: str, known: Any = KNOWN, **rest: Any) -> DataRecipe:
    return recipe(briefing(strategy, recalled=(known,), **rest))


def test_a_remembered_recipe_is_taken_over_with_the_change_on_top() -> None:
    plain, cleaned = from_memory("as other/003"), from_memory("as other/003, clean labels")
    assert design_of(plain, SURVEY) == v.design()
    assert design_of(cleaned, SURVEY) == v.design(clean_labels=True)
    assert "other/003" in plain.reason
    assert "clean labels" in cleaned.reason


def test_a_change_with_commas_in_its_name_is_understood_on_top_of_a_memory() -> None:
    found = from_memory('as other/003, rows of "blue", "dark green, olive" first')
    assert design_of(found, SURVEY).preferred == ("blue", "dark green, olive")


def test_a_remembered_recipe_is_cut_to_one_pass_that_can_be_paid_for() -> None:
    assert rows_of(from_memory("as other/003", tokens=5_000)) == 100
    assert rows_of(from_memory("as other/003", tokens=10_000)) == 200


def test_what_is_not_remembered_is_a_first_draft() -> None:
    assert rows_of(from_memory("as other/004")) == 400


def test_a_remembered_recipe_does_without_sources_that_are_gone() -> None:
    world = v.survey(sources=(v.BANK, v.GLOSSARY))
    found = from_memory("as other/003", survey=world)
    assert found.sources == ("bank", "glossary")
    assert {step.parameters.get("source") for step in found.steps} <= {None, "bank", "glossary"}


def test_a_remembered_script_over_sources_that_are_gone_is_not_taken_over() -> None:
    """Who knows what it reads."""
    known = v.remembered(v.trained(3, recipe=v.FOREIGN))
    assert from_memory("as other/003", known).steps == v.FOREIGN.steps
    alone = from_memory("as other/003", known, survey=v.survey(sources=(v.BANK,)))
    assert "script" not in [step.name for step in alone.steps]
    assert alone.sources == ("bank",)


# ----- repairs


def test_a_draft_does_without_the_source_whose_step_failed() -> None:
    first = recipe(briefing())
    number = next(n for n, step in enumerate(first.steps, start=1) if step.parameters.get("source") == "old forum")
    complaint = f"CONFIG: prepare_data: step {number} ({first.steps[number - 1].name}): no row has the field page"
    again = recipe(briefing(), [complaint])
    assert again.sources == ("bank", "glossary")
    assert complaint in again.reason


def test_a_draft_that_is_refused_as_a_whole_keeps_to_the_tasks_form() -> None:
    assert recipe(briefing(), ["DATA: no row passes the gate"]).sources == ("bank",)


def test_complaints_add_up() -> None:
    """The second is about the recipe that the first one led to."""
    first = recipe(briefing())
    complaint = f"CONFIG: step 1 ({first.steps[0].name}): broken page"
    assert recipe(briefing(), [complaint, "DATA: too few"]).sources == ("bank",)
    assert recipe(briefing(), ["DATA: too few", complaint]).sources == ("bank",)


@pytest.mark.parametrize("complaint", ["CONFIG: step 99 (format): ?", "CONFIG: step 1 (mix): ?", "step by step"])
def test_a_step_that_the_recipe_does_not_have_tells_of_no_source(complaint: str) -> None:
    assert recipe(briefing(), [complaint]).sources == ("bank",)


def test_a_change_is_not_repaired_by_a_second_change() -> None:
    """It fails, and the planner chooses another."""
    parent = v.trained()
    assert recipe(briefing("clean labels", parent), ["DATA: too few"]) == recipe(briefing("clean labels", parent))


def test_a_plan_of_another_mind_over_a_recipe_of_another_mind() -> None:
    """Free words that name no move leave everything as it was."""
    odd = v.FOREIGN.model_copy(update={"steps": (*v.FOREIGN.steps, Step(name="mix", parameters={"shares": {"a": 1}}))})
    plan = Plan(
        hypothesis="", parent=1, factor="data", data_strategy="paraphrase the glossary", training_strategy="keep",
        predicted_effect=0.1,
    )  # fmt: skip
    assert recipe(briefing("", v.trained(recipe=odd), plan=plan)).steps == odd.steps
