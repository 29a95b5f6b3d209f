"""How the answer to a chemistry prompt is found: in a JSON object, or in what is left of one.

The steps are those of the ChemCoTBench scorers, under both protocols. Each reader returns None when its step finds
nothing, so that a scorer can chain them.
"""

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from tasks.task import Protocol, Sample

MAX_CHARACTERS = 20_000
"""Under `honest` the answer is looked for in so many characters at the end of a longer text."""
MAX_SHOWN = 1000
"""Characters of an extracted answer that a score keeps."""

TEXT = '"([^"]*)"'
"""What a quoted value looks like to `quoted`."""

_RUN = re.compile(r"[A-Za-z][A-Za-z0-9@\[\]()=#\-+.\\/]{4,}")


def answer_body(text: str, protocol: Protocol) -> str:
    """The part of an answer that is read: without complete thoughts, the first block fenced as `json`, or the first
    fenced block, or everything. When a block fenced as `json` never closes, everything."""
    if protocol == "honest":
        text = text[-MAX_CHARACTERS:]
    body = _without_thoughts(text.strip())
    fence = "```json" if "```json" in body else "```"
    _, opened, rest = body.partition(fence)
    inside, closed, _ = rest.partition("```")
    return (inside if opened and closed else body).strip()


def _without_thoughts(text: str) -> str:
    kept: list[str] = []
    while True:
        before, opened, rest = text.partition("<think>")
        _, closed, after = rest.partition("</think>")
        if not (opened and closed):
            return "".join([*kept, text])
        kept.append(before)
        text = after


def json_object(body: str) -> dict[str, Any] | None:
    """The JSON object that the whole body is. Newlines (with exactly four blanks, or none, after them) are deleted
    first, also inside strings."""
    try:
        value = json.loads(body.replace("\n    ", "").replace("\n", ""))
    except (ValueError, RecursionError):  # no JSON, a number of thousands of digits, or nested too deep
        return None
    return value if isinstance(value, dict) else None


def first_present(found: dict[str, Any] | None, keys: Iterable[str]) -> Any:
    """The value of the first key that is there, also when it is null; None without an object or a key."""
    return next((found[key] for key in keys if key in found), None) if found else None


def as_text(value: Any) -> str | None:
    """A JSON value as Python writes it (2.0, True), blanks trimmed; None for null."""
    try:
        return None if value is None else str(value).strip()
    except RecursionError:
        return ""


def quoted(body: str, keys: Iterable[str], value: str = TEXT, *, ignore_case: bool = True) -> str | None:
    """The group of the pattern `value` after `"key":`, for the first key that is followed by one."""
    flags = re.IGNORECASE if ignore_case else 0
    found = (re.search(rf'"{re.escape(key)}"\s*:\s*{value}', body, flags) for key in keys)
    return next((match[1].strip() for match in found if match), None)


def longest_run(body: str) -> str | None:
    """The longest run, the first of equals, of a letter and at least four characters of SMILES."""
    return max(_RUN.findall(body), key=len, default=None)


def reference_text(answer: str, read: Callable[[str], str | None]) -> str:
    """A reference is the bare value, or an answer that holds it (`{"Major Product": "CCO"}`)."""
    text = answer.strip()
    return (read(text) or "") if text.startswith(("{", "```")) else text


def shown(text: str) -> str:
    """An extracted answer as a score keeps it: cut, and without halves of surrogate pairs."""
    return text[:MAX_SHOWN].encode("utf-8", "replace").decode()


def unknown_subtask(sample: Sample, known: Iterable[str]) -> ValueError:
    """The error for a sample whose group is no sub-task."""
    return ValueError(f"sample {sample.id}: unknown sub-task {sample.group!r}; known sub-tasks: {', '.join(known)}")
