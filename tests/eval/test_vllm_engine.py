"""The vLLM engine in its real process, on a tiny random Llama."""

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path

import engine_contract as contract
import pytest
from vllm_server import vllm_serves

from eval.engine import EvalEngine, Sampling
from eval.engine_server import load_engine
from eval.engines import names
from tasks.failure import InputError

pytestmark = pytest.mark.vllm


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def engine(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[contract.ServedEngine]:
    served = contract.ServedEngine("vllm", tiny.model, tmp_path_factory.mktemp("log") / "engine.log")
    yield served
    served.close()


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(
    check: Callable[[EvalEngine, contract.Fixture], None], engine: contract.ServedEngine, tiny: contract.Fixture
) -> None:
    check(engine, tiny)


@pytest.fixture(scope="module")
def lora(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[contract.ServedEngine]:
    """As on CUDA: adapters are applied to each request where vLLM can."""
    served = contract.ServedEngine("vllm=lora", tiny.model, tmp_path_factory.mktemp("log") / "engine.log")
    yield served
    served.close()


def test_lora_answers_nearly_as_merged_weights(
    lora: contract.ServedEngine, engine: contract.ServedEngine, tiny: contract.Fixture
) -> None:
    contract.check_an_adapter_comes_and_goes(lora, tiny)
    contract.check_an_adapter_without_effect_is_refused(lora, tiny)
    merged, applied = (contract.generate(one, contract.GREEDY, tiny.adapted(tiny.adapter)) for one in (engine, lora))
    assert sum(a == b for a, b in zip(merged, applied, strict=True)) > len(merged) // 2  # rounded elsewhere
    assert lora.info().numerics != engine.info().numerics


ODD = {
    "DoRA": {"use_dora": True},
    "a high rank": {"r": 256},
    "a rank pattern": {"rank_pattern": {"q_proj": 256}},
    "saved modules": {"modules_to_save": ["norm"]},
}


@pytest.mark.parametrize("name", ODD)
def test_what_vllm_cannot_apply_is_merged(
    name: str, lora: contract.ServedEngine, tiny: contract.Fixture, tmp_path: Path
) -> None:
    """Beside plain adapters, in any order."""
    from eval.merge import load_base

    odd = tiny.adapted(contract.adapt(load_base(tiny.model), tmp_path / "odd", **ODD[name]))
    plain = tiny.adapted(tiny.adapter)
    before = [contract.generate(lora, contract.GREEDY, one) for one in (tiny.base, plain)]
    found = contract.generate(lora, contract.GREEDY, odd)
    assert sum(a != b for a, b in zip(found, before[0], strict=True)) > len(found) // 2
    assert [contract.generate(lora, contract.GREEDY, one) for one in (tiny.base, plain)] == before
    assert contract.generate(lora, contract.GREEDY, odd) == found
    reference = load_engine("transformers", tiny.model)
    expected = contract.generate(reference, contract.GREEDY, odd)
    reference.close()
    assert sum(a == b for a, b in zip(found, expected, strict=True)) > len(found) // 2  # another engine's roundings


def test_an_engine_that_cannot_start_says_why_and_what_helps(tiny: contract.Fixture, tmp_path: Path) -> None:
    odd = Path(shutil.copytree(tiny.model, tmp_path / "odd"))
    config = json.loads((odd / "config.json").read_text())
    (odd / "config.json").write_text(json.dumps({**config, "num_attention_heads": 3}))
    served = contract.ServedEngine("vllm", str(odd), tmp_path / "engine.log")
    try:
        with pytest.raises(InputError, match=r"(?s)the vLLM engine cannot start: .*--engine transformers"):
            served.info()
    finally:
        served.close()


@pytest.fixture(scope="module")
def server(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of vLLM's own server, as somebody else may run it."""
    flags = ["--enable-lora", "--max-lora-rank", "16", "--kv-cache-memory-bytes", str(1 << 28),
             "--max-num-batched-tokens", "4096", "--generation-config", "vllm"]  # fmt: skip
    folder = tmp_path_factory.mktemp("server")
    with vllm_serves(tiny.model, folder, *flags, context=contract.CONTEXT) as address:
        yield address


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract_of_the_endpoint_engine_with_vllms_server(
    check: Callable[[EvalEngine, contract.Fixture], None], server: str, tiny: contract.Fixture
) -> None:
    """In this process: the engine is a client, and cheap to make."""
    engine = load_engine(f"endpoint={server}", tiny.model)
    try:
        check(engine, tiny)
    finally:
        engine.close()


def test_a_caller_that_dies_leaves_no_requests_behind(engine: contract.ServedEngine, tiny: contract.Fixture) -> None:
    before = contract.generate(engine, contract.GREEDY, tiny.base)
    uneven = Sampling(max_new_tokens=150, temperature=1.0, samples=8)  # some end while others still run
    parameters = {
        "prompts": contract.PROMPTS,
        "sampling": uneven.model_dump(mode="json"),
        "checkpoint": tiny.base.model_dump(mode="json"),
    }
    with Client(str(engine.service.socket), family="AF_UNIX") as connection:
        connection.send_bytes(json.dumps({"method": "generate", "parameters": parameters}).encode())
        assert json.loads(connection.recv_bytes()) == {"progress": [0, len(contract.PROMPTS)]}
    pid = engine.service.pid
    assert contract.generate(engine, contract.GREEDY, tiny.base) == before
    assert engine.service.pid == pid


def test_nothing_runs_after_close(tiny: contract.Fixture, tmp_path: Path) -> None:
    served = contract.ServedEngine("vllm", tiny.model, tmp_path / "engine.log")
    served.info()
    group = served.service.pid
    assert group
    served.close()
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


def test_without_vllm_the_message_has_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "vllm" in names()
    from eval.engines.vllm import ENGINE

    monkeypatch.setitem(sys.modules, "vllm", None)  # hides it from the import system
    with pytest.raises(InputError, match="make install-vllm"):
        ENGINE("anything")
