"""Text that others wrote, put into Markdown so that it stays text."""

import re

_MARKUP = re.compile(r"([\\|`*<\[])")


def inline(text: object) -> str:
    """A text on one line, also inside a table: blanks squeezed, characters escaped that would start markup."""
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def fenced(text: str) -> str:
    """A text as a code block, whatever backticks it holds."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}\n{text}\n{fence}"
