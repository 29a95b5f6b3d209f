"""The starter data are what the facts give; the benchmark is balanced, and the sources teach it without holding it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import starter_files as files

from tasks.benchmark import load_benchmark
from tasks.corpus import INDEX, materialise, read_corpus
from tasks.finance import finance_starter
from tasks.starter import generate
from tasks.starter.exam_bank import SPARSE
from tasks.starter.fact_files import SUBJECTS, Fact, load_facts
from tasks.starter.fact_rules import check_facts, ngrams
from tasks.starter.planted import read_planted
from tasks.starter.wordings import BENCHMARK_TERM

BENCHMARK = files.jsonl("benchmark")


@pytest.fixture(scope="module")
def facts() -> dict[str, list[Fact]]:
    return load_facts(generate.FACTS)


# ----- generation


def test_generation_is_deterministic_and_committed() -> None:
    first, second = generate.build(), generate.build()
    assert first == second
    assert generate.differing(first, generate.HERE) == []
    assert sorted(f"data/{path.name}" for path in files.DATA.iterdir()) == sorted(
        path for path in first if path.startswith("data/")
    )
    assert sum(len(content.encode()) for content in first.values()) < 1_650_000


@pytest.mark.parametrize("changed", ["data/glossary.jsonl", "planted.json"])
def test_check_names_the_changed_file(
    changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(generate, "HERE", tmp_path)
    generate.main([])
    with pytest.raises(SystemExit) as same:
        generate.main(["--check"])
    assert (same.value.code, capsys.readouterr().err) == (0, "")
    (tmp_path / changed).write_text("{}\n", encoding="utf-8")
    with pytest.raises(SystemExit) as stop:
        generate.main(["--check"])
    assert stop.value.code == 1
    assert [line.split()[0] for line in capsys.readouterr().err.splitlines()] == [changed]


# ----- the benchmark


def kind(item: dict[str, Any]) -> str:
    fact = files.facts().get(item["fact"])
    if fact is None:
        return "computation"
    return "definition" if item["answer"] == fact.term else "aspect"


def test_benchmark_items_are_sound() -> None:
    assert (
        len({item["id"] for item in BENCHMARK}) == len({files.squeeze(item["question"]) for item in BENCHMARK}) == 1500
    )
    for item in BENCHMARK:
        options = [option.lower() for option in item["options"]]
        assert item["answer"] in item["options"], item["id"]
        assert len(options) == 4, item["id"]
        assert not any(a in b for i, a in enumerate(options) for j, b in enumerate(options) if i != j), item["id"]


def test_each_subject_has_its_share_of_each_kind() -> None:
    counts = Counter((item["subject"], kind(item)) for item in BENCHMARK)
    shares = {"definition": 50, "aspect": 85, "computation": 15}
    assert counts == {(subject, name): share for subject in SUBJECTS for name, share in shares.items()}


def test_definitions_are_asked_in_one_direction_and_in_many_templates() -> None:
    templates: Counter[str] = Counter()
    for item in BENCHMARK:
        fact = files.facts().get(item["fact"])
        if kind(item) == "definition" and fact:
            assert fact.definition in item["question"], item["id"]
            frame = item["question"].replace(fact.definition, "{definition}")
            templates[frame.replace(SUBJECTS[fact.subject], "{area}")] += 1
    assert set(templates) == set(BENCHMARK_TERM)
    assert len(templates) >= 8
    assert max(templates.values()) - min(templates.values()) <= 10
    meanings = {fact.definition for fact in files.facts().values()}
    assert not any(option in meanings for item in BENCHMARK for option in item["options"])


def test_every_fact_is_asked_and_every_computation_too() -> None:
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    for item in BENCHMARK:
        asked[item["fact"]][kind(item)] += 1
    assert {id_ for id_, counts in asked.items() if "computation" not in counts} == set(files.facts())
    assert all(asked[id_]["definition"] == 1 and asked[id_]["aspect"] in (1, 2) for id_ in files.facts())
    kinds = {id_: counts for id_, counts in asked.items() if "computation" in counts}
    assert len(kinds) == 30
    assert all(counts == {"computation": 5} for counts in kinds.values())


def test_the_right_option_cannot_be_told_by_its_place_or_its_length() -> None:
    for subject in SUBJECTS:
        places = Counter(item["options"].index(item["answer"]) for item in BENCHMARK if item["subject"] == subject)
        assert max(places.values()) - min(places.values()) <= 1
    longest = shortest = 0
    for item in BENCHMARK:
        lengths = sorted(len(option) for option in item["options"])
        longest += len(item["answer"]) == lengths[-1] > lengths[-2]
        shortest += len(item["answer"]) == lengths[0] < lengths[1]
    assert 0.15 < longest / len(BENCHMARK) < 0.35
    assert 0.15 < shortest / len(BENCHMARK) < 0.35


def test_the_split_seals_500_items_and_divides_no_fact() -> None:
    loaded = load_benchmark(finance_starter, None)
    splits = {name: loaded.of(name) for name in ("feedback", "selection", "test")}
    assert 500 <= len(splits["test"]) <= 520
    assert 0.28 < len(splits["feedback"]) / (1500 - len(splits["test"])) < 0.33
    seen = [{sample.cluster for sample in samples} for samples in splits.values()]
    assert sum(map(len, seen)) == len(set().union(*seen)) == 530
    for samples in splits.values():
        groups = Counter(sample.group for sample in samples)
        assert max(groups.values()) - min(groups.values()) <= 5


# ----- what the sources teach


def taught() -> list[tuple[str, str]]:
    """Question and answer of every source row that has both, as a careful reader would pair them; no mock exams."""
    exam = [(row["question"], files.option(row)) for row in files.table("exam_bank") if all(row.values())]
    worked = [
        (row["question"], text) for row in files.jsonl("worked_solutions") for text in (row["answer"], row["solution"])
    ]
    forum = [(thread.question, thread.accepted) for thread in files.threads()]
    glossary = [(row["definition"], row["term"]) for row in files.jsonl("glossary")]
    return exam + worked + forum + glossary


def test_no_source_but_the_mock_exams_holds_a_benchmark_question() -> None:
    """Neither a whole question nor a run of 13 words of it."""
    asked = {files.squeeze(item["question"]) for item in BENCHMARK}
    runs = {run for item in BENCHMARK for run in ngrams(item["question"])}
    texts = [text for pair in taught() for text in pair]
    texts += [row["headline"] for row in files.table("headlines")]
    texts += [text for thread in files.threads() for text in (thread.title, thread.page.get_text(" "))]
    for text in texts:
        assert files.squeeze(text) not in asked, text
        assert not runs & ngrams(text), text
        assert not any(question in files.squeeze(text) for question in asked if len(question) < 40), text


def test_every_fact_can_be_learnt_from_a_sound_row() -> None:
    known = {(files.squeeze(question), files.squeeze(answer)) for question, answer in taught()}
    known |= {(files.squeeze(row["question"]), files.squeeze(row["correct"])) for row in files.jsonl("mock_exams")}
    forum = {(fact.id, files.squeeze(thread.point)) for thread in files.threads() for fact in about(thread)}
    for fact in files.facts().values():
        meant = any(fact.definition in row.values() for row in files.jsonl("glossary") if row["term"] == fact.term)
        meant = meant or any(fact.definition == answer for question, answer in taught() if f'"{fact.term}"' in question)
        assert meant, fact.term
        worded = {files.squeeze(text) for text in fact.aspect.ask_train}
        answer = files.squeeze(fact.aspect.answer)
        assert any((text, answer) in known for text in worded) or (fact.id, answer) in forum, fact.term


def about(thread: files.ParsedThread) -> list[Fact]:
    """The facts whose term stands in the title, on the board of their subject."""
    board = [fact for fact in files.facts().values() if fact.subject == thread.board.replace("-", "_")]
    return [fact for fact in board if fact.term in thread.title]


# ----- the shape of the sources


def test_the_exam_bank_has_two_thin_subjects_and_facts_seen_once_to_thrice() -> None:
    rows = files.table("exam_bank")
    assert 1200 <= len(rows) <= 1500
    assert all(re.fullmatch(r"20\d\d", row["year"]) for row in rows)
    subjects = Counter(row["subject"] for row in rows)
    assert set(subjects) == set(SUBJECTS)
    full = [count for subject, count in subjects.items() if subject not in SPARSE]
    assert all(0.28 < subjects[subject] / min(full) < 0.4 for subject in SPARSE)
    assert max(full) / min(full) < 1.15
    questions: dict[str, set[str]] = defaultdict(set)
    wordings = {files.squeeze(text): fact.id for fact in files.facts().values() for text in fact.aspect.ask_train}
    terms = {fact.term.lower(): fact.id for fact in files.facts().values()}
    for row in rows:
        asked, quoted = files.squeeze(row["question"]), re.search(r'"(.+)"', row["question"].lower())
        id_ = wordings.get(asked) or (quoted and terms.get(quoted[1]))
        if id_ and files.facts()[id_].subject not in SPARSE:
            questions[id_].add("meaning" if quoted else asked)
    often = Counter(len(asked) for asked in questions.values())
    assert len(questions) == 400
    assert all(120 <= often[count] <= 145 for count in (1, 2, 3))


def test_the_other_sources_have_their_size_and_cover_every_subject() -> None:
    assert len(files.jsonl("glossary")) == 512
    assert len({row["term"].strip().lower() for row in files.jsonl("glossary")}) == 500
    assert len(files.jsonl("worked_solutions")) == 350
    for name in ("glossary", "worked_solutions"):
        assert {row["subject"] for row in files.jsonl(name)} == set(SUBJECTS)
    assert Counter(row["label"] for row in files.table("headlines")) == {
        "positive": 260,
        "negative": 100,
        "neutral": 40,
    }
    headlines = [row["headline"] for row in files.table("headlines")]
    assert len(set(headlines)) == len(headlines)
    assert all(a["date"] <= b["date"] for a, b in pairwise(files.table("headlines")))
    assert len(files.jsonl("forum_dump")) == 500
    assert len(files.jsonl("mock_exams")) == 360
    assert all(len(row["choices"]) == 4 and row["correct"] in row["choices"] for row in files.jsonl("mock_exams"))


def test_selectors_find_the_parts_of_a_thread() -> None:
    boards = Counter(thread.board for thread in files.threads())
    assert {subject.replace("_", "-") for subject in SUBJECTS} < set(boards)
    assert set(boards) & {"lounge", "market-gossip"}
    for thread in files.threads():
        if thread.board.replace("-", "_") in SUBJECTS:
            assert thread.title
            assert thread.question
            assert thread.point
            assert thread.point in thread.accepted
            assert not re.search(r"wrote:|_q=|font-size|--", thread.accepted), thread.accepted
    pages = " ".join(row["html"] for row in files.jsonl("forum_dump"))
    for mess in ("<script>", '<div class="ad">', "<!--", "&rsquo;", "&nbsp;", "<blockquote", "signature", "<BR>"):
        assert pages.count(mess) > 20, mess
    assert pages.count("<p>") > pages.count("</p>") + 100


def test_the_corpus_materialises_without_benchmark_and_faults(tmp_path: Path) -> None:
    folder = materialise(finance_starter, None, tmp_path)
    index = read_corpus(folder)
    names = [source.name for source in index.sources]
    assert sorted(path.name for path in folder.iterdir()) == sorted([INDEX, *(f"{name}.jsonl" for name in names)])
    assert names == list(read_planted())
    assert {source.name: source.rows for source in index.sources} == {
        name: len(files.table(name) if name in ("exam_bank", "headlines") else files.jsonl(name)) for name in names
    }
    fields = {field for source in index.sources for field in source.fields}
    assert not fields & {"fact", "options", *type(read_planted()["exam_bank"]).model_fields}
    assert all(source.description and source.licence == "Apache-2.0" for source in index.sources)


# ----- the rules of facts


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"definition": "too short"}, "definition has 2 words"),
        ({"near": ("no such term",)}, "near names"),
        ({"aspects": ()}, "exactly 1 aspect is needed"),
    ],
)
def test_a_broken_fact_is_named(facts: dict[str, list[Fact]], change: dict[str, Any], message: str) -> None:
    first, *rest = facts["tax"]
    with pytest.raises(ValueError, match=rf"tax\.yaml: {first.term}: .*{message}"):
        check_facts({"tax": [replace(first, **change), *rest]})


def test_a_subject_with_a_fact_too_few_is_named(facts: dict[str, list[Fact]]) -> None:
    with pytest.raises(ValueError, match=r"tax\.yaml: exactly 50 facts are needed, not 49"):
        check_facts({"tax": facts["tax"][:-1]})


def test_a_repeated_phrasing_is_refused(facts: dict[str, list[Fact]]) -> None:
    first, *rest = facts["tax"]
    aspect = first.aspects[0]
    copied = replace(aspect, ask_bench=(aspect.ask_train[0], aspect.ask_bench[1]))
    with pytest.raises(ValueError, match=rf"tax\.yaml: {first.term}: "):
        check_facts({"tax": [replace(first, aspects=(copied,)), *rest]})


def test_benchmark_wordings_are_far_from_train_wordings(facts: dict[str, list[Fact]]) -> None:
    for fact in (fact for entries in facts.values() for fact in entries):
        for bench in fact.aspect.ask_bench:
            assert all(files.similarity(bench, train) <= 0.6 for train in fact.aspect.ask_train), bench
    for kind_ in files.computations():
        assert all(files.similarity(case.bench, case.train) <= 0.6 for case in kind_.benchmark)
