"""Where the training rows come from: each distinct recipe of a run, step by step."""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from memory.records import DataRecipe, Experiment, Flow, Step, TrainingData
from roles.data_steps import names, step_class
from tasks.record import digest

_OURS = {
    "sources": "Raw rows as they were collected.",
    "gate": "Drop rows that are empty, too long, repeated, or whose answer the benchmark could not read.",
    "decontamination": "Drop rows that repeat a benchmark item, exactly, edited or paraphrased.",
    "limit": "Keep as many rows as a training of this run may use.",
}
"""What the laboratory does around the steps of every recipe."""


class Stage(NamedTuple):
    """One step of a recipe: rows in, rows out."""

    step: str
    entered: int | None
    left: int | None
    """None where the exact count is not told."""
    removed: dict[str, int]
    changed: dict[str, int]


class Rows(NamedTuple):
    """The rows of one recipe, and the experiments that were trained on them."""

    numbers: tuple[int, ...]
    recipe: DataRecipe
    data: TrainingData
    stages: tuple[Stage, ...]
    """Empty for a record that does not tell them; then `data.removed` has the totals."""


def lineages(experiments: Iterable[Experiment]) -> list[Rows]:
    """Each distinct set of training rows, in the order of first use."""
    found: dict[str, Rows] = {}
    for experiment in experiments:
        if not (experiment.recipe and experiment.data):
            continue
        key = digest([experiment.recipe.model_copy(update={"reason": ""}), experiment.data.content_hash])
        before = found.get(key)
        numbers = (*(before.numbers if before else ()), experiment.number)
        stages = tuple(_stages(experiment.data.flow, experiment.recipe.steps))
        first = before or Rows((), experiment.recipe, experiment.data, stages)
        found[key] = first._replace(numbers=numbers)
    return list(found.values())


def words_of_steps(found: Iterable[Rows]) -> dict[str, str]:
    """What each step that occurs does, in the words of its documentation, in order of occurrence."""
    occurring = dict.fromkeys(flow.step for rows in found for flow in rows.data.flow)
    known = set(names())
    told = {name: _OURS.get(name) or (_summary(name) if name in known else "") for name in occurring}
    return {name: words for name, words in told.items() if words}


def _summary(step: str) -> str:
    return " ".join((step_class(step).__doc__ or "").partition("\n\n")[0].split())


def _stages(flow: Sequence[Flow], steps: Sequence[Step]) -> Iterator[Stage]:
    """The flow with the rows that entered each step; a step of one source names it."""
    sources = ["", *(str(step.parameters.get("source") or "") for step in steps)]
    entered: int | None = None
    for one, source in zip(flow, itertools.chain(sources, itertools.repeat("")), strict=False):
        yield Stage(f"{one.step} of {source}" if source else one.step, entered, one.rows, one.removed, one.changed)
        entered = one.rows
