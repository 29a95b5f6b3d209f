"""What a run leaves for the engineer: adapter, card, lineage, and a script that makes the adapter again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from laboratory import ROOT, Finished, Laboratory, quiet_environment

from eval.adapter import adapter_hash
from graph.delivery import Lineage
from tasks.record import file_digest, read_record, write_record


@pytest.fixture(scope="module")
def lineage(learned_run: Finished) -> Lineage:
    """The lineage of the delivered adapter."""
    return read_record(learned_run.path / "deliver/lineage.json", Lineage)


def test_delivery_is_complete(learned_run: Finished) -> None:
    """Adapter with weights and configuration, card, lineage, script."""
    folder = learned_run.path / "deliver"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files >= {"MODEL_CARD.md", "lineage.json", "reproduce.sh", "adapter/adapter_model.safetensors",
                     "adapter/adapter_config.json"}  # fmt: skip
    assert os.access(folder / "reproduce.sh", os.X_OK)


def test_the_delivered_adapter_is_the_one_that_was_judged(learned_run: Finished, lineage: Lineage) -> None:
    """Its hash is in lineage and record; the rows it was trained on are those on disk."""
    best = learned_run.experiments[2]
    assert best.training is not None
    assert adapter_hash(learned_run.path / "deliver/adapter") == best.training.adapter_hash
    assert lineage.training == best.training
    assert file_digest(learned_run.path / lineage.data.path) == lineage.data.content_hash


def test_lineage_names_every_ancestor(lineage: Lineage) -> None:
    """Experiment 2 builds on 1, and 1 on the untouched model."""
    assert (lineage.experiment, lineage.ancestors) == (2, (1, 0))
    assert lineage.run_config.model == "tiny-random"
    assert {"torch", "peft", "trl", "python"} <= set(lineage.versions)


def test_the_card_says_what_was_measured(learned_run: Finished, lineage: Lineage) -> None:
    """Scores with intervals, the untouched model beside them, rows, configuration, hashes, licences, openings."""
    card = (learned_run.path / "deliver/MODEL_CARD.md").read_text()
    test = learned_run.json("test.json")
    parts = [
        "# signs: LoRA adapter for tiny-random",
        f"On 80 sealed test items the adapter scores {test['best']['score']:.3f} (accuracy) against 0.000",
        f"95 % interval {test['verdict']['low']:+.3f} to {test['verdict']['high']:+.3f}",
        "opened by 1 run of this user so far",
        "| feedback | 24 | 0.0 |",
        "| selection | 56 | 0.0 |",
        "| test | 80 | 0.0 |",
        "240 rows",
        lineage.data.content_hash,
        lineage.training.adapter_hash,
        f"{lineage.config.epochs} epochs",
        "| lessons | 240 | MIT |",
        f"torch {lineage.versions['torch']}",
    ]
    assert [part for part in parts if part not in card] == []
    assert "{{ question }}" in card, "the prompt template of the task"


def test_the_card_of_a_run_without_a_better_model_says_so(dry_run: Finished) -> None:
    """No adapter, no lineage, and no sentence that claims one."""
    folder = dry_run.path / "deliver"
    card = (folder / "MODEL_CARD.md").read_text()
    assert [path.name for path in folder.iterdir()] == ["MODEL_CARD.md"]
    assert "No experiment was better than the untouched model" in card
    assert "## Use" not in card
    assert "the adapter scores" not in card


def test_the_script_makes_the_same_adapter_again(
    learned_run: Finished, lineage: Lineage, laboratory: Laboratory, tmp_path: Path
) -> None:
    """`reproduce.sh`, run from the checkout in another home, ends with equal rows and an equal adapter."""
    home = tmp_path / "home"
    (home / ".cache").mkdir(parents=True)
    (home / ".cache" / "ft-dojo").symlink_to(laboratory.cache)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    line = ["bash", str(learned_run.path / "deliver/reproduce.sh"), str(tmp_path / "again")]
    environment = {**quiet_environment(), "HOME": str(home), "PATH": path}
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"rows: the same ({lineage.data.content_hash})" in done.stdout
    assert f"adapter: the same ({lineage.training.adapter_hash})" in done.stdout
    assert adapter_hash(tmp_path / "again/experiments/002/adapter") == lineage.training.adapter_hash

    other = lineage.training.model_copy(update={"adapter_hash": "0" * 16})
    write_record(tmp_path / "forged.json", lineage.model_copy(update={"training": other}))
    forged = ["-m", "graph.reproduce", str(tmp_path / "forged.json"), str(tmp_path / "again")]
    line = [sys.executable, *forged, "--cache-dir", str(laboratory.cache)]
    done = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, "the comparison is blind"
    assert "rows: the same" in done.stdout
    assert "adapter: different" in done.stdout


def test_a_lineage_that_is_none_is_refused(tmp_path: Path) -> None:
    """Exit code 2 with a reason, and nothing is written."""
    forged = tmp_path / "lineage.json"
    forged.write_text('{"version": 2}')
    line = [sys.executable, "-m", "graph.reproduce", str(forged), str(tmp_path / "out")]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False, env=quiet_environment())
    assert done.returncode == 2
    assert "lineage.json is not a valid Lineage" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()
