"""The identity of an adapter: a hash over its tensors and the configuration that decides what they do."""

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from tasks.failure import InputError

WEIGHTS = "adapter_model.safetensors"
CONFIG = "adapter_config.json"
_DECISIVE = (
    "peft_type",
    "r",
    "lora_alpha",
    "target_modules",
    "use_dora",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
)


def adapter_hash(folder: Path) -> str:
    """First 16 hex digits of a SHA-256 over the decisive configuration and the tensors sorted by name.

    Reads the safetensors layout directly, so that the graph process needs no tensor library.

    Raises:
        InputError: the folder holds no PEFT adapter.
    """
    weights, config = folder / WEIGHTS, folder / CONFIG
    if not weights.is_file() or not config.is_file():
        raise InputError(f"{folder} is not a PEFT adapter: expected {WEIGHTS} and {CONFIG}")
    total = hashlib.sha256(json.dumps(_decisive(json.loads(config.read_text()))).encode())
    with weights.open("rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header: dict[str, Any] = json.loads(file.read(size))
        for name in sorted(header.keys() - {"__metadata__"}):
            entry = header[name]
            start, end = entry["data_offsets"]
            file.seek(8 + size + start)
            total.update(f"{name}|{entry['dtype']}|{entry['shape']}|".encode())
            total.update(file.read(end - start))
    return total.hexdigest()[:16]


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    kept = {name: config.get(name) for name in _DECISIVE}
    if isinstance(kept["target_modules"], list):
        kept["target_modules"] = sorted(kept["target_modules"])
    return kept
