"""The dump of a message board, one thread a row: some accepted answers are wrong, some threads are idle talk."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tasks.starter.fact_files import Fact
from tasks.starter.forum_page import Thread, page
from tasks.starter.forum_threads import ForumWriter
from tasks.starter.phrases import OffTopicThread, forum_phrases, headline_phrases, off_topic_threads
from tasks.starter.planted import Planted
from tasks.starter.source_table import SourceTable

ASPECTS = 280
DEFINITIONS = 95
WRONG = 75
OFF_TOPIC = 125
FIRST_NUMBER = 20_000
REPEATS = {True: 5, False: 3}
"""How often an off-topic thread may come up, by whether it names a company and so reads differently each time."""


class _Entry(NamedTuple):
    thread: Thread
    right: str = ""
    """The right answer, where a wrong one is accepted."""
    off_topic: bool = False


def forum_dump(facts: Mapping[str, Sequence[Fact]], known: frozenset[str], rng: random.Random) -> SourceTable:
    """The threads in mixed order; aspects that no other source teaches yet are all asked and answered rightly."""
    phrases = forum_phrases()
    writer = ForumWriter(phrases, headline_phrases(), rng)
    everything = [(fact, entries) for entries in facts.values() for fact in entries]
    mixed = rng.sample(everything, len(everything))
    asked = sorted((fact for fact, _ in mixed), key=lambda fact: fact.id in known)[:ASPECTS]
    topics = [writer.aspect(fact) for fact in asked]
    topics += [writer.definition(fact, entries) for fact, entries in rng.sample(everything, DEFINITIONS)]
    harmless = [index for index, topic in enumerate(topics) if index >= len(asked) or topic.fact in known]
    mistaken = set(rng.sample(harmless, WRONG))
    entries = [
        _Entry(writer.thread(topic, index in mistaken), topic.right if index in mistaken else "")
        for index, topic in enumerate(topics)
    ]
    entries += [_Entry(writer.idle(talk), off_topic=True) for talk in _talks(rng)]
    rng.shuffle(entries)
    planted = Planted(
        wrong_accepted={number: entry.right for number, entry in enumerate(entries, start=1) if entry.right},
        off_topic=tuple(number for number, entry in enumerate(entries, start=1) if entry.off_topic),
    )
    taught = frozenset(fact.id for index, fact in enumerate(asked) if index not in mistaken)
    return SourceTable(_rows([entry.thread for entry in entries], phrases.advertisements, rng), planted, aspects=taught)


def _talks(rng: random.Random) -> list[OffTopicThread]:
    talks = [talk for talk in off_topic_threads() for _ in range(REPEATS["{company}" in talk.title + talk.ask])]
    return rng.sample(talks, OFF_TOPIC)


def _rows(threads: Sequence[Thread], advertisements: tuple[str, ...], rng: random.Random) -> list[Mapping[str, str]]:
    rows: list[Mapping[str, str]] = []
    number = FIRST_NUMBER
    for thread in threads:
        number += rng.randrange(1, 60)
        rows.append({"id": f"t{number}", "html": page(thread, number, advertisements, rng)})
    return rows
