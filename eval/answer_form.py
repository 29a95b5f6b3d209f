"""The form of an answer: how JSON is asked of a language model, and how it is found in what comes back."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from eval.chat_records import ChatFailure, ChatReply, ChatRequest, Mode, Trouble
from eval.gateway_client import Asker

MODES: tuple[Mode, ...] = ("schema", "function", "text")
"""Ways to ask for the form of an answer, strongest first; the schema is in the prompt as well."""
FEW_CHARACTERS, FEW_ITEMS = 200, 12
"""Of a text and of a list, when an answer is asked for again because it was too long to end."""
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL)
"""The closing fence begins a line: inside JSON, the line breaks of a string are escaped."""
_OBJECT = json.JSONDecoder()


def weaker(mode: Mode) -> Mode | None:
    """The next way to ask on a server that does not support one; None after the last."""
    return None if mode == MODES[-1] else MODES[MODES.index(mode) + 1]


def terse(schema: dict[str, Any]) -> dict[str, Any]:
    """The same JSON schema with at most `FEW_CHARACTERS` in a text and `FEW_ITEMS` in a list, where these are bounded.

    Where a server decodes by the schema, this ends an answer that would go on without end.
    """

    def shorten(node: Any) -> Any:
        if isinstance(node, list):
            return [shorten(one) for one in node]
        if not isinstance(node, dict):
            return node
        made = {name: shorten(value) for name, value in node.items()}
        for limit, most in (("maxLength", FEW_CHARACTERS), ("maxItems", FEW_ITEMS)):
            if isinstance(made.get(limit), int):
                made[limit] = min(made[limit], most)
        return made

    return shorten(schema)


def ask_in_form(gateway: Asker, requests: Sequence[ChatRequest]) -> list[ChatReply | ChatFailure]:
    """The answers to requests with a schema to one model, in the strongest mode that its server supports.

    The first request goes ahead and finds the mode, so that not all of them are refused.

    Raises:
        InputError, StageError: as `Asker.ask_many`.
    """
    if not requests:
        return []
    mode: Mode | None = MODES[0]
    while mode:
        first = requests[0].model_copy(update={"mode": mode})
        found = gateway.ask_many([first])[0]
        if not (isinstance(found, ChatFailure) and found.trouble is Trouble.FORMAT) or weaker(mode) is None:
            rest = [request.model_copy(update={"mode": mode}) for request in requests[1:]]
            return [found, *(gateway.ask_many(rest) if rest else [])]
        mode = weaker(mode)
    raise AssertionError("unreachable")


def unanswered(gateway: Asker, requests: Sequence[ChatRequest]) -> list[ChatRequest]:
    """The requests whose answers would have to be bought: none is there in any mode.

    Raises:
        StageError: as `Asker.ask`.
    """
    modes: dict[Mode, list[ChatRequest]] = {
        mode: [request.model_copy(update={"mode": mode}) for request in requests] for mode in MODES
    }
    known = [gateway.known(each) for each in modes.values()]
    return [request for request, found in zip(requests, zip(*known, strict=True), strict=True) if not any(found)]


def candidates(text: str) -> Iterator[str]:
    """The JSON objects in an answer, the most trusted one last: bare ones in prose, fenced ones, the whole text."""
    answer = without_thoughts(text)
    yield from _bare_objects(answer)
    yield from _FENCE.findall(answer)
    if answer.strip().startswith("{"):
        yield answer.strip()


def without_thoughts(text: str) -> str:
    """What follows the thoughts at the beginning of an answer; some templates leave out the tag that opens them."""
    head, close, tail = text.partition("</think>")
    return tail if close and ("<think>" not in head or head.lstrip().startswith("<think>")) else text


def _bare_objects(text: str) -> Iterator[str]:
    place = text.find("{")
    while place >= 0:
        try:
            found, end = _OBJECT.raw_decode(text, place)
        except ValueError:
            end = place + 1
        else:
            yield json.dumps(found)
        place = text.find("{", end)
