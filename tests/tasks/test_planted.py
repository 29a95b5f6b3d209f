"""Each planted fault is what the list says it is, nothing else is faulty, and no agent can read the list."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
import starter_files as files
from pydantic import ValidationError

from tasks.benchmark import load_benchmark
from tasks.corpus import materialise
from tasks.finance import finance_starter
from tasks.rows import load_rows
from tasks.starter.exam_bank import answer_letter
from tasks.starter.fact_files import SUBJECTS
from tasks.starter.planted import PLANTED, read_planted
from tasks.starter.wordings import MOCK_PREFIXES
from tasks.text import numbers

FAULTS = read_planted()
ITEMS = {item["id"]: item for item in files.jsonl("benchmark")}
EXAM = files.table("exam_bank")
MOCK = files.jsonl("mock_exams")
BEGINNINGS = tuple(wording.partition("{")[0] for wording in MOCK_PREFIXES)


def test_rows_count_from_one_as_the_loader_counts() -> None:
    for source in finance_starter.sources:
        rows = load_rows(source, finance_starter.base_dir, None)
        listed: set[int] = set()
        for value in FAULTS[source.name].model_dump().values():
            for entry in value:
                listed |= set(entry) if isinstance(entry, tuple) else {entry}
        assert listed <= set(range(1, len(rows) + 1)), source.name
    assert json.loads(PLANTED.read_text(encoding="utf-8")).keys() == {source.name for source in finance_starter.sources}


def test_an_unknown_fault_is_refused(tmp_path: Path) -> None:
    (tmp_path / "planted.json").write_text('{"exam_bank": {"typos": [1]}}', encoding="utf-8")
    with pytest.raises(ValidationError, match="typos"):
        read_planted(tmp_path / "planted.json")


# ----- mock exams


def test_exact_leaks_are_items_of_the_benchmark_some_in_another_order() -> None:
    exact = FAULTS["mock_exams"].leaks_exact
    assert len(exact) == len(set(exact.values())) == 60
    reordered = 0
    for number, id_ in exact.items():
        row, item = MOCK[number - 1], ITEMS[id_]
        assert (row["question"], row["correct"]) == (item["question"], item["answer"])
        assert set(row["choices"]) == set(item["options"])
        reordered += row["choices"] != item["options"]
    assert 20 <= reordered <= 40


def test_edited_leaks_differ_a_little_from_the_item_and_keep_answer_and_numbers() -> None:
    leaks = FAULTS["mock_exams"].leaks_edited
    assert len(leaks) == len(set(leaks.values())) == 60
    assert not set(leaks) & set(FAULTS["mock_exams"].leaks_exact)
    exchanged = begun = 0
    for number, id_ in leaks.items():
        row, item = MOCK[number - 1], ITEMS[id_]
        assert row["correct"] == item["answer"]
        assert row["correct"] in row["choices"]
        assert files.squeeze(row["question"]) != files.squeeze(item["question"])
        assert files.similarity(row["question"], item["question"]) >= 0.7
        values = [[value for _, value in numbers(each["question"])] for each in (row, item)]
        assert values[0] == values[1], row["question"]
        kept = set(row["choices"]) & set(item["options"])
        assert len(set(row["choices"])) == 4
        assert len(kept) in (3, 4)
        exchanged += len(kept) == 3
        begun += row["question"].startswith(BEGINNINGS)
    assert 12 <= exchanged <= 20
    assert 10 <= begun <= 25


def test_leaks_come_from_every_split_and_every_kind_of_item() -> None:
    leaked = {*FAULTS["mock_exams"].leaks_exact.values(), *FAULTS["mock_exams"].leaks_edited.values()}
    loaded = load_benchmark(finance_starter, None)
    assert all(
        sum(sample.id in leaked for sample in loaded.of(name)) >= 15 for name in ("feedback", "selection", "test")
    )
    assert {ITEMS[id_]["subject"] for id_ in leaked} == set(SUBJECTS)
    assert sum("-c" in ITEMS[id_]["fact"] for id_ in leaked) >= 5


def test_legal_rows_ask_something_else_than_any_item() -> None:
    faults = FAULTS["mock_exams"]
    assert set(faults.legal) == set(range(1, 361)) - set(faults.leaks_exact) - set(faults.leaks_edited)
    assert set(FAULTS["exam_bank"].legal) == set(range(1, len(EXAM) + 1))
    texts = [MOCK[number - 1]["question"] for number in faults.legal] + [row["question"] for row in EXAM]
    asked = [frozenset(files.squeeze(item["question"]).split()) for item in ITEMS.values()]
    for text in texts:
        words = frozenset(files.squeeze(text).split())
        assert max(len(words & other) / len(words | other) for other in asked) <= 0.6, text


def test_many_legal_rows_are_about_facts_of_which_an_item_is_leaked() -> None:
    """Else they would be no test for decontamination: same options and same answer, another question."""
    leaked = {*FAULTS["mock_exams"].leaks_exact.values(), *FAULTS["mock_exams"].leaks_edited.values()}
    solutions = {(frozenset(ITEMS[id_]["options"]), ITEMS[id_]["answer"]) for id_ in leaked}
    legal = [MOCK[number - 1] for number in FAULTS["mock_exams"].legal]
    assert sum((frozenset(row["choices"]), row["correct"]) in solutions for row in legal) >= 40


def test_legal_rows_are_answered_rightly() -> None:
    meanings = {fact.definition: fact for fact in files.facts().values()}
    for number in FAULTS["mock_exams"].legal:
        row = MOCK[number - 1]
        if row["correct"] in meanings:
            assert f'"{meanings[row["correct"]].term}"' in row["question"]
        else:
            asked = files.squeeze(row["question"])
            right = [answer for text, answer in files.answers().items() if asked.endswith(text)]
            assert right == [row["correct"]], row["question"]


# ----- exam bank


def originals() -> dict[int, int]:
    """Of each near duplicate the row whose question was edited, to the row it was copied from."""
    found: dict[int, int] = {}
    for first, second in FAULTS["exam_bank"].duplicates_near:
        written = [files.squeeze(EXAM[number - 1]["question"]) in files.answers() for number in (first, second)]
        assert written.count(True) == 1, (first, second)
        found |= {second: first} if written[0] else {first: second}
    return found


def test_wrong_labels_are_wrong_and_all_others_right() -> None:
    faults = FAULTS["exam_bank"]
    original = originals()
    for number, row in enumerate(EXAM, start=1):
        if number in faults.gaps:
            assert number not in faults.wrong_labels
            continue
        right = files.answers()[files.squeeze(EXAM[original.get(number, number) - 1]["question"])]
        wrong = files.option(row) != right
        assert wrong == (number in faults.wrong_labels), (number, row)
        if wrong:
            assert row[f"option_{faults.wrong_labels[number].lower()}"] == right
    assert 0.08 <= len(faults.wrong_labels) / len(EXAM) <= 0.12
    letters = Counter(faults.wrong_labels.values())
    assert min(letters[letter] for letter in "ABCD") >= 12


def test_labels_are_wrong_in_every_subject_and_not_all_of_a_fact() -> None:
    shares = Counter(EXAM[number - 1]["subject"] for number in FAULTS["exam_bank"].wrong_labels)
    totals = Counter(row["subject"] for row in EXAM)
    assert all(0.03 <= shares[subject] / totals[subject] <= 0.18 for subject in SUBJECTS)


def test_gaps_are_the_rows_with_an_empty_cell() -> None:
    empty = {number for number, row in enumerate(EXAM, start=1) if not all(value.strip() for value in row.values())}
    assert set(FAULTS["exam_bank"].gaps) == empty
    assert 0.015 <= len(empty) / len(EXAM) <= 0.025
    columns = Counter(name for row in EXAM for name, value in row.items() if not value)
    assert {"answer", "option_a"} <= set(columns) <= {"answer", "option_a", "option_b", "option_c", "option_d"}


def test_a_few_letters_are_written_in_other_ways() -> None:
    odd = Counter(row["answer"] for row in EXAM if row["answer"] not in {"A", "B", "C", "D", ""})
    assert 15 <= sum(odd.values()) <= 40
    assert all(answer_letter(cell) in {"A", "B", "C", "D"} for cell in odd)
    assert any(cell.startswith(" ") for cell in odd)
    assert any(cell.endswith(".") for cell in odd)


def options_and_letter(row: dict[str, str]) -> tuple[str, ...]:
    return (*(row[f"option_{letter}"] for letter in "abcd"), answer_letter(row["answer"]))


def test_duplicates_are_copies_and_nothing_else_repeats() -> None:
    faults = FAULTS["exam_bank"]
    for first, second in faults.duplicates_exact:
        one, other = EXAM[first - 1], EXAM[second - 1]
        assert files.squeeze(one["question"]) == files.squeeze(other["question"])
        assert (one["year"], options_and_letter(one)) == (other["year"], options_and_letter(other))
    for first, second in faults.duplicates_near:
        one, other = EXAM[first - 1], EXAM[second - 1]
        assert files.squeeze(one["question"]) != files.squeeze(other["question"])
        assert files.similarity(one["question"], other["question"]) >= 0.6
        assert options_and_letter(one) == options_and_letter(other)
        assert first < second
    for groups in (faults.duplicates_exact, faults.duplicates_near):
        assert 0.03 <= len(groups) / len(EXAM) <= 0.045
    rows: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(EXAM, start=1):
        rows[files.squeeze(row["question"])].append(number)
    assert sorted(tuple(same) for same in rows.values() if len(same) > 1) == sorted(faults.duplicates_exact)
    exact = Counter(row["question"] for row in EXAM)
    assert 10 <= sum(count > 1 for count in exact.values()) < len(faults.duplicates_exact)


# ----- glossary, forum, headlines


def test_glossary_faults() -> None:
    rows, faults = files.jsonl("glossary"), FAULTS["glossary"]
    assert set(faults.gaps) == {number for number, row in enumerate(rows, start=1) if not row["definition"].strip()}
    assert len(faults.gaps) == 8
    terms: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows, start=1):
        terms[files.squeeze(row["term"])].append(number)
    assert sorted(tuple(same) for same in terms.values() if len(same) > 1) == sorted(faults.duplicates_exact)
    for first, second in faults.duplicates_exact:
        assert files.squeeze(rows[first - 1]["definition"]) == files.squeeze(rows[second - 1]["definition"])


def test_wrong_accepted_answers_are_wrong_and_all_others_right() -> None:
    faults = FAULTS["forum_dump"]
    right_votes: list[int] = []
    wrong_votes: list[int] = []
    for number, thread in enumerate(files.threads(), start=1):
        if number in faults.off_topic:
            assert thread.board.replace("-", "_") not in SUBJECTS
            assert number not in faults.wrong_accepted
            continue
        known = [fact for fact in files.facts().values() if fact.subject == thread.board.replace("-", "_")]
        possible = {
            text for fact in known if fact.term in thread.title for text in (fact.definition, fact.aspect.answer)
        }
        if number in faults.wrong_accepted:
            assert faults.wrong_accepted[number] in possible
            assert thread.point != faults.wrong_accepted[number]
            wrong_votes.append(thread.votes)
        else:
            assert thread.point in possible
            right_votes.append(thread.votes)
    assert (len(faults.off_topic), len(wrong_votes), len(right_votes)) == (125, 75, 300)
    assert sum(votes <= 3 for votes in wrong_votes) / 75 > 0.5
    assert sum(votes <= 3 for votes in right_votes) / 300 < 0.3
    assert max(wrong_votes) > 3 > min(right_votes)


def test_all_headlines_are_off_topic() -> None:
    assert FAULTS["headlines"].off_topic == tuple(range(1, 401))


# ----- out of reach


def test_the_list_is_in_no_corpus(tmp_path: Path) -> None:
    """No file of what agents see holds the list or a part of it; the control finds a row that is there."""
    folder = materialise(finance_starter, None, tmp_path)
    parts = [line for line in PLANTED.read_text(encoding="utf-8").splitlines() if len(line) > 20]
    parts += [id_ for id_ in ITEMS if id_ in FAULTS["mock_exams"].leaks_exact.values()]
    texts = {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir()}
    assert not [(name, part[:40]) for name, text in texts.items() for part in parts if part in text]
    assert files.jsonl("mock_exams")[0]["question"] in json.loads(texts["mock_exams.jsonl"].splitlines()[0])["question"]
    assert "planted" not in " ".join(texts)


def test_no_answer_to_the_list_is_in_the_task() -> None:
    told: dict[str, Any] = finance_starter.model_dump(mode="json", exclude={"base_dir"})
    assert "planted" not in json.dumps(told)
