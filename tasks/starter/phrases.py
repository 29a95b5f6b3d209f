"""The stock of phrases that posts and headlines are put together from, one YAML file a purpose in `phrases/`."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import yaml
from pydantic import TypeAdapter

from tasks.record import Record

FOLDER = Path(__file__).parent / "phrases"

T = TypeVar("T")


class ForumPhrases(Record):
    """What members of a message board write around their questions and answers."""

    authors_first: tuple[str, ...]
    authors_second: tuple[str, ...]
    greetings: tuple[str, ...]
    settings: tuple[str, ...]
    leads: tuple[str, ...]
    definition_questions: tuple[str, ...]
    closings: tuple[str, ...]
    aspect_titles: tuple[str, ...]
    definition_titles: tuple[str, ...]
    answers: tuple[str, ...]
    after_answers: tuple[str, ...]
    guesses: tuple[str, ...]
    dissent: tuple[str, ...]
    chatter: tuple[str, ...]
    signatures: tuple[str, ...]
    advertisements: tuple[str, ...]


class OffTopicThread(Record):
    """A thread that has nothing to do with the subject of the board."""

    board: str
    title: str
    ask: str
    replies: tuple[str, ...]


class HeadlinePhrases(Record):
    """Headlines by label, and what they are filled with."""

    names: tuple[str, ...]
    trades: tuple[str, ...]
    regions: tuple[str, ...]
    products: tuple[str, ...]
    positive: tuple[str, ...]
    negative: tuple[str, ...]
    neutral: tuple[str, ...]


def forum_phrases() -> ForumPhrases:
    """The phrases of the message board."""
    return _read("forum.yaml", ForumPhrases)


def off_topic_threads() -> tuple[OffTopicThread, ...]:
    """The off-topic threads of the message board."""
    return _read("off_topic.yaml", tuple[OffTopicThread, ...])


def headline_phrases() -> HeadlinePhrases:
    """The phrases of the headlines."""
    return _read("headlines.yaml", HeadlinePhrases)


def _read(name: str, schema: type[T]) -> T:
    """Read a file; pydantic's ValidationError names a field that is missing or unknown."""
    return TypeAdapter(schema).validate_python(yaml.safe_load((FOLDER / name).read_text(encoding="utf-8")))
