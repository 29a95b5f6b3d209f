"""The scorer of reactions under both protocols."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from tasks import scoring
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
BOTH: list[Protocol] = ["honest", "paper"]
ESTER = "CCOC(C)=O"


def score(protocol: Protocol, group: str, prediction: str, answer: str, **context: Any) -> ItemScore:
    scorer = scoring.load({"name": "reaction", "protocol": protocol})
    return scorer.score(prediction, Sample(id="1", prompt="?", answer=answer, group=group, context=context))


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("group", "prediction", "answer", "expected"),
    [
        ("fs", '{"Major Product": "CC(=O)OCC"}', ESTER, 1),
        ("fs", '{"output": "CC(=O)OCC"}', ESTER, 1),
        ("fs", '{"answer": "CC(=O)OCC", "output": "C", "Major Product": "O"}', ESTER, 0),
        ("fs", '{"Major Product": "CC(=O)OCC", "Byproduct(s)": "O"}', '{"Major Product": "CCOC(C)=O"}', 1),
        ("fs", '"major product": "CC(=O)OCC",', ESTER, 1),
        ("fs", "CC(=O)OCC", ESTER, 1),
        ("fs", "It is CC(=O)OCC", ESTER, None),
        ("fs", '{"Major Product": "CC(=O)OC"}', ESTER, 0),
        ("fs", '{"Major Product": null, "output": "CC(=O)OCC"}', ESTER, None),
        ("fs", '{"Major Product": ["CC(=O)OCC"]}', ESTER, None),
        ("fs", '{"product": "CC(=O)OCC"}', ESTER, None),
        ("fs", '{"Major Product": "F[C@H](Cl)Br"}', "F[C@@H](Cl)Br", 0),
        ("fs", '{"Major Product": "C"}', "C1", 0),
        ("fs", "", ESTER, None),
        ("retro", '{"Reactants": "O.CCO"}', "CCO.O", 1),
        ("retro", '{"output": "OCC.O"}', "CCO.O", 1),
        ("retro", '"reactants" : "O.OCC"', "CCO.O", 1),
        ("retro", "O.CCO", "CCO.O", 1),
        ("retro", '{"Reactants": "CCO"}', "CCO.O", 0),
        ("retro", '{"Reactants": ["CCO", "O"]}', "CCO.O", None),
        ("retro", '{"reactants": "O.CCO"}', "CCO.O", None),
        ("rcr", '{"condition": "CCO"}', "cco", 1),
        ("rcr", '{"answer": " CCO "}', "CCO", 1),
        ("rcr", "CCO", "CCO", 1),
        ("rcr", '{"condition": "OCC"}', "CCO", 0),
        ("rcr", '"condition": "CCO"', "CCO", 0),
        ("rcr", '{"reagent": "CCO"}', "CCO", None),
        ("rcr", '{"condition": ""}', "CCO", None),
        ("nepp", '{"output": "OCC"}', "CCO", 1),
        ("nepp", '{"answer": "OCC"}', "CCO", 1),
        ("nepp", "OCC", "CCO", 1),
        ("nepp", '"output": "OCC"', "CCO", None),
        ("nepp", '{"product": "OCC"}', "CCO", None),
        ("nepp", '{"output": "[O-]CC"}', "CCO", 0),
        ("mechsel", '{"choice": "G"}', "G", 1),
        ("mechsel", '{"answer": "g"}', "G", 1),
        ("mechsel", '{"choice": "(g) because"}', "G", 1),
        ("mechsel", '{"choice": "Choice G"}', "G", 0),
        ("mechsel", '{"choice": ["G"]}', "g", 1),
        ("mechsel", 'So B "choice": "G",', "G", 1),
        ("mechsel", 'So B "choice": "g",', "B", 1),
        ("mechsel", 'So B "Choice": "G",', "B", 1),
        ("mechsel", '{"option": "G"}', "G", 1),
        ("mechsel", '{"choice": "", "option": "G"}', "G", 1),
        ("mechsel", '{"choice": 7, "option": "G"}', "G", None),
        ("mechsel", "I pick G", "I", 1),
        ("mechsel", "the best is g", "T", 1),
        ("mechsel", "G", "(G)", 1),
        ("mechsel", "7", "G", None),
    ],
)
def test_extraction_and_rule(
    protocol: Protocol, group: str, prediction: str, answer: str, expected: int | None
) -> None:
    result = score(protocol, group, prediction, answer)
    assert (result.score, result.parsed) == (expected or 0, expected is not None), result


@pytest.mark.parametrize(
    ("group", "prediction"),
    [
        ("rcr", '{"SMILES": "CCO"}'),
        ("rcr", '{"SMILES": "CCO", "condition": "O"}'),
        ("rcr", '"smiles": "CCO",'),
        ("nepp", '{"pred_smi": "OCC"}'),
        ("nepp", '{"output": "O", "pred_smi": "OCC"}'),
        ("nepp", '"pred_smi": "OCC",'),
    ],
)
def test_honest_reads_the_key_that_the_prompt_asks_for(group: str, prediction: str) -> None:
    assert score("honest", group, prediction, "CCO").score == 1
    assert score("paper", group, prediction, "CCO").score == 0


@pytest.mark.parametrize("reactants", [["CCO", "O"], "O.CCO", ["CCO.O"]])
def test_honest_compares_with_the_true_reactants(reactants: Any) -> None:
    glued = "CCOO"
    for prediction, honest, paper in (("OCC.O", 1, 0), ("O.OCC.O", 1, 0), ("CCOO", 0, 1), ("CCO", 0, 0)):
        text = json.dumps({"Reactants": prediction})
        assert score("honest", "retro", text, glued, reactants=reactants).score == honest
        assert score("paper", "retro", text, glued, reactants=reactants).score == paper


def test_honest_compares_with_the_true_product() -> None:
    text = '{"Major Product": "OCC.[Cl-]"}'
    assert score("honest", "fs", text, "[Cl-]CCO", product="[Cl-].CCO").score == 1
    assert score("paper", "fs", text, "[Cl-]CCO", product="[Cl-].CCO").score == 0
    assert score("honest", "fs", text, "[Cl-]CCO").score == 0


@pytest.mark.parametrize("protocol", BOTH)
def test_broken_sample_raises(protocol: Protocol) -> None:
    with pytest.raises(ValueError, match="unknown sub-task 'all'; known sub-tasks: fs, retro, rcr, nepp, mechsel"):
        score(protocol, "all", "CCO", "CCO")
    assert not score(protocol, "all", "", "CCO").parsed
    for group in ("fs", "retro", "rcr", "nepp", "mechsel"):
        with pytest.raises(ValueError, match="the reference of sample 1 is empty"):
            score(protocol, group, "CCO", "")


def test_true_molecules_that_are_none_raise() -> None:
    with pytest.raises(ValueError, match=r"reactants .* of sample 1 are no molecules"):
        score("honest", "retro", "CCO", "CCO", reactants=["CCO", "water"])


def test_molecules_without_inchi_are_not_all_equal() -> None:
    assert score("honest", "fs", "*CC", "*C").score == 0


def test_parses_any_subtask() -> None:
    scorer: Any = scoring.load("reaction")
    assert scorer.parses("G")
    assert not scorer.parses("G", "fs")
    assert not scorer.parses("")


# --- real rows

# A product glued to its counter-ion without a dot, so that the reference is no molecule.
NO_MOLECULE = "dbdbbbc6-ab98-4170-b416-4d7d7e781be6"


def rows(name: str, group: str) -> list[dict[str, Any]]:
    lines = (Path(DATA or "") / "chemcotbench" / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row.get("subtask", group) == group]


@needs_data
def test_forward_golds() -> None:
    for row in rows("reaction", "fs"):
        product = json.loads(row["meta"])["rxn_smiles"].split(">")[2]
        for protocol in BOTH:
            expected = row["id"] != NO_MOLECULE
            assert score(protocol, "fs", row["gt"], row["gt"]).score == expected, row["id"]
        text = json.dumps({"Major Product": product})
        assert score("honest", "fs", text, row["gt"], product=product).score == 1, row["id"]


@needs_data
def test_retro_golds() -> None:
    """Of 100 glued references 47 are molecules by accident, and 19 are the one reactant there is."""
    totals = {"glued": 0.0, "true": 0.0}
    for row in rows("reaction", "retro"):
        reactants = json.loads(row["meta"])["reactants"]
        true = json.dumps({"Reactants": ".".join(reversed(reactants))})
        assert score("honest", "retro", true, row["gt"], reactants=reactants).score == 1, row["id"]
        totals["true"] += score("paper", "retro", true, row["gt"], reactants=reactants).score
        totals["glued"] += score("paper", "retro", row["gt"], row["gt"]).score
    assert totals == {"glued": 47, "true": 19}


@needs_data
@pytest.mark.parametrize(
    ("name", "group", "asked", "read"),
    [
        ("reaction_rcr_partial", "rcr", "SMILES", "condition"),
        ("reaction_nepp_fields_only", "nepp", "pred_smi", "output"),
        ("reaction_nepp_partial", "nepp", "pred_smi", "output"),
        ("reaction_mechsel_fields_only", "mechsel", "choice", "choice"),
        ("reaction_mechsel_partial", "mechsel", "choice", "choice"),
    ],
)
def test_other_golds(name: str, group: str, asked: str, read: str) -> None:
    for row in rows(name, group):
        assert score("honest", group, json.dumps({asked: row["gt"]}), row["gt"]).score == 1, row["id"]
        assert score("paper", group, json.dumps({asked: row["gt"]}), row["gt"]).score == (asked == read), row["id"]
        assert score("paper", group, json.dumps({read: row["gt"]}), row["gt"]).score == 1, row["id"]
