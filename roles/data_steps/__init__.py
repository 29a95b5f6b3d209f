"""Data steps: one a file, each with `STEP`, the hands of the data engineer.

A `STEP` is a `Record` class: its fields are the parameters a recipe may set, its docstring tells a mind what it does,
`version` changes with its behaviour (outputs are cached under it), and `apply` turns rows into rows.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Collection
from typing import Any

from pydantic import ValidationError

from memory.records import Step
from roles.data_steps.row import DataStep, Service
from tasks.failure import FailureKind, StageError
from tasks.record import explain

_INFRASTRUCTURE = frozenset(
    (
        *("__main__", "row", "pipeline", "gate", "witnesses", "formulas", "label_agreement"),
        *("models", "written", "outcome"),
    )
)
SCRIPT = "script"


def names() -> list[str]:
    """Names of the steps in this folder."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _INFRASTRUCTURE)


def step_class(name: str) -> type[DataStep]:
    """The class of a step.

    Raises:
        StageError: CONFIG, for an unknown step; the message lists the known ones.
    """
    if name not in names():
        raise StageError("prepare_data", FailureKind.CONFIG, f"unknown step '{name}'; known: {', '.join(names())}")
    return importlib.import_module(f"roles.data_steps.{name}").STEP


def load_step(step: Step) -> DataStep:
    """A step with its parameters checked.

    Raises:
        StageError: CONFIG, for an unknown step or a wrong parameter.
    """
    try:
        return step_class(step.name).model_validate(step.parameters)
    except ValidationError as error:
        message = f"step '{step.name}': {explain(error)}"
        raise StageError("prepare_data", FailureKind.CONFIG, message) from None


def describe_steps(services: Collection[Service] = ("gateway", "engine")) -> list[dict[str, Any]]:
    """Name, documentation and parameter schema of every step, for a mind to choose from.

    Args:
        services: what the run's steps can ask; steps that ask another one are left out.
    """
    classes = [(name, cls) for name in names() if (cls := step_class(name)).asks in (None, *services)]
    schemas = {name: cls.model_json_schema() for name, cls in classes}
    return [
        {
            "name": name,
            "does": inspect.getdoc(cls),
            "parameters": schemas[name].get("properties", {}),
            "required": schemas[name].get("required", []),
        }
        for name, cls in classes
    ]
