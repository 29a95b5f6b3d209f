"""The glossary: every term with its definition in alphabetical order, some entries twice and some empty."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from tasks.starter.fact_files import Fact
from tasks.starter.planted import Planted
from tasks.starter.source_table import SourceTable

COPIES = 12
EMPTY = 8


def glossary(facts: Mapping[str, Sequence[Fact]], defined: frozenset[str], rng: random.Random) -> SourceTable:
    """The glossary; only entries of facts that are `defined` elsewhere may be left empty."""
    everything = [fact for entries in facts.values() for fact in entries]
    empty = {fact.id for fact in rng.sample([fact for fact in everything if fact.id in defined], EMPTY)}
    copied = rng.sample([fact for fact in everything if fact.id not in empty], COPIES)
    entries = [(fact, _entry(fact, "" if fact.id in empty else fact.definition)) for fact in everything]
    entries += [(fact, _again(fact, index)) for index, fact in enumerate(copied)]
    entries.sort(key=lambda entry: entry[0].term.lower())
    numbers: dict[str, list[int]] = {}
    for number, (fact, _) in enumerate(entries, start=1):
        numbers.setdefault(fact.id, []).append(number)
    planted = Planted(
        duplicates_exact=tuple(tuple(group) for group in numbers.values() if len(group) > 1),
        gaps=tuple(sorted(numbers[id_][0] for id_ in empty)),
    )
    taught = frozenset(fact.id for fact in everything) - empty
    return SourceTable([row for _, row in entries], planted, definitions=taught)


def _entry(fact: Fact, definition: str) -> dict[str, str]:
    return {"term": fact.term, "definition": definition, "subject": fact.subject}


def _again(fact: Fact, index: int) -> dict[str, str]:
    """The same entry: in turn as it is, with a capital, and with blanks and a full stop."""
    entry = _entry(fact, fact.definition)
    written = (
        entry,
        entry | {"term": fact.term.capitalize(), "definition": fact.definition.capitalize()},
        entry | {"term": f" {fact.term}", "definition": f"{fact.definition}. "},
    )
    return written[index % len(written)]
