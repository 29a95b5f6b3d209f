"""A person at the terminal: what is shown, what is understood, and what an editor is given."""

import io
import os
import pty
import sys
import termios
from pathlib import Path
from typing import Any

import pytest
import situations as s

from graph import progress
from graph.approval import Answer, Proposal
from graph.estimate import Estimate
from graph.person import PROMPT, NobodyThere, ask
from graph.plan_file import plan_as_yaml, plan_from_yaml
from graph.progress import Terminal
from graph.run_dir import RunDir
from memory.records import Plan

ESTIMATE = Estimate(
    training_minutes=4.0, evaluation_minutes=0.5, other_minutes=0.5, minutes_left=18.0, models=None
)  # fmt: skip
PLAN = s.plan(data="all sources", training="short")
KEY = "sk-planted-0123456789"


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    """A run directory."""
    made = RunDir(tmp_path / "run")
    made.create()
    return made


@pytest.fixture(autouse=True)
def no_editor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests run in."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)


def proposal(plan: Plan = PLAN, **changes: Any) -> Proposal:
    """A question about a plan."""
    known: dict[str, Any] = {
        "experiment": 3, "attempt": 1, "planner": "openai:m", "plan": plan_as_yaml(plan), "estimate": ESTIMATE,
        "note": "", "draft": "",
    }  # fmt: skip
    return Proposal(**known | changes)


def answered(typed: str, run: RunDir, monkeypatch: pytest.MonkeyPatch, question: Proposal | None = None) -> Answer:
    """What is understood of lines on standard input."""
    monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
    return ask(Terminal(), run, question or proposal())


def editor(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str, name: str = "EDITOR") -> None:
    """An editor that runs a line of shell, with the file as `$1`."""
    path = folder / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv(name, f"'{path}'")


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("a\n", Answer(decision="accept")),
        ("  ACCEPT \n", Answer(decision="accept")),
        ("s\n", Answer(decision="stop")),
        ("b\nfewer rows\n", Answer(decision="back", comment="fewer rows")),
        ("back fewer rows: 100\n", Answer(decision="back", comment="fewer rows: 100")),
        ("b\n\na\n", Answer(decision="accept")),  # no comment, not sent back
        ("\nyes\nabsolutely\na\n", Answer(decision="accept")),  # nothing is spent on a slip of the finger
    ],
)
def test_words(typed: str, answer: Answer, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """First letters or whole words, in any case; anything else is asked again."""
    assert answered(typed, run, monkeypatch) == answer


@pytest.mark.parametrize("typed", ["", "no\n", "b\n", "e\n"])
def test_when_standard_input_ends_nobody_is_there(typed: str, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the middle of an answer, too."""
    with pytest.raises(NobodyThere, match="plan 003 waits"):
        answered(typed, run, monkeypatch)


def test_standard_input_may_be_closed(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is for some background jobs."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(NobodyThere):
        ask(Terminal(), run, proposal())


def test_a_comment_in_another_encoding_is_no_reason_to_die(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is replaced."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"b caf\xe9 rows\n"), encoding="utf-8"))
    assert ask(Terminal(), run, proposal()).comment == "caf\ufffd rows"


def test_the_page(run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Every field of the plan, minutes, money, the note, the question."""
    answered("a\n", run, monkeypatch, proposal(note="your plan cannot be carried out: parent 9"))
    out = capsys.readouterr().out
    assert [field for field in Plan.model_fields if f"\n  {field}: " not in out] == []
    assert "about 5.0 minutes of the 18 left" in out
    assert "no language model is asked" in out
    assert out.index("parent 9") < out.index(PROMPT)


def test_a_plan_cannot_move_the_cursor(
    run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The attack: words of a language model that hide what is to be approved."""
    nasty = "harmless\x1b[8m and hidden\x1b[2K\r\x9b1A over"
    answered("a\n", run, monkeypatch, proposal(PLAN.model_copy(update={"reason": nasty}), note=nasty))
    out = capsys.readouterr().out
    assert "hidden" in out
    assert [character for character in out if character in "\x1b\r\x9b"] == []


@pytest.mark.parametrize(("planner", "said"), [("openai:m", False), ("expert", True), ("scripted", True)])
def test_a_planner_that_cannot_read_is_named(
    planner: str, said: bool, run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before the comment is written."""
    answered("b\nfewer\n", run, monkeypatch, proposal(planner=planner))
    assert (f"the planner ({planner}) cannot read" in capsys.readouterr().out) == said


@pytest.mark.parametrize("name", ["VISUAL", "EDITOR"])
def test_an_editor_opens_the_plan_with_what_its_fields_mean(
    name: str, run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it leaves in the file is the answer."""
    editor(tmp_path, monkeypatch, f"""cp "$1" {tmp_path}/seen; sed -i 's/^parent: 0/parent: 1/' "$1" """, name)
    answer = answered("e\n", run, monkeypatch)
    assert answer.decision == "edit"
    assert plan_from_yaml(answer.plan) == PLAN.model_copy(update={"parent": 1})
    assert (run.path / "experiments/003/plan.yaml").read_text() == answer.plan
    seen = (tmp_path / "seen").read_text()
    assert plan_from_yaml(seen) == PLAN
    assert "# expected change of the metric against the parent\npredicted_effect: 0.03" in seen


def test_an_editor_gets_no_keys(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is a child process as any other, but keeps what it needs to run."""
    editor(tmp_path, monkeypatch, f"env > {tmp_path}/environment")
    for variable, value in {"OPENAI_API_KEY": KEY, "HF_TOKEN": KEY + "hub", "COPY": f"key={KEY}"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("DISPLAY", ":7")
    answered("e\na\n", run, monkeypatch)
    found = (tmp_path / "environment").read_text()
    assert KEY not in found
    assert "DISPLAY=:7" in found


def test_an_editor_does_not_eat_the_next_answers(run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Piped lines are for us; on a terminal the editor has it."""
    editor(tmp_path, monkeypatch, 'cat > /dev/null; echo "colour: red" >> "$1"')
    before, (ours, theirs) = os.dup(0), os.pipe()
    os.write(theirs, b"s\n")
    os.close(theirs)
    os.dup2(ours, 0)
    try:
        assert answered("e\n", run, monkeypatch).plan.endswith("colour: red\n")
        assert os.read(0, 9) == b"s\n"
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(ours)


@pytest.mark.parametrize(("script", "said"), [("exit 3", "exit code 3"), ("true", "as it was proposed")])
def test_an_edit_can_be_given_up(
    script: str, said: str, run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """By leaving the file as it is, or the editor with an error."""
    editor(tmp_path, monkeypatch, script)
    assert answered("e\ns\n", run, monkeypatch).decision == "stop"
    assert said in capsys.readouterr().out


@pytest.mark.parametrize("command", ["", "/no/such/editor", "'unclosed"])
def test_without_an_editor_the_path_is_told(
    command: str, run: RunDir, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The person edits as they like, and presses Enter."""
    monkeypatch.setenv("EDITOR", command)
    path = run.path / "experiments/003/plan.yaml"

    class Typing(io.StringIO):
        def readline(self, size: int = -1, /) -> str:
            line = super().readline(size)
            if line == "\n":
                path.write_text(path.read_text().replace("parent: 0", "parent: 2"))
            return line

    monkeypatch.setattr(sys, "stdin", Typing("e\n\n"))
    answer = ask(Terminal(), run, proposal())
    assert plan_from_yaml(answer.plan).parent == 2
    assert f"edit {path}, then press Enter:" in capsys.readouterr().out


def test_what_was_written_is_not_lost(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that is there is not overwritten; one that is gone comes back as it was refused; another plan gets its
    own file."""
    folder = run.path / "experiments/003"
    folder.mkdir(parents=True)
    (folder / "plan.yaml").write_text("half: done")
    assert answered("e\n\n", run, monkeypatch).plan == "half: done"
    assert answered("e\n\na\n", run, monkeypatch, proposal(attempt=2)).decision == "accept"
    assert plan_from_yaml((folder / "plan.2.yaml").read_text()) == PLAN
    (folder / "plan.yaml").unlink()
    assert answered("e\n\n", run, monkeypatch, proposal(draft="my: draft")).plan == "my: draft"


@pytest.mark.parametrize("damage", ["gone", "no text"])
def test_a_file_that_cannot_be_read_is_asked_about_again(
    damage: str, run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name."""
    editor(tmp_path, monkeypatch, 'rm "$1"' if damage == "gone" else r"""printf '\377\376' > "$1" """)
    assert answered("e\na\n", run, monkeypatch).decision == "accept"
    assert "plan.yaml cannot be read" in capsys.readouterr().out


def test_keys_pressed_before_the_question_accept_nothing(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal: somebody typed while the experiment before went on."""
    ours, theirs = pty.openpty()
    flush = termios.tcflush

    def flush_and_type(*given: Any) -> None:
        flush(*given)
        os.write(ours, b"s\n")

    with os.fdopen(theirs, "r") as stdin:
        os.write(ours, b"a\n")
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(progress.termios, "tcflush", flush_and_type)
        assert ask(Terminal(), run, proposal()).decision == "stop"
    os.close(ours)


@pytest.mark.parametrize(
    "text",
    [
        "", "yes", "0", "null", "a: b # c", " leading", "trailing ", "two\nlines\n\n", "'single' and \"double\"",
        "a long sentence about nothing: it is folded, because it is longer than half of a line, and stays the same",
        "中文 以及一个很长的句子 " * 8, "\t\x1b[31m", "- not a list - but a sentence that is long enough to be folded",
    ],
)  # fmt: skip
def test_a_plan_is_the_same_after_the_way_through_yaml(text: str) -> None:
    """Whatever a planner writes into its fields."""
    plan = PLAN.model_copy(update={"reason": text, "outlook": (text, "b"), "budget_share": 0.25})
    for explained in (True, False):
        assert plan_from_yaml(plan_as_yaml(plan, explained=explained)) == plan
