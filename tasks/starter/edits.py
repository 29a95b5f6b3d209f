"""Small edits of a question that leave what it asks, and its numbers, as they are."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

Edit = Callable[[str, frozenset[str], random.Random], str | None]
"""Takes a text, words to leave alone (in lower case) and a source of chance; None where the edit does not fit."""

_WORD = re.compile(r"(?<![\w'-])[A-Za-z]+(?![\w'-])")
_ASKING = re.compile(
    r"(?:^|(?<=[.,:;?] ))(?:[Ww]hat|[Hh]ow|[Ww]ho|[Ww]hy|[Ww]hen|[Ww]here)"
    r"(?= (?:is|are|does|do|did|can|may|must|should|will|would|happens|has)\b)"
)
_ORDER = re.compile(r"^(?:Name|Match|Pick|State|Find|Express|Compute|Mark|Choose)\b")
_TYPO_LENGTH = 6

_SYNONYMS = {
    "by how much": "by what amount", "buy": "purchase", "buys": "purchases", "chance": "probability",
    "chiefly": "mainly", "client": "customer", "clients": "customers", "clue": "hint", "commonly": "usually",
    "companies": "firms", "company": "firm", "compute": "calculate", "concept": "notion", "correct": "right",
    "customer": "client", "customers": "clients", "described": "explained", "explanation": "description",
    "expression": "phrase", "firm": "company", "firms": "companies", "generally": "usually", "headword": "entry",
    "kind": "type", "large": "big", "larger": "bigger", "lecturer": "teacher", "looks up": "searches for",
    "mainly": "chiefly", "meant by": "understood by", "nobody": "no one", "normally": "usually", "owner": "proprietor",
    "per cent": "percent", "per cent a year": "per cent annually", "printed": "published", "purpose": "aim",
    "receives": "gets", "saver": "investor", "someone": "somebody", "start": "begin",
    "starts": "begins", "statements": "sentences", "staff": "employees", "state the": "give the", "stays": "remains",
    "student": "trainee", "the whole": "the entire", "typically": "usually", "usually": "normally",
    "wants to": "wishes to", "what explains": "what accounts for", "which of the following": "which of these",
    "which of these": "which of the following", "workers": "employees", "yearly": "annual",
}  # fmt: skip
_SYNONYM = re.compile(rf"(?<![\w'-])(?:{'|'.join(sorted(_SYNONYMS, key=len, reverse=True))})(?![\w'-])", re.IGNORECASE)
_DROPPED = {"the", "a", "an", "usually", "normally", "generally", "typically", "mainly", "chiefly", "just", "then"}


def typo(text: str, keep: frozenset[str], rng: random.Random) -> str | None:
    """Swap, lose or double a letter inside a long word."""
    words = [word for word in _words(text, keep) if len(word.group()) >= _TYPO_LENGTH]
    if not words:
        return None
    word = rng.choice(words)
    at = rng.randrange(word.start() + 1, word.end() - 2)
    first, second = text[at], text[at + 1]
    changed = [second + first, second, first + first + second] if first != second else [first]
    return text[:at] + rng.choice(changed) + text[at + 2 :]


def synonym(text: str, keep: frozenset[str], rng: random.Random) -> str | None:
    """Put other words of the same meaning in the place of some."""
    found = [match for match in _SYNONYM.finditer(text) if not keep & keywords(match.group())]
    found = [match for match in found if _article_fits(text, match)]
    if not found:
        return None
    match = rng.choice(found)
    other = _SYNONYMS[match.group().lower()]
    return text[: match.start()] + (other.capitalize() if match.group()[0].isupper() else other) + text[match.end() :]


def dropped_word(text: str, keep: frozenset[str], rng: random.Random) -> str | None:
    """Leave out an article or an adverb that says little."""
    words = [word for word in _words(text, keep) if word.group() in _DROPPED and word.start() > 0]
    if not words:
        return None
    word = rng.choice(words)
    return text[: word.start()] + text[word.end() :].lstrip()


def added_word(text: str, keep: frozenset[str], rng: random.Random) -> str | None:
    """Add a word that changes nothing: `exactly` or `please`."""
    if _ORDER.match(text):
        return "Please " + text[0].lower() + text[1:]
    changed, found = _ASKING.subn(r"\g<0> exactly", text, count=1)
    return changed if found else None


def punctuation(text: str, keep: frozenset[str], rng: random.Random) -> str | None:
    """Other punctuation at the end, around quotations and between clauses; never inside a number."""
    changed = text.replace('"', "'") if rng.random() < 0.5 else text
    changed = re.sub(r",(?!\d)", "", changed) if rng.random() < 0.5 else changed
    return re.sub(r"[?.]$", lambda _: rng.choice((" ?", "??", "?!", "")), changed)


def prefix(wordings: Sequence[str]) -> Edit:
    """The edit that puts one of the wordings before the text; `{number}` becomes a number from 2 to 60."""

    def edit(text: str, keep: frozenset[str], rng: random.Random) -> str:
        return rng.choice(wordings).format(number=rng.randrange(2, 61)) + text

    return edit


def keywords(*texts: str) -> frozenset[str]:
    """The words of terms that an edit must leave alone."""
    return frozenset(word.lower() for text in texts for word in re.findall(r"[A-Za-z]+", text))


def rotated(edits: Sequence[Edit], start: int) -> list[Edit]:
    """The edits in the same order from another one on, so that rows that are counted get each of them in turn."""
    start %= len(edits)
    return [*edits[start:], *edits[:start]]


def edited(text: str, edits: Sequence[Edit], keep: frozenset[str], rng: random.Random) -> str:
    """The text after the first of the edits that fits.

    Raises:
        ValueError: none fits.
    """
    for edit in edits:
        changed = edit(text, keep, rng)
        if changed is not None and changed != text:
            return changed
    raise ValueError(f"no edit fits '{text}'")


def _words(text: str, keep: frozenset[str]) -> list[re.Match[str]]:
    return [word for word in _WORD.finditer(text) if word.group().lower() not in keep]


def _article_fits(text: str, match: re.Match[str]) -> bool:
    """Whether an article before the words suits their synonym as well."""
    before = text[: match.start()].split()
    if not before or before[-1].lower() not in ("a", "an"):
        return True
    old = match.group().lower()
    return (old[0] in "aeiou") == (_SYNONYMS[old][0] in "aeiou")
