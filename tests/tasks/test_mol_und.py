"""The scorer of molecule understanding under both protocols."""

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tasks import scoring
from tasks.functional_groups import count_matches
from tasks.molecules import molecule, murcko_scaffold, same_molecule
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
BOTH: list[Protocol] = ["honest", "paper"]


def score(protocol: Protocol, group: str, prediction: str, answer: str) -> ItemScore:
    scorer = scoring.load({"name": "mol_und", "protocol": protocol})
    return scorer.score(prediction, Sample(id="1", prompt="?", answer=answer, group=group))


COUNTS: list[tuple[str, int | None]] = [
    ('{"count": 3}', 3),
    ('{"count": "3"}', 3),
    ('{"count": " 3 "}', 3),
    ('{"answer": 3}', 3),
    ('{"answer": 1, "count": 3}', 3),
    ('```json\n{\n    "count": 3\n}\n```', 3),
    ('<think>"count": 9</think>{"count": 3}', 3),
    ('{"count": 3,} and "answer": 9', 3),
    ('{"answer": "3", "count": }', 3),
    ('in C6H6 there are "Count": 3', 3),
    ("C6H6 has 3 of the 7", 3),
    ('{"number": 3}', 3),
    ('{"count": null, "answer": 3} ', 3),
    ('{"count": -3}', -3),
    ('{"count": 2.0}', None),
    ('{"count": "2.0"}', None),
    ('{"count": "two"}', None),
    ('{"count": true}', None),
    ('{"count": [3]}', None),
    ('{"count": ""}', None),
    ("three in C6H6", None),
    ("", None),
    ("9" * 5000, None),
]


@pytest.mark.parametrize("group", ["fg_count", "ring_count"])
@pytest.mark.parametrize(("prediction", "number"), COUNTS)
def test_counts(group: str, prediction: str, number: int | None) -> None:
    """`paper` reports the absolute error, an unread answer being 0; `honest` the accuracy."""
    for gold in (3, 0):
        paper = score("paper", group, prediction, str(gold))
        assert (paper.score, paper.parsed, paper.lower_is_better) == (
            abs((number or 0) - gold),
            number is not None,
            True,
        )
        assert paper.metrics == {"absolute_error": paper.score}
        honest = score("honest", group, prediction, str(gold))
        assert (honest.score, honest.parsed, honest.lower_is_better) == (number == gold, number is not None, False)
        assert honest.metrics == paper.metrics


def test_a_count_of_nothing_is_right_only_under_paper() -> None:
    assert score("paper", "fg_count", "none", "0").score == 0  # an error of 0
    assert score("honest", "fg_count", "none", "0").score == 0  # an accuracy of 0


WORDS: list[tuple[str, str | None]] = [
    ('{"output": "Yes"}', "yes"),
    ('{"output": "NO"}', "no"),
    ('{"answer": "yes"}', "yes"),
    ('{"answer": "yes", "output": "no"}', "no"),
    ('{"result": "no"}', "no"),
    ('{"output": null} Yes', "yes"),
    ('No, wait: "OUTPUT": "Yes",', "yes"),
    ('"answer": "No", Yes', "no"),
    ("No. Or rather YES", "yes"),
    ("No", "no"),
    ("I know nothing of eyes", None),
    ('{"output": "Yes."}', None),
    ('{"output": true}', None),
    ("", None),
]


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("group", ["equivalence", "ring_system_scaffold"])
@pytest.mark.parametrize(("prediction", "word"), WORDS)
def test_yes_or_no(protocol: Protocol, group: str, prediction: str, word: str | None) -> None:
    for gold in ("Yes", "no"):
        result = score(protocol, group, prediction, gold)
        assert (result.score, result.parsed, result.extracted) == (word == gold.lower(), word is not None, word)


SCAFFOLDS: list[tuple[str, str | None]] = [
    ('{"Output Scaffold": "c1ccncc1"}', "c1ccncc1"),
    ('{"output": "c1ccncc1"}', "c1ccncc1"),
    ('{"answer": "c1ccncc1", "output": "C1CC1"}', "C1CC1"),
    ('{"answer": "C1CC1", "output": "C", "Output Scaffold": "c1ccncc1"}', "c1ccncc1"),
    ('The "output scaffold": "c1ccncc1",', "c1ccncc1"),
    ("c1ccncc1", "c1ccncc1"),
    ("c1ccncc1 is left", "c1ccncc1"),
    ("It is c1ccncc1", None),
    ('{"Output Scaffold": "c1ccncc"}', None),
    ('{"Output Scaffold": ""}', None),
    ('C "Output Scaffold": "",', None),
    ('{"Output Scaffold": ["c1ccncc1"]}', None),
    ('{"scaffold": "c1ccncc1"}', None),
    ("", None),
]


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(("prediction", "smiles"), SCAFFOLDS)
def test_murcko_scaffold(protocol: Protocol, prediction: str, smiles: str | None) -> None:
    result = score(protocol, "Murcko_scaffold", prediction, "n1ccccc1")
    assert (result.score == 1, result.parsed) == (smiles == "c1ccncc1", smiles is not None)
    assert 0 <= result.score <= 1


def test_murcko_scaffold_is_a_similarity() -> None:
    result = score("honest", "Murcko_scaffold", '{"Output Scaffold": "c1ccccc1"}', "c1ccncc1")
    assert result.score == pytest.approx(1 / 3, abs=0.2)
    assert score("paper", "Murcko_scaffold", "C" * 1001, "C" * 1000).score == 0


@pytest.mark.parametrize("protocol", BOTH)
def test_unknown_subtask_lists_the_known_ones(protocol: Protocol) -> None:
    with pytest.raises(ValueError, match="sample 1: unknown sub-task 'all'; known sub-tasks: fg_count, ring_count"):
        score(protocol, "all", '{"count": 3}', "3")
    assert not score(protocol, "all", "", "3").parsed


def test_parses_any_subtask() -> None:
    scorer: Any = scoring.load("mol_und")
    assert scorer.parses("no")
    assert not scorer.parses("no", "ring_count")
    assert not scorer.parses("~")


@pytest.mark.parametrize(("group", "prediction"), [("fg_count", "3"), ("equivalence", "no"), ("Murcko_scaffold", "C")])
def test_broken_reference_raises(group: str, prediction: str) -> None:
    with pytest.raises(ValueError, match="sample 1"):
        score("honest", group, prediction, "")
    if group != "equivalence":
        with pytest.raises(ValueError, match="reference 'none' of sample 1"):
            score("honest", group, prediction, "none")


ATTACKS = [
    "<think>" * 14_000,
    "```json" * 14_000,
    "``` " * 25_000,
    "```json" + " " * 100_000,
    '{"output":' * 10_000,
    '"output" ' * 11_000,
    '"output":"' * 10_000,
    '"output"' + " " * 100_000,
    '{"output": "' + "C" * 100_000 + '"}',
    "[" * 100_000,
    "C" * 100_000,
    "C1" * 50_000,
    "9" * 100_000,
    "1a" * 50_000,
    "Cc1( " * 20_000,
    "\x00\ud800" * 1000,
    '{"output": "\\ud800", "choice": "\\ud800", "count": "\\ud800"}',
    '{"output": ' + "[" * 900 + "]" * 900 + "}",
]
SUBTASKS = {
    "mol_und": ["fg_count", "equivalence", "Murcko_scaffold"],
    "mol_edit": ["sub"],
    "mol_opt": ["logp"],
    "reaction": ["fs", "retro", "rcr", "nepp", "mechsel"],
}


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize("name", SUBTASKS)
def test_attacks_on_the_chemistry_scorers_end_soon(name: str, protocol: Protocol) -> None:
    scorer = scoring.load({"name": name, "protocol": protocol})
    context: Any = {"source_smiles": "CCc1ccccc1", "group_a": "hydroxyl", "group_b": "benzene"}
    for group in SUBTASKS[name]:
        answer = {"fg_count": "77", "equivalence": "No", "mechsel": "G"}.get(group, "CCO")
        sample = Sample(id="1", prompt="?", answer=answer, group=group, context=context)
        for text in ATTACKS:
            started = time.process_time()
            result = scorer.score(text, sample)
            assert time.process_time() - started < 1, (group, text[:20])
            assert result.score == 0 or result.lower_is_better, (group, text[:20])
            assert type(result).model_validate_json(result.model_dump_json()) == result


# --- real rows


def rows(group: str) -> list[dict[str, Any]]:
    lines = (Path(DATA or "") / "chemcotbench" / "mol_und.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["subtask"] == group]


def found(pattern: str, row: dict[str, Any]) -> list[Any]:
    match = re.search(pattern, row["query"].strip())
    assert match, row["id"]
    return [molecule(text) for text in match.groups()]


@needs_data
def test_golds_equal_what_rdkit_answers() -> None:
    """Counts are distinct atom sets that match; a ring is a pattern read as SMILES, so `c` is aromatic carbon."""
    for row in rows("fg_count"):
        (mol,) = found(r"Input Molecule: (\S+), Fragment Name", row)
        assert count_matches(mol, json.loads(row["meta"])["fg_smarts"]) == row["gt"], row["id"]
    for row in rows("ring_count"):
        mol, ring = found(r"Input Molecule: (\S+), Ring Structure: (\S+)\.$", row)
        assert len(mol.GetSubstructMatches(ring)) == row["gt"], row["id"]
    for row in rows("ring_system_scaffold"):
        mol, ring = found(r"Input Molecule: (\S+), Ring System Structure: (\S+)$", row)
        assert mol.HasSubstructMatch(ring) == (row["gt"] == "Yes"), row["id"]
    for row in rows("equivalence"):
        first, second = found(r"Molecule A: (\S+), Molecule B: (\S+)\.$", row)
        assert same_molecule(first, second) == (row["gt"] == "Yes"), row["id"]
    for row in rows("Murcko_scaffold"):
        (mol,) = found(r"Input Molecule: (\S+)\.$", row)
        assert murcko_scaffold(mol) == row["gt"], row["id"]


@needs_data
@pytest.mark.parametrize("protocol", BOTH)
def test_every_gold_is_right(protocol: Protocol) -> None:
    keys = {"fg_count": "count", "ring_count": "count", "Murcko_scaffold": "Output Scaffold"}
    for group in ("fg_count", "ring_count", "equivalence", "ring_system_scaffold", "Murcko_scaffold"):
        for row in rows(group):
            for prediction in (json.dumps({keys.get(group, "output"): row["gt"]}), str(row["gt"])):
                result = score(protocol, group, prediction, str(row["gt"]))
                assert result.parsed
                assert result.score == (0 if result.lower_is_better else 1), row["id"]
