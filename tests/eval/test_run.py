"""`python -m eval.run`: several checkpoints from the shell."""

import json
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import engine_contract as contract
import psutil
import pytest
import yaml

from eval.run import BASE, main, names_of
from tasks.child import CHECKOUT
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Task

WORDS = ("f", "over", "can", "is")
"""What the tiny model likes to say: these are the reference answers, so that some are right."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def task(toy_task: Task) -> Path:
    """A task file of 240 rows: 36 feedback, 84 selection, 120 test."""
    folder = Path(toy_task.base_dir)
    rows = [
        {"id": f"q{i}", "question": f"Which colour has the code {i % 4} in box {i}?", "first": "red", "second": "blue",
         "answer": WORDS[i % 4], "group": f"g{i % 4}"}
        for i in range(240)
    ]  # fmt: skip
    write_jsonl(folder / "benchmark.jsonl", rows)
    changed = toy_task.model_copy(update={"scorer": {"name": "contains"}})
    file = folder / "toy.yaml"
    file.write_text(yaml.safe_dump(changed.model_dump(mode="json", exclude_defaults=True, exclude={"base_dir"})))
    return file


def evaluate(task: Path, tiny: contract.Fixture, *flags: str | Path) -> subprocess.CompletedProcess[str]:
    """The command as a person calls it, from another folder."""
    started = start(task, tiny, *flags)
    out, err = started.communicate(timeout=300)
    return subprocess.CompletedProcess(started.args, started.returncode, out, err)


def start(task: Path, tiny: contract.Fixture, *flags: str | Path) -> subprocess.Popen[str]:
    folder = task.parent
    line = ["--task", task, "--model", tiny.model, "--engine", "transformers", "--cache-dir", folder / "cache", *flags]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT), "HOME": str(folder), "COLUMNS": "160"}
    return subprocess.Popen(
        [sys.executable, "-m", "eval.run", *map(str, line)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder, env=environment,
    )  # fmt: skip


def written(task: Path, out: str = "runs/evaluations/toy-model") -> dict[str, Any]:
    return json.loads((task.parent / out / "evaluation.json").read_text())


def test_several_adapters_are_scored_and_compared(task: Path, tiny: contract.Fixture) -> None:
    other = shutil.copytree(tiny.adapter, task.parent / "other")
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 3 * config["lora_alpha"]}))
    done = evaluate(task, tiny, "--adapter", tiny.adapter, other)
    assert done.returncode == 0, done.stderr
    found = written(task)
    assert len(found["results"]) == 3
    assert {result["n"] for result in found["results"].values()} == {84}
    assert len(found["verdicts"]) == 3  # each pair
    assert [verdict["alpha"] for verdict in found["verdicts"].values()] == pytest.approx([0.1 / 6] * 3)
    assert "toy, selection, accuracy (transformers)" in done.stdout
    for name, result in zip(("untouched", "adapter", "other"), found["results"].values(), strict=True):
        row = next(line for line in done.stdout.splitlines() if name in line and "84" in line)
        assert f"{result['score']:.3f}" in row
    assert "undecided against" in done.stdout or "than untouched" in done.stdout
    assert "are found with 80 %" in done.stdout


def test_a_second_call_generates_only_what_is_new(task: Path, tiny: contract.Fixture) -> None:
    assert evaluate(task, tiny).returncode == 0
    first = written(task)["results"][BASE]
    assert first["generated"] == 84
    assert evaluate(task, tiny, "--adapter", tiny.adapter).returncode == 0
    again = written(task)["results"]
    assert again[BASE]["generated"] == 0
    assert again[BASE]["score"] == first["score"]
    assert [result["generated"] for name, result in again.items() if name != BASE] == [84]


@pytest.mark.parametrize("victim", ["eval.engine_server", "eval.evaluator"])
def test_a_killed_process_changes_nothing(victim: str, task: Path, tiny: contract.Fixture) -> None:
    assert evaluate(task, tiny, "--adapter", tiny.adapter, "--out", task.parent / "undisturbed").returncode == 0
    started = start(task, tiny, "--adapter", tiny.adapter, "--out", task.parent / "killed")
    store = task.parent / "killed" / "sealed" / "completions.sqlite"
    while not answered(store):
        assert started.poll() is None, started.communicate()
        time.sleep(0.005)
    (child,) = [one for one in psutil.Process(started.pid).children() if victim in " ".join(one.cmdline())]
    child.kill()
    assert 0 < answered(store) < 168
    _, err = started.communicate(timeout=300)
    assert started.returncode == 0, err
    results, expected = (written(task, out)["results"] for out in ("killed", "undisturbed"))
    for result in (*results.values(), *expected.values()):
        result.pop("seconds")
        result.pop("generated")
    assert results == expected
    assert ("it is started again" in err) is (victim == "eval.engine_server")


def answered(store: Path) -> int:
    """Completions that are kept so far."""
    if not store.exists():
        return 0
    with sqlite3.connect(store) as database:
        try:
            return database.execute("SELECT COUNT(*) FROM completions").fetchone()[0]
        except sqlite3.OperationalError:
            return 0


def test_the_test_split_needs_a_word_and_is_counted(task: Path, tiny: contract.Fixture) -> None:
    sealed = evaluate(task, tiny, "--split", "test")
    assert sealed.returncode == 2
    assert "--split test is sealed; add --unseal" in sealed.stderr
    assert not (task.parent / "runs").exists()
    for openings in (1, 2):
        opened = evaluate(task, tiny, "--split", "test", "--unseal", "--out", task.parent / f"out{openings}")
        assert opened.returncode == 0, opened.stderr
        assert f"the test split has been opened {openings} times" in opened.stdout
        assert written(task, f"out{openings}")["openings"] == openings
    assert len(list(read_jsonl(task.parent / "cache" / "openings.jsonl"))) == 2


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--adapter", "nothing-here"], "nothing-here is not a PEFT adapter"),
        (["--engine", "llama"], "--engine llama: unknown"),
        (["--engine", "endpoint=http://127.0.0.1:9/v1"], "no answer"),
        (["--task", "missing.yaml"], "missing.yaml"),
        (["--model", "/nowhere"], "/nowhere"),
    ],
)
def test_wrong_input_is_said_in_a_line(flags: list[str], message: str, task: Path, tiny: contract.Fixture) -> None:
    done = evaluate(task, tiny, *flags)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_an_adapter_that_changes_nothing_fails_the_evaluation(task: Path, tiny: contract.Fixture) -> None:
    done = evaluate(task, tiny, "--adapter", tiny.zero)
    assert done.returncode == 1
    assert "does not change the model's output" in done.stderr


def test_checkpoints_are_told_apart_by_as_much_of_their_path_as_that_takes() -> None:
    paths = {"a": Path("/runs/one/deliver/adapter"), "b": Path("/runs/two/deliver/adapter")}
    assert names_of(paths) == {BASE: BASE, "a": "one/deliver/adapter", "b": "two/deliver/adapter"}
    assert names_of({"a": Path("/x/adapter")}) == {BASE: BASE, "a": "adapter"}
    assert names_of({}) == {BASE: BASE}


def test_help_names_the_flags(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    told = capsys.readouterr().out
    assert all(flag in told for flag in ("--task", "--split", "--adapter", "--unseal", "--engine", "--out"))
