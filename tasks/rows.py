"""Reading rows from a csv, jsonl, json or parquet file, or from a hub data set."""

import csv
import importlib
import io
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tasks.failure import InputError
from tasks.record import digest, file_digest, read_jsonl
from tasks.task import Origin

Row = dict[str, Any]
Shape = Callable[[Row], list[Row]]


def locate(path: str, base_dir: str, data_root: Path | None) -> Path:
    """Find a task's file: absolute, beside the task file, or under the data root.

    Raises:
        InputError: it is nowhere; the message lists the places tried.
    """
    places = [Path(path)] if Path(path).is_absolute() else [Path(base_dir) / path]
    if data_root and not Path(path).is_absolute():
        places.append(data_root / path)
    for place in places:
        if place.is_file():
            return place.resolve()
    tried = " or ".join(str(place) for place in places)
    raise InputError(f"no file {tried}{_hint(data_root)}")


def _hint(data_root: Path | None) -> str:
    return "" if data_root else "; --data-root names another folder to look in"


def at_hand(origin: Origin, base_dir: str, data_root: Path | None) -> list[Path]:
    """The files of an origin; none when its rows come from the hub.

    Raises:
        InputError: there are no files, and no hub data set is named.
    """
    if origin.path is None:
        return []
    if "*" in origin.path:
        places = [Path(base_dir), *([data_root] if data_root else [])]
        found = next(filter(None, (sorted(place.glob(origin.path)) for place in places)), [])
        if found or origin.hub:
            return [path.resolve() for path in found]
        raise InputError(f"no file matches {origin.path} in {' or '.join(map(str, places))}{_hint(data_root)}")
    try:
        return [locate(origin.path, base_dir, data_root)]
    except InputError:
        if origin.hub:
            return []
        raise


def load_rows(origin: Origin, base_dir: str, data_root: Path | None) -> list[Row]:
    """Load the rows of an origin that pass its `where`, `fold` and `limit`, in file order.

    Raises:
        InputError: file missing, corrupt (with the row), of unknown type, without rows, or a `where` field missing.
    """
    name, rows = _all_rows(origin, base_dir, data_root)
    rows = _ends(rows, origin)
    if origin.shape:
        rows = shaped(rows, origin.shape, name)
    kept = [row for number, row in enumerate(rows, start=1) if _passes(row, origin, f"{name}, row {number}")]
    if origin.fold:
        kept = _fold(kept, origin.fold, name)
    if origin.limit and len(kept) > origin.limit:
        chosen = set(sorted(range(len(kept)), key=lambda index: digest(kept[index]))[: origin.limit])
        kept = [row for index, row in enumerate(kept) if index in chosen]
    if not kept:
        raise InputError(f"{name}: no rows" + (" pass `where`, `fold` and `limit`" if rows else " in it"))
    return kept


def origin_digest(origin: Origin, base_dir: str, data_root: Path | None) -> str:
    """Identity of an origin's rows: its declaration and, for a file, the file's bytes."""
    files = [file_digest(path) for path in at_hand(origin, base_dir, data_root)]
    return digest([origin, files or origin.hub])


def shaped(rows: list[Row], shape: str, place: str) -> list[Row]:
    """The rows as `Origin.shape` turns them.

    Raises:
        InputError: a row has not the fields or values that the function expects; it names the place and the row.
    """
    module, _, name = shape.partition(":")
    function: Shape = getattr(importlib.import_module(module), name)
    found: list[Row] = []
    for number, row in enumerate(rows, start=1):
        try:
            found += function(row)
        except (KeyError, ValueError, TypeError) as error:
            missing = f"no field {error}; it has: {', '.join(row)}" if isinstance(error, KeyError) else str(error)
            raise InputError(f"{place}, row {number}: {missing}") from None
    return found


def _all_rows(origin: Origin, base_dir: str, data_root: Path | None) -> tuple[str, list[Row]]:
    files = at_hand(origin, base_dir, data_root)
    if origin.path and "*" in origin.path and files:
        return origin.path, [{**row, "file": path.stem} for path in files for row in read_file(path)]
    if files:
        return str(files[0]), read_file(files[0])
    if origin.hub:
        return origin.hub, _read_hub(origin.hub, origin)
    raise InputError("an origin needs `path` (a file) or `hub` (a data set)")


def read_file(path: Path) -> list[Row]:
    """Rows of a csv, jsonl, json (a list of objects) or parquet file.

    Raises:
        InputError: unknown file type, or a row that cannot be read.
    """
    readers = {".csv": _read_csv, ".jsonl": read_jsonl, ".json": _read_json, ".parquet": _read_parquet}
    if path.suffix not in readers:
        raise InputError(f"{path}: unknown file type '{path.suffix}'; known: {', '.join(readers)}")
    return list(readers[path.suffix](path))


def _read_csv(path: Path) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(_decode(path), newline=""), strict=True)
    number = 0
    try:
        columns = list(reader.fieldnames or [])
        if len(set(columns)) < len(columns):
            raise InputError(f"{path}: the header names a column twice: {', '.join(columns)}")
        for number, row in enumerate(reader, start=1):
            if None in row or None in row.values():
                raise InputError(f"{path}, row {number} (line {reader.line_num}): expected {len(columns)} columns")
            yield {str(key): value for key, value in row.items()}
    except csv.Error as error:
        raise InputError(f"{path}, row {number + 1} (line {reader.reader.line_num}): not valid csv ({error})") from None


def _decode(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: not valid UTF-8 ({error})") from None


def _read_json(path: Path) -> Iterator[Row]:
    try:
        rows = json.loads(_decode(path))
    except ValueError as error:
        raise InputError(f"{path}: not valid JSON ({error})") from None
    if not isinstance(rows, list):
        raise InputError(f"{path}: expected a JSON list of objects, found {type(rows).__name__}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict):
            raise InputError(f"{path}, row {number}: expected an object, found {type(row).__name__}")
        yield row


def _read_parquet(path: Path) -> Iterator[Row]:
    import pyarrow
    from pyarrow import parquet

    try:
        yield from map(_plain, parquet.read_table(path).to_pylist())
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a valid parquet file ({error})") from None


def _read_hub(name: str, origin: Origin) -> list[Row]:
    import datasets

    split = origin.split or "train"
    try:
        if origin.config == "*":
            configs: Any = datasets.get_dataset_config_names(name)
            return [
                {**_plain(dict(row)), "file": config}
                for config in sorted(configs)
                for row in datasets.load_dataset(name, config, split=split)
            ]
        rows: Any = datasets.load_dataset(name, origin.config, split=split)
    except Exception as error:  # noqa: BLE001  the hub client raises many types; all mean that the data is not at hand
        raise InputError(f"cannot load {name} from the hub: {error}; give a local file by `path`") from None
    return [_plain(dict(row)) for row in rows]


def _plain(row: Row) -> Row:
    """The row in JSON values: dates, decimals and the like as text."""
    return dict(json.loads(json.dumps(row, default=str)))


def _passes(row: Row, origin: Origin, where: str) -> bool:
    for field, wanted in origin.where.items():
        if field not in row:
            raise InputError(f"{where}: no field '{field}' (named in `where`); it has: {', '.join(row)}")
        if row[field] not in (wanted if isinstance(wanted, list) else [wanted]):
            return False
    return True


def _ends(rows: list[Row], origin: Origin) -> list[Row]:
    """The rows of each file that `tail` and `before_tail` leave."""
    if not origin.tail and not origin.before_tail:
        return rows
    files: dict[str, list[Row]] = {}
    for row in rows:
        files.setdefault(str(row.get("file", "")), []).append(row)
    kept: list[Row] = []
    for part in files.values():
        begin = len(part) - min(math.ceil(len(part) / 2), origin.tail or origin.before_tail or 0)
        kept += part[begin:] if origin.tail else part[:begin]
    return kept


def _fold(rows: list[Row], fold: str, name: str) -> list[Row]:
    try:
        parts, of = fold.split("/")
        chosen, count = {int(part) for part in parts.split(",")}, int(of)
    except ValueError:
        raise InputError(f"{name}: fold must look like '1,2/4', found '{fold}'") from None
    if not chosen <= set(range(1, count + 1)):
        raise InputError(f"{name}: fold '{fold}' names parts outside 1 to {count}")
    return [row for row in rows if int(digest(row), 16) % count + 1 in chosen]
