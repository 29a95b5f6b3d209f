"""What a role is told from the memory: what is nearest to its question, and what worked best on this task and model.

Similarity alone may pass over the one experiment that matters, so the best of the same task and model, and what was
tried in its run, are always among what is told; so are the experiments that the plan at hand relies on. A model that
is new to the task brings what was better with it on others.
"""

from collections.abc import Iterable, Sequence

from graph.context import RunContext
from memory.records import Experiment
from roles.briefing import Recollection

NEAREST = 5
"""Experiments told because they resemble the question."""
FAMILY = 6
"""Experiments told because of their task and model."""


def recollect(context: RunContext, question: str, relied_on: Sequence[str] = ()) -> tuple[Recollection, ...]:
    """The experiments of other runs that a role is told of, without repetitions; none without a memory.

    Args:
        relied_on: ids of experiments that are told in any case, because the plan names them.
    """
    memory = context.memory
    if memory is None:
        return ()
    task = context.description.task
    own = context.run.name if context.config.memory == "on" else None
    nearest = memory.recall(question, domain=task.domain, exclude_run=own, limit=2 * NEAREST)
    of_model = [one for one in memory.experiments(model=context.config.model) if one.run != own]
    similar = {one.id: one.similarity for one in nearest if one.experiment.number > 0}
    known = {one.id: one for one in (*of_model, *(each.experiment for each in nearest))}
    family = relatives(of_model, task.name, 1 if task.metric.direction == "up" else -1)
    told = [*list(similar)[:NEAREST], *(one.id for one in family[:FAMILY]), *(id_ for id_ in relied_on if id_ in known)]
    untouched = {one.run: one.selection.score for one in known.values() if one.number == 0 and one.selection}
    least = min(similar.values(), default=0.0)
    return tuple(
        Recollection(
            id=id_,
            similarity=round(similar.get(id_, least), 2),  # what is not among the nearest resembles no more than they
            summary=summarise(known[id_]),
            experiment=known[id_],
            baseline=untouched.get(known[id_].run),
        )
        for id_ in dict.fromkeys(told)
    )


def relatives(of_model: Iterable[Experiment], task: str, sign: int) -> list[Experiment]:
    """What is known of a model on a task, the most useful first; without any, what was better on other tasks.

    On the task: the trained experiment with the best cautious score, what started from it, then the rest of its run.
    Cautious is the selection score less one standard error, so that a lucky draw on few items is not taken for more.

    Args:
        of_model: experiments with the model.
        sign: 1 when higher scores are better, else -1.
    """
    tried = [one for one in of_model if one.number > 0]
    same = sorted((one for one in tried if one.task == task), key=lambda one: (-_cautious(one, sign), one.id))
    if not same:
        better = sorted((one for one in tried if one.verdict and one.verdict.outcome == "better"), key=lambda e: e.id)
        return list({one.run: one for one in better}.values())  # the last of each run
    best = next((one for one in same if one.training and one.selection), None)
    if best is None:
        return same
    others = [one for one in same if one.run == best.run and one.id != best.id]
    children = [one for one in others if one.plan and one.plan.parent == best.number]
    return [best, *children, *(one for one in others if one not in children)]


def _cautious(experiment: Experiment, sign: int) -> float:
    selection = experiment.selection
    return sign * selection.score - selection.standard_error if selection else float("-inf")


def summarise(experiment: Experiment) -> str:
    """One line about an experiment of another run."""
    parts = [f"{experiment.task} with {experiment.model}"]
    if experiment.verdict:
        v = experiment.verdict
        parts.append(f"{v.outcome} than experiment {v.incumbent} of its run, effect {v.effect} ({v.low} to {v.high})")
    if experiment.selection:
        margin = 1.96 * experiment.selection.standard_error
        parts.append(f"selection {experiment.selection.score} ± {margin:.3f}")
    if experiment.plan and experiment.effect is not None:
        parts.append(f"expected of it {experiment.plan.predicted_effect:+}, brought {experiment.effect:+}")
    if experiment.failure:
        parts.append(f"failed: {experiment.failure.kind} in {experiment.failure.stage}")
    if experiment.config:
        parts.append(f"learning rate {experiment.config.learning_rate:g}, {experiment.config.epochs:g} epochs")
    if experiment.data:
        parts.append(f"{experiment.data.rows} rows")
    if experiment.recipe:
        parts.append("steps " + " > ".join(step.name for step in experiment.recipe.steps))
    if experiment.plan:
        parts.append(
            f"{experiment.plan.hypothesis} ({experiment.plan.data_strategy} / {experiment.plan.training_strategy})"
        )
    return "; ".join(parts)
