"""The journal of a run: `experiments.jsonl`, one `Experiment` a line, from which the memory can be built again."""

from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from memory.records import Experiment
from tasks.failure import InputError
from tasks.record import explain

JOURNAL = "experiments.jsonl"


def read_journals(run_directories: Iterable[Path]) -> list[Experiment]:
    """The experiments of several runs in the order of their ids; within a run the last line of an id counts.

    Raises:
        InputError: a run has no journal, a line is not an experiment or of another version (it names the file and
            the row), or two runs hold different experiments under one id.
    """
    found: dict[str, tuple[Experiment, Path]] = {}
    for path in (directory / JOURNAL for directory in run_directories):
        for experiment in _read_journal(path):
            before, source = found.get(experiment.id, (experiment, path))
            if source != path and before != experiment:
                raise InputError(f"{source} and {path} hold different experiments {experiment.id}; remove one of them")
            found[experiment.id] = experiment, path
    return [found[id_][0] for id_ in sorted(found)]


def _read_journal(path: Path) -> list[Experiment]:
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected the journal of a run")
    lines = enumerate(path.read_bytes().split(b"\n"), start=1)
    return [_parse(path, row, line) for row, line in lines if line.strip()]


def _parse(path: Path, row: int, line: bytes) -> Experiment:
    try:
        return Experiment.model_validate_json(line)
    except ValidationError as error:
        known = Experiment.model_fields["version"].default
        for item in error.errors():
            if item["loc"] == ("version",):
                raise InputError(
                    f"{path}, row {row}: version {item['input']} is not supported; this program reads version {known}"
                ) from None
        raise InputError(f"{path}, row {row}: not a valid Experiment: {explain(error)}") from None
