"""Who gets which GPU."""

import json
from pathlib import Path

import pytest

from eval.devices import Devices, plan_devices
from eval.hardware import Gpu


def gpus(number: int, gib: float = 80.0) -> list[Gpu]:
    return [Gpu(name="GPU", memory_gib=gib, index=str(i)) for i in range(number)]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of 14 GiB with 28 heads."""
    return model_of(tmp_path, 14.0, 28)


def model_of(folder: Path, gib: float, heads: int) -> Path:
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": heads}))
    with (folder / "model.safetensors").open("wb") as file:
        file.truncate(int(gib * 2**30))  # sparse: takes no space
    return folder


def test_without_a_gpu_nothing_is_chosen(model: Path) -> None:
    found = plan_devices([], model)
    assert found == Devices()
    assert not found.shared


def test_one_gpu_is_shared(model: Path) -> None:
    found = plan_devices(gpus(1), model)
    assert (found.engine, found.training, found.shared) == (("0",), ("0",), True)


@pytest.mark.parametrize("number", [2, 4, 8])
def test_several_gpus_are_divided(number: int, model: Path) -> None:
    found = plan_devices(gpus(number), model)
    assert (found.engine, found.training, found.shared) == ((str(number - 1),), ("0",), False)


def test_a_large_model_is_split_over_the_fewest_that_hold_it(tmp_path: Path) -> None:
    found = plan_devices(gpus(8), model_of(tmp_path, 140.0, 64))
    assert found.engine == ("4", "5", "6", "7")
    assert not found.shared


def test_a_model_that_needs_all_shares_with_the_trainer(tmp_path: Path) -> None:
    found = plan_devices(gpus(2), model_of(tmp_path, 90.0, 64))
    assert found.engine == ("0", "1")
    assert found.shared


def test_heads_must_divide(tmp_path: Path) -> None:
    """28 heads go over 4 devices and not over 8."""
    assert len(plan_devices(gpus(8, 24.0), model_of(tmp_path, 140.0, 28)).engine) == 4
    assert len(plan_devices(gpus(8, 24.0), model_of(tmp_path, 140.0, 9)).engine) == 1


def test_heads_of_a_model_with_parts_are_found(tmp_path: Path) -> None:
    folder = model_of(tmp_path, 90.0, 1)
    (folder / "config.json").write_text(json.dumps({"text_config": {"num_attention_heads": 32}}))
    assert len(plan_devices(gpus(4), folder).engine) == 2
