"""Try a mind before a long job: `python -m roles.probe --backbone SPEC`.

Each role gets one question out of the middle of a run (`roles/canned.py`) and decides; a generalist gets its first
turn. What is printed: whether the decision can be carried out, how long it took, tokens and cost. Exit code 1 when
there was no usable decision.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from eval.chat_records import Limits
from eval.gateway_client import GatewayClient
from memory.records import DataRecipe, Diagnosis, Plan, TrainingConfig
from roles.backbone import (
    GENERALIST,
    ROLES,
    Agent,
    Backbone,
    Exchange,
    Minds,
    Question,
    Role,
    Usage,
    consult,
    exchange,
    load_minds,
)
from roles.backbones.chat import chat_specs, connect
from roles.briefing import DataBriefing, DiagnosticianBriefing, GeneralistBriefing, Situation, TrainerBriefing
from roles.canned import canned_briefings, canned_opening
from roles.checks import check_call, check_config, check_diagnosis, check_plan, check_recipe
from roles.conversation import Conversation
from tasks.failure import InputError, StageError
from tasks.record import Record

SCHEMAS: dict[Role, type[Record]] = {
    "planner": Plan,
    "data_engineer": DataRecipe,
    "trainer": TrainingConfig,
    "diagnostician": Diagnosis,
}


class Tried(Record):
    """How one role did, or the generalist."""

    role: Agent
    failure: str
    """Why there is no usable decision; empty when there is one."""
    asked: int
    """Questions it took: more than one when a decision was sent back."""
    seconds: float
    input_tokens: int
    output_tokens: int
    cost: float | None
    """Dollars; None when the price is unknown."""
    decision: str
    """The decision, in JSON."""


def try_minds(minds: Minds, briefings: dict[Role, Situation]) -> Iterator[Tried]:
    """Ask each role its question."""
    for role in ROLES:
        exchanges: list[Exchange] = []
        question = Question(role, briefings[role], SCHEMAS[role], experiment=2)
        check = partial(_check, situation=briefings[role])
        failure = ""
        try:
            consult(minds[role], question, check, exchanges.append, 2)
        except StageError as error:
            failure = str(error)
        yield _summed(role, exchanges, failure)


def try_generalist(mind: Backbone, opening: GeneralistBriefing) -> Tried:
    """Ask for the first turn."""
    asked = Conversation(opening, ())
    try:
        decision, usage = mind.decide(asked)
    except StageError as error:
        return _summed(GENERALIST, [exchange(asked, {}, Usage(mind=mind.name), failure=error.failure)], str(error))
    refused = check_call(decision.call, asked)
    given = exchange(asked, decision.model_dump(mode="json"), usage, refused)
    return _summed(GENERALIST, [given], refused or "")


def _summed(role: Agent, exchanges: Sequence[Exchange], failure: str) -> Tried:
    costs = [one.usage.cost for one in exchanges]
    return Tried(
        role=role,
        failure=failure,
        asked=len(exchanges),
        seconds=round(sum(one.usage.seconds for one in exchanges), 1),
        input_tokens=sum(one.usage.input_tokens for one in exchanges),
        output_tokens=sum(one.usage.output_tokens for one in exchanges),
        cost=None if None in costs else sum(filter(None, costs)),
        decision=str(exchanges[-1].decision) if exchanges else "",
    )


def _check(decision: Any, situation: Situation) -> str | None:
    """Why a decision could not be carried out in the canned situation, as a run would find."""
    match decision, situation:
        case Plan(), _:
            return check_plan(decision, situation)
        case DataRecipe(), DataBriefing():
            return check_recipe(decision, situation)
        case TrainingConfig(), TrainerBriefing():
            return check_config(decision, situation.data, situation.survey, situation.trials)
        case Diagnosis(), DiagnosticianBriefing():
            return check_diagnosis(decision, situation)
        case _:
            return None


def shown(tried: Sequence[Tried]) -> Table:
    """The results as a table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("role", "usable", "asked", "seconds", "tokens in", "out", "dollars"):
        table.add_column(heading, justify="left" if heading in ("role", "usable") else "right", overflow="fold")
    for one in tried:
        usable = f"no: {one.failure}" if one.failure else "yes"
        cost = "unknown" if one.cost is None else f"{one.cost:.4f}"
        row = (one.role, usable, one.asked, one.seconds, one.input_tokens, one.output_tokens, cost)
        table.add_row(*map(str, row))
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Print how a mind does; the exit code is 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m roles.probe", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    say = parser.add_argument
    say("--backbone", action="append", required=True, metavar="[ROLE=]SPEC", help="as of run_graph.py; repeatable")
    say("--temperature", action="append", default=[], metavar="[ROLE=]X", help="as of run_graph.py; repeatable")
    say("--effort", action="append", default=[], metavar="[ROLE=]LEVEL", help="as of run_graph.py; repeatable")
    say("--price", action="append", default=[], metavar="SPEC=IN,OUT", help="dollars per million tokens")
    say("--timeout", type=float, default=600.0, metavar="SECONDS", help="time of one answer (default: 600)")
    say("--decisions", action="store_true", help="print the decisions, too")
    arguments = parser.parse_args(argv)
    try:
        minds = load_minds(arguments.backbone, arguments.temperature, arguments.effort)
        with tempfile.TemporaryDirectory(prefix="probe-") as folder:
            tried = _tried(minds, Path(folder), arguments)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(shown(tried))
    if arguments.decisions:
        for one in tried:
            console.print(f"\n{one.role}: {one.decision}", markup=False, highlight=False)
    return int(any(one.failure for one in tried))


def _tried(minds: Minds, folder: Path, arguments: argparse.Namespace) -> list[Tried]:
    """Nothing is read from a cache: the mind itself is tried."""
    specs = chat_specs(minds.values())
    if not specs:
        return _all_tried(minds, folder)
    limits = Limits(timeout=arguments.timeout)
    gateway = GatewayClient(
        specs, folder / "answers", folder / "spending.jsonl", folder / "gateway.log", limits, arguments.price
    )
    try:
        connect(minds.values(), gateway)
        return _all_tried(minds, folder)
    finally:
        gateway.close()


def _all_tried(minds: Minds, folder: Path) -> list[Tried]:
    if GENERALIST in minds:
        return [try_generalist(minds[GENERALIST], canned_opening(folder))]
    return list(try_minds(minds, canned_briefings(folder)))


if __name__ == "__main__":
    sys.exit(main())
