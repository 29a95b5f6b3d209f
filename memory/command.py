"""The command of the memory: build it again, list it, ask it. See `memory/store.py` for examples."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from memory.journal import JOURNAL
from memory.recall import intention, outcome
from memory.records import Experiment
from memory.store import DIRECTORY, ExperimentMemory, open_memory
from tasks.failure import InputError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, or 2 with the reason on stderr when the input is wrong."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.command(options):
            print(line)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m memory.store", description="The memory of past experiments.")
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--memory-dir", type=Path, default=DIRECTORY, help="default: %(default)s")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    rebuild = commands.add_parser("rebuild", parents=[shared], help="build the index again from the runs")
    rebuild.add_argument("--runs", type=Path, default=Path("runs"), help="folder of run directories; default: runs")
    rebuild.set_defaults(command=_rebuild)

    listing = commands.add_parser("list", parents=[shared], help="one line an experiment")
    listing.add_argument("--task", help="only experiments of this task")
    listing.set_defaults(command=_list)

    recall = commands.add_parser("recall", parents=[shared], help="the experiments nearest to a text")
    recall.add_argument("question")
    recall.add_argument("--task", help="only experiments of this task")
    recall.add_argument("--domain", help="only experiments of this domain")
    recall.add_argument("--run", help="only experiments of this run")
    recall.add_argument("--exclude-run", help="no experiment of this run")
    recall.add_argument("--limit", type=_positive, default=5, help="at most so many; default: %(default)s")
    recall.set_defaults(command=_recall)
    return parser


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {number}")
    return number


def _rebuild(options: argparse.Namespace) -> list[str]:
    if not options.runs.is_dir():
        raise InputError(f"--runs {options.runs}: no such folder; expected the folder of run directories")
    runs = sorted(path.parent for path in options.runs.glob(f"*/{JOURNAL}"))
    if not runs:
        raise InputError(f"--runs {options.runs}: no run in it has a {JOURNAL}")
    count = ExperimentMemory(options.memory_dir).rebuild(runs)
    return [f"{count} experiments of {len(runs)} runs in {options.memory_dir}"]


def _list(options: argparse.Namespace) -> list[str]:
    return [_line(experiment) for experiment in _open(options).experiments(task=options.task)]


def _recall(options: argparse.Namespace) -> list[str]:
    found = _open(options).recall(
        options.question,
        task=options.task,
        domain=options.domain,
        run=options.run,
        exclude_run=options.exclude_run,
        limit=options.limit,
    )
    return [f"{recalled.similarity:.3f}  {_line(recalled.experiment)}" for recalled in found]


def _open(options: argparse.Namespace) -> ExperimentMemory:
    if not options.memory_dir.is_dir():
        raise InputError(f"--memory-dir {options.memory_dir}: no such folder")
    return open_memory(options.memory_dir)


def _line(experiment: Experiment) -> str:
    verdict, selection = experiment.verdict, experiment.selection
    score = f"{selection.score:.3f}" if selection else "-"
    effect = f"{verdict.effect:+.3f}" if verdict else "-"
    said = f"{experiment.id}  {experiment.task}  {outcome(experiment)}  score {score}  effect {effect}"
    return f"{said}  {intention(experiment)}"
