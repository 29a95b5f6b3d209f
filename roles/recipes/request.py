"""What a training process is asked, and what it leaves."""

from memory.records import TrainingConfig
from tasks.record import Record

LOSSES = "losses.jsonl"
ADAPTER = "adapter"
RESULT = "outcome.json"
FAILURE = "failure.json"


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
    """Since the training process started to train."""
