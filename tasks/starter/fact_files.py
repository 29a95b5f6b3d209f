"""The facts of the starter task as typed objects, read from one YAML file per subject."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

SUBJECTS: dict[str, str] = {
    "accounting": "accounting",
    "banking": "banking",
    "securities": "securities markets",
    "funds": "fund investing",
    "insurance": "insurance",
    "economics": "economics",
    "tax": "taxation",
    "futures": "futures trading",
    "financial_planning": "financial planning",
    "actuarial": "actuarial science",
}
"""Subject name (also the file name and the label in the data) to the wording used in questions."""

FACT_KEYS = {"term", "definition", "near", "aspects"}
ASPECT_KEYS = {"ask_train", "ask_bench", "answer", "distractors", "why"}


@dataclass(frozen=True)
class Aspect:
    """One further thing to know about a term, with its questions for the sources and for the benchmark."""

    ask_train: tuple[str, ...]
    ask_bench: tuple[str, ...]
    answer: str
    distractors: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Fact:
    """A term, its definition and its aspects; `near` names terms too close to be offered beside it."""

    id: str
    subject: str
    term: str
    definition: str
    near: tuple[str, ...]
    aspects: tuple[Aspect, ...]

    @property
    def aspect(self) -> Aspect:
        """The one aspect that the rules ask for."""
        return self.aspects[0]


def load_facts(folder: Path) -> dict[str, list[Fact]]:
    """Read the facts of every subject from `folder`; ValueError names file and term of a malformed entry.

    Ids such as `acc-017` count the entries of a file: new facts are added at its end.
    """
    return {subject: _read_subject(folder / f"{subject}.yaml", subject) for subject in SUBJECTS}


def _read_subject(path: Path, subject: str) -> list[Fact]:
    content: object = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, list):
        raise ValueError(f"{path.name}: a list of facts is expected")
    entries = enumerate(cast("list[object]", content), start=1)
    return [_read_fact(path.name, subject, f"{subject[:3]}-{number:03d}", entry) for number, entry in entries]


def _read_fact(file: str, subject: str, id_: str, entry: object) -> Fact:
    fields = _fields(f"{file}: entry", entry, FACT_KEYS)
    term = fields.get("term")
    if not isinstance(term, str):
        raise ValueError(f"{file}: an entry has no term")
    where = f"{file}: {term}"
    aspects = fields.get("aspects")
    if not isinstance(aspects, list):
        raise ValueError(f"{where}: aspects must be a list")
    return Fact(
        id=id_,
        subject=subject,
        term=term,
        definition=_text(where, fields, "definition"),
        near=_texts(where, fields, "near") if "near" in fields else (),
        aspects=tuple(_read_aspect(where, aspect) for aspect in cast("list[object]", aspects)),
    )


def _read_aspect(where: str, entry: object) -> Aspect:
    fields = _fields(where, entry, ASPECT_KEYS)
    return Aspect(
        ask_train=_texts(where, fields, "ask_train"),
        ask_bench=_texts(where, fields, "ask_bench"),
        answer=_text(where, fields, "answer"),
        distractors=_texts(where, fields, "distractors"),
        why=_text(where, fields, "why") if "why" in fields else "",
    )


def _fields(where: str, entry: object, allowed: set[str]) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: a mapping is expected, not {entry!r}")
    fields = cast("dict[str, Any]", entry)
    unknown = sorted(set(fields) - allowed)
    if unknown:
        raise ValueError(f"{where}: unknown keys {unknown}")
    return fields


def _text(where: str, fields: dict[str, Any], key: str) -> str:
    value = fields.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{where}: {key} must be a non-empty text")
    return value


def _texts(where: str, fields: dict[str, Any], key: str) -> tuple[str, ...]:
    value = fields.get(key)
    if not isinstance(value, list):
        raise ValueError(f"{where}: {key} must be a list of texts")
    texts = cast("list[object]", value)
    if not all(isinstance(text, str) and text.strip() for text in texts):
        raise ValueError(f"{where}: {key} holds something other than a non-empty text")
    return tuple(cast("list[str]", texts))
