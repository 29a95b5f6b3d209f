"""Exactly labelled questions about molecules, made of nothing but their SMILES: RDKit knows the answers.

A maker takes a molecule, a random stream and other molecules, and returns the fields of a question with its `answer` as
the task wants it written (`tasks/chemistry.py`), or None where the molecule does not lend itself to it. Counts,
scaffolds and comparisons are RDKit's; edits put one of a dozen groups on a free position and are checked by the
benchmark's own counting rule; optimisations are two molecules that differ in one group and their computed property.
"""

import json
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.functional_groups import count_group, count_matches
from tasks.molecules import canonical, molecule, murcko_scaffold, rdkit, same_molecule
from tasks.oracles import oracle_value

Fields = dict[str, Any]
Maker = Callable[[Any, random.Random, Sequence[str]], Fields | None]

GROUPS = {
    "aldehyde": "C=O",
    "hydroxyl": "O",
    "carboxyl": "C(=O)O",
    "halo": "Cl",
    "nitrile": "C#N",
    "nitro": "[N+](=O)[O-]",
    "thiol": "S",
    "amine": "N",
    "amide": "C(N)=O",
    "benzene_ring": "c1ccccc1",
}
"""What is put in place of a hydrogen for each group that the benchmark edits."""
SUBSTITUENTS = ("C", "CC", "F", "Cl", "Br", "OC", "O", "N", "C#N", "C(F)(F)F", "C(=O)O", "C(N)=O", "S(C)(=O)=O")
PROPERTIES = {
    "logp": "lipophilicity (logP)",
    "qed": "drug-likeness (QED)",
    "solubility": "solubility in water",
}
"""Objectives whose oracle needs nothing but RDKit, in words."""
RISE = {"logp": 0.3, "qed": 0.03, "solubility": 0.3}
"""By how much an optimisation must rise to be worth showing."""
_ELEMENTS = {9: 17, 17: 35, 35: 9, 8: 16, 16: 8}
"""Atoms that a different molecule has instead: halogens for one another, oxygen for sulphur."""


def made(kind: str, smiles: str, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """A question of a kind about a molecule; None when none can be made.

    Raises:
        KeyError: there is no such kind.
    """
    maker = MAKERS[kind]
    found = molecule(smiles)
    fields = maker(found, rng, others) if found is not None else None
    return None if fields is None else {**_EMPTY, "subtask": kind, **fields}


_EMPTY = dict.fromkeys(("molecule", "fragment", "ring", "other", "group_a", "group_b", "property"), "")


def fg_count(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """A fragment of RDKit's list of functional groups: mostly one that occurs."""
    known = fragments()
    counts = {name: count_matches(mol, smarts) for name, smarts in known}
    there = [name for name, count in counts.items() if count]
    name = rng.choice(there) if there and rng.random() < 0.8 else rng.choice([name for name, _ in known])
    return {"molecule": canonical(mol), "fragment": name, "answer": json.dumps({"count": counts[name]})}


def ring_count(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """A ring of the molecule, and how often it is there."""
    rings = mol.GetRingInfo().AtomRings()
    if not rings:
        return None
    ring = _part(mol, rng.choice(rings))
    if ring is None:
        return None
    count = len(mol.GetSubstructMatches(ring))
    return {"molecule": canonical(mol), "ring": canonical(ring), "answer": json.dumps({"count": count})}


def murcko(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """The Murcko scaffold, where it is not the molecule itself."""
    scaffold, whole = murcko_scaffold(mol), canonical(mol)
    if not scaffold or scaffold == whole:
        return None
    return {"molecule": whole, "answer": json.dumps({"Output Scaffold": scaffold})}


def ring_system(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """A ring system of this molecule or of another one."""
    inside = rng.random() < 0.5
    source = mol if inside else molecule(rng.choice(others))
    systems = ring_systems(source) if source is not None else []
    part = _part(source, rng.choice(systems)) if systems else None
    if part is None:
        return None
    answer = "Yes" if mol.HasSubstructMatch(part) else "No"
    return {"molecule": canonical(mol), "ring": canonical(part), "answer": json.dumps({"output": answer})}


def equivalence(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """The same molecule written otherwise, or one that differs in an atom."""
    same = rng.random() < 0.5
    second = mol if same else _other_atom(mol, rng)
    if second is None or same_molecule(mol, second) is not same:
        return None
    written = str(rdkit("Chem").MolToRandomSmilesVect(second, 1, rng.randrange(2**31))[0])
    return {"molecule": canonical(mol), "other": written, "answer": json.dumps({"output": "Yes" if same else "No"})}


def add(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """The molecule, and the same with one group more."""
    group, place = rng.choice(list(GROUPS)), _free(mol, rng)
    after = _with(mol, place, GROUPS[group])
    if after is None or count_group(after, group) != count_group(mol, group) + 1:
        return None
    return {"molecule": canonical(mol), "group_a": group, "answer": json.dumps({"output": canonical(after)})}


def delete(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """The molecule with one group more, and without it."""
    found = add(mol, rng, others)
    if found is None:
        return None
    before, after = found["molecule"], json.loads(found["answer"])["output"]
    return {"molecule": after, "group_a": found["group_a"], "answer": json.dumps({"output": before})}


def substitute(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
    """The molecule with one group, and with another one in its place."""
    (old, new), place = rng.sample(list(GROUPS), 2), _free(mol, rng)
    before, after = _with(mol, place, GROUPS[old]), _with(mol, place, GROUPS[new])
    if before is None or after is None:
        return None
    removed = count_group(after, old) == count_group(before, old) - 1
    added = count_group(after, new) == count_group(before, new) + 1
    if not removed or not added:
        return None
    return {"molecule": canonical(before), "group_b": old, "group_a": new,
            "answer": json.dumps({"output": canonical(after)})}  # fmt: skip


def _raise(objective: str) -> Maker:
    def raised(mol: Any, rng: random.Random, others: Sequence[str]) -> Fields | None:
        """Two molecules that differ in a substituent, the one with the lower property first."""
        place = _free(mol, rng)
        pair = [_with(mol, place, part) for part in rng.sample(SUBSTITUENTS, 2)]
        values = [oracle_value(objective, one) if one is not None else None for one in pair]
        if values[0] is None or values[1] is None or abs(values[0] - values[1]) < RISE[objective]:
            return None
        low, high = (pair[0], pair[1]) if values[0] < values[1] else (pair[1], pair[0])
        answer = json.dumps({"Final Target Molecule": canonical(high)})
        return {"molecule": canonical(low), "property": PROPERTIES[objective], "answer": answer}

    return raised


MAKERS: dict[str, Maker] = {
    "fg_count": fg_count,
    "ring_count": ring_count,
    "Murcko_scaffold": murcko,
    "ring_system_scaffold": ring_system,
    "equivalence": equivalence,
    "add": add,
    "delete": delete,
    "sub": substitute,
    **{objective: _raise(objective) for objective in PROPERTIES},
}
"""By sub-task."""


@lru_cache(maxsize=1)
def fragments() -> tuple[tuple[str, str], ...]:
    """Names and SMARTS of the functional groups that come with RDKit (`Data/FunctionalGroups.txt`)."""
    path = Path(rdkit("RDConfig").RDDataDir, "FunctionalGroups.txt")
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("//")]
    parts = [[part.strip() for part in line.split("\t") if part.strip()] for line in lines]
    return tuple((part[2], part[1]) for part in parts if len(part) == 3)


def ring_systems(mol: Any) -> list[tuple[int, ...]]:
    """Atoms of each set of rings that share atoms."""
    systems: list[set[int]] = []
    for ring in mol.GetRingInfo().AtomRings():
        joined = [system for system in systems if system & set(ring)]
        systems = [system for system in systems if system not in joined]
        systems.append(set(ring).union(*joined))
    return [tuple(sorted(system)) for system in systems]


def _part(mol: Any, atoms: Sequence[int]) -> Any | None:
    """Some atoms of a molecule as a molecule of their own; None where they are none (a broken aromatic ring)."""
    return molecule(str(rdkit("Chem").MolFragmentToSmiles(mol, atomsToUse=list(atoms))))


def _free(mol: Any, rng: random.Random) -> int | None:
    """A carbon atom with a hydrogen."""
    places = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 6 and atom.GetTotalNumHs()]
    return rng.choice(places) if places else None


def _with(mol: Any, place: int | None, part: str) -> Any | None:
    """The molecule with a part in place of a hydrogen; None where chemistry does not allow it."""
    if place is None:
        return None
    chem = rdkit("Chem")
    joined = chem.RWMol(chem.CombineMols(mol, molecule(part)))
    joined.AddBond(place, mol.GetNumAtoms(), chem.BondType.SINGLE)
    atom = joined.GetAtomWithIdx(place)
    if atom.GetNoImplicit() and atom.GetNumExplicitHs():
        atom.SetNumExplicitHs(atom.GetNumExplicitHs() - 1)
    return molecule(str(chem.MolToSmiles(joined)))


def _other_atom(mol: Any, rng: random.Random) -> Any | None:
    """The molecule with another element at one place."""
    chem = rdkit("Chem")
    places = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() in _ELEMENTS and not atom.GetIsAromatic()]
    if not places:
        place = _free(mol, rng)
        return _with(mol, place, "C")
    changed = chem.RWMol(mol)
    atom = changed.GetAtomWithIdx(rng.choice(places))
    atom.SetAtomicNum(_ELEMENTS[atom.GetAtomicNum()])
    return molecule(str(chem.MolToSmiles(changed)))
