"""Frozen records, and how they rest on disk.

Everything that flows between the rooms is a `Record`: immutable, typed, unknown fields refused. On disk a record is
one JSON object, a list of them is JSON Lines. Writes are atomic, so a reader (or a resumed run) sees the old file or
the new one, never half of one.
"""

import fcntl
import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.failure import InputError


class Record(BaseModel):
    """An immutable value with declared fields; anything undeclared is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


R = TypeVar("R", bound=BaseModel)
_SURROGATE = re.compile(r"\\ud[89a-f]", re.IGNORECASE)


def digest(value: object) -> str:
    """First 16 hex digits of the SHA-256 of a value's canonical JSON (records, lists, dicts, strings, numbers)."""
    text = json.dumps(_plain(value), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def file_digest(path: Path) -> str:
    """First 16 hex digits of the SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def write_text(path: Path, text: str) -> None:
    """Replace `path` by `text` in one step; parent folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_record(path: Path, record: BaseModel) -> None:
    """Write one record as indented JSON, atomically."""
    write_text(path, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path, schema: type[R]) -> R:
    """Read one record.

    Raises:
        InputError: the file is missing, is not JSON, or does not fit the schema (it names the file and the field).
    """
    try:
        return schema.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"{path} does not exist") from None
    except ValidationError as error:
        raise InputError(f"{path} is not a valid {schema.__name__}: {explain(error)}") from None


def write_jsonl(path: Path, rows: Iterable[BaseModel | dict[str, Any]]) -> None:
    """Write rows as JSON Lines, atomically."""
    lines = (json.dumps(_plain(row), ensure_ascii=False) + "\n" for row in rows)
    write_text(path, "".join(lines))


def append_jsonl(path: Path, record: BaseModel) -> None:
    """Append a line to a JSON Lines file, whoever else does; a last line that a crash cut off is dropped."""
    line = json.dumps(_plain(record), ensure_ascii=False) + "\n"
    with path.open("ab+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        _drop_cut_off_line(file)
        file.write(line.encode())


def _drop_cut_off_line(file: IO[bytes]) -> None:
    end = file.seek(0, os.SEEK_END)
    if end == 0:
        return
    file.seek(end - 1)
    if file.read(1) != b"\n":
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file; blank lines are passed over.

    Raises:
        InputError: a line is not a JSON object (it names the file and the line).
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist")
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _json_object(path, number, line)


def _json_object(path: Path, number: int, line: bytes) -> dict[str, Any]:
    try:
        text = line.decode("utf-8-sig")
        row = json.loads(text)
        if _SURROGATE.search(text):
            json.dumps(row, ensure_ascii=False).encode()  # half of a pair is no character and cannot be written
    except ValueError as error:  # also invalid UTF-8
        raise InputError(f"{path}, row {number}: not valid JSON ({error}); expected one JSON object a line") from None
    if not isinstance(row, dict):
        raise InputError(f"{path}, row {number}: expected a JSON object, found {type(row).__name__}")
    return row


def explain(error: ValidationError) -> str:
    """One line that names each wrong field and what was expected of it."""
    parts = (f"{'.'.join(str(p) for p in item['loc']) or 'value'}: {item['msg']}" for item in error.errors())
    return "; ".join(parts)
