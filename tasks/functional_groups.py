"""The 20 functional groups that ChemCoTBench edits, as SMARTS, and how often a molecule holds one.

Source: `baseline_and_eval/eval/eval_moledit.py` of https://github.com/IDEA-XL/ChemCoTBench (CC BY 4.0).
"""

from functools import lru_cache
from typing import Any

from tasks.molecules import rdkit

SMARTS = {
    "benzene": "[cR1]1[cR1][cR1][cR1][cR1][cR1]1",
    "benzene_ring": "[cR1]1[cR1][cR1][cR1][cR1][cR1]1",
    "hydroxyl": "[OX2H]",
    "aldehyde": "[CX3H1](=O)[#6]",
    "ketone": "[#6][CX3](=O)[#6]",
    "carboxyl": "[CX3](=O)[OX2H1]",
    "ester": "[#6][CX3](=O)[OX2H0][#6]",
    "anhydride": "[CX3](=[OX1])[OX2][CX3](=[OX1])",
    "amine": "[NX3;H2,H1;!$(NC=O)]",
    "amide": "[NX3][CX3](=[OX1])[#6]",
    "nitro": "[$([NX3](=O)=O),$([NX3+](=O)[O-])][!#8]",
    "halo": "[F,Cl,Br,I]",
    "thiol": "[#16X2H]",
    "thioether": "[SX2][CX4]",
    "disulfide": "[#16X2H0][#16X2H0]",
    "sulfoxide": "[$([#16X3]=[OX1]),$([#16X3+][OX1-])]",
    "sulfone": "[$([#16X4](=[OX1])=[OX1]),$([#16X4+2]([OX1-])[OX1-])]",
    "sulfide": "[#16X2H0]",
    "nitrile": "[NX1]#[CX2]",
    "borane": "[BX3]",
}
"""Name to pattern. Fused rings are no `benzene`; `sulfide` is counted without the disulfides."""


def count_matches(mol: Any, smarts: str) -> int:
    """How many different sets of atoms of the molecule match the pattern."""
    return len(mol.GetSubstructMatches(_pattern(smarts)))


def count_group(mol: Any, group: str) -> int:
    """How many of the functional group the molecule holds.

    Raises:
        KeyError: `SMARTS` has no such group.
    """
    count = count_matches(mol, SMARTS[group])
    return count - count_matches(mol, SMARTS["disulfide"]) if group == "sulfide" else count


@lru_cache(maxsize=256)
def _pattern(smarts: str) -> Any:
    pattern = rdkit("Chem").MolFromSmarts(smarts)
    if pattern is None:
        raise ValueError(f"{smarts!r} is no SMARTS pattern")
    return pattern
