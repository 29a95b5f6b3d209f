"""The six properties that ChemCoTBench optimises molecules for, as functions of a molecule.

`logp` (penalised), `qed` and `solubility` are computed by RDKit. `drd2`, `gsk3b` and `jnk3` are classifiers of the
Therapeutics Data Commons (https://tdcommons.ai); they are present where a folder holds their pickles, or PyTDC is
installed (it downloads them at the first use).
"""

import importlib.util
import pickle
import threading
from functools import lru_cache
from pathlib import Path
from typing import Any

from tasks.failure import InputError
from tasks.molecules import canonical, rdkit

CLASSIFIERS = ("drd2", "gsk3b", "jnk3")
"""Oracles that need files."""
ORACLES = ("logp", "qed", "solubility", *CLASSIFIERS)

_lock = threading.Lock()


class OracleAbsentError(ValueError):
    """An oracle that needs files is asked where there are none; the message says what to install."""


def present(name: str, folder: str | None = None) -> bool:
    """Whether the oracle can be asked here, given a folder with pickles or None."""
    return name in ORACLES and (name not in CLASSIFIERS or _pickle_of(name, folder) is not None or _has_tdc())


def oracle_value(name: str, mol: Any, folder: str | None = None) -> float | None:
    """The property of a molecule, larger is better; None when it is not defined for this molecule.

    Raises:
        OracleAbsentError: its files are absent.
        InputError: its file cannot be read.
        KeyError: `ORACLES` has no such name.
    """
    if name in CLASSIFIERS:
        return _activity(name, mol, folder)
    computed = {"logp": penalised_logp, "qed": drug_likeness, "solubility": esol}[name]
    try:
        return computed(mol)
    except (ValueError, RuntimeError, ArithmeticError, TypeError):  # RDKit gives no descriptor for this molecule
        return None


def penalised_logp(mol: Any) -> float:
    """Crippen logP minus synthetic accessibility minus long rings, each normalised on ZINC.

    Formula: Gomez-Bombarelli et al. 2018 with the constants of You et al. 2018 (arXiv 1806.02473). The accessibility
    (Ertl and Schuffenhauer 2009) comes from RDKit's Contrib folder.
    """
    logp = rdkit("Chem.Crippen").MolLogP(mol)
    accessibility = _sa_score().calculateScore(mol)
    largest = max((len(ring) for ring in mol.GetRingInfo().AtomRings()), default=0)
    return float(
        (logp - 2.4570953396) / 1.4343244011
        + (-accessibility + 3.0525811293) / 0.8335207025
        + (-max(0, largest - 6) + 0.0485696876) / 0.2860212110
    )


def drug_likeness(mol: Any) -> float:
    """QED, from 0 to 1 (Bickerton et al. 2012)."""
    return float(rdkit("Chem.QED").qed(mol))


def esol(mol: Any) -> float:
    """Logarithm of the solubility in water, in mol/l (form: Delaney 2004; coefficients: ChemCoTBench)."""
    aromatic = sum(atom.GetIsAromatic() for atom in mol.GetAtoms()) / mol.GetNumAtoms()
    return float(
        0.2612106614
        - 0.7416739523 * rdkit("Chem.Crippen").MolLogP(mol)
        - 0.0066138848 * rdkit("Chem.Descriptors").MolWt(mol)
        + 0.0034515456 * rdkit("Chem.Lipinski").NumRotatableBonds(mol)
        - 0.4262484044 * aromatic
    )


@lru_cache(maxsize=1)
def _sa_score() -> Any:
    """RDKit ships the module outside its package; it reads 4 MB of fragment scores at the first use."""
    path = Path(rdkit("RDConfig").RDContribDir) / "SA_Score" / "sascorer.py"
    spec = importlib.util.spec_from_file_location("sascorer", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise InputError(f"RDKit lacks {path}: pip install --force-reinstall rdkit")
    with _lock:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.readFragmentScores()
    return module


def _activity(name: str, mol: Any, folder: str | None) -> float:
    path = _pickle_of(name, folder)
    if path is not None:
        return float(_classifier(path).predict_proba(_features(name, mol))[0][1])
    if not _has_tdc():
        raise OracleAbsentError(
            f"the oracle {name} is absent: pip install PyTDC, or name a folder that holds {name}.pkl "
            f"(present: {', '.join(name for name in ORACLES if present(name, folder))})"
        )
    return float(_tdc(name)(canonical(mol)))


def _pickle_of(name: str, folder: str | None) -> Path | None:
    if folder is None:
        return None
    paths = [Path(folder) / f"{name}{suffix}.pkl" for suffix in ("", "_current")]
    return next((path for path in paths if path.is_file()), None)


def _features(name: str, mol: Any) -> Any:
    """One row of 2,048 numbers: what the classifiers were trained on."""
    import numpy as np

    fingerprints = rdkit("Chem.rdFingerprintGenerator")
    if name != "drd2":
        return fingerprints.GetMorganGenerator(radius=2, fpSize=2048).GetFingerprintAsNumPy(mol).reshape(1, -1)
    kinds = fingerprints.GetMorganFeatureAtomInvGen()
    counts = fingerprints.GetMorganGenerator(radius=3, atomInvariantsGenerator=kinds).GetSparseCountFingerprint(mol)
    row = np.zeros((1, 2048), dtype=np.int32)
    for bit, count in counts.GetNonzeroElements().items():
        row[0, bit % 2048] += count
    return row


@lru_cache(maxsize=8)
def _classifier(path: Path) -> Any:
    """A pickle runs code when it is loaded: the folder is one that the user named and trusts."""
    try:
        with path.open("rb") as file:
            return pickle.load(file)
    except Exception as error:  # whatever a pickle of another scikit-learn raises; named for the user
        raise InputError(f"{path} is no classifier that can be loaded here: {error}") from error


def _has_tdc() -> bool:
    return importlib.util.find_spec("tdc") is not None


@lru_cache(maxsize=8)
def _tdc(name: str) -> Any:
    try:
        return importlib.import_module("tdc").Oracle(name=name)
    except Exception as error:  # it downloads, unpickles and imports much; named for the user
        raise InputError(f"PyTDC cannot load the oracle {name}: {error}") from error
