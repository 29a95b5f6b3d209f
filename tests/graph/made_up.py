"""Made-up runs of real records, written as a run leaves them, for the tests of what people see."""

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from eval.evaluator_client import TestResult
from eval.hardware import Hardware
from eval.result import EvalResult, GroupScore, Split, wilson
from eval.verdict import Verdict
from graph.config import RunConfig
from graph.run_dir import Event, RunDir
from memory.records import (
    DataRecipe,
    Diagnosis,
    Evidence,
    Experiment,
    Finding,
    Flow,
    Plan,
    Replicate,
    Step,
    TrainingConfig,
    TrainingData,
    TrainingRun,
)
from roles.backbone import Exchange, Usage
from roles.briefing import Survey, TaskCard
from tasks.corpus import Corpus, CorpusSource
from tasks.failure import Failure, FailureKind
from tasks.record import write_jsonl, write_record
from tasks.task import AnswerContract, Metric

GROUPS = ("accounting", "banking", "insurance", "a group with a name that is too long for the chart")
RECIPE = DataRecipe(
    sources=("exams", "glossary"),
    steps=(
        Step(name="filter", parameters={"source": "exams", "require": ["question", "answer"]}),
        Step(name="deduplicate"),
        Step(name="format", parameters={"source": "exams", "answer": "{{ answer }}"}),
        Step(name="format", parameters={"source": "glossary", "prompt": "Which term means {{ definition }}?"}),
        Step(name="sample", parameters={"source": None, "rows": 200, "seed": 0}),
    ),
    reason="every source that can be read",
)
BASE = datetime(2026, 1, 1, 12, tzinfo=UTC)


def config(**changes: Any) -> RunConfig:
    """A configuration of a made-up run."""
    settings: dict[str, Any] = {
        "run": "made-up", "task": "toy", "profile": "embedded", "profile_reason": "no CUDA device is there",
        "model": "a-model", "memory_dir": "", "max_experiments": 8, "max_train_rows": 1000, "engine": "transformers",
        "cache_dir": "", "tokens_per_second": 100.0, "budget_seconds": 3600.0,
    }  # fmt: skip
    return RunConfig(**(settings | changes))


def survey(**task: Any) -> Survey:
    """A survey of a task of questions with four options, unless told otherwise."""
    card: dict[str, Any] = {
        "name": "toy_finance",
        "domain": "finance",
        "description": "Questions about finance. Each has four options; the answer is the text of the right one.",
        "prompt": "Question: {{ question }}\nA. {{ options[0] }}",
        "prompt_fields": ("question", "options"),
        "answer": AnswerContract(description="Names exactly one option.", example="Answer: A"),
        "metric": Metric(),
        "max_new_tokens": 8,
        "groups": dict.fromkeys(GROUPS, 40),
        "feedback": 90,
        "selection": 210,
        "test": 300,
        "shared": False,
        "options": 4,
    }
    sources = tuple(
        CorpusSource(name=name, description=f"the {name}", licence="MIT", rows=1000, fields=("question",), examples=())
        for name in ("exams", "glossary", "forum")
    )
    return Survey(
        task=TaskCard(**(card | task)),
        corpus=Corpus(task="toy_finance", hash="c0", sources=sources),
        row_tokens={source.name: 25 for source in sources},
        hardware=Hardware(processor="a processor", cores=2, memory_gib=16.0, gpus=()),
        model="a-model",
        model_gib=0.3,
        detectable_effect=0.092,
        max_train_rows=1000,
        remembered=12,
    )


def result(score: float, split: Split = "selection", n: int = 210, unparsed: float = 0.05, **rest: Any) -> EvalResult:
    """An evaluation with the standard error of a share."""
    share = min(max(score, 0.0), 1.0)
    settings: dict[str, Any] = {
        "split": split, "n": n, "samples": 1, "score": score, "unparsed": unparsed, "truncated": 0.0, "generated": n,
        "standard_error": round(math.sqrt(share * (1 - share) / n), 4), "seconds": 20.0,
    }  # fmt: skip
    return EvalResult(**(settings | rest))


def groups(score: float, names: tuple[str, ...] = GROUPS) -> tuple[GroupScore, ...]:
    """A category table around a score."""
    table: list[GroupScore] = []
    for index, name in enumerate(names):
        here = round(min(1.0, max(0.0, score + 0.12 * ((index % 5) - 2))), 3)
        low, high = wilson(here, 23)
        table.append(GroupScore(group=name, n=23, score=here, low=round(low, 3), high=round(high, 3)))
    return tuple(table)


def verdict(outcome: str, effect: float, incumbent: int = 0, half: float = 0.07, **changes: Any) -> Verdict:
    """A verdict with an effect and half the width of its interval."""
    fields: dict[str, Any] = {
        "outcome": outcome, "incumbent": incumbent, "effect": effect, "low": effect - half, "high": effect + half,
        "p_better": 0.02, "p_worse": 0.98, "alpha": 0.0125, "n": 210, "fixed": 31, "broken": 12, "mcnemar_p": 0.006,
        "rule": "paired bootstrap within groups, 10000 resamples",
    }  # fmt: skip
    return Verdict(**(fields | changes))


def training(number: int, seed: int = 0) -> TrainingRun:
    """A finished training."""
    return TrainingRun(
        adapter=f"experiments/{number:03d}/adapter", adapter_hash=f"hash{number}", seed=seed, steps=120,
        first_loss=2.41, final_loss=0.67, tokens_per_second=396.0, peak_memory_gib=1.4, seconds=101.0,
    )  # fmt: skip


def data(number: int, rows: int = 200) -> TrainingData:
    """Rows, and how they came about."""
    return TrainingData(
        path=f"experiments/{number:03d}/data.jsonl",
        content_hash=f"rows{rows}",
        rows=rows,
        rows_by_source={"exams": rows - rows // 4, "glossary": rows // 4},
        tokens=rows * 90,
        tokens_median=88,
        tokens_max=134,
        removed={"deduplicate: repeats": 31},
        flow=(
            Flow(step="sources", rows=2000),
            Flow(step="filter", rows=1964, removed={"no answer": 36}),
            Flow(step="deduplicate", rows=1933, removed={"repeats": 31}),
            Flow(step="format", rows=1933, changed={"rendered": 1933}),
            Flow(step="sample", rows=rows + 12, removed={"not sampled": 1933 - rows - 12}),
            Flow(step="gate", rows=rows + 8, removed={"longer than 512 tokens": 4}),
            Flow(step="decontamination", rows=None, removed={"leak (same question)": 10}),
        ),
        seconds=5.0,
    )


def experiment(number: int, score: float | None = None, **fields: Any) -> Experiment:
    """An experiment of the made-up run; without a score it is not evaluated."""
    settings: dict[str, Any] = {"run": "made-up", "task": "toy_finance", "domain": "finance", "model": "a-model"}
    if score is not None:
        near = max(0.0, round(score - 0.03, 3))
        settings["feedback"] = result(near, "feedback", 90, groups=groups(near))
        settings["selection"] = result(score)
    return Experiment(**(settings | {"number": number, "seconds": 180.0 if number else 0.0} | fields))


def trained(number: int, score: float, judged: Verdict, *, parent: int = 0, **fields: Any) -> Experiment:
    """An experiment that went through every stage."""
    settings: dict[str, Any] = {
        "plan": plan(parent),
        "recipe": RECIPE,
        "data": data(number),
        "config": TrainingConfig(learning_rate=1e-3),
        "training": training(number),
        "verdict": judged,
        "effect": round(judged.effect, 3),
        "diagnosis": diagnosis("underfitting"),
        "evidence": evidence(),
    }
    return experiment(number, score, **(settings | fields))


def plan(parent: int = 0, hypothesis: str = "More epochs teach more of the facts.", **fields: Any) -> Plan:
    """A plan."""
    settings: dict[str, Any] = {
        "factor": "training" if parent else "both",
        "data_strategy": "keep" if parent else "all sources",
        "training_strategy": "more epochs",
        "predicted_effect": 0.03,
        "reason": "The loss was still falling at the end of the last training.",
        "outlook": ("weak groups", "a lower learning rate"),
        "budget_share": 0.3,
    }
    return Plan(hypothesis=hypothesis, parent=parent, **(settings | fields))


def diagnosis(cause: str) -> Diagnosis:
    """A diagnosis."""
    return Diagnosis(
        findings=(Finding(claim="answers that do not parse", count=6, of=90),),
        suspected_cause=cause,
        next_intervention="more epochs",
        next_factor="training",
    )


def evidence() -> tuple[Evidence, ...]:
    """Two computed facts."""
    return (
        Evidence(
            name="flips",
            claim="22 items were fixed and 4 broken.",
            count=26,
            of=90,
            figures={"fixed": 22.0, "broken": 4.0},
        ),
        Evidence(name="loss_shape", claim="The loss fell from 2.41 to 0.67 and is still falling.", count=120, of=120),
    )


def whole_run() -> list[Experiment]:
    """Seven experiments: better, undecided, failed, worse, and a better one from a branch with replicates."""
    first, last = RECIPE.steps[:2], RECIPE.steps[2:4]
    near = Step(name="near_duplicates", parameters={"threshold": 0.8})
    sample = Step(name="sample", parameters={"source": None, "rows": 400, "seed": 0})
    other = DataRecipe(sources=(*RECIPE.sources, "forum"), steps=(*first, near, *last, sample))
    failure = Failure(stage="train", kind=FailureKind.DIVERGED, message="the loss is not finite at step 14")
    replicates = tuple(
        Replicate(training=training(6, seed=1000 * k), selection=result(0.42 + 0.02 * k)) for k in (1, 2)
    )
    return [
        experiment(0, 0.10, selection=result(0.10, unparsed=0.58), effect=None),
        trained(
            1, 0.31, verdict("better", 0.21),
            plan=plan(0, "The sources teach what the benchmark asks.", memory_ids=("earlier/002", "earlier/004")),
        ),
        trained(2, 0.357, verdict("undecided", 0.047, 1), parent=1, plan=plan(1),
                config=TrainingConfig(learning_rate=1e-3, epochs=4)),
        experiment(3, plan=plan(1, "A larger learning rate fits faster."), recipe=RECIPE, data=data(3),
                   config=TrainingConfig(learning_rate=5e-2), failure=failure, seconds=31.0),
        trained(4, 0.22, verdict("worse", -0.09, 1), parent=2, plan=plan(2, "A smaller adapter forgets less."),
                config=TrainingConfig(learning_rate=1e-3, epochs=4, lora_rank=2)),
        trained(5, 0.33, verdict("undecided", 0.02, 1), parent=1, recipe=other, data=data(5, 400),
                plan=plan(1, "Other rows, with the forum's answers.", factor="data", training_strategy="keep")),
        trained(6, 0.45, verdict("better", 0.14, 1), parent=5, recipe=other, data=data(5, 400),
                plan=plan(5, "More epochs on the wider rows.", memory_ids=("earlier/004",)), replicates=replicates,
                config=TrainingConfig(learning_rate=1e-3, epochs=4)),
    ]  # fmt: skip


def sealed(before: float = 0.127, after: float | None = 0.437) -> TestResult:
    """The sealed test of the made-up run."""
    effect = 0.0 if after is None else after - before
    return TestResult(
        baseline=result(before, "test", 300, 0.58),
        best=None if after is None else result(after, "test", 300, 0.03),
        verdict=None if after is None else verdict("better", effect, half=0.064, n=300),
        openings=1,
    )


def write_run(folder: Path, experiments: list[Experiment]) -> RunDir:
    """The run directory as far as reports read it: records, losses, events, transcript, clock."""
    run = RunDir(folder)
    run.create()
    for one in experiments:
        run.write_experiment(one)
        if one.config:
            steps = int(30 * one.config.epochs)
            rows = [loss_row(step, steps, one.number) for step in range(1, steps + 1)]
            write_jsonl(run.experiment(one.number) / "losses.jsonl", rows)
            run.append("transcript.jsonl", exchange(one.number))
    write_events(run, experiments)
    return run


def loss_row(step: int, steps: int, number: int) -> dict[str, float]:
    """One line of `losses.jsonl`: a falling, wavering curve."""
    wave = 0.12 * math.sin(step * (1.7 + number)) + 0.06 * math.sin(step * 0.9)
    loss = 0.5 + 2.2 * math.exp(-step / (9 + 3 * number)) + wave
    return {"step": step, "steps": steps, "loss": loss, "learning_rate": 1e-3, "seconds": float(step)}


def exchange(number: int) -> Exchange:
    """A line of the transcript of a run with language models."""
    usage = Usage(mind="openai:a-model", input_tokens=5200, output_tokens=310, seconds=9.0)
    return Exchange(role="planner", experiment=number, system="", user="", decision={}, refused=None, usage=usage)


def event(stage: str, began: float, ended: float, number: int | None = None, what: str = "end") -> Event:
    """A stage that ran from one second of the run to another."""
    time = (BASE + timedelta(seconds=ended)).isoformat(timespec="milliseconds")
    return Event.model_validate(
        {"time": time, "stage": stage, "experiment": number, "what": what, "seconds": ended - began}
    )


def write_events(run: RunDir, experiments: list[Experiment]) -> None:
    """Start-up, then every experiment's stages one after the other; the clock agrees with the last one."""
    at = 30.0
    run.append("events.jsonl", event("start", 0, at, what="waited"))
    for one in experiments:
        stages = {"planner": 4.0, "prepare_data": 5.0, "train": 101.0} if one.number else {}
        for stage, seconds in {**stages, "evaluate": 30.0, "record": 0.5}.items():
            run.append("events.jsonl", event(stage, at, at + seconds, one.number))
            at += seconds
    run.file("clock.json").write_text(json.dumps({"used": at + 6}))
    write_record(run.file("config.json"), config())
