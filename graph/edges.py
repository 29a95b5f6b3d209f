"""The routes of the run: pure functions of the state."""

from typing import Literal

from langgraph.runtime import Runtime
from langgraph.types import Send

from graph.approval import is_accepted
from graph.context import RunContext
from graph.state import ExperimentState, State


def start_experiments(state: State, runtime: Runtime[RunContext]) -> list[Send] | Literal["approve", "plan", "test"]:
    """One experiment for each plan, side by side; with `--approve`, for those that a person allowed.

    Without a plan the loop ends, unless the planner is to make another one.
    """
    if not state["plans"]:
        return "test" if state.get("ended") else "plan"
    if runtime.context.config.approve and not is_accepted(state):
        return "approve"
    first = len(state["experiments"])
    return [Send("experiment", _start(state, first + k)) for k in range(len(state["plans"]))]


def _start(state: State, number: int) -> ExperimentState:
    return {
        "number": number,
        "plan": state["plans"][number - len(state["experiments"])],
        "survey": state["survey"],
        "experiments": state["experiments"],
        "incumbent": state["incumbent"],
    }


def more_or_spent(state: State, runtime: Runtime[RunContext]) -> Literal["plan", "test"]:
    """Another round while experiments and time are left, and no cap of language models is reached."""
    return "plan" if not state.get("ended") and runtime.context.budget.allows_another(state["experiments"]) else "test"
