"""The merged model on disk is the one that the engine served, and loads as any other."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import engine_contract as contract
import pytest

from eval.engine import Checkpoint
from eval.engine_server import load_engine
from tasks.child import child_environment, module_command


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> contract.Fixture:
    return contract.build(tmp_path_factory.mktemp("tiny"))


def merge(base: str | Path, adapter: str | Path, out: Path) -> subprocess.CompletedProcess[str]:
    """The command, as the graph starts it: its standard input stays open."""
    process = subprocess.Popen(
        module_command("eval.merge", [base, adapter, out]),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment({"OMP_NUM_THREADS": "1"}),
        start_new_session=True,
    )
    assert process.stdout
    assert process.stderr
    said, complained = process.stdout.read(), process.stderr.read()
    return subprocess.CompletedProcess(process.args, process.wait(), said, complained)


@pytest.fixture(scope="module")
def opinionated(tiny: contract.Fixture, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same base with an author who prefers to draw and to punish repetitions."""
    folder = Path(shutil.copytree(tiny.model, tmp_path_factory.mktemp("base") / "opinionated"))
    settings = json.loads((folder / "generation_config.json").read_text())
    settings |= {"do_sample": True, "temperature": 2.0, "top_k": 3, "repetition_penalty": 5.0}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture(scope="module")
def merged(tiny: contract.Fixture, opinionated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "merged"
    done = merge(opinionated, tiny.adapter, out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def loaded(merged: Path) -> tuple[Any, Any]:
    """Model and tokenizer, as anybody loads them."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(merged), AutoTokenizer.from_pretrained(merged)


def test_logits_are_those_of_the_model_that_the_engine_serves(tiny: contract.Fixture, loaded: tuple[Any, Any]) -> None:
    """Every weight, in bf16; the logits of a prompt but for rounding, of which the engine does less."""
    import torch

    model, tokenizer = loaded
    engine: Any = load_engine("transformers", tiny.model)
    served = engine._serving(tiny.adapted(tiny.adapter))
    assert model.dtype == torch.bfloat16
    weights, expected = model.state_dict(), served.state_dict()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in weights)
    ids = tokenizer(contract.PROMPTS[0], return_tensors="pt")["input_ids"]
    for own in (served, engine._base):  # instead of the engine's, which wants to be told what is shared
        own.set_attn_implementation(model.config._attn_implementation)
    with torch.inference_mode():
        own, theirs, base = (one(ids).logits.float() for one in (served, model, engine._base))
    difference, change = ((theirs - other).abs().max() for other in (own, base))
    assert difference < 0.02 * (theirs.max() - theirs.min())
    assert change > 5 * difference, "nothing is merged"


def test_greedy_completions_are_those_of_the_adapter(tiny: contract.Fixture, merged: Path) -> None:
    """The engine over base and adapter, and over the merged model as a base of its own."""
    over_adapter = contract.generate(
        load_engine("transformers", tiny.model), contract.GREEDY, tiny.adapted(tiny.adapter)
    )
    over_merged = contract.generate(
        load_engine("transformers", str(merged)), contract.GREEDY, Checkpoint(model=str(merged))
    )
    assert over_merged == over_adapter


def test_a_plain_generation_is_greedy_and_ends_its_turn(tiny: contract.Fixture, loaded: tuple[Any, Any]) -> None:
    """Nothing is set by the caller but the length: the author's preferences are gone, the ends are kept."""
    import torch

    model, tokenizer = loaded
    expected = contract.generate(
        load_engine("transformers", tiny.model), contract.GREEDY, tiny.adapted(tiny.adapter), contract.PROMPTS[:1]
    )
    messages = [{"role": "user", "content": contract.PROMPTS[0]}]
    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
    inputs = tokenizer(text, add_special_tokens=False, return_tensors="pt")
    with torch.inference_mode():
        output = model.generate(**inputs, max_new_tokens=contract.GREEDY.max_new_tokens)[0]
    said = tokenizer.decode(output[inputs["input_ids"].shape[1] :], skip_special_tokens=True).strip()
    assert said == expected[0][0].text
    assert tokenizer.eos_token_id in model.generation_config.eos_token_id


def test_no_path_of_this_machine_is_left(merged: Path, opinionated: Path, tiny: contract.Fixture) -> None:
    """Nor a scratch folder, nor anything of PEFT."""
    texts = [path.read_text() for path in merged.iterdir() if path.suffix in (".json", ".jinja", ".md")]
    assert len(texts) >= 4
    assert [text for text in texts if str(opinionated.parent) in text or str(Path(tiny.adapter).parent) in text] == []
    assert [path.name for path in merged.parent.iterdir()] == ["merged"]
    assert not list(merged.glob("adapter*"))


def test_an_earlier_attempt_is_replaced(tiny: contract.Fixture, tmp_path: Path) -> None:
    """What a killed merge has left is swept away."""
    for name in ("merged", ".merged"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "old").touch()
    assert merge(tiny.model, tiny.adapter, tmp_path / "merged").returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["merged"]
    assert not (tmp_path / "merged/old").exists()


def test_a_merge_that_fails_leaves_what_was_there(tiny: contract.Fixture, tmp_path: Path) -> None:
    """An adapter cut short: an exit code, a reason, no folder, and none taken away."""
    cut = Path(shutil.copytree(tiny.adapter, tmp_path / "cut"))
    (cut / "adapter_model.safetensors").write_bytes(b"cut")
    (tmp_path / "merged").mkdir()
    (tmp_path / "merged/old").touch()
    done = merge(tiny.model, cut, tmp_path / "merged")
    assert done.returncode > 0
    assert "safetensors" in done.stderr.lower()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut", "merged"]
    assert (tmp_path / "merged/old").exists()
