"""What a run depends on: configuration, processes, minds, memory. It travels in LangGraph's `Runtime.context`."""

from dataclasses import dataclass
from pathlib import Path

from eval.devices import Devices
from eval.engine import Checkpoint
from eval.evaluator_client import Description, Evaluator
from eval.gateway_client import GatewayClient
from eval.hardware import Hardware
from eval.service import Service
from eval.verdict import alpha_share
from graph.budget import Budget
from graph.config import RunConfig
from graph.progress import Terminal
from graph.run_dir import RunDir
from memory.records import TrainingRun
from memory.store import ExperimentMemory
from roles.backbone import Minds
from roles.data_steps.pipeline import Pipeline
from tasks.detectable import detectable_effect


@dataclass(frozen=True)
class RunContext:
    """The dependencies of a run; nothing here changes while it goes on."""

    config: RunConfig
    run: RunDir
    hardware: Hardware
    description: Description
    model: Path
    """Folder of the base model."""
    evaluator: Evaluator
    engine: Service
    devices: Devices
    minds: Minds
    memory: ExperimentMemory | None
    pipeline: Pipeline
    budget: Budget
    gateway: GatewayClient | None
    """The door to language models; None when nobody may ask one."""
    terminal: Terminal

    @property
    def corpus(self) -> Path:
        """The materialised training-only corpus."""
        return Path(self.description.corpus)

    @property
    def detectable_effect(self) -> float:
        """The difference on selection that one decision of this run finds with 80 % power."""
        d = self.description
        return detectable_effect(d.selection, alpha_share(self.config.max_experiments), samples=d.samples)

    @property
    def cache(self) -> Path:
        """Folder shared by all runs of this user: models, corpora, ledger."""
        return Path(self.config.cache_dir)

    def checkpoint(self, training: TrainingRun | None) -> Checkpoint:
        """The checkpoint of a training, or the untouched model."""
        if training is None:
            return Checkpoint(model=str(self.model))
        return Checkpoint(
            model=str(self.model), adapter=str(self.run.path / training.adapter), adapter_hash=training.adapter_hash
        )

    def warn(self, text: str) -> None:
        """Say something that is not an error."""
        self.terminal.say(text)


def label(number: int, replicate: int = 0) -> str:
    """Name of the records of an experiment: `003`, or `003-r1` for its first replicate."""
    return f"{number:03d}-r{replicate}" if replicate else f"{number:03d}"
