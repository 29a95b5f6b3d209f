"""The committed starter data are what the facts give, and the benchmark can be learnt but not copied."""

from __future__ import annotations

import csv
import json
import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tasks.starter import generate
from tasks.starter.fact_files import SUBJECTS, Fact, load_facts
from tasks.starter.fact_rules import check_facts

NGRAM = 13


def squeeze(text: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def grams(text: str) -> set[str]:
    words = squeeze(text).split()
    return {" ".join(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)}


def jsonl(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (generate.DATA / name).read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def facts() -> dict[str, list[Fact]]:
    return load_facts(generate.FACTS)


@pytest.fixture(scope="module")
def bench() -> list[dict[str, Any]]:
    return jsonl("benchmark.jsonl")


@pytest.fixture(scope="module")
def exam() -> list[dict[str, str]]:
    with (generate.DATA / "exam_bank.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@pytest.fixture(scope="module")
def trained(exam: list[dict[str, str]]) -> list[tuple[str, str]]:
    """Question and answer text of every source row that has both."""
    rows = [(row["question"], row[f"option_{row['answer'].lower()}"]) for row in exam if row["answer"]]
    return rows + [(row["question"], row["answer"]) for row in jsonl("worked_solutions.jsonl")]


def test_generation_is_deterministic_and_committed() -> None:
    first, second = generate.build(), generate.build()
    assert first == second
    assert generate.differing(first, generate.DATA) == []
    assert sorted(path.name for path in generate.DATA.iterdir()) == sorted(first)


def test_check_names_the_changed_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "DATA", tmp_path)
    generate.main([])
    (tmp_path / "glossary.jsonl").write_text("{}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        generate.main(["--check"])
    assert stop.value.code == 1
    printed = capsys.readouterr().err
    assert "glossary.jsonl" in printed
    assert "benchmark.jsonl" not in printed


def test_no_benchmark_question_is_in_the_sources(bench: list[dict[str, Any]], trained: list[tuple[str, str]]) -> None:
    known: set[tuple[str, str]] = set()
    for question, answer in trained:
        known |= {(text, squeeze(answer)) for text in {squeeze(question), *grams(question)}}
    for row in bench:
        asked = {squeeze(row["question"]), *grams(row["question"])}
        assert not known & {(text, squeeze(row["answer"])) for text in asked}, row["id"]


def test_benchmark_rows_are_sound(bench: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in bench}) == len(bench)
    assert len({squeeze(row["question"]) for row in bench}) == len(bench)
    for row in bench:
        options = [option.lower() for option in row["options"]]
        assert row["answer"] in row["options"], row["id"]
        assert len(options) == 4, row["id"]
        assert not any(a in b for i, a in enumerate(options) for j, b in enumerate(options) if i != j), row["id"]


def test_benchmark_is_balanced(bench: list[dict[str, Any]]) -> None:
    assert 500 <= len(bench) <= 700
    subjects = Counter(row["subject"] for row in bench)
    assert set(subjects) == set(SUBJECTS)
    assert len(set(subjects.values())) == 1
    places = Counter(row["options"].index(row["answer"]) for row in bench)
    assert max(places.values()) - min(places.values()) <= 0.02 * len(bench)


def test_every_benchmark_fact_is_asked_twice_in_the_sources(
    facts: dict[str, list[Fact]], bench: list[dict[str, Any]], trained: list[tuple[str, str]]
) -> None:
    wordings: dict[str, set[str]] = {}
    for question, answer in trained:
        wordings.setdefault(answer, set()).add(squeeze(question))
    everything = [fact for entries in facts.values() for fact in entries]
    aspects = {text: aspect for fact in everything for aspect in fact.aspects for text in aspect.ask_bench}
    definitions = {text: fact.definition for fact in everything for text in (fact.term, fact.definition)}
    computed = 0
    for row in bench:
        if row["question"] in aspects:
            aspect = aspects[row["question"]]
            assert {squeeze(text) for text in aspect.ask_train} <= wordings[aspect.answer], row["id"]
        elif row["answer"] in definitions:
            assert len(wordings[definitions[row["answer"]]]) >= 2, row["id"]
        else:
            computed += 1
    assert 0.05 * len(bench) <= computed <= 0.1 * len(bench)


def test_exam_bank_has_few_repeats_and_few_defects(exam: list[dict[str, str]]) -> None:
    assert 900 <= len(exam) <= 1300
    broken = [row for row in exam if not all(row.values())]
    assert 0.01 <= len(broken) / len(exam) <= 0.03
    whole = [row for row in exam if all(row.values())]
    exact = Counter(row["question"] for row in whole)
    alike = Counter(squeeze(row["question"]) for row in whole)
    assert 0.02 <= (len(whole) - len(alike)) / len(exam) <= 0.04
    assert len(alike) < len(exact) < len(whole)


def test_glossary_and_worked_solutions_cover_every_subject(facts: dict[str, list[Fact]]) -> None:
    glossary, worked = jsonl("glossary.jsonl"), jsonl("worked_solutions.jsonl")
    assert len(glossary) == sum(len(entries) for entries in facts.values()) >= 240
    assert 150 <= len(worked) <= 250
    assert {row["subject"] for row in worked} == {row["subject"] for row in glossary} == set(SUBJECTS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"definition": "too short"}, "definition has 2 words"),
        ({"near": ("no such term",)}, "near names"),
        ({"aspects": ()}, "aspects are needed"),
    ],
)
def test_a_broken_fact_is_named(facts: dict[str, list[Fact]], change: dict[str, Any], message: str) -> None:
    first, *rest = facts["tax"]
    with pytest.raises(ValueError, match=rf"tax\.yaml: {first.term}: .*{message}"):
        check_facts({"tax": [replace(first, **change), *rest]})


def test_a_repeated_phrasing_is_refused(facts: dict[str, list[Fact]]) -> None:
    first, *rest = facts["tax"]
    aspect = first.aspects[0]
    copied = replace(aspect, ask_bench=(aspect.ask_train[0], aspect.ask_bench[1]))
    with pytest.raises(ValueError, match=rf"tax\.yaml: {first.term}: "):
        check_facts({"tax": [replace(first, aspects=(copied,)), *rest]})
