"""Rows about what an item is about, in other forms, that share nothing else with it."""

import json
import random
from collections.abc import Callable

from tasks import molecules
from tasks.decontaminate import Content
from tasks.task import Sample

Form = Callable[[Sample], Content | None]
"""A row about what the item is about; None when it is about nothing of the kind."""
_COLUMNS = 5


def other_atom_order(item: Sample) -> Content | None:
    """Another SMILES of the molecule that is to be changed."""
    found = molecules.molecule(str(item.context.get("source_smiles", "")))
    if found is None:
        return None
    smiles = molecules.rdkit("Chem").MolToRandomSmilesVect(found, 1, randomSeed=7)[0]
    return _row(f"Name the rings of {smiles}.")


def no_stereochemistry(item: Sample) -> Content | None:
    """A SMILES of it without stereochemistry, as the product of a reaction."""
    found = molecules.molecule(str(item.context.get("source_smiles", "")))
    if found is None:
        return None
    smiles = molecules.rdkit("Chem").MolToSmiles(found, isomericSmiles=False)
    return _row(f"Which step is this: CCO>>{smiles}?")


def shuffled_cells(item: Sample) -> Content | None:
    """All cells of the table in another order, in Markdown."""
    return _cells(item, 1.0)


def most_cells(item: Sample) -> Content | None:
    """Nine tenths of the cells."""
    return _cells(item, 0.9)


def given_cells(item: Sample) -> Content | None:
    """A row over a table with nine tenths of its cells that says so."""
    named = _named(item, "table")
    if not named:
        return None
    cells = json.dumps(_chosen(named, 0.9))
    return Content(question="Describe the table.", answer="any", identities=(f"table:{cells}",))


def written_number(item: Sample) -> Content | None:
    """The application's number as offices write it."""
    number = _named(item, "application")
    return _row(f"Is claim 1 of {number[:2]}/{number[2:5]},{number[5:]} allowable?") if number else None


def _cells(item: Sample, part: float) -> Content | None:
    named = _named(item, "table")
    if not named:
        return None
    chosen = _chosen(named, part)
    lines = [" | ".join(chosen[start : start + _COLUMNS]) for start in range(0, len(chosen), _COLUMNS)]
    return _row("Describe this table.\n" + "\n".join(f"| {line} |" for line in lines))


def _chosen(named: str, part: float) -> list[str]:
    cells: list[str] = json.loads(named)
    return random.Random(named).sample(cells, max(1, round(part * len(cells))))


def _row(text: str) -> Content:
    return Content(question=text, answer="any")


def _named(item: Sample, kind: str) -> str:
    return next((name.partition(":")[2] for name in item.identities if name.startswith(f"{kind}:")), "")


FORMS: dict[str, Form] = {
    "SMILES with its atoms in another order": other_atom_order,
    "SMILES without stereochemistry, in a reaction": no_stereochemistry,
    "table, nine tenths of its cells, given as such": given_cells,
    "table in a text, its cells in another order": shuffled_cells,
    "table in a text, nine tenths of its cells": most_cells,
    "application number as 14/704,145": written_number,
}
