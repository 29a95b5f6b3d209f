"""The training-only corpus: every source written out once, so that nothing else needs to be shown to an agent.

Benchmark files often hold training and test rows side by side. Data steps and scripts therefore never see a task's
files, only this folder: `corpus.json` and one `<source>.jsonl` a source, named by the hash of what went in.
"""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from tasks.failure import InputError
from tasks.record import Record, digest, read_record, write_jsonl, write_record
from tasks.rows import load_rows, origin_digest
from tasks.task import Task

INDEX = "corpus.json"


class CorpusSource(Record):
    """One materialised source."""

    name: str
    description: str
    licence: str
    rows: int
    fields: tuple[str, ...]
    examples: tuple[dict[str, Any], ...]
    """The first rows, for roles to look at; training data, never benchmark rows."""


class Corpus(Record):
    """The index of a materialised corpus."""

    task: str
    hash: str
    sources: tuple[CorpusSource, ...]


def materialise(task: Task, data_root: Path | None, cache: Path) -> Path:
    """Write the corpus of a task under `cache`, unless it lies there already; return its folder.

    Raises:
        InputError: a source is missing, corrupt or empty.
    """
    identity = digest([task.name, [origin_digest(source, task.base_dir, data_root) for source in task.sources]])
    folder = cache / "corpus" / f"{task.name}-{identity}"
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        sources = tuple(_write_source(task, index, data_root, scratch) for index in range(len(task.sources)))
        write_record(scratch / INDEX, Corpus(task=task.name, hash=identity, sources=sources))
        _publish(scratch, folder)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _publish(scratch: Path, folder: Path) -> None:
    try:
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
    except OSError:
        if not folder.is_dir():  # else another process wrote the same corpus meanwhile
            raise


def read_corpus(folder: Path) -> Corpus:
    """The index of a materialised corpus."""
    return read_record(folder / INDEX, Corpus)


def _write_source(task: Task, index: int, data_root: Path | None, folder: Path) -> CorpusSource:
    source = task.sources[index]
    try:
        rows = load_rows(source, task.base_dir, data_root)
    except InputError as error:
        raise InputError(f"source '{source.name}': {error}") from None
    write_jsonl(folder / f"{source.name}.jsonl", rows)
    return CorpusSource(
        name=source.name,
        description=source.description,
        licence=source.licence,
        rows=len(rows),
        fields=tuple(dict.fromkeys(field for row in rows[:100] for field in row)),
        examples=tuple(rows[:3]),
    )
