"""The command that tries a mind on a canned situation."""

from pathlib import Path

import pytest

from memory.records import DataRecipe, Plan
from roles.backbone import ROLES, Question
from roles.canned import canned_briefings
from roles.probe import SCHEMAS, main


@pytest.mark.parametrize("spec", ["expert", "scripted"])
def test_the_built_in_minds_decide(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backbone", spec, "--decisions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:2] for line in lines[1:5]] == [[role, "yes"] for role in ROLES]
    assert any(line.startswith("data_engineer: {'sources'") for line in lines)


def test_a_generalist_takes_its_first_turn(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--backbone", "generalist=scripted", "--decisions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split()[:2] == ["generalist", "yes"]
    assert any("'action': 'look', 'source': 'exam_bank'" in line for line in lines)


def test_a_mind_without_a_usable_decision_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plan = Plan(hypothesis="h", parent=9, factor="both", data_strategy="d", training_strategy="t", predicted_effect=0)
    exchange = (
        '{"kind": "decision", "role": "planner", "experiment": 2, "system": "", "user": %s, "decision": %s, '
        '"refused": null, "usage": {"mind": "openai:m"}}\n'
    )
    import json

    user = Question("planner", canned_briefings(tmp_path / "c")["planner"], Plan).user
    file = tmp_path / "transcript.jsonl"
    file.write_text(exchange % (json.dumps(user), plan.model_dump_json()), encoding="utf-8")
    assert main(["--backbone", "expert", "--backbone", f"planner=recorded:{file}"]) == 1
    out = " ".join(capsys.readouterr().out.split())
    assert "planner no: planner: PROVIDER" in out
    assert "diagnostician yes" in out


def test_wrong_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--backbone", "planer=expert"]) == 2
    assert main(["--backbone", f"recorded:{tmp_path / 'none.jsonl'}"]) == 2
    assert "none.jsonl" in capsys.readouterr().err


def test_every_role_meets_a_whole_prompt(tmp_path: Path) -> None:
    for role, briefing in canned_briefings(tmp_path).items():
        said = Question(role, briefing, SCHEMAS[role]).user
        assert "exam_bank" in said
        assert len(said) < 60_000
    recipe = canned_briefings(tmp_path)["data_engineer"]
    assert isinstance(recipe.parent_recipe, DataRecipe)  # type: ignore[attr-defined]
