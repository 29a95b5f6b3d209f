"""What can go wrong, sorted by the boundary it crossed.

A failed experiment is data: it is raised as a `StageError`, caught where the stage was called, and recorded as a
`Failure`. Wrong input of the person at the keyboard is an `InputError`. Everything else is a bug of ours and crashes.
"""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class FailureKind(StrEnum):
    """Why a stage failed; each kind is repaired by a different hand."""

    CONFIG = "CONFIG"  # a decision is invalid: unknown step, impossible hyperparameter
    DATA = "DATA"  # the recipe produced no usable rows
    OOM = "OOM"  # out of memory
    DIVERGED = "DIVERGED"  # the loss is not finite or exploded
    FORMAT = "FORMAT"  # answers do not parse, or an adapter changes nothing
    TIMEOUT = "TIMEOUT"
    SANDBOX = "SANDBOX"  # agent-written code failed or was refused
    PROVIDER = "PROVIDER"  # a language model gave no usable answer
    BUDGET = "BUDGET"
    ENVIRONMENT = "ENVIRONMENT"  # a process died, a disk is full, a package is missing


MESSAGE_LIMIT = 2000
"""Characters of an error message that are kept: its end, where the cause stands."""


class Failure(BaseModel):
    """Why a stage ended without a result."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str = Field(description="prepare_data | train | evaluate | plan | diagnose ...")
    kind: FailureKind
    message: str = Field(description="the tail of the error, at most MESSAGE_LIMIT characters")


class StageError(Exception):
    """A stage of an experiment failed; carries the `Failure` to record."""

    def __init__(self, stage: str, kind: FailureKind, message: str) -> None:
        self.failure = Failure(stage=stage, kind=kind, message=message[-MESSAGE_LIMIT:])
        super().__init__(f"{stage}: {kind}: {self.failure.message}")


class InputError(Exception):
    """What the user gave is wrong; the message names the file, row or flag and what was expected."""
