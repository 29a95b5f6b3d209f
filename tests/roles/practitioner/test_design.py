"""A recipe and the choices behind it are two forms of one thing, whoever wrote the recipe."""

import itertools
from typing import Any

import pytest
import situations as s
import views as v

from memory.records import DataRecipe, Step
from roles.data_steps import load_step
from roles.practitioner.design import Design, design_of, draft, recipe_of, with_rows, with_sources
from roles.practitioner.moves import DATA_MOVES, LARGER, DataMove, other_rows, prefer, short, without

SURVEY = v.survey()
EVERY_MOVE = (
    *DATA_MOVES.values(),
    other_rows(3),
    prefer(("blue", "dark green, olive")),
    short("prompt", 300),
    short("answer", 40),
    *(without(source.name) for source in v.SOURCES),
)


def reachable(steps: int) -> list[Design]:
    """All designs that so many moves lead to from a draft, and from one in another mind's hands."""
    found = {design.model_dump_json(): design for design in (v.design(), design_of(v.FOREIGN, SURVEY))}
    edge = list(found.values())
    for _ in range(steps):
        moved = [move.change(design, SURVEY, v.data()) for design, move in itertools.product(edge, EVERY_MOVE)]
        edge = [one for one in moved if one.sources and one.model_dump_json() not in found]
        found |= {one.model_dump_json(): one for one in edge}
    return list(found.values())


def names(recipe: DataRecipe) -> list[str]:
    return [step.name for step in recipe.steps]


def test_a_design_is_read_off_its_recipe_again() -> None:
    """After any two moves, in any order."""
    own = [design for design in reachable(2) if design.foundation is None]
    assert len(own) > 90
    for design in own:
        assert design_of(recipe_of(design, SURVEY, "why"), SURVEY) == design


def test_a_recipe_is_made_again_of_what_is_read_off_it() -> None:
    """Also of one that another mind began: the reason too, so that nothing differs."""
    founded = [design for design in reachable(2) if design.foundation]
    recipes = {recipe_of(design, SURVEY, "why").model_dump_json() for design in founded}
    assert len(recipes) > 15
    for text in recipes:
        recipe = DataRecipe.model_validate_json(text)
        assert recipe_of(design_of(recipe, SURVEY), SURVEY, "why") == recipe


FOREIGN_ENDS: dict[str, tuple[Step, ...]] = {
    "nothing": (),
    "a sample by source": (Step(name="sample", parameters={"rows": 200, "by": "source"}),),
    "a plain sample": (Step(name="sample", parameters={"rows": 200}),),
    "another order of cleaning": (Step(name="label_clean", parameters={"action": "fix"}), Step(name="near_duplicates")),
    "other parameters": (Step(name="near_duplicates", parameters={"threshold": 0.9}),),
    "a filter on both": (Step(name="filter", parameters={"field": "answer", "max_characters": 9, "where": "1"}),),
    "a bound twice": (*[Step(name="filter", parameters={"field": "answer", "max_characters": n}) for n in (9, 8)],),
    "what ours ends with": (
        Step(name="near_duplicates"),
        Step(name="filter", parameters={"field": "answer", "max_characters": 9}),
        Step(name="sample", parameters={"rows": 99, "seed": 2}),
    ),
    "mix": (Step(name="mix", parameters={"shares": {"bank": 0.5, "glossary": 0.5}}),),
}


@pytest.mark.parametrize("end", FOREIGN_ENDS.values(), ids=FOREIGN_ENDS)
@pytest.mark.parametrize("start", [v.FOREIGN.steps, ()], ids=["a script", "no steps"])
def test_no_step_of_another_mind_is_lost(start: tuple[Step, ...], end: tuple[Step, ...]) -> None:
    recipe = v.FOREIGN.model_copy(update={"steps": (*start, *end)})
    assert recipe_of(design_of(recipe, SURVEY), SURVEY, recipe.reason) == recipe


def test_what_we_added_to_another_minds_recipe_is_told_from_what_was_there() -> None:
    recipe = v.FOREIGN.model_copy(update={"steps": (*v.FOREIGN.steps, *FOREIGN_ENDS["what ours ends with"])})
    found = design_of(recipe, SURVEY)
    assert found.foundation
    assert found.foundation.steps == v.FOREIGN.steps
    assert (found.rows, found.seed, found.near_duplicates, found.longest_answer) == (99, 2, True, 9)


def test_a_changed_detail_makes_a_recipe_another_minds() -> None:
    """Our recipe without its first filter is kept as it is, not repaired."""
    ours = recipe_of(v.design(), SURVEY, "")
    theirs = ours.model_copy(update={"steps": tuple(step for step in ours.steps if step.name != "deduplicate")})
    assert design_of(ours, SURVEY).foundation is None
    assert design_of(theirs, SURVEY).foundation


def test_a_recipe_over_sources_that_are_not_there_is_kept() -> None:
    """It comes from another corpus; the practitioner does not read it as its own."""
    gone = v.FOREIGN.model_copy(update={"sources": ("atlas",), "steps": (Step(name="deduplicate"),)})
    assert recipe_of(design_of(gone, SURVEY), SURVEY, gone.reason) == gone


def test_a_recipe_reads_cleans_formats_and_samples() -> None:
    found = recipe_of(draft(SURVEY), SURVEY, "")
    assert found.sources == ("bank", "glossary", "old forum")
    assert names(found) == ["html_clean", *["filter"] * 3, "deduplicate", *["format"] * 3, *["sample"] * 3]
    assert all(load_step(step) for step in found.steps)


def test_cleaning_comes_between_format_and_sample() -> None:
    """Labels can be compared only in rows that have options, and the sample chooses among clean rows."""
    cleaned = v.design(clean_labels=True, near_duplicates=True, longest_prompt=300, longest_answer=40, balanced=True)
    assert names(recipe_of(cleaned, SURVEY, ""))[-8:-3] == [
        "near_duplicates", "label_clean", "filter", "filter", "balance",
    ]  # fmt: skip


def test_at_most_a_tenth_of_a_draft_is_in_another_form_than_the_benchmarks() -> None:
    samples = [step.parameters for step in recipe_of(draft(SURVEY), SURVEY, "").steps if step.name == "sample"]
    assert samples == [
        {"source": "glossary", "rows": 20, "seed": 0},
        {"source": "old forum", "rows": 20, "seed": 0},
        {"rows": 400, "seed": 0},
    ]


def test_an_odd_number_of_rows_in_other_forms_is_shared_to_the_last_row() -> None:
    odd = v.design(others=41)
    sizes = [step.parameters["rows"] for step in recipe_of(odd, SURVEY, "").steps if step.name == "sample"]
    assert sizes == [21, 20, 200]
    assert design_of(recipe_of(odd, SURVEY, ""), SURVEY) == odd


@pytest.mark.parametrize("rows", [1, 7, 50, 133, 400])
def test_rows_in_other_forms_keep_their_share_and_every_source_a_row(rows: int) -> None:
    changed = with_rows(v.design(), SURVEY, rows)
    assert changed.rows == rows
    assert changed.others == max(2, int(rows * 20 / 200))
    assert all(int(str(step.parameters.get("rows", 1))) > 0 for step in recipe_of(changed, SURVEY, "").steps)


@pytest.mark.parametrize(
    ("sources", "others"),
    [(("bank",), 0), (("bank", "glossary"), 10), (("glossary", "old forum"), 200), (("glossary",), 200)],
)
def test_only_other_forms_fill_all_rows_and_none_need_none(sources: tuple[str, ...], others: int) -> None:
    changed = with_sources(v.design(), SURVEY, sources)
    assert (changed.sources, changed.others) == (sources, others)
    back = with_sources(changed, SURVEY, [source.name for source in v.SOURCES])
    assert back.others == 20


def test_preferred_categories_leave_room_for_the_others() -> None:
    """Half of the source is kept, preferred rows first: all of it would be the preferred ones otherwise."""
    steps = recipe_of(v.design(preferred=("dark green, olive", "blue")), SURVEY, "").steps
    found = next(step.parameters for step in steps if step.parameters.get("prefer"))
    assert found == {"source": "bank", "rows": 450, "prefer": 'colour in ["dark green, olive", "blue"]', "seed": 0}
    small = v.survey(sources=(v.BANK.model_copy(update={"rows": 250}), v.GLOSSARY))
    steps = recipe_of(v.design(preferred=("blue",), sources=("bank", "glossary")), small, "").steps
    assert next(step.parameters["rows"] for step in steps if step.parameters.get("prefer")) == 200


def test_only_fields_that_the_format_reads_are_required() -> None:
    rows = {"question": "Which?", "answer": "red", "note": ""}
    found = recipe_of(draft(s.survey(s.source("open", rows))), s.survey(s.source("open", rows)), "")
    assert [step.parameters["require"] for step in found.steps if step.name == "filter"] == [["answer", "question"]]


@pytest.mark.parametrize(
    ("move", "changed"),
    [
        ("clean labels", {"clean_labels": True}),
        ("without near duplicates", {"near_duplicates": True}),
        ("balance the categories", {"balanced": True}),
        ("task format only", {"sources": ("bank",), "others": 0}),
        ("fewer rows in other forms", {"others": 10}),
        ("more rows", {"rows": int(200 * LARGER), "others": 30}),
        ("half the rows", {"rows": 100, "others": 10}),
        (prefer(("red",)), {"preferred": ("red",)}),
        (without("old forum"), {"sources": ("bank", "glossary"), "others": 10}),
        (short("answer", 40), {"longest_answer": 40}),
        (short("prompt", 300), {"longest_prompt": 300}),
        (other_rows(4), {"seed": 4}),
    ],
)
def test_a_data_move_changes_one_thing(move: str | DataMove, changed: dict[str, Any]) -> None:
    """Of the design, and of the recipe as far as the design is about one thing."""
    one = DATA_MOVES[move] if isinstance(move, str) else move
    after = one.change(v.design(), SURVEY, v.data())
    assert after == v.design(**changed)
