"""Reading a task of one's own from YAML: `--task path/to/task.yaml`. `docs/tasks.md` describes every key."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks import scoring
from tasks.failure import InputError
from tasks.record import explain
from tasks.task import Task
from tasks.template import fields

_ORIGIN_HINT = "give `path` (a csv, jsonl, json or parquet file) or `hub` (a data set)"


def load_task_file(path: Path) -> Task:
    """Read and check a task file; the rows themselves are checked when the benchmark is loaded.

    Raises:
        InputError: the file is missing, is not YAML, or a key is missing, unknown or malformed (it names the key).
    """
    content = _read(path)
    try:
        task = Task.model_validate({"base_dir": str(path.resolve().parent), **content})
    except ValidationError as error:
        raise InputError(f"{path}: {explain(error)}") from None
    try:
        _check(task)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    return task


def _read(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise InputError(f"{path}: expected a mapping of keys such as `name`, `sources`, `benchmark`, `prompt`")
    if isinstance(content.get("scorer"), str):
        content["scorer"] = {"name": content["scorer"]}
    if isinstance(content.get("options"), list):
        content["options"] = tuple(content["options"])
    return content


def _check(task: Task) -> None:
    if not task.sources:
        raise InputError("sources: at least one source of training rows is needed")
    names = [source.name for source in task.sources]
    if len(set(names)) < len(names):
        raise InputError(f"sources: names must differ, found {', '.join(names)}")
    for where, origin in [("benchmark", task.benchmark), *zip(names, task.sources, strict=True)]:
        if (origin.path is None) == (origin.hub is None):
            raise InputError(f"{where}: {_ORIGIN_HINT}")
    for template in (task.prompt, task.answer, *([task.options] if isinstance(task.options, str) else task.options)):
        fields(template)
    scoring.load(task.scorer)
    if task.scorer["name"] == "choice" and not task.options:
        raise InputError("scorer `choice` needs `options`: one template for each option text")
