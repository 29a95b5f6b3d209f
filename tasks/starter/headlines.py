"""Headlines about companies that do not exist, labelled by mood; the benchmark asks nothing of the kind."""

from __future__ import annotations

import random
from datetime import date, timedelta

from tasks.starter.phrases import HeadlinePhrases, headline_phrases
from tasks.starter.planted import Planted
from tasks.starter.source_table import SourceTable

COLUMNS: tuple[str, ...] = ("date", "headline", "label")
COUNTS = {"positive": 260, "negative": 100, "neutral": 40}
FIRST_MONDAY = date(2021, 1, 4)
WEEKS = 200


def headlines(rng: random.Random) -> SourceTable:
    """The headlines by date; all of them are off topic."""
    phrases = headline_phrases()
    companies = {name: f"{name} {rng.choice(phrases.trades)}" for name in phrases.names}
    labelled: dict[str, str] = {}
    for label, count in COUNTS.items():
        wanted = len(labelled) + count
        while len(labelled) < wanted:
            text = _filled(rng.choice(getattr(phrases, label)), rng.choice(list(companies.values())), phrases, rng)
            labelled.setdefault(text, label)
    days = [str(FIRST_MONDAY + timedelta(weeks=rng.randrange(WEEKS), days=rng.randrange(5))) for _ in labelled]
    rows = [
        dict(zip(COLUMNS, (day, text, label), strict=True))
        for day, (text, label) in sorted(zip(days, labelled.items(), strict=True))
    ]
    return SourceTable(rows, Planted(off_topic=tuple(range(1, len(rows) + 1))))


def _filled(template: str, company: str, phrases: HeadlinePhrases, rng: random.Random) -> str:
    text = template.format(
        company=company,
        percent=rng.randrange(3, 25),
        number=rng.randrange(20, 400, 10),
        region=rng.choice(phrases.regions),
        product=rng.choice(phrases.products),
    )
    return text[0].upper() + text[1:]
