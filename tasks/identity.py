"""What a benchmark item is about, by a name that does not depend on how it is written: molecules, tables, applications.

A training row about the same molecule, over the same table or of the same patent application is a leak whatever it
asks. `identities` names what the fields of a row hold; `Sightings` finds the named things in texts, too:

- a molecule by its heavy atoms and the connectivity part of its InChI key (Heller et al. 2015), so that no other SMILES
  of it passes, with or without stereochemistry; a row that names its molecule may not have the scaffold of an item's,
  either;
- a table by its cells: Jaccard similarity to a table that is given as such, or the share of them, with some that few
  tables have, that recur in a text;
- an application by its number: `14704145`, `14/704,145`.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import lru_cache
from typing import Any, Literal, get_args

from tasks.molecules import identity, molecule, murcko_scaffold
from tasks.question import compared

Kind = Literal["molecule", "table", "application"]
"""What fields may hold."""
Sighting = Literal["molecule", "scaffold", "table", "application"]
SCAFFOLD = "scaffold"

HEAVY_ATOMS = 10
"""Smaller molecules have no identity: solvents, reagents and protecting groups occur in the rows of many tasks. Neither
have smaller scaffolds: every tenth drug has a single ring."""
JACCARD = 0.6
"""Of two sets of cells, above which two tables are the same."""
RECURRING = 0.7
"""Share of a table's cells in a text from which on the text holds the table."""
FEWEST = 6
RARE = 5
"""So many of its cells that at most five tables have must recur: years and small numbers stand in any long table."""
PART = 0.1
"""Share of a text's own cells that the table's must be."""

_CONNECTIVITY = 14
"""Characters of an InChI key that tell which atoms are bonded."""
_SMILES = re.compile(
    r"(?<![A-Za-z])(?:\[[^\[\]\s]{1,24}\]|Br|Cl|[BCNOPSFIbcnops*]|[=#$/\\.\->()@+]|%\d\d|\d)++(?![A-Za-z])"
)
_ATOM = re.compile(r"\[\d{0,3}([A-Za-z][a-z]?)[^\[\]]{0,24}\]|(Br|Cl|[BCNOPSFIbcnops])")
_SHORTEST = 8
"""Characters of the shortest SMILES that is looked at."""
_BORDERS = re.compile(r"[|\t\n\r\[\]{}<>;,]|\\[nt]|: ")
"""What stands between the cells of a table, in JSON, Python, Markdown, HTML, CSV or sentences."""
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_ESCAPED = re.compile(r"\\u([0-9a-fA-F]{4})")
_APPLICATION = re.compile(r"(?<![\d,.])(\d{2})[/ ]?(\d{3}),?(\d{3})(?![\d,.]\d|\d)")


def identities(row: Mapping[str, Any], fields: Mapping[Kind, Sequence[str]]) -> tuple[str, ...]:
    """The identities of what the fields of a row hold, by kind: `{"molecule": ("source", "product")}`.

    A field may hold a list; an empty or a wrong one names nothing. A molecule may be a mixture or a reaction.
    """
    found: list[str] = []
    for kind, names in fields.items():
        for name in names:
            value = row.get(name)
            values: list[Any] = value if isinstance(value, list) else [value]
            found += [one for each in values if each for one in _NAMES[kind](each)]
    return tuple(dict.fromkeys(found))


def molecule_identities(smiles: object) -> Iterator[str]:
    """`molecule:C9O4/BSYNRYMUTXBXSQ` for each molecule of a mixture or reaction that is large enough, and
    `scaffold:SMILES` for its scaffold."""
    for part in re.split(r"[.>]+", str(smiles).strip()):
        if _size(part) >= HEAVY_ATOMS and (name := _molecule_name(part)):
            yield name
            scaffold = murcko_scaffold(molecule(part))
            if _size(scaffold) >= HEAVY_ATOMS:
                yield f"{SCAFFOLD}:{scaffold}"


def table_identity(table: Any) -> Iterator[str]:
    """`table:[...]` with the cells of `{"columns": [...], "data": [[...], ...]}`, normalised and in order."""
    fields: Mapping[str, Any] = table if isinstance(table, Mapping) else {}
    columns, data = fields.get("columns"), fields.get("data")
    rows: list[Any] = [columns, *data] if isinstance(data, list) else []
    cells = {part for row in rows if isinstance(row, list) for cell in row for part in _cells(str(cell))}
    if cells:
        yield "table:" + json.dumps(sorted(cells), ensure_ascii=False)


def application_identity(number: object) -> Iterator[str]:
    """`application:14704145` from a number of eight digits in any form."""
    for match in _APPLICATION.finditer(str(number)):
        yield "application:" + "".join(match.groups())


_NAMES: dict[Kind, Any] = {
    "molecule": molecule_identities,
    "table": table_identity,
    "application": application_identity,
}


class Sightings:
    """Finds the things that benchmark items are about. Kinds that no item has cost nothing."""

    def __init__(self, names: Iterable[str]) -> None:
        known: dict[str, set[str]] = defaultdict(set)
        for name in names:
            kind, _, value = name.partition(":")
            if kind not in get_args(Sighting):
                raise ValueError(f"identity {name[:80]!r}: the kinds are {', '.join(get_args(Sighting))}")
            known[kind].add(value)
        self._molecules = known["molecule"]
        self._formulas = {value.partition("/")[0] for value in self._molecules}
        self._scaffolds = known[SCAFFOLD]
        self._applications = known["application"]
        self._tables = _Tables(_cell_sets(known["table"]))

    def seen(self, texts: Sequence[str], names: Iterable[str] = ()) -> Sighting | None:
        """The first kind of which something is found: among the identities of a row, or in its texts."""
        given: dict[str, set[str]] = defaultdict(set)
        for name in names:
            kind, _, value = name.partition(":")
            given[kind].add(value)
        if self._molecules and (self._molecules & given["molecule"] or any(map(self._holds_molecule, texts))):
            return "molecule"
        if self._scaffolds & given[SCAFFOLD]:
            return SCAFFOLD
        if self._tables and (
            any(map(self._tables.resemble, _cell_sets(given["table"])))
            or self._tables.recur({cell for text in texts for cell in _cells(text) | _cells(text, thousands=False)})
        ):
            return "table"
        if self._applications and (
            self._applications & given["application"] or any(map(self._holds_application, texts))
        ):
            return "application"
        return None

    def _holds_molecule(self, text: str) -> bool:
        """RDKit reads only what has the heavy atoms of a molecule that is looked for."""
        for part in _smiles(text):
            formula = _formula(part)
            if formula in self._formulas and _molecule_name(part).partition(":")[2] in self._molecules:
                return True
        return False

    def _holds_application(self, text: str) -> bool:
        return any("".join(match.groups()) in self._applications for match in _APPLICATION.finditer(text))


class _Tables:
    """An index over the cells of tables."""

    def __init__(self, tables: Iterable[frozenset[str]]) -> None:
        self._sizes: list[int] = []
        self._holding: dict[str, list[int]] = defaultdict(list)
        for number, cells in enumerate(tables):
            self._sizes.append(len(cells))
            for cell in cells:
                self._holding[cell].append(number)

    def __bool__(self) -> bool:
        return bool(self._sizes)

    def resemble(self, cells: Set[str]) -> bool:
        """Whether a table of these cells is one of the tables."""
        return any(
            shared > JACCARD * (self._sizes[number] + len(cells) - shared)
            for number, shared in self._shared(cells).items()
        )

    def recur(self, cells: Set[str]) -> bool:
        """Whether one of the tables stands in a text of these cells."""
        rare = self._shared({cell for cell in cells if len(self._holding.get(cell, ())) <= RARE})
        return any(
            rare[number] >= FEWEST and shared >= max(RECURRING * self._sizes[number], PART * len(cells))
            for number, shared in self._shared(cells).items()
        )

    def _shared(self, cells: Set[str]) -> Counter[int]:
        return Counter(number for cell in cells for number in self._holding.get(cell, ()))


def _cell_sets(values: Iterable[str]) -> list[frozenset[str]]:
    return [frozenset(json.loads(value)) for value in values]


def _cells(text: str, *, thousands: bool = True) -> set[str]:
    """What stands between borders, in words. A cell with a comma counts as two, in tables and in texts alike.

    Args:
        thousands: `1,250` is a number; otherwise, as in CSV, it is two.
    """
    if "\\u" in text:
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
    if thousands:
        text = _THOUSANDS.sub("", text)
    return {words for part in _BORDERS.split(text) if (words := _words(part))}


@lru_cache(maxsize=65536)
def _words(part: str) -> str:
    return compared(part[:200]).strip()


def _smiles(text: str) -> Iterator[str]:
    """Parts of a text that may be a molecule."""
    for match in _SMILES.finditer(text.replace("\\\\", "\\")):
        if len(match.group()) >= _SHORTEST:
            yield from (_bare(part) for part in re.split(r"[.>]+", match.group()) if len(part) >= _SHORTEST)


def _bare(smiles: str) -> str:
    """Without what no SMILES begins or ends with: `=CCO` after `molecule`, `(CCO)` in brackets."""
    smiles = smiles.lstrip("=#$/\\-@+(%0123456789").rstrip("=#$/\\-@+(")
    excess = smiles.count(")") - smiles.count("(")
    return smiles[: len(smiles) - excess] if 0 < excess == len(smiles) - len(smiles.rstrip(")")) else smiles


def _atoms(smiles: str) -> Counter[str]:
    """Heavy atoms by element; an aromatic atom is one of its element."""
    atoms = Counter((match[1] or match[2]).capitalize() for match in _ATOM.finditer(smiles))
    del atoms["H"]
    return atoms


def _size(smiles: str) -> int:
    return sum(_atoms(smiles).values())


def _formula(smiles: str) -> str:
    return "".join(f"{element}{count}" for element, count in sorted(_atoms(smiles).items()))


@lru_cache(maxsize=65536)
def _molecule_name(smiles: str) -> str:
    """The identity of one molecule; empty for what is none."""
    found = identity(smiles) if molecule(smiles) is not None else None
    if found is None:
        return ""
    key = found[0]
    return f"molecule:{_formula(smiles)}/{key[:_CONNECTIVITY] if re.fullmatch(r'[A-Z-]{27}', key) else key}"
