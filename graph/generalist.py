"""The loop of the generalist: one mind that acts until it submits, in the place of plan, experiment and diagnosis.

It shares every other node with the graph of the roles, and its actions their functions, budget, caps and verdict; what
it lacks is their structure. One node is one turn. What a turn decided and what came of it lie in `turns/`, so a run
that is killed goes on where it was: no answer is bought twice, and no training is repeated.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal, TypeVar

from langgraph.runtime import Runtime

from eval.chat_records import ChatError
from graph import actions
from graph.budget import Budget
from graph.context import RunContext
from graph.decisions import available_steps, what_is_left
from graph.experiment import evaluate_on_selection
from graph.hands import Bench, best_by_feedback, carry_out, evaluate, next_number
from graph.report import write_report
from graph.run_dir import TRANSCRIPT
from graph.state import State, by_number
from memory.records import Experiment, TrainingRun
from roles.backbone import GENERALIST, Usage, exchange
from roles.briefing import GeneralistBriefing, Survey
from roles.checks import check_call
from roles.conversation import Conversation, line
from roles.generalist import Reply, Submit, Turn
from roles.recipes import names as methods
from tasks.failure import FailureKind, StageError
from tasks.record import Record, read_record, write_record

TURNS = 12
"""Turns of a run, to look around and to submit."""
TURNS_AN_EXPERIMENT = 8
"""Turns for each experiment: prepare, train and evaluate, two repairs of each of the first two, and one look more. The
roles have as many attempts."""
CLOSING_TURNS = 3
"""Turns after it was said that only `submit` is left."""
USELESS_TURNS = 3
"""Turns in a row without a usable answer, after which a mind is given up; a role's decision is sent back as often."""

R = TypeVar("R", bound=Record)


def act(state: State, runtime: Runtime[RunContext]) -> State:
    """Take one turn, or say why there is none any more."""
    context, done = runtime.context, state.get("turns", 0)
    bench = Bench(context, _opening(context, state), _turns(context, done))
    over = why_over(bench)
    if over:
        return _end(context, over)
    asked = Conversation(bench.opening, bench.turns, _worked_on(bench))
    path = _place(context, done + 1)
    try:
        reply = context.run.once(
            GENERALIST, asked.experiment, path.with_suffix(".reply.json"), [done + 1], Reply,
            lambda: _ask(context, asked),
        )  # fmt: skip
    except StageError as error:
        what = "has nothing left" if error.failure.kind == FailureKind.BUDGET else "failed"
        return _end(context, f"the generalist {what}: {error.failure.message}")
    turn = _kept(path, Turn, lambda: carry_out(bench, reply))
    _tell(context, state["survey"], bench._replace(turns=[*bench.turns, turn]))
    found: State = {"turns": turn.number, "candidates": [turn.experiment] if turn.experiment else []}
    if isinstance(turn.call, Submit) and not reply.refused:
        found["submitted"] = turn.call.experiment
    return found


def after_baseline(state: State, runtime: Runtime[RunContext]) -> Literal["act", "test"]:
    """Begin, if there is time for one training."""
    return "act" if runtime.context.budget.allows_another(state["experiments"]) else "test"


def after_turn(state: State) -> Literal["act", "submit"]:
    """Another turn, until something is submitted or the loop is over."""
    return "submit" if "submitted" in state or state.get("ended") else "act"


def submit(state: State, runtime: Runtime[RunContext]) -> State:
    """Score what is handed in on selection; after a loop that ended otherwise, that is the best by feedback."""
    context = runtime.context
    bench = Bench(context, _opening(context, state), _turns(context, state.get("turns", 0)))
    trials = by_number(bench.trials, bench.desk.experiments)
    number = state.get("submitted")
    if number is None:
        trials = _latest_evaluated(context, trials)
        number = best_by_feedback(trials, bench.opening).number
    context.terminal.say(f"submitted: {f'experiment {number:03d}' if number else 'the untouched model'}")
    if number:
        trials[number] = _scored(context, bench, trials[number])
    return {"candidates": trials[1:]}


def _opening(context: RunContext, state: State) -> GeneralistBriefing:
    """What the generalist is told at the beginning, as it was when the first turn began."""

    def make() -> GeneralistBriefing:
        untouched = state["experiments"][0]
        config = context.config
        return GeneralistBriefing(
            survey=state["survey"],
            trials=(untouched,),
            incumbent=0,
            remaining=what_is_left(context, [untouched]),
            steps=available_steps(context),
            tiers=config.tiers,
            methods=tuple(methods()),
            turns=TURNS + TURNS_AN_EXPERIMENT * config.max_experiments,
        )

    return _kept(context.run.file("turns/opening.json"), GeneralistBriefing, make)


def _kept(path: Path, schema: type[R], make: Callable[[], R]) -> R:
    """The record at `path`, made if it is not there. It is no stage of its own: what takes time in it is one."""
    if not path.exists():
        write_record(path, make())
    return read_record(path, schema)


def _worked_on(bench: Bench) -> int:
    """The experiment that a turn is accounted to: the next one, or the last when there will be no other."""
    left = bench.turns[-1].left if bench.turns else None
    return next_number(bench) if left is None or left.train else max(1, len(bench.trials) - 1)


def _place(context: RunContext, number: int) -> Path:
    return context.run.file(f"turns/{number:03d}.json")


def _turns(context: RunContext, done: int) -> list[Turn]:
    return [read_record(_place(context, number), Turn) for number in range(1, done + 1)]


def why_over(bench: Bench) -> str:
    """Why there is no other turn; empty when there is one."""
    turns, trials, budget = bench.turns, bench.trials, bench.context.budget
    if len(turns) >= bench.opening.turns:
        return f"all {len(turns)} turns are taken"
    if _time_is_up(budget, trials):
        return "the time is spent"
    if len(turns) > CLOSING_TURNS and all(turn.left.closing for turn in turns[-CLOSING_TURNS - 1 : -1]):
        return "nothing more fits, and nothing was submitted"
    if len(turns) >= USELESS_TURNS and not any(turn.call for turn in turns[-USELESS_TURNS:]):
        return f"no usable answer in {USELESS_TURNS} turns: {turns[-1].reply.why}"
    return ""


def _time_is_up(budget: Budget, trials: list[Experiment]) -> bool:
    """Whether less is left than one evaluation takes: what is submitted has still to be scored on selection."""
    left = budget.seconds_left(trials)
    return left is not None and left <= budget.evaluation_seconds(trials)


def _end(context: RunContext, why: str) -> State:
    context.terminal.say(why)
    return {"ended": why[:200]}


def _ask(context: RunContext, asked: Conversation) -> Reply:
    """The mind's decision, written to the transcript; an answer of no use is a turn without one.

    Raises:
        StageError: the mind cannot answer, or a cap is reached.
    """
    mind = context.minds[GENERALIST]
    try:
        decision, usage = mind.decide(asked)
    except StageError as error:
        context.run.append(TRANSCRIPT, exchange(asked, {}, Usage(mind=mind.name), failure=error.failure))
        if isinstance(error, ChatError) or error.failure.kind != FailureKind.PROVIDER:
            raise
        return Reply(decision=None, why=error.failure.message)
    refused = check_call(decision.call, asked)
    context.run.append(TRANSCRIPT, exchange(asked, decision.model_dump(mode="json"), usage, refused=refused))
    return Reply(decision=decision, refused=refused or "")


def _tell(context: RunContext, survey: Survey, bench: Bench) -> None:
    """Say what the turn was; after a training or an evaluation show the experiments, and write the report."""
    turn = bench.turns[-1]
    context.terminal.say(f"turn {line(turn, brief=True)}")
    if turn.experiment is None:
        return
    context.run.write_experiment(turn.experiment)
    context.terminal.show(by_number(bench.trials, bench.desk.experiments), 0, turn.left.remaining)
    write_report(context.run, context.config, survey, None)


def _latest_evaluated(context: RunContext, trials: list[Experiment]) -> list[Experiment]:
    """The trials, the latest scored on feedback if it was trained and nobody asked for that any more."""
    latest = trials[-1]
    if not latest.training or latest.feedback or latest.failure:
        return trials
    try:
        return [*trials[:-1], evaluate(context, latest)]
    except StageError as error:
        return [*trials[:-1], latest.model_copy(update={"failure": error.failure})]


def _scored(context: RunContext, bench: Bench, experiment: Experiment) -> Experiment:
    """An experiment with all its scores, or with the failure that kept it from having them."""
    number = experiment.number
    try:
        scored = experiment if experiment.feedback else evaluate(context, experiment)
        selection, replicates = evaluate_on_selection(context, number, _trainings(bench, experiment), incumbent=0)
    except StageError as error:
        context.terminal.say(f"  {error.failure.stage} failed ({error.failure.kind}): {error.failure.message[-300:]}")
        return experiment.model_copy(update={"failure": error.failure})
    return scored.model_copy(update={"selection": selection, "replicates": tuple(replicates)})


def _trainings(bench: Bench, experiment: Experiment) -> list[TrainingRun]:
    """The training of an experiment and those of its replicates, as they were made."""
    context, data, config = bench.context, experiment.data, experiment.config
    if data is None or config is None:
        raise ValueError(f"experiment {experiment.number} was submitted without a training")
    replicates = range(context.config.replicates)
    return [actions.train(context, experiment.number, data, config, replicate, None) for replicate in replicates]
