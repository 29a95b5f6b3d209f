"""FT-Dojo: fine-tune an open language model for a task, in a loop that plans, trains, evaluates and learns.

python run_graph.py --task finance
python run_graph.py --task my_task/task.yaml --model Qwen/Qwen2.5-7B-Instruct --backbone openai:gpt-5.2 --budget 12h
python run_graph.py --resume runs/20260101-120000-finance_starter
"""

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="run_graph.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    _task_flags(made.add_argument_group("the task and the model").add_argument)
    _mind_flags(made.add_argument_group("the minds").add_argument)
    _budget_flags(made.add_argument_group("what the run may take").add_argument)
    _run_flags(made.add_argument_group("the run").add_argument)
    return made


def _task_flags(say: Callable[..., argparse.Action]) -> None:
    say("--task", metavar="NAME|FILE", help="a task, a family, or a task file (.yaml); see --list-tasks")
    say(
        "--protocol",
        choices=["honest", "paper"],
        default="honest",
        help="split and score as the benchmark means it, or exactly as the reference system does (default: honest)",
    )
    say("--data-root", type=Path, help="folder with data sets; task files may name paths relative to it")
    say("--model", help="base model: smollm2-135m-instruct, a folder, or a hub id (default: the profile's)")
    say("--profile", choices=["auto", "embedded", "gpu"], default="auto", help="named defaults (default: auto)")
    say(
        "--engine",
        default="auto",
        metavar="NAME",
        help="evaluation engine: auto, transformers, vllm, endpoint=URL (default: auto)",
    )


def _mind_flags(say: Callable[..., argparse.Action]) -> None:
    say(
        "--backbone",
        action="append",
        default=[],
        metavar="[ROLE=]SPEC",
        help="mind of all roles, or of one: expert, recorded:FILE, PROVIDER:MODEL[@BASE_URL]; repeatable (default: "
        "expert). generalist=SPEC, alone: one mind in the place of all roles, to compare with",
    )
    say(
        "--temperature",
        action="append",
        default=[],
        metavar="[ROLE=]X",
        help="of the language models behind all roles, or one; repeatable (default: the model's own)",
    )
    say(
        "--effort",
        action="append",
        default=[],
        metavar="[ROLE=]LEVEL",
        help="how much reasoning models think: none, minimal, low, medium, high, xhigh, max; repeatable (default: the "
        "model's own)",
    )
    say(
        "--tiers",
        metavar="strong=SPEC,weak=SPEC",
        help="language models that data steps may ask (default: the data engineer's, or another role's)",
    )
    say("--answer-timeout", metavar="90s|1h", help="time that one answer of a language model may take (default: 10m)")
    say("--max-tokens", type=_positive, metavar="N", help="tokens that language models may take, in and out together")
    say("--max-cost", type=_amount, metavar="DOLLARS", help="what they may cost")
    say(
        "--price",
        action="append",
        default=[],
        metavar="SPEC=IN,OUT",
        help="price of a model in dollars per million tokens, where none is known; repeatable",
    )
    say(
        "--approve",
        action="store_true",
        help="ask on standard input before anything is spent on a plan: accept, edit, send back, or stop",
    )
    say(
        "--memory",
        choices=["on", "off", "run"],
        default="on",
        help="recall other runs, nothing, or this run only (default: on)",
    )
    say("--memory-dir", type=Path, help="where the memory rests (default: runs/memory)")


def _budget_flags(say: Callable[..., argparse.Action]) -> None:
    say(
        "--budget",
        metavar="30m|12h",
        help="wall clock (default: the profile's, or none with --max-experiments)",
    )
    say("--max-experiments", type=_positive, metavar="N", help="experiments after the baseline")
    say("--max-train-rows", type=_positive, metavar="N", help="rows a training may use (default: the profile's)")
    say("--seed", type=int, default=0, help="of training, sampling and resampling (default: 0)")
    say("--replicates", type=_positive, default=1, metavar="N", help="trainings an experiment, each with its own seed")
    say(
        "--max-regression",
        type=_share,
        metavar="X",
        help="refuse experiments that lose more than X (0 to 1) on a general probe (default: measure only)",
    )


def _run_flags(say: Callable[..., argparse.Action]) -> None:
    say("--run-dir", type=Path, help="directory of the run (default: runs/<time>-<task>)")
    say(
        "--resume",
        type=Path,
        metavar="RUN",
        help="go on with a stopped run: its directory, or its name in runs/",
    )
    say("--cache-dir", type=Path, help="models, corpora, ledger of test openings (default: ~/.cache/ft-dojo)")
    say("--merge", action="store_true", help="deliver the base model with the adapter merged in, beside the adapter")
    say("--unsafe-scripts", action="store_true", help="run agent-written scripts although there is no sandbox here")
    say("--dry-run", action="store_true", help="walk the whole graph with scripted minds and a tiny random model")
    say("--draw", action="store_true", help="print the graph as a Mermaid diagram")
    say("--list-tasks", action="store_true", help="print the tasks that ship with the project")


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise ValueError(text)
    return value


def _amount(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run; the exit code is 0 after a complete run, 2 for wrong input, 130 when stopped."""
    flags = parser().parse_args(argv)
    # Checkpoints may restore only the types that the state declares.
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    from graph.progress import complain
    from graph.session import draw, list_tasks, resume_run, start
    from tasks.failure import InputError, StageError

    signal.signal(signal.SIGINT, _second_kills())
    try:
        if flags.draw:
            return draw(flags.backbone)
        if flags.list_tasks:
            return list_tasks(flags.data_root)
        if flags.resume:
            return resume_run(flags.resume)
        if not flags.task:
            raise InputError("--task NAME|FILE is needed; --list-tasks prints the known ones")
        return start(flags)
    except InputError as error:
        complain(str(error))
        return 2
    except StageError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        return 130


def _second_kills() -> Callable[[int, FrameType | None], None]:
    """A handler for Ctrl-C: the first one stops cleanly, a second one ends the process at once."""
    pressed: list[bool] = []

    def handler(number: int, frame: FrameType | None) -> None:
        if pressed:
            os._exit(130)
        pressed.append(True)
        raise KeyboardInterrupt

    return handler


if __name__ == "__main__":
    sys.exit(main())
