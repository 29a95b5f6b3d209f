"""The identity of an adapter: what decides its output changes the hash, and nothing else does."""

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import engine_contract as contract
import pytest
from safetensors.torch import load_file, save_file

from eval.adapter import CONFIG, WEIGHTS, adapter_hash
from tasks.failure import InputError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture
def adapter(tiny: contract.Fixture, tmp_path: Path) -> Path:
    """A copy that a test may change."""
    return Path(shutil.copytree(tiny.adapter, tmp_path / "adapter"))


def reordered(adapter: Path) -> None:
    """Write the same tensors in reverse: safetensors itself always sorts, so the file is written by hand."""
    content = (adapter / WEIGHTS).read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    header.pop("__metadata__", None)
    turned: dict[str, Any] = {}
    blocks: list[bytes] = []
    for name in reversed(header):
        start, end = header[name]["data_offsets"]
        offset = sum(map(len, blocks))
        blocks.append(data[start:end])
        turned[name] = {**header[name], "data_offsets": [offset, offset + end - start]}
    text = json.dumps(turned).encode()
    (adapter / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blocks))


def with_metadata(adapter: Path) -> None:
    save_file(load_file(adapter / WEIGHTS), adapter / WEIGHTS, metadata={"written": "on another day"})


def with_other_notes(adapter: Path) -> None:
    configure(adapter, base_model_name_or_path="/another/folder", lora_dropout=0.3, inference_mode=False)


def with_targets_in_another_order(adapter: Path) -> None:
    """PEFT writes a set, in an order that changes from run to run."""
    configure(adapter, target_modules=json.loads((adapter / CONFIG).read_text())["target_modules"][::-1])


def with_a_card(adapter: Path) -> None:
    (adapter / "README.md").write_text("A card.")


def configure(adapter: Path, **values: Any) -> None:
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps({**config, **values}))


def flip_a_bit(adapter: Path) -> None:
    content = bytearray((adapter / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (adapter / WEIGHTS).write_bytes(content)


def rename_a_tensor(adapter: Path) -> None:
    tensors = load_file(adapter / WEIGHTS)
    last = sorted(tensors)[-1]
    tensors[last.replace("layers.1", "layers.9")] = tensors.pop(last)  # and it stays the last
    save_file(tensors, adapter / WEIGHTS)


def swap_two_tensors(adapter: Path) -> None:
    """The same bytes under each other's names."""
    tensors = load_file(adapter / WEIGHTS)
    one, other = (f"base_model.model.model.layers.{i}.self_attn.q_proj.lora_A.weight" for i in (0, 1))
    tensors[one], tensors[other] = tensors[other], tensors[one]
    save_file(tensors, adapter / WEIGHTS)


def reshape_a_tensor(adapter: Path) -> None:
    tensors = load_file(adapter / WEIGHTS)
    first = sorted(tensors)[0]
    tensors[first] = tensors[first].reshape(-1)
    save_file(tensors, adapter / WEIGHTS)


def with_another_alpha(adapter: Path) -> None:
    configure(adapter, lora_alpha=99)


def with_rank_scaling(adapter: Path) -> None:
    configure(adapter, use_rslora=True)


Change = Callable[[Path], None]


@pytest.mark.parametrize(
    "change", [reordered, with_metadata, with_other_notes, with_targets_in_another_order, with_a_card]
)
def test_what_does_not_matter(adapter: Path, change: Change) -> None:
    before, bytes_before = adapter_hash(adapter), [path.read_bytes() for path in sorted(adapter.iterdir())]
    tensors = {name: tensor.clone() for name, tensor in load_file(adapter / WEIGHTS).items()}  # else mapped to the file
    change(adapter)
    assert [path.read_bytes() for path in sorted(adapter.iterdir())] != bytes_before
    assert all(tensor.equal(tensors[name]) for name, tensor in load_file(adapter / WEIGHTS).items())
    assert adapter_hash(adapter) == before


@pytest.mark.parametrize(
    "change",
    [flip_a_bit, rename_a_tensor, swap_two_tensors, reshape_a_tensor, with_another_alpha, with_rank_scaling],
)
def test_what_matters(adapter: Path, change: Change) -> None:
    before = adapter_hash(adapter)
    change(adapter)
    assert adapter_hash(adapter) != before


def test_the_hash_is_short_hex_and_the_folder_plays_no_part(tiny: contract.Fixture, adapter: Path) -> None:
    found = adapter_hash(adapter)
    assert len(found) == 16
    assert int(found, 16)
    assert adapter_hash(Path(tiny.adapter)) == found
    assert adapter_hash(Path(tiny.zero)) != found


def no_folder(adapter: Path) -> None:
    shutil.rmtree(adapter)


def no_weights(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()


def no_configuration(adapter: Path) -> None:
    (adapter / CONFIG).unlink()


def empty_weights(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(b"")


def other_bytes(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(b"\xff" * 1000)


def half_a_header(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:100])


def half_of_the_tensors(adapter: Path) -> None:
    content = (adapter / WEIGHTS).read_bytes()
    (adapter / WEIGHTS).write_bytes(content[: -len(content) // 4])


def half_a_configuration(adapter: Path) -> None:
    (adapter / CONFIG).write_text((adapter / CONFIG).read_text()[:50])


@pytest.mark.parametrize(
    "change",
    [no_folder, no_weights, no_configuration, empty_weights, other_bytes, half_a_header, half_of_the_tensors,
     half_a_configuration],
)  # fmt: skip
def test_what_is_no_adapter(adapter: Path, change: Change) -> None:
    change(adapter)
    with pytest.raises(InputError, match="is not a PEFT adapter") as caught:
        adapter_hash(adapter)
    assert str(adapter) in str(caught.value)
