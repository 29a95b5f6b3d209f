"""A plan as YAML that a person can read and edit, and back."""

from typing import Any

import yaml
from pydantic import ValidationError

from memory.records import Plan
from tasks.failure import InputError
from tasks.record import explain

LINE = 90
"""Columns of a line, as far as words allow it."""


class _Dumper(yaml.SafeDumper):
    """Long sentences as folded blocks, in which colons and quotes mean nothing, so that they can be edited freely."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = ">" if len(text) > LINE // 2 else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def plan_as_yaml(plan: Plan, *, explained: bool = False) -> str:
    """All fields of a plan in their order.

    Args:
        explained: with what each field means, as a comment above it.
    """
    parts: list[str] = []
    for name, value in plan.model_dump(mode="json").items():
        if explained:
            parts.append(f"# {Plan.model_fields[name].description}\n")
        parts.append(yaml.dump({name: value}, Dumper=_Dumper, allow_unicode=True, width=LINE))
    return "".join(parts)


def plan_from_yaml(text: str) -> Plan:
    """The plan that a text holds.

    Raises:
        InputError: it is not YAML, not a mapping of a plan's fields, or a field is missing, unknown or malformed.
    """
    try:
        content: Any = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a date that is none
        raise InputError(f"the plan is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"the plan must be a mapping of fields; known: {', '.join(Plan.model_fields)}")
    try:
        return Plan.model_validate(content)
    except ValidationError as error:
        raise InputError(
            f"the plan is not valid: {explain(error)}; known fields: {', '.join(Plan.model_fields)}"
        ) from None
