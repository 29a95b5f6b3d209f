"""The minds that need no language model: `expert`, which is the practitioner, and `scripted`."""

import pytest
import situations as s

from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import ROLES, Question, Role
from roles.backbones.expert import Expert
from roles.backbones.scripted import Scripted
from tasks.failure import StageError
from tasks.record import Record

SCHEMAS: dict[Role, type[Record]] = {
    "planner": Plan,
    "data_engineer": DataRecipe,
    "trainer": TrainingConfig,
    "diagnostician": Diagnosis,
}


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("mind", [Expert(), Scripted()], ids=lambda mind: mind.name)
@pytest.mark.parametrize("briefings", [s.full_briefings, s.minimal_briefings], ids=["full", "minimal"])
def test_built_in_minds_answer_every_role_deterministically(role: Role, mind, briefings) -> None:
    first, usage = mind.decide(Question(role, briefings()[role], SCHEMAS[role]))
    again, _ = mind.decide(Question(role, briefings()[role], SCHEMAS[role]))
    assert isinstance(first, SCHEMAS[role])
    assert first == again
    assert (usage.mind, usage.input_tokens) == (mind.name, 0)


@pytest.mark.parametrize("role", ["planner", "trainer"])
def test_the_expert_reads_the_memory(role: Role) -> None:
    """Where nothing is trained yet, what worked elsewhere decides the start; without a memory nothing does."""
    lucky = s.trial(3, score=0.7, config=TrainingConfig(learning_rate=7e-4)).model_copy(update={"run": "other"})
    recalled = (s.RECALLED[0].model_copy(update={"experiment": lucky}),)
    briefing = s.minimal_briefings()[role]
    told = briefing.model_copy(update={"recalled": recalled})
    decisions = [Expert().decide(Question(role, each, SCHEMAS[role]))[0] for each in (briefing, told)]
    assert decisions[0] != decisions[1]
    assert "other/003" not in decisions[0].model_dump_json()
    assert "other/003" in decisions[1].model_dump_json()


@pytest.mark.parametrize("role", ["planner", "data_engineer", "trainer"])
def test_the_expert_reads_what_a_generalist_has_tried(role: Role) -> None:
    """Its experiments have no plan, and only what was submitted has a verdict."""
    submitted = s.trial(2, score=0.7, config=TrainingConfig(learning_rate=7e-4))
    tried = (s.trial(1).model_copy(update={"selection": None, "verdict": None, "effect": None}), submitted)
    recalled = tuple(
        s.RECALLED[0].model_copy(
            update={"id": f"alone/{one.number}", "experiment": one.model_copy(update={"run": "alone", "plan": None})}
        )
        for one in tried
    )
    briefing = s.minimal_briefings()[role].model_copy(update={"recalled": recalled})
    decision, _ = Expert().decide(Question(role, briefing, SCHEMAS[role]))
    assert isinstance(decision, SCHEMAS[role])


@pytest.mark.parametrize("role", ["data_engineer", "trainer"])
def test_the_expert_heeds_complaints(role: Role) -> None:
    briefing = s.minimal_briefings()[role]
    heard = [
        Expert().decide(Question(role, briefing, SCHEMAS[role], complaints))[0]
        for complaints in ((), ("DATA: no row",))
    ]
    assert heard[0] != heard[1]


@pytest.mark.parametrize("role", ["planner", "data_engineer"])
def test_the_expert_says_when_it_can_read_no_source(role: Role) -> None:
    briefing = s.minimal_briefings()[role].model_copy(update={"survey": s.survey(s.OPAQUE)})
    with pytest.raises(StageError, match="no source"):
        Expert().decide(Question(role, briefing, SCHEMAS[role]))


def test_the_script_reads_pages_before_it_formats_them() -> None:
    page = '<div class="question">Which?</div><div class="accepted">Red.</div><p>more</p>'
    briefing = s.minimal_briefings()["data_engineer"]
    told = briefing.model_copy(update={"survey": s.survey(s.EXAMS, s.source("forum", {"page": page}))})
    recipe, _ = Scripted().decide(Question("data_engineer", told, DataRecipe))
    assert [step.name for step in recipe.steps] == ["html_clean", "format", "format", "sample"]
