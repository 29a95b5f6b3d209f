"""Where the JSON of an answer stands, for the patent tasks (`par4pc`, `pi4pc`, `noc4pc`).

The content of the first block fenced as `json`, else of the first fenced block, else the whole text. What reads the
answer later, JSON or not, sees only that content.
"""

import json
from typing import Any

MAX_CHARACTERS = 20_000
"""Under the protocol `honest` a longer answer is read at its end."""

_FENCE = "```"


def fenced(text: str) -> str:
    """The content of the first block fenced as `json`, else of the first fenced block, else the text; trimmed.

    A block that never closes is none. The word `json` is looked for in lower case only: the content of a block fenced
    otherwise includes whatever stands after its fence.
    """
    opening = _FENCE + "json" if _FENCE + "json" in text else _FENCE
    _, found, rest = text.partition(opening)
    content, closed, _ = rest.partition(_FENCE)
    return content.strip() if found and closed else text.strip()


def decode(text: str) -> Any:
    """The JSON value that the whole text is; None when it is none, or `null`."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # not JSON, a number of thousands of digits, or nested too deep
        return None
