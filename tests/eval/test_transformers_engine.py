"""The transformers engine in its real process, on a tiny random Llama."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import engine_contract as contract
import pytest

from eval.engine import Checkpoint, EvalEngine, Sampling
from eval.engine_server import load_engine
from eval.engines import names
from eval.service import Service
from tasks.child import child_environment
from tasks.failure import FailureKind, InputError, StageError


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


class OneThread(contract.ServedEngine):
    """Threads that wait for each other over a model this small only slow it, many times on a busy machine."""

    def __init__(self, model: str, log: Path) -> None:
        arguments = ["--engine", "transformers", "--model", model]
        environment = child_environment({"OMP_NUM_THREADS": "1"})
        self.service = Service("engine", "eval.engine_server", arguments, log=log, environment=environment)


@pytest.fixture(scope="module")
def engine(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[contract.ServedEngine]:
    served = OneThread(tiny.model, tmp_path_factory.mktemp("log") / "engine.log")
    yield served
    served.close()


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("check", contract.CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_contract(
    check: Callable[[EvalEngine, contract.Fixture], None], engine: contract.ServedEngine, tiny: contract.Fixture
) -> None:
    check(engine, tiny)


def adapter(tiny: contract.Fixture, folder: Path, scale: float) -> str:
    """A copy of the adapter with another effect: its alpha is another."""
    shutil.copytree(tiny.adapter, folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, "lora_alpha": config["lora_alpha"] * scale}))
    return str(folder)


def test_adapters_take_turns(engine: contract.ServedEngine, tiny: contract.Fixture, tmp_path: Path) -> None:
    """An adapter that comes back gives what it gave, and so does the base."""
    checkpoints = [tiny.base] + [tiny.adapted(adapter(tiny, tmp_path / str(i), 1 + i / 2)) for i in range(4)]
    first = [contract.generate(engine, contract.GREEDY, one) for one in checkpoints]
    assert len({str(result) for result in first}) == len(checkpoints)
    assert [contract.generate(engine, contract.GREEDY, one) for one in checkpoints] == first


def _truncated(tiny: contract.Fixture, folder: Path) -> Checkpoint:
    weights = Path(shutil.copytree(tiny.adapter, folder)) / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    return Checkpoint(model=tiny.model, adapter=str(folder), adapter_hash="truncated")


def _of_another_model(tiny: contract.Fixture, folder: Path) -> Checkpoint:
    from safetensors.torch import load_file, save_file

    weights = Path(shutil.copytree(tiny.adapter, folder)) / "adapter_model.safetensors"
    save_file({name: tensor.repeat(2, 2) for name, tensor in load_file(weights).items()}, weights)
    return tiny.adapted(str(folder))


def _without_configuration(tiny: contract.Fixture, folder: Path) -> Checkpoint:
    shutil.copytree(tiny.adapter, folder)
    (folder / "adapter_config.json").write_text("{}")
    return Checkpoint(model=tiny.model, adapter=str(folder), adapter_hash="without")


@pytest.mark.parametrize("spoil", [_truncated, _of_another_model, _without_configuration])
@pytest.mark.parametrize("warm", [False, True], ids=["as the first adapter", "after another adapter"])
def test_a_spoilt_adapter_is_a_failure_and_leaves_no_trace(
    spoil: Callable[[contract.Fixture, Path], Checkpoint], warm: bool, tiny: contract.Fixture, tmp_path: Path
) -> None:
    """In this process, so that a crash is seen as what it is."""
    engine = load_engine("transformers", tiny.model)
    base = contract.generate(engine, contract.GREEDY, tiny.base)
    good = tiny.adapted(tiny.adapter)
    adapted = contract.generate(engine, contract.GREEDY, good) if warm else None
    spoilt = spoil(tiny, tmp_path / "spoilt")
    for _ in range(2):
        with pytest.raises(StageError) as caught:
            contract.generate(engine, contract.GREEDY, spoilt)
        assert caught.value.failure.kind is FailureKind.ENVIRONMENT
        assert "spoilt" in caught.value.failure.message
    assert contract.generate(engine, contract.GREEDY, tiny.base) == base
    again = contract.generate(engine, contract.GREEDY, good)
    assert again != base
    assert adapted in (None, again)
    engine.close()


def test_greedy_ignores_seed_and_nucleus(engine: contract.ServedEngine, tiny: contract.Fixture) -> None:
    other = contract.GREEDY.model_copy(update={"seed": 5, "top_p": 0.5})
    assert contract.generate(engine, other, tiny.base) == contract.generate(engine, contract.GREEDY, tiny.base)


def test_a_small_nucleus_is_greedy(engine: contract.ServedEngine, tiny: contract.Fixture) -> None:
    narrow = Sampling(max_new_tokens=12, temperature=1.0, top_p=1e-6)
    together = zip(
        contract.generate(engine, narrow, tiny.base), contract.generate(engine, contract.GREEDY, tiny.base), strict=True
    )
    assert sum(a == b for a, b in together) >= 0.8 * len(contract.PROMPTS)


def test_the_model_authors_sampling_settings_are_not_used(tiny: contract.Fixture, tmp_path: Path) -> None:
    """`generation_config.json` may end a turn, but neither draw nor punish where the caller asks for greedy."""
    opinionated = Path(shutil.copytree(tiny.model, tmp_path / "opinionated"))
    base = load_engine("transformers", tiny.model)
    plain = contract.generate(base, contract.GREEDY, tiny.base)
    settings = json.loads((opinionated / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 2.0, "top_k": 3, "repetition_penalty": 5.0}
    (opinionated / "generation_config.json").write_text(json.dumps(settings))
    engine = load_engine("transformers", str(opinionated))
    assert contract.generate(engine, contract.GREEDY, tiny.base) == plain
    drawn = contract.generate(engine, contract.DRAWN, tiny.base)
    assert drawn == contract.generate(base, contract.DRAWN, tiny.base)
    ends = tokens_that_begin(opinionated, plain[0][0].text)
    (opinionated / "generation_config.json").write_text(json.dumps({**settings, "eos_token_id": ends}))
    engine = load_engine("transformers", str(opinionated))
    (ended,) = contract.generate(engine, contract.GREEDY, tiny.base, contract.PROMPTS[:1])[0]
    assert (ended.tokens, ended.finish) == (1, "stop")


def tokens_that_begin(model: Path, text: str) -> list[int]:
    """Ids of the tokens that a completion may have begun with."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    return [i for i in range(len(tokenizer)) if (part := tokenizer.decode([i]).strip()) and text.startswith(part)]


def test_an_unknown_engine_lists_the_known_ones(tiny: contract.Fixture) -> None:
    with pytest.raises(InputError, match=r"unknown engine 'llama'; known: .*transformers.*vllm"):
        load_engine("llama", tiny.model)
    assert names() == sorted(names())
