"""A training goes on from its own checkpoint, and never from that of another configuration."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eval.devices import Devices
from graph import actions
from memory.records import TrainingConfig
from roles.recipes.request import CHECKPOINTS, LOSSES, REQUEST, TrainingRequest
from tasks.failure import StageError
from tasks.record import write_record


@pytest.mark.parametrize(("rate", "kept"), [(1e-3, True), (5e-4, False)], ids=["the same", "repaired"])
def test_what_an_earlier_training_left(rate: float, kept: bool, tmp_path: Path) -> None:
    """The process itself fails at once, because it is given no model; what lay there before is looked at."""
    before = TrainingRequest(
        model=str(tmp_path / "none"), data=str(tmp_path / "none.jsonl"), config=TrainingConfig(learning_rate=1e-3),
        seed=0, output=str(tmp_path),
    )  # fmt: skip
    write_record(tmp_path / REQUEST, before)
    (tmp_path / CHECKPOINTS / "checkpoint-25").mkdir(parents=True)
    (tmp_path / LOSSES).write_text("")
    asked = before.model_copy(update={"config": TrainingConfig(learning_rate=rate)})
    terminal = SimpleNamespace(bar=lambda *_: lambda *_: None, loss=lambda *_: None)
    context: Any = SimpleNamespace(terminal=terminal, devices=Devices())
    with pytest.raises(StageError):
        actions._run_training(context, 1, asked, None)
    assert (tmp_path / CHECKPOINTS).exists() is kept
    assert (tmp_path / LOSSES).exists() is kept
