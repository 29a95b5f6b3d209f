"""The endpoint engine against a server in this process that serves a tiny random Llama."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_contract as contract
import pytest
from openai_server import OpenAiServer, serving

from eval.engine import EvalEngine
from eval.engine_client import KEY, choose_engine, engine_service
from eval.engine_server import load_engine
from eval.engines import endpoint
from tasks.failure import FailureKind, InputError, StageError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def behind(tiny: contract.Fixture) -> Iterator[EvalEngine]:
    """The engine behind the server."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    engine = load_engine("transformers", tiny.model)
    yield engine
    engine.close()
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def shared(behind: EvalEngine) -> Iterator[OpenAiServer]:
    with serving(behind, "org/model") as server:
        yield server


@pytest.fixture(scope="module")
def served(
    tiny: contract.Fixture, shared: OpenAiServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[contract.ServedEngine]:
    engine = contract.ServedEngine(f"endpoint={shared.url}", tiny.model, tmp_path_factory.mktemp("log") / "engine.log")
    yield engine
    engine.close()


@pytest.fixture
def server(behind: EvalEngine) -> Iterator[OpenAiServer]:
    """A server of a test's own."""
    with serving(behind, "org/model", context=64) as server:
        yield server


def engine_of(server: OpenAiServer, tiny: contract.Fixture) -> EvalEngine:
    return load_engine(f"endpoint={server.url}", tiny.model)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(
    check: Callable[[EvalEngine, contract.Fixture], None], served: contract.ServedEngine, tiny: contract.Fixture
) -> None:
    check(served, tiny)


def test_it_answers_as_the_engine_behind_the_server(
    served: contract.ServedEngine, behind: EvalEngine, tiny: contract.Fixture
) -> None:
    for checkpoint in (tiny.base, tiny.adapted(tiny.adapter)):
        mine = contract.generate(served, contract.GREEDY, checkpoint)
        theirs = [contract.generate(behind, contract.GREEDY, checkpoint, [prompt])[0] for prompt in contract.PROMPTS]
        assert mine == theirs


def test_a_prompt_is_sent_as_one_user_message(server: OpenAiServer, tiny: contract.Fixture) -> None:
    contract.generate(engine_of(server, tiny), contract.GREEDY, tiny.base, ["Hello?"])
    (request,) = server.requests
    assert request["messages"] == [{"role": "user", "content": "Hello?"}]
    assert (request["model"], request["temperature"], request["max_tokens"]) == ("org/model", 0.0, 12)


def test_the_servers_own_limit_counts(server: OpenAiServer, tiny: contract.Fixture) -> None:
    engine = engine_of(server, tiny)
    assert engine.info().context == 64
    long = contract.generate(engine, contract.GREEDY, tiny.base, ["word " * 30])
    assert long[0][0].finish == "prompt_too_long"
    assert server.requests == []


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(status: int, server: OpenAiServer, tiny: contract.Fixture) -> None:
    engine = engine_of(server, tiny)
    server.troubles = [status]
    (found,) = contract.generate(engine, contract.GREEDY, tiny.base, contract.PROMPTS[:1])
    assert found[0].text
    assert server.troubles == []


def test_a_server_that_refuses_is_a_failure_in_its_own_words(server: OpenAiServer, tiny: contract.Fixture) -> None:
    engine = engine_of(server, tiny)
    server.troubles = [400] * len(contract.PROMPTS)
    with pytest.raises(StageError, match=r"status 400: .*try again") as caught:
        contract.generate(engine, contract.GREEDY, tiny.base)
    assert caught.value.failure.kind is FailureKind.ENVIRONMENT


def test_an_adapter_is_loaded_once(server: OpenAiServer, tiny: contract.Fixture) -> None:
    engine = engine_of(server, tiny)
    for _ in range(2):
        contract.generate(engine, contract.GREEDY, tiny.adapted(tiny.adapter), contract.PROMPTS[:1])
    asked = [request["model"] for request in server.requests]
    assert asked.count("org/model") == 1  # the canary of the base
    assert len(set(asked)) == 2


def test_a_server_with_several_models_must_have_one_of_the_name(
    server: OpenAiServer, tiny: contract.Fixture, tmp_path: Path
) -> None:
    server.checkpoints["org/other"] = server.checkpoints["org/model"]
    assert engine_of(server, tiny).info().numerics.endswith("/org/model/context-64")
    other = tmp_path / "nothing-like-it"
    other.symlink_to(tiny.model)
    with pytest.raises(InputError, match=r"it serves org/model, org/other, and none of it is clearly nothing-like-it"):
        load_engine(f"endpoint={server.url}", str(other))


def test_no_server_is_wrong_input(tiny: contract.Fixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "START_RETRIES", 0)
    with pytest.raises(InputError, match=r"--engine endpoint=http://127\.0\.0\.1:9/v1: no answer"):
        load_engine("endpoint=http://127.0.0.1:9/v1", tiny.model)


def test_the_address_must_be_one() -> None:
    assert choose_engine("endpoint=http://localhost:8000/v1") == "endpoint=http://localhost:8000/v1"
    for wrong in ("endpoint", "endpoint=localhost:8000"):
        with pytest.raises(InputError, match="address is missing, as in endpoint=http"):
            choose_engine(wrong)
    with pytest.raises(InputError, match="transformers and nothing behind it"):
        choose_engine("transformers=fast")


def test_the_key_reaches_this_engine_and_no_other(
    server: OpenAiServer, tiny: contract.Fixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(KEY, "secret-key")
    served = engine_service(f"endpoint={server.url}", Path(tiny.model), tmp_path / "engine.log")
    try:
        served.call(
            "generate",
            prompts=["Hello?"],
            sampling=contract.GREEDY.model_dump(mode="json"),
            checkpoint=tiny.base.model_dump(mode="json"),
        )
    finally:
        served.close()
    assert server.keys == {"Bearer secret-key"}
    assert "secret-key" not in (tmp_path / "engine.log").read_text()
    other = engine_service("transformers", Path(tiny.model), tmp_path / "engine.log")
    try:
        other.start()
        assert "secret-key" not in Path(f"/proc/{other.pid}/environ").read_bytes().decode()
    finally:
        other.close()
    assert os.environ[KEY] == "secret-key"
