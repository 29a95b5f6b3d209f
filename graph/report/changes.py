"""What an experiment changed against its parent, computed from the two recipes and the two configurations."""

import json
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

from memory.records import DataRecipe, Experiment, Step, TrainingConfig

LIMIT = 70
"""Characters of a value that are shown."""
_SAME = "unchanged"


def changes(experiment: Experiment, parent: Experiment | None) -> list[str]:
    """One line for each difference in data or training; what could not be compared says so.

    A first draft has no recipe to differ from: its sources, its steps and what it sets in training are named.
    """
    return [*_data_changes(experiment, parent), *_training_changes(experiment, parent)]


def _data_changes(experiment: Experiment, parent: Experiment | None) -> Iterator[str]:
    new, old = experiment.recipe, parent.recipe if parent else None
    if new is None:
        yield "data: no recipe was made"
    elif old is None:
        yield f"data: first recipe, from {', '.join(new.sources)} prepared in {len(new.steps)} steps, listed below"
    else:
        found = [*_source_changes(new, old), *_step_changes(new.steps, old.steps)]
        yield from (f"data: {line}" for line in found or [_SAME])


def _source_changes(new: DataRecipe, old: DataRecipe) -> Iterator[str]:
    for name in new.sources:
        if name not in old.sources:
            yield f"source {name} added"
    for name in old.sources:
        if name not in new.sources:
            yield f"source {name} removed"


def _step_changes(new: Sequence[Step], old: Sequence[Step]) -> Iterator[str]:
    """Steps are matched by name and source, in order; of matched ones the parameters are compared."""
    matcher = SequenceMatcher(None, [_key(step) for step in old], [_key(step) for step in new], autojunk=False)
    for tag, a, b, c, d in matcher.get_opcodes():
        if tag == "equal":
            for before, after in zip(old[a:b], new[c:d], strict=True):
                yield from _parameter_changes(before, after)
        else:
            yield from (f"step removed: {written(step)}" for step in old[a:b])
            yield from (f"step added: {written(step)}" for step in new[c:d])


def _key(step: Step) -> str:
    return f"{step.name} {step.parameters.get('source') or ''}"


def _parameter_changes(old: Step, new: Step) -> Iterator[str]:
    source = new.parameters.get("source")
    where = f"{new.name} of {source}" if source else new.name
    for name in dict.fromkeys([*old.parameters, *new.parameters]):
        before, after = old.parameters.get(name), new.parameters.get(name)
        if before != after:
            yield f"{where}: {name} {shown(before)} -> {shown(after)}"


def _training_changes(experiment: Experiment, parent: Experiment | None) -> Iterator[str]:
    new, old = experiment.config, parent.config if parent else None
    if new is None:
        yield "training: no configuration was made"
    elif old is None:
        passes = f"{new.epochs:g} {'epoch' if new.epochs == 1 else 'epochs'}"
        first = f"{new.method}, learning rate {new.learning_rate:g}, {passes}, batches of {new.batch_size}"
        yield f"training: first configuration, {first}"
    else:
        before, after = _settings(old), _settings(new)
        found = [
            f"{name} {shown(before[name])} -> {shown(after[name])}" for name in after if after[name] != before[name]
        ]
        yield from (f"training: {line}" for line in found or [_SAME])


def _settings(config: TrainingConfig) -> dict[str, Any]:
    return config.model_dump(exclude={"reason"})


def written(step: Step) -> str:
    """A step in one line: `sample (source glossary, rows 34)`."""
    parameters = ", ".join(f"{name} {shown(value)}" for name, value in step.parameters.items() if value is not None)
    return f"{step.name} ({parameters})" if parameters else step.name


def shown(value: Any) -> str:
    """A parameter's value, shortened; a text of several lines is only counted."""
    if isinstance(value, str) and value.count("\n") > 1:
        return f"({len(value.splitlines())} lines)"
    if isinstance(value, float):
        return f"{value:g}"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}..."
