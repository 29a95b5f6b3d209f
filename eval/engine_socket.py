"""An engine that another process owns, asked through its socket."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.evaluator_client import ENGINE_LOST
from eval.service import call
from tasks.failure import FailureKind, StageError

ENGINE_SILENCE = 1800.0
"""Seconds without a finished prompt after which the engine is held for dead."""


class EngineSocket:
    """What can be asked of an engine by who has its socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def info(self) -> EngineInfo:
        """What the engine says of itself.

        Raises:
            StageError: of the stage `ENGINE_LOST`, when the engine is not there.
        """
        return EngineInfo.model_validate(self._call("info", None))

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each prompt; see `EvalEngine.generate`.

        Raises:
            InputError, StageError: as the engine raises them, or `ENGINE_LOST` as `info`.
        """
        found = self._call(
            "generate",
            progress,
            prompts=list(prompts),
            sampling=sampling.model_dump(),
            checkpoint=checkpoint.model_dump(),
        )
        return [[Completion.model_validate(one) for one in each] for each in found]

    def _call(self, method: str, progress: Progress | None, **parameters: Any) -> Any:
        try:
            return call(self._socket, method, progress, silence=ENGINE_SILENCE, **parameters)
        except (EOFError, OSError) as error:
            raise StageError(ENGINE_LOST, FailureKind.ENVIRONMENT, f"the engine went away: {error!r}") from error
