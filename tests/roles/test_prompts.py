"""What minds are told: every prompt renders, equals its golden copy, and holds no benchmark text it should not.

After a wanted change: `PYTHONPATH=. python tests/roles/test_prompts.py`, then read the difference of `golden/`.
"""

from pathlib import Path

import pytest
import situations as s
from jinja2 import UndefinedError

from eval.result import ItemResult
from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import ROLES, Question, Role
from roles.backbone import render as render_file
from tasks.record import Record

GOLDEN = Path(__file__).parent / "golden"
SCHEMAS: dict[Role, type[Record]] = {
    "planner": Plan,
    "data_engineer": DataRecipe,
    "trainer": TrainingConfig,
    "diagnostician": Diagnosis,
}
COMPLAINTS = ("CONFIG: unknown step 'shuffle'", "DATA: no row passes the gate")
TOKEN = "xyzzy-benchmark-text"


REPAIRS = {
    "invalid": "predicted_effect: Input should be less than or equal to 1",
    "empty": "",
    "truncated": "",
    "refusal": "I cannot help with that",
}
"""What was wrong with an answer, and in which words."""


def repair(fault: str) -> str:
    return render_file("repair.md", fault=fault, error=REPAIRS[fault], tokens=4096)


def render(role: Role, size: str) -> str:
    """The user prompt of a role: `full` with every optional part and complaints, or `minimal`."""
    briefings = s.full_briefings() if size == "full" else s.minimal_briefings()
    return Question(role, briefings[role], SCHEMAS[role], COMPLAINTS if size == "full" else ()).user


def system(role: Role) -> str:
    return Question(role, s.minimal_briefings()[role], SCHEMAS[role]).system


@pytest.mark.parametrize("size", ["full", "minimal"])
@pytest.mark.parametrize("role", ROLES)
def test_user_prompts_equal_their_golden_copies(role: Role, size: str) -> None:
    assert render(role, size) == (GOLDEN / f"{role}.{size}.md").read_text()


@pytest.mark.parametrize("role", ROLES)
def test_system_prompts_equal_their_golden_copies(role: Role) -> None:
    assert system(role) == (GOLDEN / f"{role}.system.md").read_text()


@pytest.mark.parametrize("fault", REPAIRS)
def test_repair_turns_equal_their_golden_copies(fault: str) -> None:
    assert repair(fault) == (GOLDEN / f"repair.{fault}.md").read_text()


@pytest.mark.parametrize("role", ROLES)
def test_the_system_prompt_does_not_depend_on_the_situation(role: Role) -> None:
    """Providers cache a stable beginning."""
    assert Question(role, s.full_briefings()[role], SCHEMAS[role], COMPLAINTS).system == system(role)


@pytest.mark.parametrize("role", ROLES)
def test_the_schema_of_the_decision_is_in_the_system_prompt(role: Role) -> None:
    assert all(f'"{field}"' in system(role) for field in SCHEMAS[role].model_fields)


@pytest.mark.parametrize("role", ROLES)
def test_complaints_and_what_is_left_are_always_shown(role: Role) -> None:
    text = render(role, "full")
    assert all(complaint in text for complaint in COMPLAINTS)
    assert "3 experiments, about 40 minutes" in text
    assert "90000 tokens" in text
    assert "3 experiments, without a time limit" in render(role, "minimal")


@pytest.mark.parametrize("role", ROLES)
def test_an_unknown_name_in_a_template_is_an_error(role: Role) -> None:
    """StrictUndefined: a briefing without what the template reads never renders as a gap."""
    briefing = s.full_briefings()[role]
    broken = briefing.model_copy()
    del broken.__dict__["remaining"]
    with pytest.raises(UndefinedError, match="remaining"):
        _ = Question(role, broken, SCHEMAS[role]).user


def _with_token(item: ItemResult) -> ItemResult:
    return item.model_copy(update={"prompt": TOKEN, "answer": TOKEN, "completions": (TOKEN,)})


@pytest.mark.parametrize("role", ROLES)
def test_feedback_items_reach_the_diagnostician_alone(role: Role) -> None:
    """The attack: the words of the feedback items are planted in all a briefing can hold of them."""
    briefing = s.full_briefings()[role]
    items = [each for each in _reachable(briefing) if isinstance(each, ItemResult)]
    assert bool(items) == (role == "diagnostician")
    if role == "diagnostician":
        planted = briefing.model_copy(update={"wrong": tuple(_with_token(each) for each in items)})
        assert TOKEN in Question(role, planted, SCHEMAS[role]).user


@pytest.mark.parametrize("role", ROLES)
def test_no_group_table_of_selection_is_shown(role: Role) -> None:
    """Of selection, roles learn score and verdict. Even if a table were there, no prompt would render it."""
    briefing = s.full_briefings()[role]
    table = (s.group(TOKEN, 0.1, 0.2),)
    trials = tuple(
        trial.model_copy(update={"selection": trial.selection and trial.selection.model_copy(update={"groups": table})})
        for trial in briefing.trials
    )
    planted = briefing.model_copy(update={"trials": trials})
    if role == "diagnostician":
        planted = planted.model_copy(update={"experiment": trials[1]})
    assert TOKEN not in Question(role, planted, SCHEMAS[role]).user


def _reachable(value: object) -> list[object]:
    """All values inside a record."""
    parts = (
        [getattr(value, name) for name in type(value).model_fields]
        if isinstance(value, Record)
        else list(value.values())
        if isinstance(value, dict)
        else list(value)
        if isinstance(value, tuple | list)
        else []
    )
    return [value, *(inner for part in parts for inner in _reachable(part))]


def test_no_briefing_but_the_diagnosticians_has_a_place_for_items() -> None:
    """By type, so that a field added later is caught: only one schema mentions `ItemResult`."""
    with_items = [
        role for role, briefing in s.full_briefings().items() if "ItemResult" in str(type(briefing).model_json_schema())
    ]
    assert with_items == ["diagnostician"]


if __name__ == "__main__":
    for what in REPAIRS:
        (GOLDEN / f"repair.{what}.md").write_text(repair(what))
    for each in ROLES:
        (GOLDEN / f"{each}.system.md").write_text(system(each))
        for extent in ("full", "minimal"):
            (GOLDEN / f"{each}.{extent}.md").write_text(render(each, extent))
