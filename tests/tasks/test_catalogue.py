"""Tasks are found by name, by family and by file; a module is a plug-in by holding `TASKS`."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tasks import catalogue
from tasks.catalogue import find_task, tasks
from tasks.failure import InputError
from tasks.finance import finance_starter
from tasks.task import Task

ROOT = Path(__file__).resolve().parents[2]


def test_shipped_tasks_are_known_by_their_names() -> None:
    assert tasks()["finance_starter"] == finance_starter
    assert list(tasks()) == sorted(tasks())
    assert all(name == task.name for name, task in tasks().items())


def test_a_task_is_found_by_name_by_family_and_by_file(tmp_path: Path) -> None:
    assert find_task("finance_starter") is tasks()["finance_starter"]
    assert find_task("finance").shots
    content = finance_starter.model_dump(mode="json", exclude={"base_dir"}) | {"name": "mine"}
    for name in ("task.yaml", "task.yml"):
        (tmp_path / name).write_text(yaml.safe_dump(content), encoding="utf-8")
        found = find_task(str(tmp_path / name))
        assert found == finance_starter.model_copy(update={"name": "mine", "base_dir": str(tmp_path)})


@pytest.mark.parametrize("reference", ["finanze", "", "finance_starter ", "FINANCE", "task.json"])
def test_an_unknown_task_lists_what_is_known(reference: str) -> None:
    with pytest.raises(InputError) as error:
        find_task(reference)
    for part in (f"unknown task '{reference}'", "known tasks: ", "finance_starter", "families: ", "finance", ".yaml"):
        assert part in str(error.value)


def test_a_family_of_two_tasks_is_not_guessed(monkeypatch: pytest.MonkeyPatch) -> None:
    two: dict[str, Task] = {
        name: finance_starter.model_copy(update={"name": name, "domain": "law"}) for name in ("law_a", "law_b")
    }
    monkeypatch.setattr(catalogue, "tasks", lambda: two)
    with pytest.raises(InputError, match="known tasks: law_a, law_b; families: law"):
        find_task("law")
    assert find_task("law_b").name == "law_b"


def test_a_module_is_found_by_what_it_assigns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By reading, not by importing: a module without `TASKS` never runs."""
    (tmp_path / "plain.py").write_text("TASKS = ()\n", encoding="utf-8")
    (tmp_path / "typed.py").write_text("TASKS: tuple[int, ...] = ()\n", encoding="utf-8")
    (tmp_path / "inner.py").write_text("def f():\n    TASKS = 1\nprint(f)\nraise SystemExit\n", encoding="utf-8")
    (tmp_path / "other.py").write_text("from plain import TASKS\nTASKS_OLD = TASKS\n", encoding="utf-8")
    monkeypatch.setattr(catalogue, "FOLDER", tmp_path)
    assert catalogue._task_modules() == ["plain", "typed"]


def test_listing_tasks_loads_nothing_heavy() -> None:
    code = (
        "import sys; from tasks.catalogue import tasks; assert tasks()\n"
        "print(sorted({'torch', 'datasets', 'pyarrow', 'transformers', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n", "")
