"""The data step that makes questions of molecules, and the practitioner that uses it."""

import json

import pytest

from roles.data_steps.format import Format
from roles.data_steps.molecule_items import MoleculeItems
from roles.data_steps.row import DataRow, StepContext
from tasks import scoring
from tasks.catalogue import find_task
from tasks.failure import InputError

SMILES = ("CC(=O)Oc1ccccc1C(=O)O", "CCOC(=O)c1ccc(N)cc1", "CC(C)Cc1ccc(cc1)C(C)C(=O)O", "no molecule", "")
TASK = find_task("chemistry_mol_und")
CONTEXT = StepContext(task=TASK, seed=0)


def rows() -> list[DataRow]:
    made = [DataRow(source="m", row=n, fields={"smiles": smiles}) for n, smiles in enumerate(SMILES, start=1)]
    return [*made, DataRow(source="other", row=1, fields={"text": "stays"})]


def test_molecules_become_questions_of_each_kind_in_turn() -> None:
    step = MoleculeItems(source="m", kinds=("fg_count", "equivalence"))
    kept, removed, _ = step.apply(rows(), CONTEXT)
    assert [row.fields.get("subtask") for row in kept] == [None, "fg_count", "equivalence", "fg_count"]
    assert removed == {"no question can be made": 2}
    assert step.apply(rows(), CONTEXT).rows == kept
    assert MoleculeItems(source="m", kinds=("add",), rows=1).apply(rows(), CONTEXT).removed["more than wanted"] == 4


def test_formatted_questions_look_like_the_benchmark() -> None:
    kept = MoleculeItems(source="m", kinds=("ring_count", "Murcko_scaffold")).apply(rows(), CONTEXT).rows
    formatted = Format(source="m", answer="{{ answer }}").apply(kept, CONTEXT).rows
    scorer = scoring.load(TASK.scorer)
    for row in formatted[1:]:
        assert row.fields["task_format"]
        assert row.fields["molecule"] in row.fields["prompt"]
        assert scoring.parses(scorer, row.fields["answer"])
        assert json.loads(row.fields["answer"])


def test_wrong_parameters_are_named() -> None:
    with pytest.raises(InputError, match=r"unknown kinds boil; known: fg_count"):
        MoleculeItems(source="m", kinds=("boil",)).apply(rows(), CONTEXT)
    with pytest.raises(InputError, match="no row is of source 'n'"):
        MoleculeItems(source="n", kinds=("add",)).apply(rows(), CONTEXT)
    with pytest.raises(InputError, match="no row has the field 'inchi'"):
        MoleculeItems(source="m", field="inchi", kinds=("add",)).apply(rows(), CONTEXT)
