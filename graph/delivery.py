"""What a run leaves for the engineer who deploys it: adapter, merged model, rows, model card, lineage, and a script
that makes the adapter again.
"""

import json
import shutil
from pathlib import Path

import yaml

from eval.adapter import CONFIG
from eval.base_identity import BaseIdentity, copy_tokenizer
from eval.evaluator_client import TestResult
from eval.hardware import compute_environment, heavy_work
from graph.context import RunContext
from graph.lineage import Lineage, trace
from graph.model_card import Story, model_card
from graph.templates import render
from memory.records import Experiment
from roles.briefing import Survey
from tasks.child import child_environment, kill_group, log_tail, start_child
from tasks.record import write_record, write_text

TASK_FILE = "task.yaml"
BOUGHT = "bought"
HUB_CARD = "README.md"
"""The name under which hubs look for a model card."""


def deliver(
    context: RunContext, survey: Survey, experiments: list[Experiment], number: int, result: TestResult
) -> None:
    """Write `deliver/`; without a better experiment only the model card, which says so."""
    folder = context.run.file("deliver")
    folder.mkdir(exist_ok=True)
    best = experiments[number]
    lineage = trace(context, survey, experiments, best)
    merged = False
    if lineage:
        _write_adapter(context, lineage.training.adapter, lineage.base, folder / "adapter")
        _copy_rows(context.run.path / lineage.data.path, folder)
        _copy_bought(context, lineage, folder / BOUGHT)
        write_record(folder / "lineage.json", lineage)
        _write_task(context, folder)
        script = folder / "reproduce.sh"
        write_text(script, render("reproduce.sh"))
        script.chmod(0o755)
        merged = context.config.merge and _merge(context, folder)
    story = Story(context.config, survey, experiments[0], best, result, lineage, merged)
    write_text(folder / "MODEL_CARD.md", model_card(story, adapter="adapter"))
    if lineage:
        write_text(folder / "adapter" / HUB_CARD, model_card(story, adapter="."))
        context.terminal.say(f"delivered experiment {number:03d}: {folder}")
    else:
        context.terminal.say(f"no experiment was better than the untouched model; see {folder / 'MODEL_CARD.md'}")
    for path in (*folder.glob("adapter/*"), *folder.glob("merged/*")):
        path.chmod(0o644)  # who serves a model is often another user than who made it


def _write_adapter(context: RunContext, trained: str, base: BaseIdentity, target: Path) -> None:
    """Copy the adapter as others expect one: with tokenizer and chat template, and without paths of this machine."""
    scratch = target.with_name(f".{target.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(context.run.path / trained, scratch, ignore=shutil.ignore_patterns(HUB_CARD))
    settings = json.loads((scratch / CONFIG).read_text(encoding="utf-8"))
    settings |= {"base_model_name_or_path": base.model, "revision": base.revision}
    write_text(scratch / CONFIG, json.dumps(settings, indent=2, sort_keys=True) + "\n")
    copy_tokenizer(context.model, scratch)
    shutil.rmtree(target, ignore_errors=True)
    scratch.rename(target)


def _copy_rows(rows: Path, folder: Path) -> None:
    """The rows that were trained on, and where each comes from."""
    for path in (rows, rows.with_name("provenance.jsonl")):
        write_text(folder / path.name, path.read_text(encoding="utf-8"))


def _copy_bought(context: RunContext, lineage: Lineage, target: Path) -> None:
    """What models gave to the data steps: it was paid for, and is not to be had again word for word."""
    shutil.rmtree(target, ignore_errors=True)
    if files := context.pipeline.bought(lineage.recipe, lineage.models):
        target.mkdir()
        for path in files:
            shutil.copyfile(path, target / path.name)


def _write_task(context: RunContext, folder: Path) -> None:
    """The task as it was, when it is not one of ours: its file may change, or stay behind on this machine."""
    if Path(context.config.task).is_absolute():
        content = context.description.task.model_dump(mode="json", exclude={"base_dir"}, exclude_defaults=True)
        write_text(folder / TASK_FILE, yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=120))


def _merge(context: RunContext, folder: Path) -> bool:
    """Write `merged/` in a process of its own; when that fails, the adapter is delivered all the same."""
    context.terminal.say("merging the adapter into its base")
    context.engine.close()  # nobody asks it any more, and its memory is needed
    log_path, out = context.run.file("merge.log"), folder / "merged"
    with heavy_work(context.cache, context.warn), log_path.open("wb") as log:
        process = start_child(
            "eval.merge",
            [context.model, folder / "adapter", out],
            log=log,
            cwd=context.run.path,
            environment=child_environment(compute_environment()),
        )
        try:
            returncode = process.wait()
        finally:
            kill_group(process)
    if returncode == 0:
        return True
    said = log_tail(log_path, 300).splitlines()
    cause = f"ended by signal {-returncode}" if returncode < 0 else said[-1] if said else f"exit code {returncode}"
    context.terminal.say(f"the merged model could not be written ({cause}); the adapter is delivered; see {log_path}")
    return False
