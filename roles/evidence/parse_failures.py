"""Answers that the scorer cannot read, by what they look like."""

from collections import Counter

from memory.records import Evidence
from roles.evidence.case import Case
from tasks.text import normalise, words

KINDS = {
    "empty": "empty",
    "letter_only": "only a letter",
    "echo": "repeating a part of the prompt",
    "cut": "cut at the token limit",
    "other": "of another kind",
}
"""In the order in which they are tried: an answer that repeats the prompt is often cut too, and that is why."""
ECHO = (4, 8)
"""An answer repeats the prompt when it holds eight words of it in a row, or is a part of it of at least four words."""
_BEFORE_A_LETTER = frozenset({"the", "correct", "right", "best", "answer", "option", "choice", "is"})


def find(case: Case) -> Evidence | None:
    """Completions that do not parse; None when nothing was evaluated."""
    if not case.items:
        return None
    kinds = Counter(
        kind_of(completion, item.prompt, cut=item.truncated)
        for item in case.items
        for completion, parsed in zip(item.completions, item.parsed, strict=True)
        if not parsed
    )
    count, of = kinds.total(), sum(len(item.completions) for item in case.items)
    parts = ", ".join(f"{kinds[kind]} {described}" for kind, described in KINDS.items() if kinds[kind])
    claim = f"{count} of {of} answers to feedback items cannot be read" + (f": {parts}." if parts else ".")
    figures = {kind: float(kinds[kind]) for kind in KINDS}
    return Evidence(name="parse_failures", claim=claim, count=count, of=of, figures=figures)


def kind_of(completion: str, prompt: str, *, cut: bool) -> str:
    """The kind of an answer that does not parse, one of `KINDS`.

    Args:
        cut: a completion of the item was cut at the token limit; of several samples this one need not be it.
    """
    tokens = normalise(completion).split()
    if not tokens:
        return "empty"
    if _is_letter(tokens):
        return "letter_only"
    if _echoes(completion, prompt):
        return "echo"
    return "cut" if cut else "other"


def _is_letter(tokens: list[str]) -> bool:
    *before, last = tokens
    return len(last) == 1 and last.isascii() and last.isalpha() and _BEFORE_A_LETTER.issuperset(before)


def _echoes(completion: str, prompt: str) -> bool:
    said, asked = words(completion).split(), words(prompt)
    shortest, longest = ECHO
    size = min(longest, len(said))
    runs = (" ".join(said[start : start + size]) for start in range(len(said) - size + 1))
    return size >= shortest and any(f" {run} " in asked for run in runs)
