"""What is said of a base model to those who do not have this machine."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from eval.base_identity import copy_tokenizer, identify
from eval.base_model import SMOLLM2, TINY


def test_a_model_that_is_built_here(tiny_model: Path) -> None:
    """Its name, its weights as `sha256sum` shows them, the end of a turn."""
    found = identify(TINY, tiny_model)
    sha = hashlib.sha256((tiny_model / "model.safetensors").read_bytes()).hexdigest()
    assert found.weights == {"model.safetensors": sha[:16]}
    assert (found.model, found.origin, found.hub, found.revision) == (TINY, "built", None, None)
    assert (found.end_tokens, found.chat_template) == ((2,), True)


def test_the_embedded_model_is_said_to_be_a_copy(tiny_model: Path) -> None:
    found = identify(SMOLLM2, tiny_model)
    assert (found.model, found.origin, found.licence) == (SMOLLM2, "package", "apache-2.0")
    assert found.hub == "HuggingFaceTB/SmolLM2-135M-Instruct"


@pytest.fixture
def snapshot(tmp_path: Path, tiny_model: Path) -> Path:
    """A model as the hub's cache holds it."""
    return Path(shutil.copytree(tiny_model, tmp_path / "models--owner--name/snapshots/0123abc"))


def test_a_model_of_the_hub_has_id_and_revision(snapshot: Path) -> None:
    found = identify("owner/name", snapshot)
    assert (found.model, found.origin, found.hub, found.revision) == ("owner/name", "hub", "owner/name", "0123abc")


def test_a_folder_has_a_name_and_no_path(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "my-model"))
    found = identify(str(folder), folder)
    assert (found.model, found.origin, found.hub, found.revision) == ("my-model", "folder", None, None)
    assert str(tmp_path) not in found.model_dump_json()


@pytest.mark.parametrize(
    ("card", "licence"),
    [
        ("---\nlicense: mit\n---\n# A model\n", "mit"),
        ("---\nlicense: other\nlicense_name: qwen-research\n---\n", "qwen-research"),
        ("---\nlicense: [mit, apache-2.0]\n---\n", "unknown"),
        ("---\ntags: [a]\n---\n", "unknown"),
        ("---\n: : {\n---\n", "unknown"),
        ("---\nlicense: mit\n", "unknown"),
        ("# A model\nlicense: mit\n---\nlicense: mit\n---\n", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_licence_stands_in_the_models_card(card: str | None, licence: str, snapshot: Path) -> None:
    if card is not None:
        (snapshot / "README.md").write_text(card)
    assert identify("owner/name", snapshot).licence == licence


@pytest.mark.parametrize(
    ("generation", "config", "ends"),
    [
        ({"eos_token_id": [7, 3]}, {"eos_token_id": 2}, (3, 7)),
        ({"eos_token_id": 7}, {}, (7,)),
        ({"do_sample": True}, {"eos_token_id": 2}, ()),
        (None, {"eos_token_id": 2}, (2,)),
        (None, {"eos_token_id": None}, ()),
    ],
)
def test_ends_are_read_as_transformers_reads_them(
    generation: dict[str, Any] | None, config: dict[str, Any], ends: tuple[int, ...], snapshot: Path
) -> None:
    """The generation settings, or without such a file the model's configuration."""
    (snapshot / "generation_config.json").unlink()
    if generation is not None:
        (snapshot / "generation_config.json").write_text(json.dumps(generation))
    whole = json.loads((snapshot / "config.json").read_text())
    (snapshot / "config.json").write_text(json.dumps({**whole, "eos_token_id": None, **config}))
    assert identify("owner/name", snapshot).end_tokens == ends

    from transformers import AutoModelForCausalLM

    named = AutoModelForCausalLM.from_pretrained(snapshot).generation_config.eos_token_id
    assert ends == tuple(sorted(named if isinstance(named, list) else [] if named is None else [named]))


@pytest.mark.parametrize("place", ["jinja", "configuration", None])
def test_a_chat_template_is_found_where_it_may_lie(place: str | None, snapshot: Path) -> None:
    from transformers import AutoTokenizer

    template = (snapshot / "chat_template.jinja").read_text()
    if place != "jinja":
        (snapshot / "chat_template.jinja").unlink()
    if place == "configuration":
        settings = json.loads((snapshot / "tokenizer_config.json").read_text())
        (snapshot / "tokenizer_config.json").write_text(json.dumps({**settings, "chat_template": template}))
    assert identify("owner/name", snapshot).chat_template is (place is not None)
    assert bool(AutoTokenizer.from_pretrained(snapshot).chat_template) is (place is not None)


def test_a_copied_tokenizer_is_the_same(tiny_model: Path, tmp_path: Path) -> None:
    """It loads from its folder alone, and neither weights nor settings come along."""
    from transformers import AutoTokenizer

    copy_tokenizer(tiny_model, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"
    }  # fmt: skip
    copied, original = AutoTokenizer.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tiny_model)
    text = "Naïve 2024 ☕ <|im_end|>\n"
    assert copied(text) == original(text)
    assert copied.chat_template == original.chat_template
    assert copied.eos_token_id == original.eos_token_id
