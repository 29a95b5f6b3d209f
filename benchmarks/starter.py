"""Does `make run` teach? For each seed: a run of the embedded default, then the same recipe on shuffled answers.

    python -m benchmarks.starter --seeds 0 1 2 [--budget 20m] [--out runs/study]

The fine-tuned model is compared on the sealed test with the best of three that know nothing of the subject: the
untouched model, a random choice among the options, and a training on the same rows whose answers were shuffled, which
learns the form of an answer and nothing else. Every run has a memory of its own, so that the seeds are independent.
"""

import random
from pathlib import Path

from benchmarks.study import FinishedRun, complete, study_flags
from eval.evaluator_client import TestResult
from eval.hardware import survey_hardware
from graph import actions
from graph.config import RunConfig
from graph.context import RunContext
from graph.progress import Terminal
from graph.run_dir import RunDir
from graph.session import opened
from memory.records import Experiment, TrainingData
from tasks.record import Record, file_digest, read_jsonl, read_record, write_jsonl, write_record

NUMBER = 1
"""Of the control experiment in its run directory."""


class SeedResult(Record):
    """One seed of the study; scores of the sealed test."""

    seed: int
    experiments: int
    items: int
    untouched: float
    chance: float
    shuffled: float
    tuned: float
    unparsed: dict[str, float]
    """Share of unreadable answers: untouched, shuffled, tuned."""
    gain: float
    """Of the tuned model over the best of the three."""
    low: float
    """Of the 95 % interval of the tuned model over the shuffled one, less what another of the three is better by."""
    high: float
    minutes: float


def study_seed(seed: int, out: Path, budget: str, options: int) -> SeedResult:
    """One run and its control."""
    folder = out / f"seed-{seed}"
    flags = ["--task", "finance_starter", "--budget", budget, "--seed", str(seed), "--memory-dir", folder / "memory"]
    run = complete(folder / "first", flags)
    tuned = run.delivered()
    if tuned is None:
        raise SystemExit(f"{run.path}: nothing was delivered, so there is nothing to compare")
    control = control_test(run, tuned, folder / "shuffled", seed)
    if run.result.best is None or control.best is None or control.verdict is None:
        raise SystemExit(f"{run.path}: the sealed test has no score of the delivered model")
    shuffled, verdict = control.baseline, control.verdict
    chance = 1 / options
    above = max(run.result.baseline.score, chance, shuffled.score) - shuffled.score
    return SeedResult(
        seed=seed,
        experiments=len(run.experiments) - 1,
        items=control.best.n,
        untouched=run.result.baseline.score,
        chance=chance,
        shuffled=shuffled.score,
        tuned=control.best.score,
        unparsed={
            "untouched": run.result.baseline.unparsed, "shuffled": shuffled.unparsed, "tuned": control.best.unparsed,
        },
        gain=round(verdict.effect - above, 3),
        low=round(verdict.low - above, 3),
        high=round(verdict.high - above, 3),
        minutes=round(_minutes(run), 1),
    )  # fmt: skip


def control_test(run: FinishedRun, tuned: Experiment, folder: Path, seed: int) -> TestResult:
    """Train on shuffled answers and open the test for that model (as baseline) and the delivered one."""
    done = folder / "test.json"
    if done.exists():
        return read_record(done, TestResult)
    if tuned.data is None or tuned.config is None:
        raise SystemExit(f"{run.path}: experiment {tuned.number} has no data or configuration")
    config = read_record(run.path / "config.json", RunConfig)
    config = config.model_copy(update={"run": f"{config.run}-shuffled", "memory": "off", "budget_seconds": None})
    with opened(config, RunDir(folder), survey_hardware(), Terminal()) as context:
        data = shuffled_rows(run, tuned.data, context, seed)
        training = actions.train(context, NUMBER, data, tuned.config, 0, None)
        delivered = context.checkpoint(tuned.training).model_copy(update={"adapter": str(run.path / "deliver/adapter")})
        result = context.evaluator.test(
            config.run,
            context.checkpoint(training),
            delivered,
            context.engine.socket,
            config.seed,
            context.terminal.bar("test", "items"),
        )
    write_record(done, result)
    return result


def shuffled_rows(run: FinishedRun, data: TrainingData, context: RunContext, seed: int) -> TrainingData:
    """The rows of an experiment with answers that tell nothing.

    A row with options gets one of them at random; the others exchange their answers within their source.
    """
    source = run.path / data.path
    rows = list(read_jsonl(source))
    origins = list(read_jsonl(source.with_name("provenance.jsonl")))
    rng = random.Random(f"shuffled:{seed}")
    pools = {origin["source"]: list[str]() for origin in origins}
    for row, origin in zip(rows, origins, strict=True):
        pools[origin["source"]].append(row["answer"])
    for pool in pools.values():
        rng.shuffle(pool)
    answers = [
        rng.choice(origin["options"]) if origin["options"] else pools[origin["source"]].pop() for origin in origins
    ]
    target = context.run.experiment(NUMBER) / "data.jsonl"
    target.parent.mkdir(parents=True, exist_ok=True)
    write_jsonl(
        target, [{"prompt": row["prompt"], "answer": answer} for row, answer in zip(rows, answers, strict=True)]
    )
    return data.model_copy(update={"path": context.run.relative(target), "content_hash": file_digest(target)})


def _minutes(run: FinishedRun) -> float:
    from graph.budget import Clock

    return read_record(run.path / "clock.json", Clock).used / 60


def main() -> None:
    """The command line."""
    arguments = study_flags(__doc__)
    print("| seed | experiments | items | untouched | chance | shuffled | tuned | gain (95 %) | unparsed | minutes |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for seed in arguments.seeds:
        result = study_seed(seed, arguments.out.absolute(), arguments.budget, options=4)
        write_record(arguments.out / f"seed-{seed}" / "starter.json", result)
        print(row_of(result), flush=True)


def row_of(r: SeedResult) -> str:
    """A seed as a row of the table."""
    scores = " | ".join(f"{score:.3f}" for score in (r.untouched, r.chance, r.shuffled, r.tuned))
    gain = f"{r.gain:+.3f} ({r.low:+.3f} to {r.high:+.3f})"
    return f"| {r.seed} | {r.experiments} | {r.items} | {scores} | {gain} | {r.unparsed['tuned']:.1%} | {r.minutes} |"


if __name__ == "__main__":
    main()
