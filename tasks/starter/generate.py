"""Write the data files of the starter task, and the list of the faults planted in them, from its facts.

`python -m tasks.starter.generate` rewrites `data/` and `planted.json`; with `--check` it only compares and exits 1 on a
difference.
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
from typing import Any

from tasks.starter import exam_bank, headlines
from tasks.starter.benchmark_items import benchmark_items
from tasks.starter.fact_files import load_facts
from tasks.starter.fact_rules import check_facts
from tasks.starter.forum_dump import forum_dump
from tasks.starter.glossary import glossary
from tasks.starter.mock_exams import mock_exams
from tasks.starter.planted import planted_text
from tasks.starter.questions import computation_cases
from tasks.starter.source_table import SourceTable
from tasks.starter.worked_solutions import worked_solutions

HERE = Path(__file__).parent
FACTS = HERE / "facts"
SEED = "finance_starter"

LICENCE = (
    "Everything in this folder was written for this project; nothing is copied from another data set. Companies,\n"
    "members of the message board and headlines are made up. The data are licensed under the Apache License,\n"
    "Version 2.0, like the project itself: https://www.apache.org/licenses/LICENSE-2.0\n"
)


def build(folder: Path = FACTS) -> dict[str, str]:
    """The content of every file by its path beside this module, the same for the same facts."""
    facts = load_facts(folder)
    check_facts(facts)
    cases = {subject: computation_cases(subject, _rng(subject)) for subject in facts}
    items = benchmark_items(facts, cases, _rng("benchmark"))
    exams = exam_bank.exam_bank(facts, cases, _rng("exam_bank"))
    worked = worked_solutions(facts, cases, exams.aspects, _rng("worked_solutions"))
    sources = {
        "exam_bank": exams,
        "glossary": glossary(facts, exams.definitions, _rng("glossary")),
        "worked_solutions": worked,
        "forum_dump": forum_dump(facts, exams.aspects | worked.aspects, _rng("forum_dump")),
        "headlines": headlines.headlines(_rng("headlines")),
        "mock_exams": mock_exams(facts, cases, items, _rng("mock_exams")),
    }
    return {
        "data/LICENCE.txt": LICENCE,
        "data/benchmark.jsonl": _jsonl(items),
        **dict(_file(name, table) for name, table in sources.items()),
        "planted.json": planted_text({name: table.planted for name, table in sources.items()}),
    }


def differing(files: Mapping[str, str], folder: Path) -> list[str]:
    """Paths of the files whose content under `folder` is missing or not the given one."""
    return [
        path
        for path, content in files.items()
        if not (folder / path).is_file() or (folder / path).read_bytes() != content.encode("utf-8")
    ]


def main(argv: Sequence[str] | None = None) -> None:
    """Write the files, or compare them when asked to check."""
    parser = argparse.ArgumentParser(prog="python -m tasks.starter.generate", description="Write the starter data.")
    parser.add_argument("--check", action="store_true", help="only compare; exit 1 if a file differs")
    check = bool(parser.parse_args(argv).check)
    files = build()
    if check:
        changed = differing(files, HERE)
        for path in changed:
            print(f"{path} differs from what the facts give; run python -m tasks.starter.generate", file=sys.stderr)
        sys.exit(1 if changed else 0)
    for path, content in files.items():
        (HERE / path).parent.mkdir(parents=True, exist_ok=True)
        (HERE / path).write_text(content, encoding="utf-8", newline="\n")


def _rng(purpose: str) -> random.Random:
    return random.Random(f"{SEED}:{purpose}")


def _file(name: str, table: SourceTable) -> tuple[str, str]:
    columns = {"exam_bank": exam_bank.COLUMNS, "headlines": headlines.COLUMNS}.get(name)
    if columns:
        return f"data/{name}.csv", _csv(columns, table.rows)
    return f"data/{name}.jsonl", _jsonl(table.rows)


def _jsonl(rows: Iterable[Mapping[str, Any]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _csv(columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([row[column] for column in columns] for row in rows)
    return stream.getvalue()


if __name__ == "__main__":
    main()
