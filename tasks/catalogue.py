"""Finding tasks: by name, by family, or by the path of a task file.

A module in `tasks/` brings tasks when it has `TASKS`, a tuple of `Task`. Nothing else registers them.
"""

import ast
import importlib
from functools import cache
from pathlib import Path

from tasks.failure import InputError
from tasks.task import Protocol, Task
from tasks.task_file import load_task_file

FOLDER = Path(__file__).parent


@cache
def tasks() -> dict[str, Task]:
    """All tasks that ship with the project, by name."""
    found = [task for module in _task_modules() for task in importlib.import_module(f"tasks.{module}").TASKS]
    return {task.name: task for task in sorted(found, key=lambda task: task.name)}


def find_task(reference: str) -> Task:
    """The task that `--task` means: a task file, a task, or a family with one task (`finance`: `finance_starter`).

    Raises:
        InputError: no such task; the message lists the known ones.
    """
    if reference.endswith((".yaml", ".yml")):
        return load_task_file(Path(reference))
    known = tasks()
    if reference in known:
        return known[reference]
    family = [task for task in known.values() if task.domain == reference]
    if len(family) == 1:
        return family[0]
    families = sorted({task.domain for task in known.values()})
    raise InputError(
        f"unknown task '{reference}'; known tasks: {', '.join(known)}; families: {', '.join(families)}; "
        "or the path of a task file (.yaml)"
    )


def family_of(reference: str) -> tuple[str, ...]:
    """Names of the tasks of a family; empty when the reference means one task."""
    known = tasks()
    members = tuple(task.name for task in known.values() if task.domain == reference)
    return members if reference not in known and len(members) > 1 else ()


def related(task: Task) -> list[Task]:
    """The other tasks that ship with the project and share a source, a file or a hub data set, with a task."""
    own = _places(task)
    return [other for other in tasks().values() if other.name != task.name and own & _places(other)]


def with_protocol(task: Task, protocol: Protocol) -> Task:
    """The task as a protocol splits, asks and scores it.

    Raises:
        InputError: the reference system does not have this task.
    """
    if protocol == task.protocol:
        return task
    if task.benchmark.reference is None:
        raise InputError(f"--protocol {protocol}: the reference system does not have the task {task.name}")
    changes = {"protocol": protocol, "scorer": {**task.scorer, "protocol": protocol}, **task.paper}
    return Task.model_validate({**task.model_dump(), **changes, "paper": {}})


def _places(task: Task) -> set[str]:
    return {
        place
        for source in task.sources
        for place in (source.hub, source.path and str(Path(task.base_dir, source.path)))
        if place
    }


def _task_modules() -> list[str]:
    """Modules of this folder that assign `TASKS`, found without importing the others."""
    return [path.stem for path in sorted(FOLDER.glob("*.py")) if _assigns_tasks(path)]


def _assigns_tasks(path: Path) -> bool:
    statements = ast.parse(path.read_text(encoding="utf-8")).body
    targets = [target for node in statements if isinstance(node, ast.Assign) for target in node.targets]
    targets += [node.target for node in statements if isinstance(node, ast.AnnAssign)]
    return any(isinstance(target, ast.Name) and target.id == "TASKS" for target in targets)
