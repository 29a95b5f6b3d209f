"""The identity of an adapter: a hash over its tensors and the configuration that decides what they do."""

import hashlib
import json
import os
import struct
from pathlib import Path
from typing import Any, BinaryIO

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
        InputError: the folder holds no PEFT adapter, or a corrupt one.
    """
    weights, config = folder / WEIGHTS, folder / CONFIG
    if not weights.is_file() or not config.is_file():
        raise InputError(f"{folder} is not a PEFT adapter: expected {WEIGHTS} and {CONFIG}")
    try:
        total = hashlib.sha256(json.dumps(_decisive(json.loads(config.read_text()))).encode())
        with weights.open("rb") as file:
            header: dict[str, Any] = json.loads(_exactly(file, *struct.unpack("<Q", _exactly(file, 8))))
            tensors = file.tell()
            for name in sorted(header.keys() - {"__metadata__"}):
                entry = header[name]
                start, end = entry["data_offsets"]
                file.seek(tensors + start)
                total.update(f"{name}|{entry['dtype']}|{entry['shape']}|".encode())
                total.update(_exactly(file, end - start))
    except (ValueError, KeyError) as error:
        raise InputError(f"{folder} is not a PEFT adapter: {WEIGHTS} or {CONFIG} is corrupt ({error})") from None
    return total.hexdigest()[:16]


def _exactly(file: BinaryIO, size: int) -> bytes:
    left = os.fstat(file.fileno()).st_size - file.tell()
    if size > left:
        raise ValueError(f"{size} bytes are announced, {left} are left")
    return file.read(size)


def _decisive(config: dict[str, Any]) -> dict[str, Any]:
    kept = {name: config.get(name) for name in _DECISIVE}
    if isinstance(kept["target_modules"], list):
        kept["target_modules"] = sorted(kept["target_modules"])
    return kept
