"""How close each source comes to what the benchmark asks: the nearest feedback item of a row, by sentence embedding.

A source about something else has no near item for most of its rows. Only means over rows are told.
"""

from memory.records import Evidence
from roles.evidence.case import Case
from tasks.embedding import SentenceEmbedder, Vectors

LOOKED_AT = 60
"""Rows of each source, spread evenly."""
CHARACTERS = 600
"""Of a text, for speed."""
NEAR = 0.5
"""Cosine from which an item counts as near."""


def find(case: Case) -> Evidence | None:
    """Rows that have a near item, and the mean cosine to the nearest item by source; None without rows or items."""
    if not case.rows or not case.items:
        return None
    embedder = SentenceEmbedder()
    items = embedder.embed([item.prompt[:CHARACTERS] for item in case.items])
    nearest = {source: _nearest(case, source, items, embedder) for source in sorted({row.source for row in case.rows})}
    values = [value for found in nearest.values() for value in found]
    near = sum(value >= NEAR for value in values)
    means = {source: round(sum(found) / len(found), 3) for source, found in nearest.items()}
    told = ", ".join(f"{source} {mean:.2f}" for source, mean in means.items())
    return Evidence(
        name="relevance",
        claim=f"{near} of {len(values)} training rows that were looked at are close in subject to some feedback item "
        f"(cosine of at least {NEAR}; what gives an item away is removed before); mean similarity to the nearest item "
        f"by source, where 1 is the same: {told}.",
        count=near,
        of=len(values),
        figures=means,
    )


def _nearest(case: Case, source: str, items: Vectors, embedder: SentenceEmbedder) -> list[float]:
    contents = [row.content[:CHARACTERS] for row in case.rows if row.source == source]
    looked_at = min(LOOKED_AT, len(contents))
    chosen = [contents[place * len(contents) // looked_at] for place in range(looked_at)]
    return [float(value) for value in (embedder.embed(chosen) @ items.T).max(axis=1)]
