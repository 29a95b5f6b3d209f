"""Reading a task of one's own from YAML: `--task path/to/task.yaml`. `docs/tasks.md` describes every key."""

import re
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from tasks import scoring
from tasks.failure import InputError
from tasks.record import explain
from tasks.task import Benchmark, Metric, Source, Task
from tasks.template import fields

CUSTOM = "python_file"
"""The scorer that is a file of the user's."""
_NAME = re.compile(r"\w[\w.-]*")
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
        raise InputError(f"{path}: {explain(error)}{_known_keys(error)}") from None
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
    scorer: Any = content.get("scorer")
    if isinstance(scorer, dict) and scorer.get("name") == CUSTOM:
        content["scorer"] = _with_code(path, scorer)
    if isinstance(content.get("options"), list):
        content["options"] = tuple(content["options"])
    return content


def _with_code(path: Path, scorer: dict[str, Any]) -> dict[str, Any]:
    """The settings of a scorer of one's own with what its file holds; a task that was delivered has it already."""
    if "code" in scorer:
        return scorer
    file = path.parent / str(scorer.get("path", "scorer.py"))
    try:
        return {**scorer, "code": file.read_text(encoding="utf-8")}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: scorer: {file} cannot be read: {error}") from None


def _known_keys(error: ValidationError) -> str:
    """The keys that the mapping with the first unknown key may hold."""
    unknown = [item["loc"] for item in error.errors() if item["type"] == "extra_forbidden"]
    if not unknown:
        return ""
    parts = {"sources": Source, "benchmark": Benchmark, "metric": Metric}
    schema = parts.get(str(unknown[0][0]), Task) if len(unknown[0]) > 1 else Task
    return f" (known keys: {', '.join(schema.model_fields)})"


def _check(task: Task) -> None:
    if not task.sources:
        raise InputError("sources: at least one source of training rows is needed")
    names = [source.name for source in task.sources]
    if len(set(names)) < len(names):
        raise InputError(f"sources: names must differ, found {', '.join(names)}")
    for name in (task.name, *names):
        if not _NAME.fullmatch(name):
            raise InputError(f"name {name!r}: files are named after it; use letters, digits, `_`, `-` and `.` only")
    for where, origin in [("benchmark", task.benchmark), *zip(names, task.sources, strict=True)]:
        if origin.path is None and origin.hub is None:
            raise InputError(f"{where}: {_ORIGIN_HINT}")
    options = [task.options] if isinstance(task.options, str) else task.options
    for template in (task.prompt, task.answer, *options, *filter(None, [task.content])):
        fields(template)
    scoring.load(task.scorer)
    if task.scorer["name"] == "choice" and not task.options:
        raise InputError("scorer `choice` needs `options`: one template for each option text")
