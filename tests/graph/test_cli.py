"""Wrong input: exit code 2, one line that names the thing, no traceback, nothing written. And Ctrl-C."""

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from laboratory import Laboratory, all_gone, children, events, sign_row, write_rows, write_signs, write_task

ROWS = [sign_row("benchmark", number) for number in range(40)]
SIGNS = {"name": "signs", "prompt": "{{ question }}", "answer": "{{ answer }}", "scorer": "exact"}
Prepare = Callable[[Path], list[str | Path]]


def with_rows(rows: list[dict[str, Any]], file: str = "benchmark.jsonl", **changes: Any) -> Prepare:
    """A task whose benchmark, or another file, has other rows, or whose keys are others."""

    def prepare(folder: Path) -> list[str | Path]:
        write_signs(folder, lessons=10, benchmark=40)
        write_rows(folder / file, rows)
        return ["--task", write_task(folder, **{**SIGNS, **changes})]

    return prepare


def with_text(name: str, text: str) -> Prepare:
    """A task one file of which is replaced by a text."""

    def prepare(folder: Path) -> list[str | Path]:
        task = write_signs(folder, lessons=10, benchmark=40)
        (folder / name).write_text(text)
        return ["--task", task]

    return prepare


def with_flags(*flags: str) -> Prepare:
    """A good task, and these flags; `{}` stands for a folder."""

    def prepare(folder: Path) -> list[str | Path]:
        task = write_signs(folder, lessons=10, benchmark=40)
        return ["--task", task, *(flag.format(folder) for flag in flags)]

    return prepare


BROKEN = "".join(json.dumps(row) + "\n" for row in ROWS[:6]) + '{"id": "cut off\n'
NO_ANSWER = [*ROWS[:30], {key: value for key, value in ROWS[30].items() if key != "answer"}]
CASES: dict[str, tuple[Prepare, list[str]]] = {
    "no task": (lambda folder: [], ["--task", "--list-tasks"]),
    "unknown task": (lambda folder: ["--task", "alchemy"], ["alchemy", "finance_starter"]),
    "absent task file": (lambda folder: ["--task", folder / "none.yaml"], ["none.yaml", "does not exist"]),
    "malformed yaml": (with_text("task.yaml", "name: [unclosed"), ["task.yaml", "not valid YAML"]),
    "unknown key": (with_rows(ROWS, promt="{{ question }}"), ["task.yaml", "promt"]),
    "unknown scorer": (with_rows(ROWS, scorer="magic"), ["magic", "exact"]),
    "absent benchmark": (
        with_rows(ROWS, benchmark={"path": "gone.jsonl"}),
        ["gone.jsonl"],
    ),
    "missing column": (with_rows(NO_ANSWER), ["benchmark.jsonl", "row 31", "answer"]),
    "empty source": (with_rows([], "lessons.jsonl"), ["lessons", "no rows"]),
    "benchmark too small": (with_rows(ROWS[:19]), ["19 rows", "20"]),
    "repeated id": (with_rows([*ROWS, ROWS[3]]), ["row 41", "benchmark3", "twice"]),
    "corrupt file": (with_text("benchmark.jsonl", BROKEN), ["benchmark.jsonl", "row 7", "JSON"]),
    "absent model folder": (with_flags("--model", "{}/no-model"), ["--model", "no-model"]),
    "folder that is no model": (with_flags("--model", "{}"), ["--model", "config.json"]),
    "model not on the hub": (with_flags("--model", "nobody/no-such-model"), ["nobody/no-such-model", "hub"]),
    "absent data root": (with_flags("--data-root", "{}/nowhere"), ["--data-root", "nowhere"]),
    "unknown backbone": (with_flags("--backbone", "oracle"), ["oracle", "expert"]),
    "a generalist among roles": (
        with_flags("--backbone", "generalist=scripted", "--backbone", "planner=expert"),
        ["generalist=scripted", "alone", "planner=expert"],
    ),
    "the practitioner as a generalist": (with_flags("--backbone", "generalist=expert"), ["four roles", "PROVIDER"]),
    "unknown role": (with_flags("--backbone", "critic=expert"), ["critic", "planner"]),
    "backbone without a key": (with_flags("--backbone", "openai:gpt-5.2"), ["OPENAI_API_KEY"]),
    "unknown engine": (with_flags("--engine", "steam"), ["steam", "transformers"]),
    "bad budget": (with_flags("--budget", "soon"), ["--budget", "soon", "30m"]),
    "no budget": (with_flags("--budget", "0m"), ["--budget", "0m"]),
    "bad number": (with_flags("--max-experiments", "0"), ["--max-experiments", "0"]),
    "no number": (with_flags("--seed", "lucky"), ["--seed", "lucky"]),
    "unknown flag": (with_flags("--gpu-please"), ["--gpu-please"]),
    "unknown profile": (with_flags("--profile", "moon"), ["moon", "embedded"]),
}


@pytest.mark.parametrize("case", CASES)
def test_wrong_input(case: str, laboratory: Laboratory, tmp_path: Path) -> None:
    """The last line of standard error names what is wrong; no run directory, no memory."""
    prepare, parts = CASES[case]
    name = f"wrong-{case.replace(' ', '-')}"
    flags = prepare(tmp_path / "task")
    model = [] if "--model" in flags else ["--model", "tiny-random"]
    code, out, err = laboratory.start(name, *flags, *model).finish(120)
    assert code == 2, (out, err)
    lines = [line for line in err.splitlines() if not line.startswith(("usage:", "  "))]
    assert len(lines) == 1, err
    assert [part for part in parts if part not in lines[0]] == [], lines[0]
    assert "Traceback" not in out + err
    assert not (laboratory.root / name).exists()
    assert not laboratory.memory(name).exists()


def test_a_run_directory_is_never_overwritten(laboratory: Laboratory, marked_task: Path, tmp_path: Path) -> None:
    """A folder with something in it is refused, and told how to go on."""
    folder = laboratory.root / "taken"
    folder.mkdir()
    (folder / "precious.txt").write_text("mine")
    code, _, err = laboratory.start("taken", "--task", marked_task, "--dry-run").finish(60)
    assert code == 2
    assert err.startswith(f"error: --run-dir {folder} exists already")
    assert "--resume" in err
    assert [path.name for path in folder.iterdir()] == ["precious.txt"]


def test_an_unknown_run_cannot_be_resumed(laboratory: Laboratory) -> None:
    """The error names it; nothing is made."""
    code, _, err = laboratory.call("ghost", "--resume", "ghost").finish(60)
    assert code == 2
    assert err.startswith("error: --resume ghost: no such run")
    assert err.count("\n") == 1
    assert not (laboratory.root / "ghost").exists()
    assert not (laboratory.root / "runs").exists()


def test_a_run_of_another_version_is_refused(laboratory: Laboratory) -> None:
    """A `config.json` that this program did not write is named, field by field."""
    folder = laboratory.root / "old"
    folder.mkdir()
    (folder / "config.json").write_text('{"version": 0, "run": "old"}')
    code, _, err = laboratory.call("old", "--resume", folder).finish(60)
    assert code == 2
    assert "config.json is not a valid RunConfig" in err
    assert "version" in err
    assert err.count("\n") == 1


def test_ctrl_c_stops_and_tells_how_to_go_on(laboratory: Laboratory, marked_task: Path) -> None:
    """Once: within seconds, exit code 130, the command to resume, no process left, state on disk."""
    run = laboratory.start("stopped", "--task", marked_task, "--dry-run", "--max-experiments", "1")
    run.wait_for((run.path / "experiments/001/request.json").exists, "the training")
    run.child("roles.recipes.sft")
    others = children(run.process.pid)
    assert len(others) >= 3, "evaluator, engine and training"
    began = time.monotonic()
    run.process.send_signal(signal.SIGINT)
    code, out, err = run.finish(60)
    assert time.monotonic() - began < 10
    assert code == 130
    assert "Traceback" not in out + err
    last = out.splitlines()[-1]
    assert "stopped; go on with:" in last
    assert last.endswith(f"--resume {run.path}")
    assert all_gone(others, 3.0)
    assert events(run.path)[-1]["what"] == "failed"
    assert events(run.path)[-1]["stage"] == "train"


def test_a_second_ctrl_c_ends_at_once(laboratory: Laboratory, marked_task: Path) -> None:
    """Twice: the process is gone at once, and its children see it."""
    run = laboratory.start("killed", "--task", marked_task, "--dry-run", "--max-experiments", "1")
    run.wait_for_event("evaluate", "start", "experiments/000/000.feedback.json")
    others = children(run.process.pid)
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.02)
    if run.process.poll() is None:
        run.process.send_signal(signal.SIGINT)
    began = time.monotonic()
    code, _, err = run.finish(60)
    assert code == 130
    assert time.monotonic() - began < 5
    assert "Traceback" not in err
    assert all_gone(others, 5.0)
