"""What the schema of a decision allows in a situation: as much as the checks accept, and no unknown names."""

from typing import Any

import jsonschema
import pytest
import situations as s

from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import Question, Role
from roles.briefing import PlannerBriefing
from roles.canned import canned_opening
from roles.conversation import Conversation
from roles.narrowing import MOST_NAMES, narrowed
from tasks.record import Record

SCHEMAS: dict[str, type[Record]] = {
    "planner": Plan,
    "data_engineer": DataRecipe,
    "trainer": TrainingConfig,
    "diagnostician": Diagnosis,
}
GOOD: dict[str, Record] = {
    "planner": s.plan(parent=1, data="other rows").model_copy(update={"memory_ids": (s.RECALLED[0].id,)}),
    "data_engineer": s.FULL_RECIPE.model_copy(update={"steps": s.FULL_RECIPE.steps[1:]}),
    "trainer": TrainingConfig(),
    "diagnostician": s.diagnosis("weak knowledge").model_copy(update={"weak_groups": ("blue",)}),
}


def schema_of(role: Role, full: bool = True) -> dict[str, Any]:
    briefing = (s.full_briefings() if full else s.minimal_briefings())[role]
    return Question(role, briefing, SCHEMAS[role]).json_schema


def allows(schema: dict[str, Any], decision: Record | dict[str, Any]) -> bool:
    given = decision.model_dump(mode="json") if isinstance(decision, Record) else decision
    try:
        jsonschema.validate(given, schema, cls=jsonschema.Draft202012Validator)
    except jsonschema.ValidationError:
        return False
    return True


@pytest.mark.parametrize("role", SCHEMAS)
@pytest.mark.parametrize("full", [True, False], ids=["full", "minimal"])
def test_it_is_a_schema_and_the_general_one_stays(role: Role, full: bool) -> None:
    before = SCHEMAS[role].model_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema_of(role, full))
    assert SCHEMAS[role].model_json_schema() == before


@pytest.mark.parametrize("role", SCHEMAS)
def test_a_good_decision_fits(role: Role) -> None:
    assert allows(schema_of(role), GOOD[role])


@pytest.mark.parametrize(
    ("role", "change"),
    [
        ("planner", {"parent": 3}),
        ("planner", {"memory_ids": ["ghost"]}),
        ("data_engineer", {"sources": ["ghost"]}),
        ("data_engineer", {"sources": []}),
        ("data_engineer", {"steps": [{"name": "ghost", "parameters": {}}]}),
        ("trainer", {"method": "ghost"}),
        ("trainer", {"max_length": 89}),
        ("diagnostician", {"weak_groups": ["ghost"]}),
    ],
    ids=str,
)
def test_what_does_not_exist_does_not_fit(role: Role, change: dict[str, Any]) -> None:
    assert not allows(schema_of(role), GOOD[role].model_dump(mode="json") | change)


def test_before_anything_is_trained_a_plan_is_for_both_hands() -> None:
    schema = schema_of("planner", full=False)
    assert allows(schema, s.plan(parent=0, data="rows", training="defaults"))
    assert not allows(schema, s.plan(parent=0).model_copy(update={"factor": "data"}))
    assert not allows(schema, s.plan(parent=1))
    assert not allows(schema, s.plan(parent=0).model_copy(update={"memory_ids": ("a",)}))


def test_a_long_list_is_left_out() -> None:
    recalled = [s.RECALLED[0].model_copy(update={"id": f"m{i}"}) for i in range(MOST_NAMES + 1)]
    briefing = PlannerBriefing(**s.situation(), diagnosis=None).model_copy(update={"recalled": tuple(recalled)})
    whole = Plan.model_json_schema()
    assert narrowed(whole, briefing)["properties"]["memory_ids"] == whole["properties"]["memory_ids"]


def test_the_generalists_actions_name_what_there_is(tmp_path: Any) -> None:
    schema = Conversation(canned_opening(tmp_path), ()).json_schema
    jsonschema.Draft202012Validator.check_schema(schema)
    look: dict[str, Any] = {"action": "look", "source": "glossary", "first": 1, "count": 2, "where": None}
    assert allows(schema, {"thought": "", "call": look})
    assert not allows(schema, {"call": look | {"source": "ghost"}})
    prepare = {"action": "prepare", "recipe": {"sources": ["glossary"], "steps": [{"name": "deduplicate"}]}}
    assert allows(schema, {"call": prepare})
    assert not allows(schema, {"call": prepare | {"recipe": {"sources": ["glossary"], "steps": [{"name": "ghost"}]}}})
