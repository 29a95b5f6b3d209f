"""The state machine, put together."""

from typing import Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph

from graph import generalist, nodes
from graph.approval import approve
from graph.context import RunContext
from graph.edges import more_or_spent, start_experiments
from graph.experiment import build_experiment
from graph.state import State

RunGraph = CompiledStateGraph[State, RunContext, State, State]


def build_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> RunGraph:
    """The compiled graph of a run.

    Args:
        checkpointer: keeps the state after every node; None for drawing, or for a run that need not survive.
    """
    graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("survey", nodes.survey)
    graph.add_node("baseline", nodes.baseline)
    graph.add_node("plan", nodes.plan)
    graph.add_node("approve", approve)
    graph.add_node("experiment", build_experiment())
    graph.add_node("judge", nodes.judge)
    graph.add_node("diagnose", nodes.diagnose)
    graph.add_node("record", nodes.record)
    graph.add_node("test", nodes.test)
    graph.add_node("deliver", nodes.deliver)
    graph.add_edge(START, "survey")
    graph.add_edge("survey", "baseline")
    graph.add_conditional_edges("baseline", more_or_spent, ["plan", "test"])
    graph.add_edge("plan", "approve")
    graph.add_conditional_edges("approve", start_experiments, ["experiment", "approve", "plan", "test"])
    graph.add_edge("experiment", "judge")
    graph.add_edge("judge", "diagnose")
    graph.add_edge("diagnose", "record")
    graph.add_conditional_edges("record", more_or_spent, ["plan", "test"])
    graph.add_edge("test", "deliver")
    graph.add_edge("deliver", END)
    return graph.compile(checkpointer=checkpointer)


def build_generalist_graph(checkpointer: BaseCheckpointSaver[Any] | None = None) -> RunGraph:
    """The compiled graph of a run in which one mind does the work of all roles.

    Args:
        checkpointer: as of `build_graph`.
    """
    graph = StateGraph(State, context_schema=RunContext)
    graph.add_node("survey", nodes.survey)
    graph.add_node("baseline", nodes.baseline)
    graph.add_node("act", generalist.act)
    graph.add_node("submit", generalist.submit)
    graph.add_node("judge", nodes.judge)
    graph.add_node("record", nodes.record)
    graph.add_node("test", nodes.test)
    graph.add_node("deliver", nodes.deliver)
    graph.add_edge(START, "survey")
    graph.add_edge("survey", "baseline")
    graph.add_conditional_edges("baseline", generalist.after_baseline)
    graph.add_conditional_edges("act", generalist.after_turn)
    graph.add_edge("submit", "judge")
    graph.add_edge("judge", "record")
    graph.add_edge("record", "test")
    graph.add_edge("test", "deliver")
    graph.add_edge("deliver", END)
    return graph.compile(checkpointer=checkpointer)


def make_graph() -> RunGraph:
    """The graph as LangGraph Studio opens it (`langgraph.json`); a run itself starts with `run_graph.py`."""
    return build_graph()
