"""Molecules, functional groups, and how answers to chemistry prompts are read."""

import subprocess
import sys
import time

import pytest

from tasks import molecules
from tasks.chemistry_answers import answer_body, json_object, longest_run, quoted
from tasks.failure import InputError
from tasks.functional_groups import SMARTS, count_group, count_matches
from tasks.molecules import MAX_SMILES, components, identity, inchi, molecule, murcko_scaffold, same_molecule, tanimoto
from tasks.task import Protocol


def test_importing_the_scorers_loads_no_rdkit() -> None:
    code = (
        "import sys\n"
        "from tasks import molecules, functional_groups, oracles, scoring\n"
        "for name in ('mol_und', 'mol_edit', 'mol_opt', 'reaction'): scoring.load(name)\n"
        "print('rdkit' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_missing_rdkit_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("rdkit", "rdkit.RDLogger", "rdkit.Chem"):
        monkeypatch.setitem(sys.modules, name, None)
    molecules.rdkit.cache_clear()
    molecules.molecule.cache_clear()
    with pytest.raises(InputError, match=r"pip install 'ft-dojo\[chemistry\]'"):
        molecule("CCO")


@pytest.mark.parametrize(
    ("text", "smiles"),
    [
        ("OCC", "CCO"),
        (" CCO\n", "CCO"),
        ("CCO is the alcohol in wine", "CCO"),
        ("CCO " + "word " * 500, "CCO"),
        ("", None),
        (" \n", None),
        ("ethanol", None),
        ("C1CC", None),
        ("C(C)(C)(C)(C)C", None),
        ("C>>CC", None),
        ("\x00", None),
        ("C\ud800", None),
        ("C" * MAX_SMILES, "C" * MAX_SMILES),
        ("C" * (MAX_SMILES + 1), None),
        ("C |" + "$" * MAX_SMILES, None),
    ],
)
def test_molecule(text: str, smiles: str | None) -> None:
    found = molecule(text)
    assert (found and molecules.canonical(found)) == smiles
    assert molecules.valid(text) is (smiles is not None)


def test_rdkit_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    molecule.cache_clear()
    for text in ("C1CC", "c1cccc1", "[Xx]"):
        assert molecule(text) is None
    assert inchi(molecule("C[Fe]C"))
    assert not inchi(molecule("*"))
    assert capfd.readouterr() == ("", "")


def test_same_molecule_is_same_inchi() -> None:
    assert same_molecule(molecule("OCC"), molecule("C(C)O"))
    assert same_molecule(molecule("c1ccccc1O"), molecule("OC1=CC=CC=C1"))
    assert same_molecule(molecule("O.CC"), molecule("CC.O"))
    assert not same_molecule(molecule("F[C@H](Cl)Br"), molecule("F[C@@H](Cl)Br"))
    assert not same_molecule(molecule("CCO"), molecule("CO"))


def test_molecules_without_inchi_are_compared_as_smiles() -> None:
    assert same_molecule(molecule("*C"), molecule("C*"))
    assert not same_molecule(molecule("*C"), molecule("*CC"))


def test_components_tanimoto_scaffold_identity() -> None:
    assert components(molecule("O.CC.O")) == components(molecule("CC.O"))
    assert components(molecule("O.CC")) != components(molecule("CC"))
    assert tanimoto(molecule("OCC"), molecule("CCO")) == 1
    assert 0 < tanimoto(molecule("CCO"), molecule("CCN")) < 1
    assert murcko_scaffold(molecule("CCc1ccccc1C(=O)N1CCCC1")) == "O=C(c1ccccc1)N1CCCC1"
    assert murcko_scaffold(molecule("CCO")) == ""
    assert identity("OCCc1ccccc1") == ("WRMNZCZEMHIOCP-UHFFFAOYSA-N", "c1ccccc1")
    assert identity("c1ccccc1CCO") == identity("OCCc1ccccc1")
    assert identity("*C") == ("*C", "")
    assert identity("ethanol") is None


PATHOLOGICAL = [
    "C1CC1" * 150,
    "C(" * 300 + "C" + ")" * 300,
    "c1ccccc1" * 120,
    "C." * 499 + "C",
    "I" * 1000,
    "[C@@H](O)" * 100,
    "C12C3C4C1C5C2C3C45" * 40,
    "C=N" * 300,
    "[" * 1000,
    "(" * 1000,
    "C" * 100_000,
    "C%10" * 250,
]


@pytest.mark.parametrize("smiles", PATHOLOGICAL, ids=lambda text: text[:12])
def test_pathological_smiles_end_soon(smiles: str) -> None:
    started = time.process_time()
    found = molecule(smiles)
    if found is not None:
        identity(smiles)
        same_molecule(found, found)
        tanimoto(found, found)
        [count_group(found, group) for group in SMARTS]
    assert time.process_time() - started < 2


# --- functional groups


@pytest.mark.parametrize(
    ("group", "smiles", "count"),
    [
        ("benzene", "c1ccccc1Cc1ccccc1", 2),
        ("benzene", "c1ccc2ccccc2c1", 0),  # fused
        ("benzene_ring", "Cc1ccncc1", 0),
        ("hydroxyl", "OCC(=O)O", 2),
        ("aldehyde", "O=CCC=O", 2),
        ("aldehyde", "C=O", 0),
        ("ketone", "CC(=O)CC(=O)C", 2),
        ("carboxyl", "OC(=O)CC(=O)O", 2),
        ("ester", "CC(=O)OCC", 1),
        ("anhydride", "CC(=O)OC(=O)C", 1),
        ("amine", "NCCNC", 2),
        ("amine", "CC(=O)NC", 0),
        ("amide", "CC(=O)NC", 1),
        ("nitro", "CC[N+](=O)[O-]", 1),
        ("halo", "ClCC(F)(Br)I", 4),
        ("thiol", "SCCS", 2),
        ("thioether", "CSCC", 2),
        ("disulfide", "CSSC", 1),
        ("sulfoxide", "CS(=O)C", 1),
        ("sulfone", "CS(=O)(=O)C", 1),
        ("sulfide", "CSC", 1),
        ("sulfide", "CSSC", 1),  # two atoms, less one disulfide
        ("nitrile", "N#CCC#N", 2),
        ("borane", "CB(C)C", 1),
    ],
)
def test_count_group(group: str, smiles: str, count: int) -> None:
    assert count_group(molecule(smiles), group) == count


def test_every_group_has_a_pattern() -> None:
    assert len(SMARTS) == 20
    for group in SMARTS:
        count_group(molecule("C"), group)
    with pytest.raises(KeyError):
        count_group(molecule("C"), "imine")
    with pytest.raises(ValueError, match="no SMARTS"):
        count_matches(molecule("C"), "[[")


# --- answers


@pytest.mark.parametrize(
    ("text", "body"),
    [
        (" plain ", "plain"),
        ('Here: ```json\n{"a": 1}\n``` and ```json {"a": 2}```', '{"a": 1}'),
        ('```\nfirst\n``` ```json\n{"a": 1}\n```', '{"a": 1}'),
        ("```python\nx\n```", "python\nx"),
        ("a ```b``` c ```d```", "b"),
        ("```json open", "```json open"),
        ("```x``` ```json open", "```x``` ```json open"),
        ("``` open", "``` open"),
        ("<think>```json 1```</think> ```2```", "2"),
        ("<think>a</think>b<think>c</think>d", "bd"),
        ("<think>a<think>b</think>c</think>", "c</think>"),
        ("<think>a", "<think>a"),
        ("a</think>b", "a</think>b"),
    ],
)
@pytest.mark.parametrize("protocol", ["honest", "paper"])
def test_answer_body(text: str, body: str, protocol: Protocol) -> None:
    assert answer_body(text, protocol) == body


def test_honest_reads_a_long_answer_at_its_end() -> None:
    text = "start" + "x" * 100_000 + "end"
    assert answer_body(text, "paper") == text
    assert answer_body(text, "honest").endswith("end")
    assert len(answer_body(text, "honest")) == 20_000


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ('{\n    "a": "C\n    C\nO"\n}', {"a": "CCO"}),
        ('{"a": "C\n  O"}', {"a": "C  O"}),
        ('{"a": "C\n     O"}', {"a": "C O"}),
        ('{"a": 1,}', None),
        ('x {"a": 1}', None),
        ("[1]", None),
        ('{"a": "\t"}', None),
        ('{"a":' * 20_000, None),
        ('{"a": ' + "9" * 5000 + "}", None),
    ],
)
def test_json_object(body: str, value: object) -> None:
    assert json_object(body) == value


def test_quoted_and_longest_run() -> None:
    assert quoted('"B": "2", "a" :\n"1"', ("a", "b")) == "1"
    assert quoted('"A": " 1 "', ("a",)) == "1"
    assert quoted('"A": "1"', ("a",), ignore_case=False) is None
    assert quoted('"a": 1', ("a",)) is None
    assert longest_run("Take CC(=O)O, not CC(=O)N or CCO") == "CC(=O)O"
    assert longest_run("CC(=O)O or CC(=O)N") == "CC(=O)O"
    assert longest_run("[Na]CCCC") == "Na]CCCC"
    assert longest_run("CCCC no 12345") is None
