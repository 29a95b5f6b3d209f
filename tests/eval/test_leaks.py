"""Which rows the evaluator lets through to training."""

from pathlib import Path
from typing import Any

import pytest

from eval.leaks import LeakGuard
from tasks import benchmark as loading
from tasks.benchmark import load_benchmark
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Benchmark, Source, Task

PLACES = ("the upper reaches of the river", "an old mill behind the station", "the second floor of the museum")


def question(place: int, year: int) -> str:
    return f"How many visitors were counted in {PLACES[place]} during the summer of {year}, guides left out?"


def task(folder: Path, name: str, place: int, **changes: Any) -> Task:
    rows = [{"question": question(place, 1960 + i), "answer": str(1000 + 7 * i)} for i in range(40)]
    write_jsonl(folder / f"{name}.jsonl", rows)
    return Task(
        name=name, domain="visits", description="visits", sources=(Source(name="rows", path="rows.jsonl"),),
        benchmark=Benchmark(path=f"{name}.jsonl"), prompt="{{ question }}", answer="{{ answer }}",
        scorer={"name": "number"}, base_dir=str(folder), **changes,
    )  # fmt: skip


def row(content: str, answer: str, *identities: str) -> dict[str, Any]:
    return {
        "prompt": f"Answer with a number. {content}", "answer": answer, "options": [], "content": content,
        "identities": list(identities),
    }  # fmt: skip


@pytest.fixture
def guard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LeakGuard:
    own, other = task(tmp_path, "own", 0), task(tmp_path, "other", 1)
    absent = other.model_copy(update={"name": "absent", "benchmark": Benchmark(path="absent.jsonl", hub="a/b")})
    monkeypatch.setattr(loading, "related", lambda _: [other, absent])
    return LeakGuard(own, None, load_benchmark(own, None), tmp_path / "cache")


def clean(guard: LeakGuard, folder: Path, *rows: dict[str, Any]) -> tuple[list[Any], list[Any], int]:
    """The questions that are kept, the reasons of the others, and how many there are at most."""
    write_jsonl(folder / "in.jsonl", rows)
    told = guard.clean(folder / "in.jsonl", folder / "kept.jsonl", folder / "leaks.jsonl")
    kept, leaks = read_jsonl(folder / "kept.jsonl"), read_jsonl(folder / "leaks.jsonl")
    return [one["content"] for one in kept], [one["reason"] for one in leaks], told


def test_items_of_a_related_task_are_leaks_too(guard: LeakGuard, tmp_path: Path) -> None:
    assert guard.related == ("other",)
    legal = question(2, 1961)
    kept, reasons, told = clean(
        guard, tmp_path, row(question(0, 1961), "1007"), row(question(1, 1963), "1021"), row(legal, "312")
    )
    assert (kept, reasons, told) == ([legal], ["exact", "exact"], 10)


def test_what_a_row_is_about_reaches_the_index(tmp_path: Path) -> None:
    """Its identity is given by the gate; nothing in the text tells of it."""
    write_jsonl(
        tmp_path / "claims.jsonl", [{"q": f"Is claim {i} new?", "a": "yes", "n": 14704100 + i} for i in range(40)]
    )
    claims = Task(
        name="claims", domain="patent", description="claims", sources=(Source(name="rows", path="rows.jsonl"),),
        benchmark=Benchmark(path="claims.jsonl"), prompt="{{ q }}", answer="{{ a }}", scorer={"name": "exact"},
        identities={"application": ("n",)}, base_dir=str(tmp_path),
    )  # fmt: skip
    guard = LeakGuard(claims, None, load_benchmark(claims, None), tmp_path / "cache")
    kept, reasons, _ = clean(
        guard,
        tmp_path,
        row("What does the drawing show?", "a cup", "application:14704107"),
        row("What does the other drawing show?", "a cup", "application:15000000"),
        row("What is shown in 14/704,111?", "a cup"),
    )
    assert kept == ["What does the other drawing show?"]
    assert reasons == ["application", "application"]
