"""Molecules as RDKit sees them: parsing, identity, similarity, scaffolds (https://www.rdkit.org).

RDKit is imported at the first call, with its log silenced.
"""

import importlib
import re
from functools import lru_cache
from typing import Any

from tasks.failure import InputError

MAX_SMILES = 1000
"""Characters of a SMILES; a longer one is no molecule, so that no answer keeps RDKit busy for long."""

_BLANK = re.compile(r"[ \t\n]")


@lru_cache(maxsize=32)
def rdkit(module: str) -> Any:
    """The module `rdkit.<module>`.

    Raises:
        InputError: RDKit is not installed.
    """
    try:
        importlib.import_module("rdkit.RDLogger").DisableLog("rdApp.*")
        return importlib.import_module(f"rdkit.{module}")
    except ImportError:
        raise InputError("molecules need the package rdkit: pip install 'ft-dojo[chemistry]'") from None


@lru_cache(maxsize=4096)
def molecule(smiles: str) -> Any | None:
    """The RDKit molecule; None for text that is no SMILES, has no atom or is longer than `MAX_SMILES`.

    RDKit reads what follows the first blank as a name: `CCO is alcohol` is ethanol. Callers must not change the
    molecule, which they share.
    """
    text = smiles.strip()
    first, *rest = _BLANK.split(text, maxsplit=1)
    if not first or len(first) > MAX_SMILES:
        return None
    if rest and len(text) > MAX_SMILES:
        if rest[0].lstrip().startswith("|"):  # ChemAxon extensions would be parsed too
            return None
        text = first
    chem = rdkit("Chem")
    try:
        found = chem.MolFromSmiles(text)
    except (ValueError, RuntimeError):  # half of a surrogate pair; an invariant of RDKit that does not hold
        return None
    return found if found is not None and found.GetNumAtoms() else None


def valid(smiles: str) -> bool:
    """Whether the text is a molecule."""
    return molecule(smiles) is not None


def canonical(mol: Any) -> str:
    """RDKit's canonical SMILES, with stereochemistry."""
    return str(rdkit("Chem").MolToSmiles(mol))


def inchi(mol: Any) -> str:
    """The standard InChI; empty when the InChI library refuses the molecule (a wildcard atom, over 1,024 atoms)."""
    return str(rdkit("Chem").MolToInchi(mol))


def same_molecule(first: Any, second: Any) -> bool:
    """Equal InChI; two molecules without one are compared by canonical SMILES."""
    one, other = inchi(first), inchi(second)
    return one == other and (bool(one) or canonical(first) == canonical(second))


def components(mol: Any) -> frozenset[str]:
    """The InChI (canonical SMILES where there is none) of each molecule of a mixture such as `CCO.O`."""
    return frozenset(inchi(part) or canonical(part) for part in rdkit("Chem").GetMolFrags(mol, asMols=True))


def tanimoto(first: Any, second: Any) -> float:
    """Similarity from 0 to 1 of two Morgan fingerprints of radius 2 and 1,024 bits (Rogers and Hahn 2010)."""
    generator = _morgan()
    similarity = rdkit("DataStructs").TanimotoSimilarity
    return float(similarity(generator.GetFingerprint(first), generator.GetFingerprint(second)))


@lru_cache(maxsize=1)
def _morgan() -> Any:
    return rdkit("Chem.rdFingerprintGenerator").GetMorganGenerator(radius=2, fpSize=1024)


def murcko_scaffold(mol: Any) -> str:
    """SMILES of the ring systems and what links them (Bemis and Murcko 1996); empty for a molecule without rings."""
    if not mol.GetRingInfo().NumRings():  # RDKit's answer too, but it takes its time over long chains
        return ""
    return str(rdkit("Chem.Scaffolds.MurckoScaffold").MurckoScaffoldSmiles(mol=mol))


def identity(smiles: str) -> tuple[str, str] | None:
    """InChI key and Murcko scaffold, by which decontamination compares molecules; None for what is no molecule.

    A molecule that has no InChI is named by its canonical SMILES instead.
    """
    found = molecule(smiles)
    if found is None:
        return None
    return str(rdkit("Chem").MolToInchiKey(found)) or canonical(found), murcko_scaffold(found)
