"""The corpus is written whole or not at all, is named by what went in, and holds nothing but the sources."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tasks.corpus import INDEX, materialise, read_corpus
from tasks.failure import InputError
from tasks.finance import finance_starter
from tasks.record import read_jsonl, write_jsonl
from tasks.rows import load_rows
from tasks.task import Source, Task

ROOT = Path(__file__).resolve().parents[2]


def with_sources(task: Task, *sources: Source) -> Task:
    return task.model_copy(update={"sources": sources})


def test_the_folder_holds_the_rows_and_an_index(toy_task: Task, tmp_path: Path) -> None:
    source = toy_task.sources[0]
    folder = materialise(toy_task, None, tmp_path / "cache")
    assert sorted(path.name for path in folder.iterdir()) == [INDEX, "lessons.jsonl"]
    rows = load_rows(source, toy_task.base_dir, None)
    assert list(read_jsonl(folder / "lessons.jsonl")) == rows
    index = read_corpus(folder)
    assert (index.task, folder.name) == ("toy", f"toy-{index.hash}")
    (entry,) = index.sources
    assert (entry.name, entry.licence, entry.description) == ("lessons", "MIT", "codes")
    assert (entry.rows, entry.fields, entry.examples) == (120, ("question", "answer"), tuple(rows[:3]))


def test_fields_are_those_of_all_rows_looked_at(toy_task: Task, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "lessons.jsonl", [{"a": 1}, {"b": 2, "a": 3}, {"c": 4}])
    (entry,) = read_corpus(materialise(toy_task, None, tmp_path / "cache")).sources
    assert entry.fields == ("a", "b", "c")


def test_only_rows_that_pass_are_written(toy_task: Task, tmp_path: Path) -> None:
    """Of a file that also holds benchmark rows, no other row reaches the corpus."""
    source = Source(name="part", path="benchmark.jsonl", where={"group": ["g1", "g2"]}, fold="1/2")
    folder = materialise(with_sources(toy_task, source), None, tmp_path / "cache")
    rows = list(read_jsonl(folder / "part.jsonl"))
    assert rows == load_rows(source, toy_task.base_dir, None)
    assert {row["group"] for row in rows} == {"g1", "g2"}
    assert 5 < len(rows) < 35


def test_the_same_corpus_is_written_once(toy_task: Task, tmp_path: Path) -> None:
    folder = materialise(toy_task, None, tmp_path / "cache")
    (folder / "lessons.jsonl").write_text("touched", encoding="utf-8")
    assert materialise(toy_task, None, tmp_path / "cache") == folder
    assert (folder / "lessons.jsonl").read_text(encoding="utf-8") == "touched"


@pytest.mark.parametrize("change", ["bytes", "limit", "description", "second source"])
def test_another_content_is_another_folder(toy_task: Task, tmp_path: Path, change: str) -> None:
    first = materialise(toy_task, None, tmp_path / "cache")
    (source,) = toy_task.sources
    if change == "bytes":
        with (tmp_path / "lessons.jsonl").open("a", encoding="utf-8") as file:
            file.write('{"question": "new", "answer": "red"}\n')
        other = toy_task
    elif change == "second source":
        other = with_sources(toy_task, source, source.model_copy(update={"name": "again"}))
    else:
        other = with_sources(toy_task, source.model_copy(update={change: 7 if change == "limit" else "other"}))
    second = materialise(other, None, tmp_path / "cache")
    assert second != first
    assert first.is_dir()
    assert read_corpus(second).sources != read_corpus(first).sources


FAILING: dict[str, tuple[str, str | None, list[str]]] = {
    "missing": ("gone.jsonl", None, ["no file", "gone.jsonl", "--data-root"]),
    "empty": ("bad.jsonl", "\n", ["bad.jsonl: no rows in it"]),
    "corrupt": ("bad.jsonl", '{"a": 1}\n{"a": \n', ["bad.jsonl, row 2", "not valid JSON"]),
    "csv": ("bad.csv", "a,b\n1,2\n1\n", ["bad.csv, row 2 (line 3)", "expected 2 columns"]),
    "half a character": ("bad.jsonl", '{"a": "\\ud83d"}\n', ["bad.jsonl, row 1", "surrogates"]),
}


@pytest.mark.parametrize("case", FAILING)
def test_a_failing_source_leaves_nothing(toy_task: Task, tmp_path: Path, case: str) -> None:
    """The error names the source; no folder and no scratch stay behind, though the first source was written."""
    name, content, expected = FAILING[case]
    if content is not None:
        (tmp_path / name).write_text(content, encoding="utf-8")
    task = with_sources(toy_task, *toy_task.sources, Source(name="second", path=name))
    with pytest.raises(InputError) as error:
        materialise(task, None, tmp_path / "cache")
    for part in expected:
        assert part in str(error.value)
    if case != "missing":  # that one is found before anything is written
        assert str(error.value).startswith("source 'second': ")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file()] == []
    assert list((tmp_path / "cache").glob("corpus/*")) == []


def test_a_write_that_dies_leaves_nothing(toy_task: Task, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, or Ctrl-C, while the last file is written."""

    def dies(path: Path, record: Any) -> None:
        path.write_text("half", encoding="utf-8")
        raise KeyboardInterrupt

    monkeypatch.setattr("tasks.corpus.write_record", dies)
    with pytest.raises(KeyboardInterrupt):
        materialise(toy_task, None, tmp_path / "cache")
    assert list((tmp_path / "cache" / "corpus").iterdir()) == []


def test_processes_that_write_the_same_corpus_at_once_all_get_it(toy_task: Task, tmp_path: Path) -> None:
    """Four real processes that start their writing together."""
    (tmp_path / "task.json").write_text(toy_task.model_dump_json(), encoding="utf-8")
    code = """
import sys, time
from pathlib import Path
from tasks import corpus
from tasks.task import Task
task = Task.model_validate_json(Path(sys.argv[1]).read_text())
write = corpus.write_record
def late(path, record):
    write(path, record)
    print("ready", flush=True)
    sys.stdin.readline()
corpus.write_record = late
print(corpus.materialise(task, None, Path(sys.argv[2])))
"""
    command = [sys.executable, "-c", code, str(tmp_path / "task.json"), str(tmp_path / "cache")]
    writers = [
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
    ]
    for writer in writers:
        assert writer.stdout
        assert writer.stdout.readline() == "ready\n"
    answers = [writer.communicate("go\n", timeout=60)[0].strip() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 4
    folder = materialise(toy_task, None, tmp_path / "cache")
    assert answers == [str(folder)] * 4
    assert os.listdir(tmp_path / "cache" / "corpus") == [folder.name]  # noqa: PTH208  hidden entries too


def test_the_starter_corpus_holds_no_benchmark_file(tmp_path: Path) -> None:
    folder = materialise(finance_starter, None, tmp_path)
    assert sorted(path.name for path in folder.iterdir()) == [
        INDEX, "exam_bank.jsonl", "forum_dump.jsonl", "glossary.jsonl", "headlines.jsonl", "mock_exams.jsonl",
        "worked_solutions.jsonl"]  # fmt: skip
    ids = {row["id"] for row in read_jsonl(Path(finance_starter.base_dir) / "benchmark.jsonl")}
    assert ids
    assert not any(row.get("id") in ids for path in folder.glob("*.jsonl") for row in read_jsonl(path))
    assert "benchmark" not in json.dumps(read_corpus(folder).model_dump(mode="json"))
