"""The same command gives the same experiments; another seed gives others."""

import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import ROOT, Finished, Laboratory


def compare(a: Path, b: Path) -> tuple[int, str]:
    """Exit code and output of `python -m graph.compare`."""
    line = [sys.executable, "-m", "graph.compare", str(a), str(b)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def other_seed(laboratory: Laboratory, marked_task: Path) -> Finished:
    """The undisturbed dry run with another seed."""
    return laboratory.run(
        "other-seed", "--task", marked_task, "--dry-run", "--max-experiments", "1", "--seed", "1"
    )  # fmt: skip


def test_the_same_command_gives_the_same_run(laboratory: Laboratory, marked_task: Path, dry_run: Finished) -> None:
    """Plans, rows, adapters, scores and verdicts are equal in another directory with a memory of its own."""
    again = laboratory.run("again", "--task", marked_task, "--dry-run", "--max-experiments", "1")
    assert compare(dry_run.path, again.path) == (0, "equal\n")
    one, other = (run.experiments[1] for run in (dry_run, again))
    assert one.training is not None
    assert one.data is not None
    assert one.verdict is not None
    assert (one.plan, one.verdict, one.data.content_hash) == (other.plan, other.verdict, other.data and
                                                              other.data.content_hash)  # fmt: skip
    assert one.training.adapter_hash == (other.training and other.training.adapter_hash)


def test_another_seed_gives_another_run(dry_run: Finished, other_seed: Finished) -> None:
    """A seed that changed nothing would make replicates worthless."""
    code, said = compare(dry_run.path, other_seed.path)
    assert code == 1
    assert "experiment 1.training.adapter_hash" in said
    assert "experiment 1.training.seed: 0 | 1" in said
    assert "experiment 1.plan" not in said


def test_a_folder_that_is_no_run_is_named(dry_run: Finished, tmp_path: Path) -> None:
    """Wrong input is neither equal nor different."""
    code, said = compare(dry_run.path, tmp_path)
    assert code == 2
    assert said.startswith(f"error: {tmp_path}")
    assert said.count("\n") == 1
