"""The experiment subgraph: prepare data, train, evaluate; failed stages go back to the role that can repair them."""

from collections.abc import Sequence
from typing import Literal

from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.runtime import Runtime

from eval.result import EvalResult
from graph import actions, decisions, preparation
from graph.context import RunContext
from graph.nodes import scores
from graph.state import ExperimentOutput, ExperimentState
from memory.records import Experiment, Replicate, TrainingRun
from tasks.failure import Failure, FailureKind, StageError

REPAIRS = 2
"""Times that a role may repair a failed stage of one experiment."""
_REPAIRABLE = frozenset(
    {FailureKind.CONFIG, FailureKind.DATA, FailureKind.FORMAT, FailureKind.SANDBOX, FailureKind.OOM,
     FailureKind.DIVERGED}
)  # fmt: skip


def prepare_data(state: ExperimentState, runtime: Runtime[RunContext]) -> ExperimentState:
    """The data engineer writes a recipe, the data steps carry it out."""
    context, complaints = runtime.context, state.get("complaints", [])
    number = state["number"]
    try:
        recipe = decisions.decide_recipe(
            context, state["survey"], state["experiments"], state["incumbent"], state["plan"], complaints
        )
        best = state["experiments"][state["incumbent"]].training
        models = preparation.model_access(context, recipe, best)
        data = preparation.prepare_data(context, number, recipe, preparation.row_limit(context), models)
    except StageError as error:
        return _failed(state, context, error)
    context.terminal.say(
        f"data {number:03d}: {data.rows} rows, {data.tokens} tokens; removed {sum(data.removed.values())}"
    )
    return {"recipe": recipe, "data": data, "attempts": 0, "complaints": [], "failure": None}


def train(state: ExperimentState, runtime: Runtime[RunContext]) -> ExperimentState:
    """The trainer writes a configuration, the recipe trains; once for each replicate."""
    context, number, data = runtime.context, state["number"], state.get("data")
    if data is None:
        raise ValueError("train was entered without data")
    try:
        config = decisions.decide_config(
            context, state["survey"], state["experiments"], state["incumbent"], state["plan"], data,
            state.get("complaints", []),
        )  # fmt: skip
        limit = time_limit(context, state["experiments"])
        trainings = [actions.train(context, number, data, config, r, limit) for r in range(context.config.replicates)]
    except StageError as error:
        return _failed(state, context, error)
    one = trainings[0]
    context.terminal.say(
        f"train {number:03d}: {one.steps} steps, loss {one.first_loss:.2f} to {one.final_loss:.2f}, "
        f"{one.tokens_per_second:.0f} tokens/s"
    )
    return {"config": config, "trainings": trainings, "attempts": 0, "complaints": [], "failure": None}


def time_limit(context: RunContext, experiments: list[Experiment]) -> float | None:
    """Seconds one training may take before it is killed: all that is left less its evaluation."""
    left = context.budget.seconds_left(experiments)
    return None if left is None else left - context.budget.evaluation_seconds(experiments)


def evaluate(state: ExperimentState, runtime: Runtime[RunContext]) -> ExperimentState:
    """Score the adapters: feedback and selection for the first, selection for its replicates."""
    context, number, trainings = runtime.context, state["number"], state["trainings"]
    try:
        feedback = actions.evaluate(context, number, "feedback", trainings[0])
        selection, replicates = evaluate_on_selection(context, number, trainings, state["incumbent"])
    except StageError as error:
        return _failed(state, context, error)
    return {"feedback": feedback, "selection": selection, "replicates": replicates, "failure": None}


def evaluate_on_selection(
    context: RunContext, number: int, trainings: Sequence[TrainingRun], incumbent: int
) -> tuple[EvalResult, list[Replicate]]:
    """Score the trainings of an experiment, one for each replicate, on what verdicts are about.

    Raises:
        StageError: as `actions.evaluate`.
    """
    first, *others = trainings
    # With replicates all answer all items: those of a first that stopped early would be its unlucky ones.
    rival = None if others else incumbent
    selection = actions.evaluate(context, number, "selection", first, incumbent=rival)
    replicates = [
        Replicate(training=training, selection=actions.evaluate(context, number, "selection", training, r))
        for r, training in enumerate(others, start=1)
    ]
    return selection, replicates


def finish(state: ExperimentState, runtime: Runtime[RunContext]) -> ExperimentOutput:
    """Put the experiment together."""
    context, trainings = runtime.context, state.get("trainings", [])
    experiment = Experiment(
        run=context.run.name,
        task=context.description.task.name,
        domain=context.description.task.domain,
        model=context.config.model,
        number=state["number"],
        plan=state["plan"],
        recipe=state.get("recipe"),
        data=state.get("data"),
        config=state.get("config"),
        training=trainings[0] if trainings else None,
        feedback=state.get("feedback"),
        selection=state.get("selection"),
        replicates=tuple(state.get("replicates", [])),
        failure=state.get("failure"),
        seconds=seconds_of(context, state["number"]),
    )
    if experiment.selection:
        context.terminal.say(f"experiment {experiment.number:03d}: {scores(experiment)}")
    return {"candidates": [experiment]}


def seconds_of(context: RunContext, number: int) -> float:
    """What the stages of an experiment have taken so far."""
    return round(sum(e.seconds for e in context.run.events() if e.experiment == number and e.what != "start"), 1)


def _failed(state: ExperimentState, context: RunContext, error: StageError) -> ExperimentState:
    attempts = state.get("attempts", 0) + 1
    context.terminal.say(f"  {error.failure.stage} failed ({error.failure.kind}): {error.failure.message[-300:]}")
    complaints = [*state.get("complaints", []), f"{error.failure.kind}: {error.failure.message}"]
    return {"failure": error.failure, "attempts": attempts, "complaints": complaints}


def may_be_repaired(failure: Failure, attempts: int) -> bool:
    """Whether a stage that has failed so many times may be tried again."""
    return failure.kind in _REPAIRABLE and attempts <= REPAIRS


def _hopeless(state: ExperimentState) -> bool:
    failure = state.get("failure")
    return failure is None or not may_be_repaired(failure, state.get("attempts", 0))


def after_data(state: ExperimentState) -> Literal["prepare_data", "train", "finish"]:
    """On with the rows, back to the data engineer, or give up."""
    if state.get("failure") is None:
        return "train"
    return "finish" if _hopeless(state) else "prepare_data"


def after_training(state: ExperimentState) -> Literal["train", "evaluate", "finish"]:
    """On with the adapter, back to the trainer, or give up."""
    if state.get("failure") is None:
        return "evaluate"
    return "finish" if _hopeless(state) else "train"


def build_experiment() -> CompiledStateGraph[ExperimentState, RunContext, ExperimentState, ExperimentOutput]:
    """The compiled subgraph."""
    graph = StateGraph(ExperimentState, context_schema=RunContext, output_schema=ExperimentOutput)
    graph.add_node("prepare_data", prepare_data)
    graph.add_node("train", train)
    graph.add_node("evaluate", evaluate)
    graph.add_node("finish", finish)
    graph.add_edge(START, "prepare_data")
    graph.add_conditional_edges("prepare_data", after_data)
    graph.add_conditional_edges("train", after_training)
    graph.add_edge("evaluate", "finish")
    graph.add_edge("finish", END)
    return graph.compile()
