"""Questions that are made of molecules: their answers are right by the benchmark's own scorers."""

import json
import random
from typing import Any

import pytest

from tasks import scoring
from tasks.molecule_items import GROUPS, MAKERS, PROPERTIES, fragments, made, ring_systems
from tasks.molecules import molecule
from tasks.task import Sample

MOLECULES = (
    "CC(=O)Oc1ccccc1C(=O)O",
    "CCOC(=O)c1ccc(N)cc1",
    "Cn1cnc2c1c(=O)n(C)c(=O)n2C",
    "CC(C)Cc1ccc(cc1)C(C)C(=O)O",
    "O=C1CCCN1CC#CCN1CCCC1",
    "Clc1ccc2nccc(NCCO)c2c1",
)
READING = ("fg_count", "ring_count", "Murcko_scaffold", "ring_system_scaffold", "equivalence")


def scorer_of(kind: str) -> Any:
    name = "mol_und" if kind in READING else "mol_opt" if kind in PROPERTIES else "mol_edit"
    return scoring.load(name)


def items(kind: str, seed: int = 0) -> list[dict[str, Any]]:
    streams = ((smiles, random.Random(f"{seed}{smiles}{n}")) for smiles in MOLECULES for n in range(9))
    return [fields for smiles, rng in streams if (fields := made(kind, smiles, rng, MOLECULES))]


@pytest.mark.parametrize("kind", MAKERS)
def test_the_answer_is_right(kind: str) -> None:
    """By the scorer of the sub-task; references are bare values where the benchmark has them."""
    scorer, found = scorer_of(kind), items(kind)
    assert len(found) > 10
    for fields in found:
        (value,) = json.loads(fields["answer"]).values()
        context = {"source_smiles": fields["molecule"], **{name: fields[name] for name in ("group_a", "group_b")}}
        sample = Sample(id="1", prompt="?", answer=str(value), group=kind, context=context)
        assert scorer.score(fields["answer"], sample).score == 1, fields
        assert scoring.parses(scorer, fields["answer"])
        assert fields["subtask"] == kind


@pytest.mark.parametrize("kind", ["ring_system_scaffold", "equivalence"])
def test_both_answers_occur(kind: str) -> None:
    assert {json.loads(fields["answer"])["output"] for fields in items(kind)} == {"Yes", "No"}


def test_counts_vary() -> None:
    assert len({fields["answer"] for fields in items("fg_count")}) > 2
    assert len(fragments()) > 30


def test_equal_streams_make_equal_questions() -> None:
    assert [items(kind) for kind in MAKERS] == [items(kind) for kind in MAKERS]
    assert items("sub", seed=1) != items("sub")


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("smiles", ["", "no molecule", "C", "[Na+]", "C" * 5000])
def test_what_lends_itself_to_nothing_gives_nothing_or_a_question(kind: str, smiles: str) -> None:
    fields = made(kind, smiles, random.Random(0), MOLECULES)
    assert fields is None or fields["molecule"]


def test_rings_that_share_atoms_are_one_system() -> None:
    naphthalene_and_benzene = molecule("c1ccc2cc(-c3ccccc3)ccc2c1")
    assert sorted(len(system) for system in ring_systems(naphthalene_and_benzene)) == [6, 10]


def test_every_group_can_be_added() -> None:
    added = {fields["group_a"] for n in range(12) for fields in items("add", seed=n)}
    assert added == set(GROUPS)
