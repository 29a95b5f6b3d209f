"""Shares by source: counted, and put in words."""

from collections import Counter
from collections.abc import Iterable, Mapping


def by_source(found: Iterable[str], of: Iterable[str]) -> dict[str, float]:
    """The share of each source's rows that was found; both arguments name the source of each row."""
    hits, rows = Counter(found), Counter(of)
    return {source: round(hits[source] / rows[source], 4) for source in sorted(rows)}


def in_words(shares: Mapping[str, float]) -> str:
    """For example `exam_bank 12 %, glossary 0 %`."""
    return ", ".join(f"{source} {100 * share:.0f} %" for source, share in shares.items())
