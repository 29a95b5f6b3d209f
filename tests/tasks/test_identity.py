"""What an item is about is recognised however a row writes it; what only resembles it is not."""

import csv
import io
import json
import random
import time
from collections.abc import Callable
from typing import Any

import pytest

from tasks import molecules
from tasks.identity import HEAVY_ATOMS, SCAFFOLD, Sightings, identities

NAPROXEN = "COc1ccc2cc(ccc2c1)[C@H](C)C(=O)O"
ISOMER = "COc1ccc2cc(ccc2c1)CCC(=O)O"
RELATIVE = "Cc1ccc2cc(CC(N)=O)ccc2c1"
"""Another molecule with the scaffold of naproxen."""
ALKENE = "OC(=O)/C=C/c1ccc(OCC(C)C)cc1"
MOLECULE = {"molecule": ("smiles",)}


def named(smiles: object) -> tuple[str, ...]:
    return identities({"smiles": smiles}, MOLECULE)


def sightings(*smiles: str) -> Sightings:
    return Sightings(name for one in smiles for name in named(one))


def writings(smiles: str) -> list[str]:
    """The same molecule, its atoms in thirty orders."""
    chem = molecules.rdkit("Chem")
    return list(chem.MolToRandomSmilesVect(molecules.molecule(smiles), 30, randomSeed=5))


@pytest.fixture(scope="module")
def known() -> Sightings:
    return sightings(NAPROXEN, ALKENE)


def test_a_molecule_is_named_by_atoms_and_connectivity() -> None:
    name, scaffold = named(NAPROXEN)
    assert name == "molecule:C14O3/CMWTZPSULFXXJA"  # the InChI key of naproxen is CMWTZPSULFXXJA-VIFPVBQESA-N
    assert scaffold == f"{SCAFFOLD}:c1ccc2ccccc2c1"


@pytest.mark.parametrize("smiles", [NAPROXEN, ALKENE])
def test_no_other_smiles_of_a_molecule_passes(known: Sightings, smiles: str) -> None:
    assert len(set(writings(smiles))) > 10
    for other in writings(smiles):
        assert named(other)[0] == named(smiles)[0]
        assert known.seen([f"How many rings has {other}, all told?"]) == "molecule"


SAME = {
    "without stereochemistry": NAPROXEN.replace("[C@H]", "C"),
    "the other enantiomer": NAPROXEN.replace("@", "@@"),
    "hydrogens written out": NAPROXEN.replace("[C@H](C)", "[CH]([CH3])"),
    "Kekule structure": "COC1=CC=C2C=C(C=CC2=C1)C(C)C(=O)O",
    "deuterated": NAPROXEN.replace("CO", "[2H]C([2H])([2H])O", 1),
    "an anion": NAPROXEN.removesuffix("O") + "[O-]",
    "the other double bond": ALKENE.replace("/C=C/", "/C=C\\"),
    "no double bond geometry": ALKENE.replace("/", ""),
    "atom numbers": "CO[c:1]1[cH:2][cH:3]c2cc(ccc2c1)C(C)C(=O)O",
}


@pytest.mark.parametrize("case", SAME)
def test_the_same_connectivity_is_the_same_molecule(known: Sightings, case: str) -> None:
    assert known.seen([f"Take {SAME[case]} as it is."]) == "molecule"
    assert known.seen(["no molecule"], named(SAME[case])) == "molecule"


WRITTEN: dict[str, Callable[[str], str]] = {
    "alone": str,
    "at the end of a sentence": lambda smiles: f"The product is {smiles}.",
    "in brackets": lambda smiles: f"Naproxen ({smiles}) is sold as a tablet.",
    "in quotes": lambda smiles: f'What is "{smiles}", then?',
    "in backticks": lambda smiles: f"Raise the solubility of `{smiles}`!",
    "in tags": lambda smiles: f"<SMILES>{smiles}</SMILES>",
    "after a colon": lambda smiles: f"SMILES:{smiles}, source: unknown",
    "after an equals sign": lambda smiles: f"smiles={smiles};",
    "in JSON": lambda smiles: json.dumps({"note": ["a", {"molecule": smiles}]}),
    "in JSON in JSON": lambda smiles: json.dumps(json.dumps([smiles])),
    "in Chinese": lambda smiles: f"分子{smiles}有几个环？",  # noqa: RUF001
    "in a mixture": lambda smiles: f"O.{smiles}.[Na+]",
    "as a reactant": lambda smiles: f"CCO.{smiles}>>CCOC(C)=O",
    "as a product": lambda smiles: f"CCBr.OCC>[OH-]>{smiles}",
    "on a line of its own": lambda smiles: f"Edit this:\n{smiles}\nThank you.",
}


@pytest.mark.parametrize("case", WRITTEN)
@pytest.mark.parametrize("smiles", [NAPROXEN, ALKENE, ALKENE.replace("/C=C/", "\\C=C\\")])
def test_a_molecule_is_found_in_a_text(known: Sightings, case: str, smiles: str) -> None:
    text = WRITTEN[case](smiles)
    assert known.seen([text]) == "molecule"
    assert known.seen(["a question without it", text]) == "molecule"  # in the answer
    assert known.seen([WRITTEN[case](ISOMER)]) is None


@pytest.mark.parametrize("smiles", ["Cc1ccccc1", "OC(=O)c1ccccc1", "CCN(CC)CC", "ClC(Cl)Cl"])
def test_molecules_below_ten_heavy_atoms_have_no_identity(smiles: str) -> None:
    assert named(smiles) == ()
    assert sightings(smiles).seen([f"Dissolve it in {smiles}."]) is None


def test_molecules_from_ten_heavy_atoms_on_have_one() -> None:
    assert HEAVY_ATOMS == 10
    assert sightings("COC(=O)c1ccccc1").seen(["What is COC(=O)c1ccccc1 called?"]) == "molecule"


def test_a_scaffold_counts_only_for_a_row_that_names_its_molecule(known: Sightings) -> None:
    assert known.seen(["a question"], named(RELATIVE)) == SCAFFOLD
    assert known.seen([f"How many rings has {RELATIVE}?"]) is None
    assert named(ALKENE)[1:] == ()  # a single ring is no scaffold: every tenth drug has one
    assert known.seen(["a question"], named("CCCCCC(=O)c1ccccc1")) is None


def test_all_molecules_of_a_list_a_mixture_or_a_reaction_are_named() -> None:
    one, other = named(NAPROXEN)[0], named(ALKENE)[0]
    assert set(named([NAPROXEN, ALKENE])) >= {one, other}
    assert set(named(f"{NAPROXEN}.CCO>>{ALKENE}")) >= {one, other}
    assert len(named([NAPROXEN, NAPROXEN])) == 2  # molecule and scaffold, once each


def test_words_are_no_molecules() -> None:
    known = sightings("CCCCCCCCCCO", "NCCCCCCCCCO")
    assert known.seen(["CONSPICUOUS BONUS", "(CONFIDENTIAL) POISON IN COFFEE; see section 3.2.1-(a)"]) is None


COLUMNS = ["club", "founded", "members", "fees"]
DATA: list[list[Any]] = [
    ["Rowers of Delft", 1874, "1,250", "80.50"],
    ["Skaters of Sneek", 1902, "940", "45.00"],
    ["Chess Circle Zwolle", 1955, "112", "30.25"],
    ["Zeeland Divers", 1988, "2,075", "120.75"],
    ["Frisian Fencers", 1931, "388", "66.10"],
    ["Gouda Gliders", 2003, "57", "210.00"],
]
TABLE = {"columns": COLUMNS, "data": DATA}
FIELDS = {"table": ("table",)}


def table(columns: list[str], data: list[list[Any]]) -> dict[str, Any]:
    return {"table": {"columns": columns, "data": data}}


@pytest.fixture(scope="module")
def over_table() -> Sightings:
    return Sightings(identities({"table": TABLE}, FIELDS))


def shuffled() -> tuple[list[str], list[list[Any]]]:
    order = [2, 0, 3, 1]
    data = [[row[place] for place in order] for row in DATA]
    random.Random(3).shuffle(data)
    return [COLUMNS[place] for place in order], data


TABLES: dict[str, tuple[dict[str, Any], str | None]] = {
    "as it is": (table(COLUMNS, DATA), "table"),
    "rows and columns in another order": (table(*shuffled()), "table"),
    "numbers in another form": (
        table(COLUMNS, [[row[0].upper(), f"{row[1]}.0", row[2].replace(",", ""), float(row[3])] for row in DATA]),
        "table",
    ),
    "a row dropped": (table(COLUMNS, DATA[1:]), "table"),
    "a column dropped": (table(COLUMNS[:3], [row[:3] for row in DATA]), "table"),
    "half of it": (table(COLUMNS, DATA[:3]), None),
    "the same head": (table(COLUMNS, [["Reading Club", 1999, "12", "5.00"]] * 6), None),
    "the same first column": (table(COLUMNS, [[row[0], 1, "2", "3"] for row in DATA]), None),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_is_known_by_its_cells(over_table: Sightings, case: str) -> None:
    row, expected = TABLES[case]
    assert over_table.seen(["Which club is the oldest?"], identities(row, FIELDS)) == expected


def as_csv(columns: list[str], data: list[list[Any]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows([columns, *data])
    return text.getvalue()


def as_markdown(columns: list[str], data: list[list[Any]]) -> str:
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in [columns, ["---"] * len(columns), *data])


WRITE: dict[str, Callable[[list[str], list[list[Any]]], str]] = {
    "JSON": lambda columns, data: json.dumps({"columns": columns, "data": data}),
    "records": lambda columns, data: json.dumps([dict(zip(columns, row, strict=True)) for row in data], indent=1),
    "Python": lambda columns, data: repr([columns, *data]),
    "Markdown": as_markdown,
    "CSV": as_csv,
    "tabs": lambda columns, data: "\n".join("\t".join(map(str, row)) for row in [columns, *data]),
    "HTML": lambda columns, data: "".join(
        "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in [columns, *data]
    ),
    "sentences": lambda columns, data: "\n".join(
        "; ".join(f"{column}: {cell}" for column, cell in zip(columns, row, strict=True)) for row in data
    ),
}


@pytest.mark.parametrize("how", WRITE)
def test_a_table_is_found_in_a_text(over_table: Sightings, how: str) -> None:
    def seen(columns: list[str], data: list[list[Any]]) -> str | None:
        return over_table.seen([f"Read this table.\n{WRITE[how](columns, data)}\nWhich club is the oldest?"])

    assert seen(COLUMNS, DATA) == "table"
    assert seen(*shuffled()) == "table"
    assert seen(COLUMNS, DATA[1:]) == "table"
    assert seen(COLUMNS, DATA[:3]) is None
    assert (
        over_table.seen(["Which club is the oldest: Rowers of Delft or Zeeland Divers? It has 1,250 members."]) is None
    )


def test_a_table_is_found_in_a_text_by_six_cells_that_few_tables_have() -> None:
    small = Sightings(identities(table(["a", "b"], [["yes", "no"]]), FIELDS))
    assert small.seen(["a | b | yes | no"]) is None
    seasons = [
        identities(table(["year", f"goals of team {team}"], [[1990 + k, k] for k in range(9)]), FIELDS)[0]
        for team in "ABCDEF"
    ]
    text = "\n".join(f"{1990 + k}\t{k}" for k in range(20))
    assert Sightings(seasons[:5]).seen([text]) == "table"
    assert Sightings(seasons).seen([text]) is None


def test_a_table_is_not_found_in_a_long_list_that_happens_to_hold_its_cells(over_table: Sightings) -> None:
    cells = WRITE["CSV"](COLUMNS, DATA)
    assert over_table.seen([cells + "".join(f"member {number}\n" for number in range(100))]) == "table"
    assert over_table.seen([cells + "".join(f"member {number}\n" for number in range(400))]) is None


APPLICATION = {"application": ("number",)}


@pytest.mark.parametrize(
    "number", ["14704145", "14/704,145", "14/704145", "14 704,145", 14704145, "US 14/704,145 (A1)"]
)
def test_an_application_is_known_by_its_number(number: object) -> None:
    assert identities({"number": number}, APPLICATION) == ("application:14704145",)
    known = Sightings(["application:14704145"])
    assert known.seen([f"Is claim 1 of {number} new?"]) == "application"
    assert known.seen(["Is claim 1 new?", f"See {number}."]) == "application"
    assert known.seen(["Is claim 1 new?"], ("application:14704145",)) == "application"
    assert Sightings(["application:14704146"]).seen([f"Is claim 1 of {number} new?"], ("application:1",)) is None


@pytest.mark.parametrize(
    "text",
    ["114704145", "147041450", "14,704,145", "3.14704145", "14704145.25", "14/704/145", "14-704-145", "1,414704145"],
)
def test_other_numbers_are_no_application(text: str) -> None:
    assert Sightings(["application:14704145"]).seen([f"It sold {text} pieces."]) is None


@pytest.mark.parametrize(
    "value", [None, "", [], {}, 0, 3.5, True, "no such thing", ["", None], {"columns": 1}, {"data": [[]]}, [[]], b"x"]
)
@pytest.mark.parametrize("kind", ["molecule", "table", "application"])
def test_wrong_values_name_nothing(kind: Any, value: object) -> None:
    assert identities({"field": value}, {kind: ("field", "absent")}) == ()


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'planet:Mars'.*molecule, scaffold, table, application"):
        Sightings(["planet:Mars"])


GARBAGE = {
    "atoms": "C" * 100_000,
    "short molecules": "CCCCCCCCO " * 10_000,
    "the molecule itself": f"{NAPROXEN} " * 2_800,
    "brackets": "(" * 100_000,
    "open brackets": "[C" * 50_000,
    "ring numbers": "C1" * 50_000,
    "bonds": "C=" * 50_000,
    "digits": "1" * 100_000,
    "application numbers": "14/704,144 " * 9_000,
    "borders": "|" * 100_000,
    "cells": "".join(f"|{number}" for number in range(17_000)),
    "escapes": "\\u" * 50_000,
    "surrogates": "\ud800\\ud800" * 14_000,
    "control characters": "\x00\x1b\r\n" * 25_000,
    "nested JSON": "[" * 50_000 + "]" * 50_000,
    "Chinese": "债券" * 50_000,
}


@pytest.mark.parametrize("case", GARBAGE)
def test_long_garbage_is_read_within_a_second(case: str) -> None:
    names = [*named(NAPROXEN), *identities({"table": TABLE}, FIELDS), "application:14704145"]
    known = Sightings(names)
    started = time.process_time()
    found = known.seen([GARBAGE[case]])
    row = {"smiles": GARBAGE[case], "table": GARBAGE[case], "number": GARBAGE[case]}
    identities(row, MOLECULE | FIELDS | APPLICATION)
    assert time.process_time() - started < 1
    assert found == ("molecule" if case == "the molecule itself" else None)
