"""The interface of an evaluation engine: prompts and a checkpoint in, completions out.

An engine holds one base model for its whole life and swaps adapters. It runs in a process of its own
(`eval/engine_server.py`) behind a local socket; it sees prompts and never a reference answer. A module in
`eval/engines/` is an engine when it has `ENGINE`, a class with this interface.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, Protocol, Self

from pydantic import Field, model_validator

from tasks.record import Record

CANARY = "Name one thing that every adapter changes."
"""An adapter that leaves the model's reading of this prompt as it was is refused."""


class Checkpoint(Record):
    """A model that can be evaluated: the base, or the base with an adapter."""

    model: str
    """Local folder or hub id of the base model."""
    adapter: str | None = None
    """Folder of a PEFT adapter; None is the untouched base model."""
    adapter_hash: str = ""
    """Hash over the adapter's sorted tensors (`eval/adapter.py`); empty for the base."""

    @model_validator(mode="after")
    def _adapter_has_a_hash(self) -> Self:
        if bool(self.adapter) != bool(self.adapter_hash):
            raise ValueError("an adapter and its hash belong together: answers are kept by the hash")
        return self


class Sampling(Record):
    """How completions are drawn."""

    max_new_tokens: int = Field(gt=0)
    temperature: float = Field(default=0.0, ge=0.0)
    """0 is greedy."""
    top_p: float = Field(default=1.0, gt=0.0, le=1.0)
    samples: int = Field(default=1, gt=0)
    """Completions a prompt."""
    stop: tuple[str, ...] = ()
    """A completion ends before the first of these strings."""
    seed: int = 0
    json_schema: dict[str, Any] | None = None
    """Completions are JSON of this schema; an engine that cannot hold a model to it refuses."""


class Completion(Record):
    """What the model wrote for one prompt and one sample."""

    text: str
    tokens: int
    """Generated tokens, the end-of-turn token included."""
    finish: Literal["stop", "length", "prompt_too_long"]
    """`length`: cut at `max_new_tokens`; `prompt_too_long`: not generated, because prompt and answer do not fit."""


def cache_bytes(config: Any) -> int:
    """Bytes that a token's keys and values take in 16 bits, by a transformers configuration of the text model."""
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return 2 * 2 * config.num_hidden_layers * heads * size


def prompt_too_long(sampling: Sampling) -> list[Completion]:
    """What stands for a prompt that does not fit with its answer."""
    return [Completion(text="", tokens=0, finish="prompt_too_long")] * sampling.samples


def stream_seed(seed: int, ids: object) -> int:
    """Seed of 31 bits of the random stream of one request, or of one batch: what else is asked does not matter."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{ids}".encode()).digest()[:4]) >> 1


class EngineInfo(Record):
    """What an engine says of itself."""

    name: str
    model: str
    weights: str = ""
    """Names, sizes and times of the model's weight files, hashed; empty where they lie elsewhere."""
    numerics: str
    """What besides weights and prompt decides the numbers, such as `transformers-5.19.0/bfloat16/cpu`."""
    context: int
    """Tokens that prompt and answer may have together."""
    chunk: int
    """Prompts that one call should carry: enough to fill the batches, few enough to lose little in a crash."""


Progress = Callable[[int, int], None]
"""Called with (prompts done, prompts in all)."""


class EvalEngine(Protocol):
    """One base model, kept warm."""

    def info(self) -> EngineInfo:
        """Name, model, numerics and context length."""
        ...

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; one inner list a prompt, `sampling.samples` long, in the order given.

        The prompt is rendered with the model's chat template (`eval/render.py`). The result depends only on the
        arguments: the same call gives the same completions.

        Raises:
            InputError: the engine cannot do what is asked; the message names one that can.
            StageError: ENVIRONMENT when the adapter cannot be loaded, FORMAT when it does not change the model.
        """
        ...

    def rest(self) -> float:
        """Give the accelerator back until the next `generate`, which takes what it needs by itself.

        Returns:
            GiB of the accelerator's memory that are in use afterwards, by whatever process; 0 without one.
        """
        ...

    def close(self) -> None:
        """Free the model."""
        ...
