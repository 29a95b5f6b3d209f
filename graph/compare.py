"""Are two runs the same experiments? `python -m graph.compare RUN_A RUN_B` prints `equal`, or each field that differs.

Measured fields (seconds, memory, the run's name, how often the test was opened) do not count. Exit code 0 when the
experiments and the sealed tests are equal, 1 when not, 2 when a folder is no run.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from eval.evaluator_client import TestResult
from graph.progress import complain
from memory.journal import read_journals
from memory.records import canonical
from tasks.failure import InputError
from tasks.record import read_record

LIMIT = 80
"""Characters of a value that are shown."""


def differences(run_a: Path, run_b: Path) -> list[str]:
    """One line for each field that differs, such as `experiment 1.training.adapter_hash: 'ab' | 'cd'`.

    Raises:
        InputError: a folder holds no run, or records of another version.
    """
    return list(_differing("", _outcome(run_a), _outcome(run_b)))


def _outcome(run: Path) -> dict[str, Any]:
    """The experiments and the test of a run as plain data; the test is None when it has not been opened."""
    found: dict[str, Any] = {f"experiment {one.number}": canonical(one) for one in read_journals([run])}
    test = run / "test.json"
    result = canonical(read_record(test, TestResult)) if test.exists() else None
    if result:
        del result["openings"]  # counts the runs of a user, not what came out
    return {**found, "test": result}


def _differing(place: str, a: Any, b: Any) -> Iterator[str]:
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from _differing(f"{place}.{key}".lstrip("."), a.get(key), b.get(key))
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for index, (one, other) in enumerate(zip(a, b, strict=True)):
            yield from _differing(f"{place}.{index}", one, other)
    elif a != b:
        yield f"{place}: {_short(a)} | {_short(b)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LIMIT else f"{text[:LIMIT]}..."


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run_a", type=Path)
    parser.add_argument("run_b", type=Path)
    given = parser.parse_args(arguments)
    try:
        found = differences(given.run_a, given.run_b)
    except InputError as error:
        complain(str(error))
        return 2
    print("\n".join(found) or "equal")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
