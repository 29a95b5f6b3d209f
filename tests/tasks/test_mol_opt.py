"""The scorer of molecule optimisation under both protocols, and its oracles."""

import json
import os
import pickle
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from tasks import oracles, scoring
from tasks.failure import InputError
from tasks.molecules import molecule
from tasks.oracles import OracleAbsentError, oracle_value, present
from tasks.task import ItemScore, Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
BOTH: list[Protocol] = ["honest", "paper"]
SOURCE = "OCCc1ccccc1"


class Counting:
    """A classifier of a pickle: the probability grows with the sum of the features."""

    def predict_proba(self, rows: Any) -> Any:
        share = np.asarray(rows).sum() / 1000
        return np.array([[1 - share, share]])


def score(protocol: Protocol, group: str, prediction: str, source: str = SOURCE, **parameters: Any) -> ItemScore:
    scorer = scoring.load({"name": "mol_opt", "protocol": protocol, **parameters})
    context: Any = {"source_smiles": source}
    return scorer.score(prediction, Sample(id="1", prompt="?", answer="better", group=group, context=context))


# --- oracles


def test_penalised_logp() -> None:
    """Benzene: Crippen logP 1.6866, accessibility 1.0, a ring of six."""
    expected = (1.6866 - 2.4570953396) / 1.4343244011 + (-1 + 3.0525811293) / 0.8335207025 + 0.0485696876 / 0.286021211
    assert oracle_value("logp", molecule("c1ccccc1")) == pytest.approx(expected, abs=1e-4)
    ten, six = (oracle_value("logp", molecule(smiles)) or 0 for smiles in ("C1CCCCCCCCC1", "C1CCCCC1"))
    assert ten < six - 4 / 0.2860212110 + 5


def test_esol() -> None:
    """Benzene: logP 1.6866, weight 78.114, no rotatable bond, all atoms aromatic."""
    expected = 0.2612106614 - 0.7416739523 * 1.6866 - 0.0066138848 * 78.114 - 0.4262484044
    assert oracle_value("solubility", molecule("c1ccccc1")) == pytest.approx(expected, abs=1e-4)
    butane = 0.2612106614 - 0.7416739523 * 1.8064 - 0.0066138848 * 58.124 + 0.0034515456 * 1
    assert oracle_value("solubility", molecule("CCCC")) == pytest.approx(butane, abs=1e-4)


def test_qed_is_that_of_rdkit() -> None:
    assert oracle_value("qed", molecule("c1ccccc1")) == pytest.approx(0.4426, abs=1e-4)


@pytest.mark.parametrize("smiles", ["[Na+]", "*", "[H][H]", "[He]", "C.O"])
def test_odd_molecules_do_not_raise(smiles: str) -> None:
    for name in ("logp", "qed", "solubility"):
        value = oracle_value(name, molecule(smiles))
        assert value is None or np.isfinite(value)


def write_pickles(folder: Path) -> None:
    (folder / "drd2.pkl").write_bytes(pickle.dumps(Counting()))
    (folder / "jnk3_current.pkl").write_bytes(pickle.dumps(Counting()))


def test_present_oracles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "_has_tdc", lambda: False)
    folder = str(tmp_path)
    assert [name for name in oracles.ORACLES if present(name, folder)] == ["logp", "qed", "solubility"]
    write_pickles(tmp_path)
    assert [name for name in oracles.ORACLES if present(name, folder)] == ["logp", "qed", "solubility", "drd2", "jnk3"]
    assert not present("drd2")
    monkeypatch.setattr(oracles, "_has_tdc", lambda: True)
    assert all(map(present, oracles.ORACLES))
    assert not present("toxicity")


def test_pickles_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "_has_tdc", lambda: False)
    write_pickles(tmp_path)
    folder = str(tmp_path)
    assert oracle_value("drd2", molecule("CCO"), folder) == pytest.approx(6 / 1000)  # counted environments
    assert oracle_value("jnk3", molecule("CCO"), folder) == pytest.approx(6 / 1000)  # bits
    assert oracle_value("drd2", molecule("CCCCCC"), folder) != oracle_value("jnk3", molecule("CCCCCC"), folder)
    for protocol in BOTH:
        assert score(protocol, "drd", "CCCCCCc1ccccc1CCO", oracles=folder).score == 1
        assert score(protocol, "drd2", "C", oracles=folder).score == 0
    (tmp_path / "gsk3b.pkl").write_bytes(b"no pickle")
    with pytest.raises(InputError, match=r"gsk3b\.pkl is no classifier"):
        score("honest", "gsk", "CCO", oracles=folder)


def test_pytdc(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package gives a function of a SMILES; what it raises when it cannot download is named."""

    class Tdc(ModuleType):
        def Oracle(self, name: str) -> Any:
            if name == "jnk3":
                raise OSError("no route to host")
            return len

    monkeypatch.setitem(sys.modules, "tdc", Tdc("tdc"))
    monkeypatch.setattr(oracles, "_has_tdc", lambda: True)
    oracles._tdc.cache_clear()  # pyright: ignore[reportPrivateUsage]
    assert oracle_value("gsk3b", molecule("C(C)O")) == 3
    with pytest.raises(InputError, match="PyTDC cannot load the oracle jnk3: no route"):
        oracle_value("jnk3", molecule("CCO"))
    oracles._tdc.cache_clear()  # pyright: ignore[reportPrivateUsage]


# --- scores


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("group", "prediction", "expected"),
    [
        ("logp", "CCCCc1ccccc1", 1),
        ("logp", "OCC(O)c1ccccc1", 0),
        ("logp", SOURCE, 0),
        ("logp", "c1ccccc1CCO", 0),
        ("solubility", "OCCO", 1),
        ("solubility", "CCCCc1ccccc1", 0),
        ("qed", "CC(=O)Nc1ccc(OCCN2CCOCC2)cc1", 1),
        ("qed", "C", 0),
        ("logp", "c1ccccc", 0),
    ],
)
def test_rise(protocol: Protocol, group: str, prediction: str, expected: int) -> None:
    result = score(protocol, group, json.dumps({"Final Target Molecule": prediction}))
    assert result.score == expected
    assert result.parsed is (molecule(prediction) is not None)
    if result.parsed:
        assert (result.metrics["improvement"] > 1e-9) is (expected == 1)


@pytest.mark.parametrize("protocol", BOTH)
@pytest.mark.parametrize(
    ("prediction", "read"),
    [
        ('{"Final Target Molecule": "CCCCC"}', "CCCCC"),
        ('{"Final_Target_Molecule": "CCCCC"}', "CCCCC"),
        ('{"output": "CCCCC", "answer": "C"}', "CCCCC"),
        ('{"answer": "CCCCC"}', "CCCCC"),
        ('{"Final Target Molecule": "", "output": null, "answer": "CCCCC"}', "CCCCC"),
        ('{"output": "C", "Final_Target_Molecule": "CCCCC"}', "CCCCC"),
        ('{"Final Target Molecule": "CCCCC",}', "CCCCC"),
        ('"final target molecule": "CCCCC"', "CCCCC"),
        ('{"Final Target Molecule": "", "output": ""}', None),
        ('{"molecule": "CCCCCC"}', None),
        ('{"mol": "CCCCCC"}', "CCCCCC"),
        ("I add CCCCC to it", "CCCCC"),
        ("CCO", "CCO"),
        ("better", None),
        ("", None),
    ],
)
def test_extraction(protocol: Protocol, prediction: str, read: str | None) -> None:
    result = score(protocol, "logp", prediction)
    assert (result.extracted, result.parsed, result.metrics["valid"]) == (read, read is not None, read is not None)


def test_metrics() -> None:
    far = score("honest", "logp", "CCCCCCc1ccccc1").metrics
    assert far["valid"] == far["best"] == far["scaffold_match"] == 1
    assert far["improvement"] > 0.5
    near = score("honest", "qed", "C=CCc1ccccc1").metrics
    assert near["best"] == 0
    assert score("honest", "logp", "CCCCCC").metrics["scaffold_match"] == 0
    assert score("honest", "logp", "C1").metrics == {"valid": 0}


def test_absent_oracle_raises_under_honest_and_scores_nothing_under_paper(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oracles, "_has_tdc", lambda: False)
    for group in ("drd", "gsk", "jnk"):
        with pytest.raises(OracleAbsentError, match="is absent: pip install PyTDC, or name a folder"):
            score("honest", group, "CCCCC")
        result = score("paper", group, "CCCCC")
        assert (result.score, result.parsed, result.metrics) == (0, True, {"valid": 1, "scaffold_match": 0})
        assert score("honest", group, "").score == 0


def test_source() -> None:
    scorer = scoring.load("mol_opt")
    alone = Sample(id="1", prompt="?", answer=SOURCE, group="logp")
    assert scorer.score("CCCCc1ccccc1", alone).score == 1  # the reference answer is the source
    with pytest.raises(ValueError, match="sample 1 has neither source_smiles"):
        scorer.score("CCO", alone.model_copy(update={"answer": ""}))
    with pytest.raises(ValueError, match="unknown sub-task 'all'; known sub-tasks: logp, qed, solubility, drd"):
        scorer.score("CCO", alone.model_copy(update={"group": "all"}))
    with pytest.raises(ValueError, match="the source 'C1' of sample 1 is no molecule"):
        score("honest", "logp", "CCO", source="C1")
    assert score("paper", "logp", "CCO", source="C1").score == 0


@needs_data
@pytest.mark.parametrize("protocol", BOTH)
def test_every_source_has_a_value_and_does_not_improve_on_itself(protocol: Protocol) -> None:
    for line in (Path(DATA or "") / "chemcotbench" / "mol_opt.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["subtask"] in ("logp", "qed", "solubility"):
            source = json.loads(row["meta"])["src_smiles"]
            result = score(protocol, row["subtask"], json.dumps({"Final Target Molecule": source}), source)
            assert (result.score, result.metrics["improvement"], result.parsed) == (0, 0, True), row["id"]
