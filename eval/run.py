"""Score checkpoints from the shell.

    python -m eval.run --task finance_starter --split selection --adapter runs/a/deliver/adapter runs/b/deliver/adapter

Scores the untouched model and each adapter on one split of a task, and compares each pair on the same items. Answers
are kept under `--out`, so a second call generates only what is new. The test split is sealed: opening it needs
`--unseal`, and every opening is counted.
"""

import argparse
import fcntl
import itertools
import sys
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

from rich.console import Console
from rich.table import Table

from eval.adapter import adapter_hash
from eval.base_model import SMOLLM2
from eval.devices import plan_devices
from eval.engine import Checkpoint, Progress
from eval.engine_client import AUTO, choose_engine, engine_service, model_folder, with_engine
from eval.evaluator_client import Evaluator
from eval.hardware import survey_hardware
from eval.power import detectable
from eval.result import EvalResult, Split
from eval.service import Service
from eval.verdict import ALPHA, Verdict
from tasks.catalogue import find_task
from tasks.failure import InputError, StageError
from tasks.record import Record, write_record
from tasks.task import Metric

CACHE = Path.home() / ".cache" / "ft-dojo"
BASE = "untouched"
TIME = "%Y-%m-%d %H:%M:%S"


class Evaluation(Record):
    """What `evaluation.json` holds."""

    task: str
    split: Split
    model: str
    engine: str
    results: dict[str, EvalResult]
    """By checkpoint: `untouched`, or the adapter's hash."""
    adapters: dict[str, str]
    """Folders by hash."""
    verdicts: dict[str, Verdict]
    """By `CANDIDATE against INCUMBENT`."""
    openings: int | None
    """How often the test split has been opened; None for other splits."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="python -m eval.run", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    say = made.add_argument
    say("--task", required=True, metavar="NAME|FILE", help="a task, or a task file (.yaml)")
    say("--split", choices=get_args(Split), default="selection", help="items to answer (default: selection)")
    say("--model", default=SMOLLM2, help=f"base model: {SMOLLM2}, a folder, or a hub id (default: {SMOLLM2})")
    say("--adapter", type=Path, nargs="+", default=[], metavar="DIR", help="PEFT adapters of that model")
    say("--engine", default=AUTO, metavar="NAME", help="auto, transformers, vllm, endpoint=URL (default: auto)")
    say("--data-root", type=Path, help="folder with data sets")
    say("--seed", type=int, default=0, help="of sampled answers and of resampling (default: 0)")
    say("--unseal", action="store_true", help="allow the test split; the opening is counted")
    say("--out", type=Path, help="where answers, scores and evaluation.json go (default: runs/evaluations/TASK-MODEL)")
    say("--cache-dir", type=Path, default=CACHE, help="models, corpora, ledger of openings (default: ~/.cache/ft-dojo)")
    return made


def evaluate(arguments: argparse.Namespace) -> tuple[Evaluation, Metric]:
    """Score and compare what the flags name, and write `evaluation.json`.

    Raises:
        InputError: a flag's value is wrong.
        StageError: engine or evaluator failed.
    """
    if arguments.split == "test" and not arguments.unseal:
        raise InputError("--split test is sealed; add --unseal to open it: the opening is counted for good")
    task = find_task(arguments.task)
    cache = arguments.cache_dir.absolute()
    adapters = {adapter_hash(folder): folder.absolute() for folder in arguments.adapter}
    engine_name = choose_engine(arguments.engine)
    model = model_folder(arguments.model, cache)
    out = (arguments.out or Path("runs/evaluations") / f"{task.name}-{model.name}").absolute()
    with _alone(out), _processes(arguments, engine_name, model, out, cache) as (evaluator, engine):
        evaluator.describe()
        evaluator.attach(out)
        run = f"eval.run {time.strftime(TIME)}" if arguments.split == "test" else ""
        results, opened = with_engine(
            engine, cache, _warn, lambda: _scored(evaluator, engine, model, adapters, arguments, run)
        )
        verdicts = _compared(evaluator, list(results), arguments)
    found = Evaluation(
        task=task.name,
        split=arguments.split,
        model=arguments.model,
        engine=engine_name,
        results=results,
        adapters={name: str(folder) for name, folder in adapters.items()},
        verdicts=verdicts,
        openings=opened,
    )
    write_record(out / "evaluation.json", found)
    return found, task.metric


@contextmanager
def _alone(out: Path) -> Generator[None]:
    """Hold a folder: two calls would overwrite the answers that the other compares."""
    out.mkdir(parents=True, exist_ok=True)
    with (out / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another eval.run works in {out}; wait for it, or choose another --out") from None
        yield


@contextmanager
def _processes(
    arguments: argparse.Namespace, engine_name: str, model: Path, out: Path, cache: Path
) -> Generator[tuple[Evaluator, Service]]:
    devices = plan_devices(survey_hardware().gpus, model)
    name = str(Path(arguments.task).resolve()) if arguments.task.endswith((".yaml", ".yml")) else arguments.task
    root = arguments.data_root.resolve() if arguments.data_root else None
    evaluator = Evaluator(name, root, cache, out / "evaluator.log")
    engine = engine_service(engine_name, model, out / "engine.log", devices)
    try:
        engine.start()  # it loads while the task is read
        yield evaluator, engine
    finally:
        engine.close()
        evaluator.close()


def _scored(
    evaluator: Evaluator,
    engine: Service,
    model: Path,
    adapters: dict[str, Path],
    arguments: argparse.Namespace,
    run: str,
) -> tuple[dict[str, EvalResult], int | None]:
    """Results of the untouched model and of each adapter; and how often the test was opened, if `run` opens it."""
    opened = evaluator.unseal(run) if run else None
    checkpoints = {BASE: Checkpoint(model=str(model))} | {
        name: Checkpoint(model=str(model), adapter=str(folder), adapter_hash=name) for name, folder in adapters.items()
    }
    titles = names_of(adapters)
    results = {
        name: evaluator.evaluate(
            name, arguments.split, checkpoint, engine.socket, arguments.seed, _progress_line(titles[name]), opener=run
        )
        for name, checkpoint in checkpoints.items()
    }
    return results, opened


def _compared(evaluator: Evaluator, checkpoints: list[str], arguments: argparse.Namespace) -> dict[str, Verdict]:
    """Verdicts on each pair, which may end either way; all of them together err with `ALPHA`."""
    pairs = list(itertools.combinations(checkpoints, 2))
    return {
        f"{candidate} against {incumbent}": evaluator.compare(
            candidate, incumbent, ALPHA / (2 * len(pairs)), arguments.seed, arguments.split
        )
        for incumbent, candidate in pairs
    }


def names_of(adapters: dict[str, Path]) -> dict[str, str]:
    """What a person calls the checkpoints: as much of each adapter's path as tells it from the others."""
    depths = range(1, max((len(folder.parts) for folder in adapters.values()), default=0) + 1)
    called = ({name: "/".join(folder.parts[-depth:]) for name, folder in adapters.items()} for depth in depths)
    short = next((names for names in called if len(set(names.values())) == len(names)), {})
    return {BASE: BASE, **short}


def show(found: Evaluation, metric: Metric, console: Console) -> None:
    """Print the table of scores, the verdicts and what they could have seen."""
    names = names_of({name: Path(folder) for name, folder in found.adapters.items()})
    table = Table(title=f"{found.task}, {found.split}, {metric.name} ({found.engine})", title_justify="left")
    table.add_column("checkpoint", overflow="fold")
    for heading in ("score", "95 % interval", "items", "unreadable", "seconds"):
        table.add_column(heading, justify="right")
    for name, result in found.results.items():
        margin = 1.96 * result.standard_error
        table.add_row(
            names[name],
            f"{result.score:.3f}",
            f"{result.score - margin:.3f} to {result.score + margin:.3f}",
            f"{result.n}" + (f" x {result.samples}" if result.samples > 1 else ""),
            f"{result.unparsed:.0%}",
            f"{result.seconds:.1f}",
        )
    console.print(table)
    for pair, verdict in found.verdicts.items():
        candidate, incumbent = (names[name] for name in pair.split(" against "))
        words = {"better": "better than", "worse": "worse than", "undecided": "undecided against"}[verdict.outcome]
        console.print(
            f"{candidate}: {words} {incumbent}, {verdict.effect:+.3f} (95 % {verdict.low:+.3f} to {verdict.high:+.3f}, "
            f"p={verdict.p_better:.4f}, alpha {verdict.alpha:.3f}; {verdict.fixed} up, {verdict.broken} down)",
            markup=False,
            highlight=False,
        )
        if verdict.sampling_share is not None:
            console.print(f"  {verdict.sampling_share:.0%} of its variance would go with more completions an item")
    _show_limits(found, console)


def _show_limits(found: Evaluation, console: Console) -> None:
    errors = [verdict.standard_error for verdict in found.verdicts.values() if verdict.standard_error]
    if errors:
        seen = detectable(max(errors), ALPHA / (2 * len(found.verdicts)))
        console.print(f"true differences of {seen:.3f} and more are found with 80 %")
    if found.openings:
        console.print(f"the test split has been opened {found.openings} times; its score means less each time")


def _progress_line(title: str) -> Progress:
    def moved(done: int, total: int) -> None:
        if sys.stderr.isatty():
            print(f"\r{title}: {done}/{total}", end="" if done < total else "\n", file=sys.stderr, flush=True)

    return moved


def _warn(text: str) -> None:
    print(text, file=sys.stderr)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 2 for wrong input and 1 when an evaluation failed."""
    arguments = parser().parse_args(argv)
    try:
        found, metric = evaluate(arguments)
    except (InputError, StageError) as error:
        print(error, file=sys.stderr)
        return 2 if isinstance(error, InputError) else 1
    show(found, metric, Console())
    return 0


if __name__ == "__main__":
    sys.exit(main())
