"""Minds by spec, and the conversation in which a decision is sent back until it can be carried out."""

from typing import Any

import pytest
import situations as s

from memory.records import Plan
from roles import backbone
from roles.backbone import REPAIRS, ROLES, Exchange, Question, Usage, consult, load_backbone, load_minds
from tasks.failure import FailureKind, InputError, StageError

SERVER = "openai:m@http://127.0.0.1:9/v1"


@pytest.mark.parametrize(
    ("specs", "expected"),
    [
        ([], ["expert"] * 4),
        (["scripted"], ["scripted"] * 4),
        (["planner=scripted"], ["scripted", "expert", "expert", "expert"]),
        (["scripted", "trainer=expert"], ["scripted", "scripted", "expert", "scripted"]),
        (["planner=scripted", "planner=expert"], ["expert"] * 4),
        (["planner=expert", "scripted"], ["scripted"] * 4),
        ([f"diagnostician={SERVER}"], ["expert", "expert", "expert", SERVER]),
        ([SERVER + "?key=a&b=c"], [SERVER + "?key=a&b=c"] * 4),
        ([f"planner={SERVER}?key=a"], [f"{SERVER}?key=a", "expert", "expert", "expert"]),
    ],
)
def test_specs_name_the_minds_and_later_ones_win(specs: list[str], expected: list[str]) -> None:
    minds = load_minds(specs)
    assert [minds[role].name for role in ROLES] == expected


def test_roles_with_the_same_spec_share_one_mind() -> None:
    minds = load_minds(["scripted", "planner=expert"])
    assert minds["trainer"] is minds["data_engineer"] is not minds["planner"]


def test_settings_are_a_roles_own_or_all_roles() -> None:
    minds = load_minds([SERVER], ["0.2", "planner=0.9"], ["trainer=low"])
    asked = {role: mind._settings for role, mind in minds.items()}  # type: ignore[attr-defined]
    assert {role: (found["temperature"], found["effort"]) for role, found in asked.items()} == {
        "planner": (0.9, None), "data_engineer": (0.2, None), "trainer": (0.2, "low"), "diagnostician": (0.2, None),
    }  # fmt: skip
    assert minds["data_engineer"] is minds["diagnostician"]
    assert load_minds(["expert"], ["0.3"])["planner"].name == "expert"  # rules have none, and need none


@pytest.mark.parametrize(
    ("temperatures", "efforts", "said"),
    [
        (["hot"], [], "temperature: Input should be a valid number"),
        (["-1"], [], "temperature: Input should be greater than or equal to 0"),
        ([], ["planner=much"], "effort: Input should be 'none', 'minimal', 'low'"),
        (["cook=1"], [], "--temperature cook=1: unknown role 'cook'; known: planner"),
    ],
)
def test_wrong_settings_are_refused(temperatures: list[str], efforts: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        load_minds([SERVER], temperatures, efforts)


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        (["cook=expert"], ["cook", *ROLES]),
        (["oracle"], ["oracle", "expert", "scripted", "openai:MODEL"]),
        (["planner=oracle"], ["oracle", "expert", "scripted"]),
        (["planner="], ["unknown backbone ''", "expert"]),
        ([""], ["unknown backbone ''", "expert"]),
        (["openai:"], ["openai:", "expert"]),
        (["openai"], ["openai", "expert"]),
        (["oracle:delphi"], ["oracle:delphi", "openai:MODEL", "anthropic", "ollama"]),
        (["cohere:command"], ["cohere:command", "pip install langchain-cohere"]),
    ],
)
def test_an_unknown_role_or_spec_is_refused_with_the_known_ones(specs: list[str], said: list[str]) -> None:
    with pytest.raises(InputError) as refused:
        load_minds(specs)
    assert all(word in str(refused.value) for word in said)


class Mind:
    """Answers with plans of rising number, and remembers what it was told."""

    name = "mind"

    def __init__(self) -> None:
        self.asked: list[Question[Any]] = []

    def decide(self, question: Question[Any]) -> tuple[Any, Usage]:
        self.asked.append(question)
        decided = s.plan(parent=0).model_copy(update={"hypothesis": f"idea {len(self.asked)}"})
        return decided, Usage(mind=self.name, input_tokens=10, output_tokens=2)


def ask(mind: Any, refusals: list[str | None], complaints: tuple[str, ...] = ()) -> tuple[Plan | None, list[Exchange]]:
    """Consult a mind whose decisions are judged by `refusals` in turn."""
    notes: list[Exchange] = []
    verdicts = iter(refusals)
    question = Question("planner", s.planner(), Plan, complaints)
    if len(refusals) <= REPAIRS + 1 and refusals[-1] is None:
        return consult(mind, question, lambda _: next(verdicts), notes.append, 7), notes
    with pytest.raises(StageError, match=str(refusals[REPAIRS])) as failed:
        consult(mind, question, lambda _: next(verdicts), notes.append, 7)
    assert failed.value.failure.kind == FailureKind.CONFIG
    return None, notes


@pytest.mark.parametrize("refused", range(REPAIRS + 1))
def test_a_refused_decision_goes_back_with_every_reason_so_far(refused: int) -> None:
    mind = Mind()
    reasons = [f"reason {n}" for n in range(refused)]
    decided, notes = ask(mind, [*reasons, None], ("it failed before",))
    assert decided
    assert decided.hypothesis == f"idea {refused + 1}"
    for n, question in enumerate(mind.asked):
        before, *said = question.complaints
        assert before == "it failed before"
        assert [complaint.split(" (your answer: ")[0] for complaint in said] == reasons[:n]
        assert all(f'"idea {k}"' in complaint for k, complaint in enumerate(said, start=1))
    assert all(reason in notes[-1].user for reason in reasons)
    assert [note.refused for note in notes] == [*reasons, None]


def test_after_the_last_repair_the_stage_fails_with_the_last_reason() -> None:
    mind = Mind()
    decided, notes = ask(mind, [f"reason {n}" for n in range(REPAIRS + 5)])
    assert decided is None
    assert len(mind.asked) == REPAIRS + 1 == len(notes)


def test_every_exchange_is_noted_as_it_was() -> None:
    mind = Mind()
    _, notes = ask(mind, ["no", None])
    assert [(note.role, note.experiment, note.usage.input_tokens) for note in notes] == [("planner", 7, 10)] * 2
    assert [note.decision["hypothesis"] for note in notes] == ["idea 1", "idea 2"]
    assert [(note.system, note.user) for note in notes] == [(asked.system, asked.user) for asked in mind.asked]
    assert [Exchange.model_validate_json(note.model_dump_json()) for note in notes] == notes


def test_a_mind_that_fails_ends_the_consultation_with_its_own_failure() -> None:
    class Broken(Mind):
        def decide(self, question: Question[Any]) -> tuple[Any, Usage]:
            raise StageError("planner", FailureKind.PROVIDER, "no answer")

    with pytest.raises(StageError, match="no answer") as failed:
        consult(Broken(), Question("planner", s.planner(), Plan), lambda _: None, lambda _: None, 1)
    assert failed.value.failure.kind == FailureKind.PROVIDER


def test_minds_need_no_language_model_library() -> None:
    """Importing one costs seconds."""
    import subprocess
    import sys

    code = "import sys; from roles.backbone import load_minds; load_minds(['expert', 'planner=scripted'])\n"
    code += "load_minds(['openai:m@http://127.0.0.1:9/v1'])\n"  # it is the gateway's process that needs one
    code += "assert not {'langchain', 'langchain_openai', 'openai', 'torch', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=backbone.__file__.rpartition("/roles/")[0])


def test_an_openai_spec_without_key_or_server_says_what_to_set() -> None:
    with pytest.raises(InputError, match=r"OPENAI_API_KEY.*openai:gpt-x@http"):
        load_backbone("openai:gpt-x")
