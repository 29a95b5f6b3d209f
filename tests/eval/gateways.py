"""Gateways for tests: in this process, or in one of their own."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.chat_cache import ChatCache
from eval.chat_records import ChatRequest, Limits, Message
from eval.gateway import Gateway, methods
from eval.gateway_client import Asker
from eval.pricing import parse_prices
from eval.spending import Accounts

HASTY = Limits(backoff=0.01, timeout=10)
"""Limits that keep tests short."""


def in_process(specs: Sequence[str], folder: Path, limits: Limits = HASTY, prices: Sequence[str] = ()) -> Asker:
    """A gateway without a process; what goes in and comes out passes through JSON as on the socket.

    Raises:
        InputError: as the process would refuse to start.
    """
    accounts = Accounts(folder / "spending.jsonl", limits)
    gateway = Gateway(specs, ChatCache(folder / "cache"), accounts, limits, parse_prices(prices))
    served = methods(gateway)

    def send(method: str, progress: Any, **parameters: Any) -> Any:
        found = served[method](progress or (lambda done, total: None), **json.loads(json.dumps(parameters)))
        return json.loads(json.dumps(found))

    return Asker(send)


def request(spec: str, text: str, **more: Any) -> ChatRequest:
    """A request of one user message."""
    return ChatRequest(spec=spec, messages=(Message(role="user", content=text),), **more)
