"""The scorer of molecule editing under both protocols."""

import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from tasks import scoring
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
BOTH: list[Protocol] = ["honest", "paper"]
SOURCE = "CCc1ccccc1"


def score(
    protocol: Protocol, group: str, prediction: str, group_a: str, group_b: str = "", source: str = SOURCE
) -> ItemScore:
    scorer = scoring.load({"name": "mol_edit", "protocol": protocol})
    context: Any = {"source_smiles": source, "group_a": group_a, "group_b": group_b}
    return scorer.score(prediction, Sample(id="1", prompt="?", answer="", group=group, context=context))


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("group", "source", "prediction", "group_a", "group_b", "expected"),
    [
        ("add", SOURCE, "OCCc1ccccc1", "hydroxyl", "", 1),
        ("add", SOURCE, "OCC(O)c1ccccc1", "hydroxyl", "", 0),
        ("add", SOURCE, SOURCE, "hydroxyl", "", 0),
        ("add", SOURCE, "OCCc1ccccc", "hydroxyl", "", 0),
        ("add", SOURCE, "OCCc1ccccc1", "imine", "", 0),
        ("add", SOURCE, "OCCc1ccccc1", "", "", 0),
        ("delete", "OCCc1ccccc1", SOURCE, "hydroxyl", "", 1),
        ("delete", "OCC(O)c1ccccc1", SOURCE, "hydroxyl", "", 0),
        ("delete", SOURCE, SOURCE, "hydroxyl", "", 0),
        ("sub", "OCCc1ccccc1", "NCCc1ccccc1", "amine", "hydroxyl", 1),
        ("sub", "NCCc1ccccc1", "OCCc1ccccc1", "amine", "hydroxyl", 0),
        ("sub", "OCCc1ccccc1", "NC(O)Cc1ccccc1", "amine", "hydroxyl", 0),
        ("sub", "OCCc1ccccc1", SOURCE, "amine", "hydroxyl", 0),
        ("sub", "OCCc1ccccc1", "NCCc1ccccc1", "amine", "imine", 0),
        ("sub", "OCCc1ccccc1", "OCCc1ccccc1", "hydroxyl", "hydroxyl", 0),
    ],
)
def test_rule(
    protocol: Protocol, group: str, source: str, prediction: str, group_a: str, group_b: str, expected: int
) -> None:
    result = score(protocol, group, json.dumps({"output": prediction}), group_a, group_b, source)
    assert result.score == expected


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("prediction", "read"),
    [
        ('{"output": "OCCc1ccccc1"}', "OCCc1ccccc1"),
        ('{"answer": "OCCc1ccccc1"}', "OCCc1ccccc1"),
        ('{"answer": "CCO", "output": "OCCc1ccccc1"}', "OCCc1ccccc1"),
        ('```json\n{\n    "output": "OCC\n    c1ccccc1"\n}\n```', "OCCc1ccccc1"),
        ('"OUTPUT": "OCCc1ccccc1", "answer": "CCO"', "OCCc1ccccc1"),
        ('{"output": null, "smiles": "OCCc1ccccc1"}', "OCCc1ccccc1"),
        ('{"smiles": "OCCc1ccccc1"}', "OCCc1ccccc1"),
        ("It is OCCc1ccccc1 or CCCCCO", "OCCc1ccccc1"),
        ("I obtained OCCc1ccccc1 not NCCc1ccccc1", "OCCc1ccccc1"),
        ("CCO", "CCO"),
        ('{"output": "CCO is left"}', "CCO is left"),
        ("The product, after a transformation, is CCO", None),
        ('{"output": ""}', None),
        ('{"output": ["OCCc1ccccc1"]}', None),
        ('{"output": "water"}', None),
        ("", None),
    ],
)
def test_extraction(protocol: Protocol, prediction: str, read: str | None) -> None:
    result = score(protocol, "add", prediction, "hydroxyl")
    assert (result.extracted, result.parsed, result.metrics["valid"]) == (read, read is not None, read is not None)
    if protocol == "honest":
        assert result.score == (read == "OCCc1ccccc1")


def test_honest_wants_a_molecule_like_the_source() -> None:
    result = score("honest", "add", '{"output": "CC=O"}', "aldehyde")
    assert (result.score, result.parsed) == (0, True)
    assert result.metrics["similarity"] < 0.3
    assert score("paper", "add", '{"output": "CC=O"}', "aldehyde").score == 1


@pytest.mark.parametrize("protocol", BOTH)
def test_broken_sample_raises(protocol: Protocol) -> None:
    scorer = scoring.load({"name": "mol_edit", "protocol": protocol})
    with pytest.raises(ValueError, match="unknown sub-task 'all'; known sub-tasks: add, delete, sub"):
        score(protocol, "all", "CCO", "hydroxyl")
    with pytest.raises(ValueError, match="sample 1 has no source_smiles"):
        scorer.score("CCO", Sample(id="1", prompt="?", answer="CCO", group="add"))
    with pytest.raises(ValueError, match="sample 1 has no group_a"):
        scorer.score("CCO", Sample(id="1", prompt="?", answer="CCO", group="add", context={"source_smiles": "CC"}))


def test_a_source_that_is_no_molecule() -> None:
    assert score("paper", "add", "CCO", "hydroxyl", source="C1").score == 0
    with pytest.raises(ValueError, match="source_smiles of sample 1"):
        score("honest", "add", "CCO", "hydroxyl", source="C1")


# References that the rule itself refuses: a carboxyl group for a hydroxyl leaves the count of OH unchanged.
BREAK_THE_RULE = {"77296f9e-81c8-4601-a3be-8d2ae3cc28b9", "04864b68-51b7-48b7-b521-0446aea76779"}
# A reference that moved the group: Tanimoto 0.267 to the source.
UNLIKE_THE_SOURCE = {"dcf93152-4fdc-498f-b038-88df9bafb1fa"}


@needs_data
@pytest.mark.parametrize("protocol", BOTH)
def test_references_are_right_but_for_known_ones(protocol: Protocol) -> None:
    wrong: set[str] = set()
    for line in (Path(DATA or "") / "chemcotbench" / "mol_edit.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        meta = json.loads(row["meta"])
        source = re.search(r"Input Molecule: ([^\s,]+)", row["query"])
        assert source
        group_a = meta.get("added_group") or meta["removed_group"]
        prediction = json.dumps({"output": meta["reference"]})
        result = score(protocol, row["subtask"], prediction, group_a, meta.get("removed_group", ""), source[1])
        assert result.parsed
        if result.score != 1:
            wrong.add(row["id"])
    assert wrong == (BREAK_THE_RULE if protocol == "paper" else BREAK_THE_RULE | UNLIKE_THE_SOURCE)
