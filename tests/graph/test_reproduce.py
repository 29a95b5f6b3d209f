"""A delivered adapter is made again: from any folder, with task and data elsewhere, and no difference is hidden."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from laboratory import ROOT, Finished, Laboratory, quiet_environment

from eval.adapter import adapter_hash
from graph.lineage import Lineage
from graph.reproduce import compare, find_again, is_same
from tasks.failure import InputError
from tasks.record import read_record, write_record

STRANGER = "import sys\nprint('reproduced by', __file__, *sys.argv[1:])\n"


@pytest.fixture(scope="module")
def lineage(learned_run: Finished) -> Lineage:
    """The lineage of the delivered adapter."""
    return read_record(learned_run.path / "deliver/lineage.json", Lineage)


def script(deliver: Path, *flags: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `reproduce.sh` somewhere, in the environment of these tests."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    inherited = {name: value for name, value in quiet_environment().items() if name not in ("FT_DOJO", "PYTHONPATH")}
    return subprocess.run(
        ["bash", str(deliver / "reproduce.sh"), *map(str, flags)],
        cwd=cwd,
        env={**inherited, "PATH": path, "VIRTUAL_ENV": "active", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def checkout(folder: Path) -> Path:
    """Something that looks like a checkout, and says when it is the one."""
    (folder / "graph").mkdir(parents=True)
    (folder / "graph/__init__.py").touch()
    (folder / "graph/reproduce.py").write_text(STRANGER)
    return folder


@pytest.fixture
def delivered(learned_run: Finished, tmp_path: Path) -> Path:
    """The delivery, taken to another place; the task file and the rows of its run are not where they were."""
    folder = Path(shutil.copytree(learned_run.path / "deliver", tmp_path / "elsewhere/deliver"))
    lineage = read_record(folder / "lineage.json", Lineage)
    gone = lineage.run_config.model_copy(update={"task": "/nowhere/task.yaml"})
    write_record(folder / "lineage.json", lineage.model_copy(update={"run_config": gone}))
    return folder


def test_the_script_makes_the_same_adapter_again(
    learned_run: Finished, lineage: Lineage, delivered: Path, laboratory: Laboratory, tmp_path: Path
) -> None:
    """From a folder that is no checkout, with the delivery moved and the task file gone: equal rows, equal adapter."""
    data = Path(lineage.run_config.task).parent
    flags = ["--data-root", data, "--cache-dir", laboratory.cache]
    done = script(delivered, "again", *flags, cwd=tmp_path, FT_DOJO=str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "note:" not in done.stdout, "sources, benchmark, base model, versions and machine are the same"
    assert f"rows: the same ({lineage.data.content_hash})" in done.stdout
    assert f"adapter: the same ({lineage.training.adapter_hash})" in done.stdout
    again = tmp_path / "again"
    assert adapter_hash(again / "experiments/002/adapter") == lineage.training.adapter_hash
    assert "engine" not in {path.stem for path in again.iterdir()}, "no engine is needed, so none is started"

    done = script(delivered, "again", *flags, cwd=tmp_path, FT_DOJO=str(ROOT))
    assert done.returncode == 2, "what lies there already proves nothing"
    assert f"{again} exists already" in done.stderr


def test_the_script_finds_a_checkout(delivered: Path, tmp_path: Path) -> None:
    """The one that is named, else the one around the current folder, else the one around the script."""
    named, around = checkout(tmp_path / "a b/named"), checkout(tmp_path / "around")
    (around / "deep/down").mkdir(parents=True)
    inside = Path(shutil.copytree(delivered, checkout(tmp_path / "inside") / "runs/x/deliver"))

    def chosen(deliver: Path, cwd: Path, **environment: str) -> str:
        done = script(deliver, "out", "--seed 1", cwd=cwd, **environment)
        assert done.returncode == 0, done.stderr
        place, arguments = done.stdout.strip().removeprefix("reproduced by ").split("/graph/reproduce.py ")
        assert arguments == f"{deliver}/lineage.json out --seed 1"
        return place

    assert chosen(delivered, around / "deep/down") == str(around)
    assert chosen(delivered, around / "deep/down", FT_DOJO=str(named)) == str(named)
    assert chosen(inside, tmp_path) == str(tmp_path / "inside")
    assert chosen(inside, around) == str(around)


def test_the_script_says_when_there_is_no_checkout(delivered: Path, tmp_path: Path) -> None:
    """And which place was named in vain."""
    done = script(delivered, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no checkout of FT-Dojo" in done.stderr
    assert "FT_DOJO=FOLDER" in done.stderr
    done = script(delivered, cwd=ROOT, FT_DOJO=str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path) in done.stderr


def test_a_name_in_the_working_directory_cannot_shadow_ours(delivered: Path, tmp_path: Path) -> None:
    """`graph.py` of somebody else, where the script is started."""
    around = checkout(tmp_path / "around")
    (around / "deep").mkdir()
    (around / "deep/graph.py").write_text("raise SystemExit('shadowed')")
    done = script(delivered, cwd=around / "deep")
    assert done.returncode == 0, done.stderr


def asked(tmp_path: Path, **given: Path) -> argparse.Namespace:
    none: dict[str, Any] = {"task": None, "data_root": None, "model": None}
    return argparse.Namespace(**none | given, cache_dir=tmp_path / "cache", output=tmp_path / "again")


def with_places(lineage: Lineage, **places: str) -> Lineage:
    return lineage.model_copy(update={"run_config": lineage.run_config.model_copy(update=places)})


def test_on_the_machine_of_the_run_nothing_need_be_named(lineage: Lineage, tmp_path: Path) -> None:
    """Task and data are where they were; memory and time limit play no part."""
    config = find_again(with_places(lineage, data_root=str(tmp_path)), tmp_path, asked(tmp_path))
    assert (config.task, config.data_root, config.model) == (lineage.run_config.task, str(tmp_path), "tiny-random")
    assert (config.memory, config.budget_seconds, config.run) == ("off", None, "again")
    assert config.cache_dir == str(tmp_path / "cache")


def test_a_task_that_ships_with_the_project_goes_by_its_name(lineage: Lineage, tmp_path: Path) -> None:
    config = find_again(with_places(lineage, task="finance_starter"), tmp_path, asked(tmp_path))
    assert config.task == "finance_starter"


def test_the_copy_beside_the_lineage_serves_when_the_task_file_is_gone(lineage: Lineage, tmp_path: Path) -> None:
    """Unless one is named."""
    gone = with_places(lineage, task="/nowhere/task.yaml")
    (tmp_path / "task.yaml").touch()
    assert find_again(gone, tmp_path, asked(tmp_path)).task == str(tmp_path / "task.yaml")
    named = asked(tmp_path, task=Path(lineage.run_config.task))
    assert find_again(gone, tmp_path, named).task == lineage.run_config.task


@pytest.mark.parametrize("flag", ["task", "data_root", "model"])
def test_what_is_not_here_is_named_with_its_flag(flag: str, lineage: Lineage, tmp_path: Path) -> None:
    """Until the flag says where it is."""
    gone = with_places(lineage, **{flag: "/nowhere/it.yaml"})
    with pytest.raises(InputError, match=rf"/nowhere/it\.yaml,? is not here; name it with --{flag.replace('_', '-')}$"):
        find_again(gone, tmp_path, asked(tmp_path))
    task = Path(lineage.run_config.task)
    here = task if flag == "task" else task.parent
    assert getattr(find_again(gone, tmp_path, asked(tmp_path, **{flag: here})), flag) == str(here)


def test_a_comparison_says_what_differs_and_why_it_may(lineage: Lineage) -> None:
    """Equal; another adapter here or elsewhere; other rows."""
    data, training = lineage.data, lineage.training
    assert is_same(lineage, data, training)
    assert list(compare(lineage, data, training, [])) == [
        f"rows: the same ({data.content_hash})",
        f"adapter: the same ({training.adapter_hash})",
    ]
    other = training.model_copy(update={"adapter_hash": "0" * 16, "final_loss": 9.5})
    assert not is_same(lineage, data, other)
    alone, noted = list(compare(lineage, data, other, [])), list(compare(lineage, data, other, ["torch is another"]))
    assert alone[1] == f"adapter: different ({'0' * 16}, recorded {training.adapter_hash})"
    assert "to 9.5, recorded" in alone[2]
    assert "does not repeat itself on this machine" in alone[3]
    assert "was to be expected" in noted[3]
    rows = data.model_copy(update={"content_hash": "1" * 16})
    assert not is_same(lineage, rows, training)
    assert "other rows make another adapter" in list(compare(lineage, rows, other, []))[3]


def test_a_lineage_that_is_none_is_refused(tmp_path: Path) -> None:
    """Exit code 2 with a reason, and nothing is written."""
    forged = tmp_path / "lineage.json"
    forged.write_text('{"version": 1}')
    line = [sys.executable, "-m", "graph.reproduce", str(forged), str(tmp_path / "out")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet_environment())
    assert done.returncode == 2
    assert "lineage.json is not a valid Lineage: version" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
