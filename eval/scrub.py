"""Keeps keys out of everything that leaves a process: answers, errors, files, logs."""

import io
import json
import re
from collections.abc import Iterable
from typing import Any, TextIO
from urllib.parse import quote

HIDDEN = "[key]"
SHORTEST = 8
"""Characters from which a value counts as a secret: shorter ones (`none`, `EMPTY`) are placeholders for servers that
want any key, and words of ordinary text."""


class Scrubber:
    """Replaces secrets in text, also where they are quoted for a URL, JSON or Python."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {
            form
            for value in values
            if len(value) >= SHORTEST
            for form in (value, quote(value, safe=""), json.dumps(value)[1:-1], repr(value)[1:-1])
        }
        longest_first = sorted(forms, key=lambda form: (-len(form), form))
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if forms else None

    def __call__(self, text: str) -> str:
        """The text without secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


class ScrubbedStream(io.TextIOBase):
    """A text stream on which no secret gets through that is written in one piece."""

    def __init__(self, stream: TextIO, scrub: Scrubber) -> None:
        self._stream, self._scrub = stream, scrub

    def write(self, text: str, /) -> int:
        """Write the text without secrets."""
        self._stream.write(self._scrub(text))
        return len(text)

    def flush(self) -> None:
        """Flush the stream behind it."""
        self._stream.flush()

    def fileno(self) -> int:
        """The descriptor behind it."""
        return self._stream.fileno()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
