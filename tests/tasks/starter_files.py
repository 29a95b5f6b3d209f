"""The starter data as committed, and the small reading of texts that its tests share."""

from __future__ import annotations

import csv
import json
import random
import re
from functools import cache
from typing import Any

from bs4 import BeautifulSoup

from tasks.starter import generate
from tasks.starter.fact_files import SUBJECTS, Fact, load_facts
from tasks.starter.questions import ComputationCases, computation_cases
from tasks.starter.wordings import EXAM_MEANING

DATA = generate.HERE / "data"


def squeeze(text: str) -> str:
    """Lower case, without punctuation, single blanks."""
    return " ".join(re.sub(r"[\W_]+", " ", text.lower()).split())


def similarity(left: str, right: str) -> float:
    """Shared words over all words."""
    a, b = set(squeeze(left).split()), set(squeeze(right).split())
    return len(a & b) / len(a | b)


@cache
def jsonl(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


@cache
def table(name: str) -> list[dict[str, str]]:
    with (DATA / f"{name}.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


@cache
def facts() -> dict[str, Fact]:
    """Facts by id."""
    return {fact.id: fact for entries in load_facts(generate.FACTS).values() for fact in entries}


@cache
def computations() -> list[ComputationCases]:
    """The drawn computations, as the generator draws them."""
    subjects = dict.fromkeys(fact.subject for fact in facts().values())
    return [kind for name in subjects for kind in computation_cases(name, random.Random(f"{generate.SEED}:{name}"))]


@cache
def answers() -> dict[str, str]:
    """The right answer to each question that the sources were written from, by its squeezed wording."""
    known: dict[str, str] = {}
    for fact in facts().values():
        known |= {squeeze(text): fact.aspect.answer for text in fact.aspect.ask_train}
        meanings = [text.format(term=fact.term, area=SUBJECTS[fact.subject]) for text in EXAM_MEANING]
        known |= {squeeze(text): fact.definition for text in meanings}
    drawn = [case for kind in computations() for case in (*kind.exam, *kind.worked, *kind.mock)]
    return known | {squeeze(case.train): case.answer for case in drawn}


def option(row: dict[str, str]) -> str:
    """The option that the answer cell of an exam row names."""
    return row[f"option_{row['answer'].strip(' .').lower()}"]


class ParsedThread:
    """A thread as CSS selectors find it."""

    def __init__(self, html: str) -> None:
        page = BeautifulSoup(html, "html.parser")
        for clutter in page.select("script, style, .ad, .quote, .signature"):
            clutter.decompose()
        self.page = page
        self.board = str(page.select_one("[data-board]")["data-board"])  # type: ignore[index]
        self.title = self.text(".title")
        self.question = self.text(".question .body")
        self.accepted = self.text(".answer.accepted .body")
        self.point = self.text(".answer.accepted .body b")
        self.votes = int(self.text(".answer.accepted .votes") or 0)

    def text(self, selector: str) -> str:
        found = self.page.select_one(selector)
        return " ".join(found.get_text(" ").replace("\u2019", "'").split()) if found else ""


@cache
def threads() -> list[ParsedThread]:
    return [ParsedThread(row["html"]) for row in jsonl("forum_dump")]
