"""Which CUDA devices evaluate and which train.

Where there are several, engine and trainer have their own. Where they must share one, the engine rests while the
trainer works.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from eval.hardware import Gpu
from tasks.record import Record

ROOM = 0.6
"""Share of the devices' memory that the engine's weights may take; the rest is for keys and values."""


class Devices(Record):
    """CUDA devices by their index, as `nvidia-smi` numbers them; both empty on a CPU."""

    engine: tuple[str, ...] = ()
    """More than one: the model is split over them (tensor parallelism)."""
    training: tuple[str, ...] = ()
    """At most one: a trainer that sees several would split its batches over them."""

    @property
    def shared(self) -> bool:
        """Whether engine and trainer must take turns."""
        return bool(set(self.engine) & set(self.training))


def plan_devices(gpus: Sequence[Gpu], model: Path) -> Devices:
    """Divide the devices between engine and trainer.

    The engine gets the fewest on which the model's weights (bf16) fit, a power of two that divides the attention heads.

    Args:
        model: the base model's folder.
    """
    if not gpus:
        return Devices()
    number = _tensor_parallel(gpus, _weights_gib(model), _heads(model))
    return Devices(engine=tuple(gpu.index for gpu in gpus[len(gpus) - number :]), training=(gpus[0].index,))


def _tensor_parallel(gpus: Sequence[Gpu], weights_gib: float, heads: int) -> int:
    possible = [2**power for power in range(len(gpus).bit_length()) if 2**power <= len(gpus) and heads % 2**power == 0]
    smallest = min(gpu.memory_gib for gpu in gpus)
    return next((number for number in possible if weights_gib <= ROOM * smallest * number), possible[-1])


def _weights_gib(model: Path) -> float:
    """As the files have it: an overestimate where they hold 32 bits."""
    files = [*model.glob("*.safetensors"), *model.glob("*.bin")]
    return sum(file.stat().st_size for file in files) / 2**30


def _heads(model: Path) -> int:
    config = json.loads((model / "config.json").read_text())
    return config.get("text_config", config).get("num_attention_heads", 1)
