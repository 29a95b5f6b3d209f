"""The state of the graph: small frozen records and numbers, never rows or weights.

It passes through SQLite checkpoints with strict msgpack, so every type reachable from here may be restored.
"""

from collections.abc import Sequence
from typing import Annotated, TypedDict

from eval.evaluator_client import TestResult
from eval.result import EvalResult
from memory.records import DataRecipe, Experiment, Plan, Replicate, Review, TrainingConfig, TrainingData, TrainingRun
from roles.briefing import Survey
from tasks.failure import Failure


def by_number(old: Sequence[Experiment], new: Sequence[Experiment]) -> list[Experiment]:
    """Reducer: experiments by number, later ones replace earlier ones."""
    merged = {experiment.number: experiment for experiment in [*old, *new]}
    return [merged[number] for number in sorted(merged)]


class State(TypedDict, total=False):
    """The state of a run."""

    survey: Survey
    experiments: Annotated[list[Experiment], by_number]
    """Finished experiments; number 0 is the untouched model."""
    candidates: Annotated[list[Experiment], by_number]
    """What the experiment subgraph has delivered; those not yet in `experiments` await their verdict."""
    plans: list[Plan]
    """Plans of the current round, one experiment each."""
    reviews: list[Review]
    """What a person said to plans, all of the run; nothing without `--approve`."""
    note: str
    """What a person is told with the next question: why an edit was refused, or that there is no other plan."""
    incumbent: int
    """Number of the best experiment by verdict."""
    turns: int
    """Turns that the generalist has taken; what came of them lies in the run directory."""
    submitted: int
    """The experiment that it has handed in."""
    ended: str
    """Why the loop ended."""
    delivered: int
    """Number of the experiment that is delivered; 0 when the untouched model stays best."""
    test: TestResult


class ExperimentState(TypedDict, total=False):
    """The state of one experiment on its way through the subgraph."""

    number: int
    plan: Plan
    survey: Survey
    experiments: Annotated[list[Experiment], by_number]
    incumbent: int
    attempts: int
    """Attempts at the current stage that failed."""
    complaints: list[str]
    """Errors of those attempts, for the role that repairs."""
    recipe: DataRecipe
    data: TrainingData | None
    config: TrainingConfig
    trainings: list[TrainingRun]
    """One for each replicate."""
    feedback: EvalResult
    selection: EvalResult
    replicates: list[Replicate]
    """Scores of the trainings after the first."""
    failure: Failure | None
    candidates: Annotated[list[Experiment], by_number]


class ExperimentOutput(TypedDict):
    """What the subgraph gives back."""

    candidates: Annotated[list[Experiment], by_number]
