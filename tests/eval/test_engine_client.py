"""Which engine a run gets, and in which environment."""

import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

from eval.devices import Devices
from eval.engine_client import choose_engine, engine_service
from eval.engines import names
from tasks.failure import InputError


@pytest.fixture
def vllm(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Makes vLLM look installed or missing."""
    find = importlib.util.find_spec

    def found(name: str, *rest: Any) -> Any:
        return (object() if request.param else None) if name == "vllm" else find(name, *rest)

    monkeypatch.setattr(importlib.util, "find_spec", found)
    return request.param


@pytest.mark.parametrize(("vllm", "engine"), [(True, "vllm"), (False, "transformers")], indirect=["vllm"])
def test_auto_takes_vllm_where_it_is_installed(vllm: bool, engine: str) -> None:
    assert choose_engine("auto") == engine


@pytest.mark.parametrize("vllm", [False], indirect=True)
def test_a_missing_engine_has_its_install_command(vllm: bool) -> None:
    for asked in ("vllm", "vllm=lora"):
        with pytest.raises(InputError, match=rf"--engine {asked}: the package is not installed: make install-vllm"):
            choose_engine(asked)


@pytest.mark.parametrize("vllm", [True], indirect=True)
def test_how_vllm_serves_adapters_may_be_said(vllm: bool) -> None:
    assert choose_engine("vllm=merge") == "vllm=merge"
    with pytest.raises(InputError, match="--engine vllm=fast: it takes vllm=lora, vllm=merge"):
        choose_engine("vllm=fast")


def test_an_unknown_engine_lists_all() -> None:
    with pytest.raises(InputError, match=f"--engine llama: unknown; known: auto, {', '.join(names())}"):
        choose_engine("llama")


def environment(engine: str, folder: Path, devices: Devices = Devices()) -> dict[str, str]:  # noqa: B008
    service = engine_service(engine, folder, folder / "log", devices)
    service.close()
    return service._environment


def test_an_engine_sees_its_devices_only(tmp_path: Path) -> None:
    found = environment("vllm", tmp_path, Devices(engine=("2", "3"), training=("0",)))
    assert found["CUDA_VISIBLE_DEVICES"] == "2,3"
    assert "VLLM_CPU_OMP_THREADS_BIND" not in found


def test_on_a_cpu_vllm_gets_the_cores_and_its_openmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openmp = tmp_path / "lib" / "libiomp5.so"
    openmp.parent.mkdir()
    openmp.touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    found = environment("vllm", tmp_path)
    assert found["VLLM_CPU_OMP_THREADS_BIND"].split(",")[0].isdigit()
    assert found["LD_PRELOAD"].split(":")[-1] == str(openmp)
    assert str(openmp) not in environment("transformers", tmp_path).get("LD_PRELOAD", "")
