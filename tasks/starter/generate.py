"""Write the data files of the starter task from its facts.

`python -m tasks.starter.generate` rewrites `data/`, with `--check` it only compares and exits 1 on a difference.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tasks.starter.fact_files import load_facts
from tasks.starter.fact_rules import check_facts
from tasks.starter.questions import subject_cases
from tasks.starter.tables import EXAM_COLUMNS, benchmark_rows, exam_rows, glossary_rows, worked_rows

HERE = Path(__file__).parent
FACTS = HERE / "facts"
DATA = HERE / "data"
SEED = "finance_starter"

LICENCE = (
    "The questions, definitions and worked solutions in this folder were written for this project; none of them\n"
    "is copied from another data set. They are licensed under the Apache License, Version 2.0, like the project\n"
    "itself: https://www.apache.org/licenses/LICENSE-2.0\n"
)


def build(folder: Path = FACTS) -> dict[str, str]:
    """The content of every data file by name, the same for the same facts."""
    facts = load_facts(folder)
    check_facts(facts)
    cases = {subject: subject_cases(subject, _rng(subject)) for subject in facts}
    return {
        "benchmark.jsonl": _jsonl(benchmark_rows(facts, cases, _rng("benchmark"))),
        "exam_bank.csv": _csv(exam_rows(facts, cases, _rng("exam_bank"))),
        "glossary.jsonl": _jsonl(glossary_rows(facts)),
        "worked_solutions.jsonl": _jsonl(worked_rows(facts, cases, _rng("worked_solutions"))),
        "LICENCE.txt": LICENCE,
    }


def differing(files: Mapping[str, str], folder: Path) -> list[str]:
    """Names of the files whose content in `folder` is missing or not the given one."""
    return [
        name
        for name, content in files.items()
        if not (folder / name).is_file() or (folder / name).read_bytes() != content.encode("utf-8")
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the data files, or compare them when asked to check."""
    parser = argparse.ArgumentParser(prog="python -m tasks.starter.generate", description="Write the starter data.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if a data file differs")
    check = bool(parser.parse_args(argv).check)
    files = build()
    if check:
        changed = differing(files, DATA)
        for name in changed:
            print(f"{name} differs from what the facts give; run python -m tasks.starter.generate", file=sys.stderr)
        sys.exit(1 if changed else 0)
    DATA.mkdir(exist_ok=True)
    for name, content in files.items():
        (DATA / name).write_text(content, encoding="utf-8", newline="\n")


def _rng(purpose: str) -> random.Random:
    return random.Random(f"{SEED}:{purpose}")


def _jsonl(rows: Iterable[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(rows: Iterable[Mapping[str, str]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(EXAM_COLUMNS)
    writer.writerows([row[column] for column in EXAM_COLUMNS] for row in rows)
    return stream.getvalue()


if __name__ == "__main__":
    main()
