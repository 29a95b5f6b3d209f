"""How long things are cut for prompts: at the end that matters least, with a note of what is missing."""

import json
from collections.abc import Sequence
from typing import Any

from memory.records import DataRecipe, Experiment, Flow, TrainingConfig
from roles.briefing import Survey
from roles.footprint import at_least_gib

CODE = 400
"""Characters of a script that are shown."""
TRIALS = 40
"""Experiments in the table of trials; with more the oldest are left out, but for the untouched model and the best."""
LENGTHS = (512, 2048, 8192)
"""Tokens a row for which the memory of a training is told."""
LIMITS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
"""Of numbers in JSON schemas."""
DETAILED = 4
"""Latest experiments whose recipe and configuration are shown."""


def head(text: str, most: int) -> str:
    """The beginning of a text: of items and rows, where the question stands first.

    Args:
        most: bytes in UTF-8, because tokenizers give Chinese characters more tokens than Latin ones; here and below.
    """
    shown = _room(text, most)
    return text if shown >= len(text) else f"{text[:shown]} [... {len(text) - shown} more characters]"


def tail(text: str, most: int) -> str:
    """The end of a text: of logs and errors, where the cause stands last."""
    shown = _room(text, most)
    return text if shown >= len(text) else f"[{len(text) - shown} characters before ...] {text[len(text) - shown :]}"


def ends(text: str, most: int) -> str:
    """Beginning and end of a text: of items that show a table first and ask last."""
    shown = _room(text, most)
    if shown >= len(text):
        return text
    last = shown // 3
    return f"{text[: shown - last]} [... {len(text) - shown} more characters ...] {text[len(text) - last :]}"


def _room(text: str, most: int) -> int:
    """Characters of a text that so many bytes hold, if all take as many as its average one."""
    return most * len(text) // max(1, len(text.encode()))


def fitting(survey: Survey, rank: int = 16) -> list[tuple[int, float]]:
    """Lengths of rows, and the GiB that a LoRA training over them takes at the least."""
    lengths = [length for length in LENGTHS if survey.shape is None or length <= survey.shape.context]
    config = TrainingConfig(lora_rank=rank)
    return [(length, at_least_gib(survey, config, length)) for length in lengths]


def recipe_text(recipe: DataRecipe, most: int = 1500) -> str:
    """A recipe as JSON on one line; long scripts are cut, and of a long list of steps the last ones are named only."""
    steps = [_step(step.name, step.parameters) for step in recipe.steps]
    whole = _json({"sources": recipe.sources, "steps": steps})
    shown = len(steps)
    while len(whole) > most and shown > 1:
        shown -= 1
        named = [step["name"] for step in steps[shown:]]
        whole = _json({"sources": recipe.sources, "steps": steps[:shown], "further steps, without parameters": named})
    return head(whole, 2 * most)


def _step(name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    code = parameters.get("code")
    cut = {"code": head(code, CODE)} if isinstance(code, str) else {}
    return {"name": name, "parameters": {**parameters, **cut}}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def flow_text(flow: Sequence[Flow]) -> str:
    """How many rows each step of a recipe left, and why it removed or changed some."""
    parts: list[str] = []
    for stage in flow:
        why = [f"{count} {reason}" for reason, count in {**stage.removed, **stage.changed}.items()]
        left = "" if stage.rows is None else f" {stage.rows}"
        parts.append(f"{stage.step}{left}" + (f" ({head(', '.join(why), 300)})" if why else ""))
    return " > ".join(parts)


def parameter_lines(step: dict[str, Any]) -> list[str]:
    """The parameters of a data step, one a line: name, type, default, meaning.

    Args:
        step: as `describe_steps` has it.
    """
    lines: list[str] = []
    for name, schema in step["parameters"].items():
        default = _default(schema, required=name in step.get("required", []))
        lines.append(f"`{name}` ({_kind(schema)}; {default}): {schema.get('description', '')}".rstrip(": "))
    return lines


def parameter_names(step: dict[str, Any]) -> list[str]:
    """The parameters of a data step by name; those that must be given say so."""
    return [f"{name} (required)" if name in step.get("required", []) else name for name in step["parameters"]]


def _kind(schema: dict[str, Any]) -> str:
    """The type of a value in words; its limits, where it has some."""
    if "enum" in schema:
        return " or ".join(map(_json, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(map(_kind, schema["anyOf"]))
    kind = str(schema.get("type", "any"))
    if kind == "array" and schema.get("items"):
        return f"list of {_kind(schema['items'])}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return kind + "".join(f" {sign} {schema[name]:g}" for name, sign in LIMITS.items() if name in schema)


def _default(schema: dict[str, Any], *, required: bool) -> str:
    return "required" if required else f"default {_json(schema['default'])}" if "default" in schema else "optional"


def listed(trials: Sequence[Experiment], incumbent: int) -> list[Experiment]:
    """The experiments of the table of trials."""
    if len(trials) <= TRIALS:
        return list(trials)
    kept = {0, incumbent, *range(len(trials) - TRIALS + 2, len(trials))}
    return [trial for trial in trials if trial.number in kept]


def recipe_of(trial: Experiment, trials: Sequence[Experiment]) -> int | None:
    """The first of these experiments that had the recipe of this one before it; None when there is none."""
    made = trial.recipe
    for old in trials:
        earlier = old.recipe if old.number < trial.number else None
        if made and earlier and (earlier.sources, earlier.steps) == (made.sources, made.steps):
            return old.number
    return None


def detailed(trials: Sequence[Experiment], incumbent: int) -> list[Experiment]:
    """The experiments whose recipe and configuration are shown: the latest, the best, and what they came from."""
    latest = [trial.number for trial in trials if trial.config][-DETAILED:]
    parents = [plan.parent for number in latest if (plan := trials[number].plan)]
    kept = {incumbent, *latest, *parents}
    return [trial for trial in trials if trial.config and trial.number in kept]


FILTERS: dict[str, Any] = {
    "head": head,
    "tail": tail,
    "ends": ends,
    "recipe": recipe_text,
    "flow": flow_text,
    "parameters": parameter_lines,
    "parameter_names": parameter_names,
    "fitting": fitting,
    "listed": listed,
    "detailed": detailed,
    "recipe_of": recipe_of,
}
"""By their names in the templates of `roles/prompts/`."""
