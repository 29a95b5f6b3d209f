"""What a training process is asked, and what it leaves."""

import math
from pathlib import Path

from memory.records import TrainingConfig
from tasks.record import Record

REQUEST = "request.json"
CHECKPOINTS = "checkpoints"
LOSSES = "losses.jsonl"
ADAPTER = "adapter"
RESULT = "outcome.json"
FAILURE = "failure.json"
MICRO_BATCH_TOKENS = 2048
"""Padded tokens that go through the model at once; larger batches are accumulated."""


class TrainingRequest(Record):
    """One training: a base model, rows, a configuration, a seed."""

    model: str
    """Folder of the base model."""
    data: str
    """`data.jsonl`: rows with `prompt` and `answer`."""
    config: TrainingConfig
    seed: int
    output: str
    """Folder that receives everything."""


class LossPoint(Record):
    """One line of `losses.jsonl`."""

    step: int
    steps: int
    """Optimiser steps of the whole training."""
    loss: float
    learning_rate: float
    seconds: float
    """Of training until then; what a kill made to be done again counts once."""


def read_losses(path: Path) -> list[float]:
    """The finite losses of a training so far, one a step; none without a file.

    A training that was killed may have cut off its last line, and one that diverged ends in NaN.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    found = [LossPoint.model_validate_json(line).loss for line in lines if line.endswith("}")]
    return [loss for loss in found if math.isfinite(loss)]
