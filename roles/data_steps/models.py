"""What data steps may ask: language models through the gateway's socket, the run's own model through the engine's.

A step process has no key and no network. It gets sockets, which the sandbox binds for steps that ask and for no other,
and the names of what may be asked behind them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, get_args

from pydantic import Field

from eval.completion_cache import CompletionCache
from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.engine_socket import EngineSocket
from eval.gateway_client import Asker, GatewaySocket
from tasks.benchmark import render_options
from tasks.failure import FailureKind, StageError
from tasks.record import Record
from tasks.task import Sample, Task
from tasks.template import render

STAGE = "prepare_data"
Tier = Literal["strong", "weak"]
TIERS: tuple[Tier, ...] = get_args(Tier)
Drawn = Literal["untouched", "best"]


class ModelAccess(Record):
    """Where models are reached, and which; empty when a run has none for its data steps."""

    gateway: str | None = None
    """Socket of the gateway."""
    tiers: dict[Tier, str] = Field(default_factory=dict)
    """Spec of the model behind each tier; the gateway must have been started for it."""
    prices: tuple[str, ...] = ()
    """`SPEC=IN,OUT` in dollars per million tokens, as the gateway has them."""
    engine: str | None = None
    """Socket of the engine."""
    checkpoints: dict[Drawn, Checkpoint] = Field(default_factory=dict)
    """What the engine can draw from; without `best` the untouched model is the best."""

    def spec(self, tier: Tier) -> str:
        """The model of a tier.

        Raises:
            StageError: CONFIG, there is none.
        """
        if tier not in self.tiers:
            message = (
                f"this run has no language model for the tier '{tier}' of data steps; --tiers strong=SPEC,weak=SPEC "
                "gives one, and so does a chat model as the mind of the data engineer (--backbone)"
            )
            raise StageError(STAGE, FailureKind.CONFIG, message)
        return self.tiers[tier]

    def told(self) -> "ModelAccess":
        """Which models there are, without where they are reached: all that decides what steps leave."""
        checkpoints: dict[Drawn, Checkpoint] = {
            name: Checkpoint(model=Path(one.model).name, adapter_hash=one.adapter_hash)
            for name, one in self.checkpoints.items()
        }
        return ModelAccess(tiers=self.tiers, checkpoints=checkpoints)

    def checkpoint(self, drawn: Drawn) -> Checkpoint:
        """The checkpoint to draw from.

        Raises:
            StageError: CONFIG, there is no engine.
        """
        found = self.checkpoints.get(drawn) or self.checkpoints.get("untouched")
        if found is None:
            message = "this run lends its data steps no engine, so that no answers can be drawn from the model"
            raise StageError(STAGE, FailureKind.CONFIG, message)
        return found


class Drawer(Protocol):
    """The part of an engine that steps use."""

    def info(self) -> EngineInfo:
        """Numerics and the number of prompts that one call should carry."""
        ...

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each prompt."""
        ...


class Models(NamedTuple):
    """Models that a step can ask."""

    access: ModelAccess
    gateway: Asker | None = None
    engine: Drawer | None = None
    completions: CompletionCache | None = None
    """Keeps what was drawn, for a step that is killed and starts again."""

    def chat(self, tier: Tier) -> tuple[Asker, str]:
        """The gateway, and the model of a tier.

        Raises:
            StageError: CONFIG, there is none.
        """
        spec = self.access.spec(tier)
        if self.gateway is None:
            raise StageError(STAGE, FailureKind.CONFIG, f"{spec} cannot be asked here: there is no gateway")
        return self.gateway, spec

    def draw(self, prompts: Sequence[str], sampling: Sampling, drawn: Drawn) -> list[list[Completion]]:
        """Completions of prompts by a checkpoint; prompts of like length share a call.

        Raises:
            StageError: CONFIG, there is no engine; of the stage `ENGINE_LOST`, it went away; else as it raises them.
            InputError: the engine cannot do what is asked.
        """
        checkpoint = self.access.checkpoint(drawn)
        if self.engine is None:
            raise StageError(STAGE, FailureKind.CONFIG, "no answers can be drawn here: there is no engine")
        info = self.engine.info()
        order = sorted(range(len(prompts)), key=lambda place: (len(prompts[place]), place))
        found: dict[int, list[Completion]] = {}
        for start in range(0, len(order), info.chunk):
            chunk = order[start : start + info.chunk]
            keys = [CompletionCache.key(info, checkpoint, sampling, prompts[place]) for place in chunk]
            if self.completions and self.completions.holds(keys):
                answers = [self.completions.load(key) for key in keys]
            else:
                answers = self.engine.generate([prompts[place] for place in chunk], sampling, checkpoint, _unheard)
                if self.completions:
                    self.completions.store(keys, [[one.model_dump() for one in each] for each in answers])
            found.update(zip(chunk, answers, strict=True))
        return [found[place] for place in range(len(prompts))]


NO_MODELS = Models(ModelAccess())


def connect(access: ModelAccess, completions: Path) -> Models:
    """The models behind sockets.

    Args:
        completions: database that keeps what the engine draws.
    """
    return Models(
        access,
        GatewaySocket(Path(access.gateway)) if access.gateway else None,
        EngineSocket(Path(access.engine)) if access.engine else None,
        CompletionCache(completions) if access.engine else None,
    )


def known_sample(task: Task, fields: dict[str, Any], answer: str, prompt: str = "") -> Sample:
    """A row with its known answer as an item of the task, for the task's scorer.

    Args:
        fields: of a raw row that the task's templates can read, or of a formatted one.
        answer: Jinja template of the known answer.

    Raises:
        InputError: a template does not render.
    """
    options = fields.get("options")
    group = task.benchmark.group
    return Sample(
        id="",
        prompt=prompt,
        answer=render(answer, fields),
        options=tuple(map(str, options)) if isinstance(options, list | tuple) else render_options(task.options, fields),
        group=str(fields[group]) if group and group in fields else "all",
        context={name: fields[name] for name in task.context if name in fields},
    )


def _unheard(done: int, total: int) -> None:
    """Nobody wants to know."""
