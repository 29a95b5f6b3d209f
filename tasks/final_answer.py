"""The text after `Final Answer:`, the form of answer that TableBench asks for, and when two such texts are equal."""

import re

from tasks.task import Protocol
from tasks.text import normalise

MARKER = "Final Answer:"
MAX_CHARACTERS = 20_000
"""Under `honest` a longer text is read at its end."""

_MARKER = re.compile(MARKER, re.IGNORECASE)
_NO_WORD = re.compile(r"[^\w\s]")
_DISTANT_SIGN = re.compile("^([-\u2212])\\s+")


def final_answer(text: str, protocol: Protocol) -> str:
    """The first line after the marker (any case; blanks and line breaks before it are skipped), or `""`.

    `honest` takes the last marker that something follows, `paper` the first marker, whatever follows; there, nothing
    but blanks gives `""` and no character at all the whole text. Without a marker the whole text is the answer.
    """
    return _first(text) if protocol == "paper" else _last(text[-MAX_CHARACTERS:])


def _first(text: str) -> str:
    found = _MARKER.search(text)
    rest = text[found.end() :] if found else ""
    return rest.strip().partition("\n")[0].strip() if rest else text.strip()


def _last(text: str) -> str:
    found = list(_MARKER.finditer(text))
    for marker in reversed(found):
        line = text[marker.end() :].lstrip().partition("\n")[0].strip()
        if _MARKER.sub("", line).strip():
            return line
    return "" if found else text.strip()


def bare_words(text: str) -> str:
    """Lower case, every character that belongs to no word a space, squeezed: `-12.5` becomes `12 5`."""
    return " ".join(_NO_WORD.sub(" ", text.lower()).split())


def same_answer(answer: str, reference: str, protocol: Protocol) -> bool:
    """Whether two extracted answers are equal as `bare_words`.

    `honest` also asks, where neither has a letter, for the same signs and decimal points: `-12.5` is not `12 5`.
    """
    words = bare_words(answer)
    if words != bare_words(reference):
        return False
    numeric = protocol == "honest" and any(map(str.isdigit, words)) and not any(map(str.isalpha, words))
    return not numeric or _with_signs(answer) == _with_signs(reference)


def _with_signs(text: str) -> str:
    return normalise(_DISTANT_SIGN.sub(r"\1", text))
