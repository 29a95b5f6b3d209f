"""The vLLM engine in its real process, on a tiny random Llama."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing.connection import Client
from pathlib import Path

import engine_contract as contract
import pytest

from eval.engine import EvalEngine, Sampling
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
