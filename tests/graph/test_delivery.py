"""What a run leaves for the engineer: adapter, merged model, rows, card, lineage; and that they are what was scored."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from laboratory import LESSONS, Finished

from eval.adapter import adapter_hash
from eval.evaluator_client import TestResult
from eval.hardware import survey_hardware
from graph.config import RunConfig
from graph.delivery import deliver
from graph.lineage import Lineage
from graph.progress import Terminal
from graph.run_dir import RunDir
from graph.session import opened
from roles.briefing import Survey
from tasks import scoring
from tasks.record import file_digest, read_record
from tasks.task import Sample
from tasks.task_file import load_task_file


@pytest.fixture(scope="module")
def lineage(learned_run: Finished) -> Lineage:
    """The lineage of the delivered adapter."""
    return read_record(learned_run.path / "deliver/lineage.json", Lineage)


def test_delivery_is_complete(learned_run: Finished) -> None:
    """Adapter with tokenizer and chat template, merged model, rows with their origin, task, card, lineage, script."""
    folder = learned_run.path / "deliver"
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    tokenizer = {"tokenizer.json", "tokenizer_config.json", "chat_template.jinja"}
    adapter = {"README.md", "adapter_config.json", "adapter_model.safetensors", *tokenizer}
    merged = {"config.json", "generation_config.json", "model.safetensors", *tokenizer}
    assert files == {
        *("MODEL_CARD.md", "lineage.json", "reproduce.sh", "task.yaml", "data.jsonl", "provenance.jsonl"),
        *(f"adapter/{name}" for name in adapter),
        *(f"merged/{name}" for name in merged),
    }
    assert os.access(folder / "reproduce.sh", os.X_OK)
    for name in (*(f"adapter/{name}" for name in adapter), *(f"merged/{name}" for name in merged)):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o644, name


def test_the_delivered_adapter_is_the_one_that_was_judged(learned_run: Finished, lineage: Lineage) -> None:
    """Its hash is in lineage and record; the rows it was trained on are those on disk."""
    best = learned_run.experiments[lineage.experiment]
    assert best.training is not None
    assert adapter_hash(learned_run.path / "deliver/adapter") == best.training.adapter_hash
    assert lineage.training == best.training
    assert file_digest(learned_run.path / "deliver/data.jsonl") == lineage.data.content_hash
    origins = learned_run.rows("deliver/provenance.jsonl")
    assert len(origins) == lineage.data.rows
    assert {row["source"] for row in origins} == {"lessons"}


def test_lineage_names_every_ancestor(lineage: Lineage) -> None:
    """Experiment 2 builds on 1, and 1 on the untouched model; its plan and its versions are told."""
    assert (lineage.experiment, lineage.ancestors) == (2, (1, 0))
    assert lineage.plan.parent == 1
    assert (lineage.run_config.model, lineage.base.model) == ("tiny-random", "tiny-random")
    assert {"ft-dojo", "torch", "peft", "trl", "python"} <= set(lineage.versions)
    assert lineage.began_with == {}


def test_no_path_of_this_machine_is_delivered(learned_run: Finished, lineage: Lineage) -> None:
    """Base, cache, memory and run are told without their places; only the lineage says where the task file lay."""
    folder = learned_run.path / "deliver"
    config = json.loads((folder / "adapter/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "tiny-random"
    places = [Path.home(), learned_run.path.parent, learned_run.json("config.json")["cache_dir"], learned_run.memory]
    texts = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.name != "lineage.json"}
    assert [(path, place) for path, text in texts.items() for place in places if str(place).encode() in text] == []
    told = lineage.model_dump_json()
    assert [place for place in places if str(place) in told] == []
    assert lineage.run_config.task in told


def test_the_task_file_is_the_task_that_was_run(learned_run: Finished, lineage: Lineage) -> None:
    """Read again, it says what the original says."""
    delivered = load_task_file(learned_run.path / "deliver/task.yaml")
    original = load_task_file(Path(lineage.run_config.task))
    assert delivered.model_copy(update={"base_dir": original.base_dir}) == original


def test_the_card_says_what_was_measured(learned_run: Finished, lineage: Lineage) -> None:
    """Scores with intervals, the untouched model beside them, rows, configuration, hashes, licences, openings."""
    card = (learned_run.path / "deliver/MODEL_CARD.md").read_text()
    test = learned_run.json("test.json")
    best = learned_run.experiments[lineage.experiment]
    assert best.feedback
    parts = [
        "# signs: LoRA adapter for tiny-random",
        f"On 80 sealed test items the adapter scores {test['best']['score']:.3f} (accuracy, higher is better) "
        "against 0.000",
        f"95 % interval {test['verdict']['low']:+.3f} to {test['verdict']['high']:+.3f}",
        "opened by 1 run of this user so far",
        f"| feedback | 24 | 0.000 (0.000 to 0.138) | 100.0 % | {best.feedback.score:.3f} (",
        "| selection | 56 | 0.000 (0.000 to 0.064) | 100.0 % |",
        "| test (sealed) | 80 | 0.000 (0.000 to 0.046) | 100.0 % |",
        lineage.data.content_hash,
        lineage.training.adapter_hash,
        f"{lineage.config.epochs} epochs",
        f"| lessons | MIT | {LESSONS} | {lineage.data.rows} | solved items |",
        f"| gate | {LESSONS} |",
        f"| decontamination | {lineage.data.rows} |",
        f"torch {lineage.versions['torch']}",
        "folder `merged`",
    ]
    assert [part for part in parts if part not in card] == []
    assert "{{ question }}" in card, "the prompt template of the task"
    assert (learned_run.path / "deliver/adapter/README.md").read_text() == card.replace('= "adapter"', '= "."')


def test_the_card_of_a_run_without_a_better_model_says_so(dry_run: Finished) -> None:
    """No adapter, no lineage, and no sentence that claims one."""
    folder = dry_run.path / "deliver"
    card = (folder / "MODEL_CARD.md").read_text()
    assert [path.name for path in folder.iterdir()] == ["MODEL_CARD.md"]
    assert "No experiment was better than the untouched model" in card
    assert "## Use" not in card
    assert "the adapter scores" not in card


ASK = """
import json, sys
print("ANSWERS" + json.dumps([answer(prompt) for prompt in json.load(sys.stdin)]))
"""
MERGED = """
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained("merged")
model = AutoModelForCausalLM.from_pretrained("merged")
assert model.dtype == torch.bfloat16


def answer(prompt):
    messages = [{"role": "user", "content": prompt}]
    inputs = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=6)[0, inputs["input_ids"].shape[1] :]
    return tokenizer.decode(output, skip_special_tokens=True).strip()
"""


def card_code(card: Path, base: Path) -> str:
    """The Python block of a card, with the one line filled in that it leaves to the engineer."""
    (code,) = re.findall(r"```python\n(.*?)```", card.read_text(), re.DOTALL)
    return code.replace('"FOLDER_OF_tiny-random"', repr(str(base)))


def ask(code: str, folder: Path, prompts: list[str]) -> list[str]:
    """What a model says that some code loads in a folder; nothing of ours can be imported there."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [sys.executable, "-P", "-c", code + ASK],
        cwd=folder,
        env=environment,
        input=json.dumps(prompts),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.split("ANSWERS")[1])


@pytest.mark.parametrize("what", ["MODEL_CARD.md", "adapter/README.md", "merged"])
def test_the_recorded_score_comes_out_of_plain_transformers_and_peft(
    what: str, learned_run: Finished, lineage: Lineage, tiny_model: Path
) -> None:
    """The feedback prompts, asked as the card says, and of the merged model; scored by the task's own scorer."""
    folder = learned_run.path / "deliver"
    code = MERGED if what == "merged" else card_code(folder / what, tiny_model)
    items = learned_run.rows(f"experiments/{lineage.experiment:03d}/feedback.jsonl")
    said = ask(code, (folder / what).parent, [item["prompt"] for item in items])
    task = load_task_file(folder / "task.yaml")
    scorer = scoring.load(task.scorer)
    scores = [
        scorer.score(text, Sample(id=item["id"], prompt=item["prompt"], answer=item["answer"])).score
        for text, item in zip(said, items, strict=True)
    ]
    recorded = learned_run.experiments[lineage.experiment].feedback
    assert recorded
    assert sum(scores) / len(scores) == pytest.approx(recorded.score, abs=5e-4)
    assert said == [item["completions"][0] for item in items]


def test_what_is_asked_above_depends_on_the_adapter(learned_run: Finished, lineage: Lineage, tiny_model: Path) -> None:
    """The untouched base, asked the same way, says something else."""
    code = card_code(learned_run.path / "deliver/MODEL_CARD.md", tiny_model)
    bare = re.sub(r"PeftModel\.from_pretrained\(base, ADAPTER\)\.merge_and_unload\(\)", "base", code)
    assert bare != code
    items = learned_run.rows(f"experiments/{lineage.experiment:03d}/feedback.jsonl")[:4]
    said = ask(bare, learned_run.path / "deliver", [item["prompt"] for item in items])
    assert not set(said) & {item["completions"][0] for item in items}


@pytest.fixture(scope="module")
def troubled(learned_run: Finished, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[RunDir, str]:
    """The same run delivered once more, resumed under another version, its base cut short in between; and its words."""
    folder = tmp_path_factory.mktemp("troubled")
    run = RunDir(Path(shutil.copytree(learned_run.path, folder / "run")))
    shutil.rmtree(run.file("deliver"))
    began = json.loads(run.file("environment.json").read_text())
    run.file("environment.json").write_text(json.dumps({**began, "torch": "0.1"}))
    cut = Path(shutil.copytree(tiny_model, folder / "cut"))
    (cut / "model.safetensors").write_bytes(b"cut")
    survey, result = read_record(run.file("survey.json"), Survey), read_record(run.file("test.json"), TestResult)
    config = read_record(run.file("config.json"), RunConfig)
    with opened(config, run, survey_hardware(), Terminal()) as context, redirect_stdout(StringIO()) as said:
        deliver(replace(context, model=cut), survey, run.experiments(), 2, result)
    return run, said.getvalue()


def test_a_merge_that_fails_leaves_the_adapter_delivered(troubled: tuple[RunDir, str], learned_run: Finished) -> None:
    """It is said, with the cause and the place of the log, and everything else is there."""
    run, said = troubled
    assert "the merged model could not be written (" in said
    assert str(run.file("merge.log")) in said
    assert "delivered experiment 002" in said
    names = {path.name for path in run.file("deliver").iterdir()}
    assert names == {"MODEL_CARD.md", "lineage.json", "reproduce.sh", "task.yaml", "data.jsonl", "provenance.jsonl",
                     "adapter"}  # fmt: skip
    assert adapter_hash(run.file("deliver/adapter")) == adapter_hash(learned_run.path / "deliver/adapter")
    assert "folder `merged`" not in run.file("deliver/MODEL_CARD.md").read_text()


def test_a_run_that_was_resumed_under_another_version_says_so(troubled: tuple[RunDir, str]) -> None:
    """In lineage and card: who makes it again may need either."""
    run, _ = troubled
    assert read_record(run.file("deliver/lineage.json"), Lineage).began_with == {"torch": "0.1"}
    assert "it began with torch 0.1." in run.file("deliver/MODEL_CARD.md").read_text()
