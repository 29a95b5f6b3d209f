"""The gateway's process: the only door to any language-model call.

`python -P -m eval.gateway --spec SPEC --cache DIR --ledger FILE --socket PATH [caps]`. It alone holds provider keys.
It answers `ask`, `known`, `forget` and `spent` on a Unix socket: from its cache where it can, else by calls that are
counted, capped, limited in number at one server, and tried again when that may help. It asks the models that it was
started for and no other, so whoever reaches the socket cannot have a key sent elsewhere.
"""

import argparse
import asyncio
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from functools import cache
from pathlib import Path
from typing import Any, TextIO, TypeVar, cast

from pydantic import ValidationError

from eval.buyer import Buyer, Outcome
from eval.chat_cache import ChatCache
from eval.chat_records import ChatReply, ChatRequest, Limits, Spent, TokenUsage
from eval.pricing import Price, parse_prices
from eval.providers import secrets
from eval.scrub import ScrubbedStream, Scrubber
from eval.service import Method, Progress, serve
from eval.spending import Accounts
from tasks.failure import InputError
from tasks.record import explain

HEARTBEAT = 5.0
"""Seconds after which the last progress is told again, which also shows whether the caller still lives."""
T = TypeVar("T")


class _Flight:
    """A request that is being answered, for all who ask it meanwhile."""

    def __init__(self) -> None:
        self.askers = 0
        self.begun = False
        self.task: asyncio.Task[Outcome] | None = None

    def wanted(self) -> bool:
        """Whether somebody waits, now that its turn has come."""
        self.begun = True
        return self.askers > 0


class Gateway:
    """Answers requests; all its coroutines run in one event loop."""

    def __init__(
        self,
        specs: Sequence[str],
        cache: ChatCache,
        accounts: Accounts,
        limits: Limits,
        prices: Mapping[str, Price],
        transcript: Path | None = None,
    ) -> None:
        """
        Args:
            specs: the models that may be asked.
            transcript: JSON Lines file that receives every call.

        Raises:
            InputError: one of them cannot be had, or its price is unknown though there is a cap on cost.
        """
        self._specs = frozenset(specs)
        self._cache, self._accounts = cache, accounts
        self._buyer = Buyer(specs, accounts, limits, prices, transcript)
        self._flights: dict[str, _Flight] = {}

    def check(self, requests: Sequence[ChatRequest]) -> None:
        """See that the models may be asked.

        Raises:
            InputError: one was not named when the gateway was started.
        """
        for request in requests:
            if request.spec not in self._specs:
                known = ", ".join(sorted(self._specs)) or "none"
                raise InputError(f"{request.spec}: this gateway was not started for it; models it may ask: {known}")

    async def ask(self, request: ChatRequest) -> Outcome:
        """Answer a request out of the cache, by the call that is on its way for the same request, or by a new one.

        A call that is on its way goes on when nobody waits any more, because it is paid for; it is not repeated then.
        """
        key = request.key
        if found := self._cache.load(key):
            return self._reused(request, found)
        flight = self._flights.get(key)
        first = flight is None
        if flight is None:
            flight = self._flights[key] = _Flight()
            flight.task = asyncio.create_task(self._buy(key, request, flight))
        assert flight.task
        flight.askers += 1
        try:
            outcome = await asyncio.shield(flight.task)
        finally:
            flight.askers -= 1
            if not flight.askers and not flight.begun:
                flight.task.cancel()
                self._land(key, flight)
        if first:
            return outcome
        if isinstance(outcome, ChatReply):
            return self._reused(request, outcome)
        return outcome.model_copy(update={"stage": request.who or "ask", "usage": TokenUsage(), "cost": 0.0})

    def known(self, requests: Sequence[ChatRequest]) -> list[bool]:
        """Whether each request has its answer in the cache."""
        return [self._cache.load(request.key) is not None for request in requests]

    def forget(self, requests: Sequence[ChatRequest]) -> None:
        """Drop answers from the cache."""
        self._cache.forget([request.key for request in requests])

    async def spent(self) -> Spent:
        """What has been spent so far."""
        return self._accounts.spent()

    def _reused(self, request: ChatRequest, reply: ChatReply) -> ChatReply:
        self._accounts.reuse(request.who, request.spec)
        return reply.model_copy(update={"cached": True, "cost": 0.0, "retries": 0})

    async def _buy(self, key: str, request: ChatRequest, flight: _Flight) -> Outcome:
        try:
            outcome = await self._buyer.buy(request, flight.wanted)
        finally:
            self._land(key, flight)
        if isinstance(outcome, ChatReply) and outcome.usable:
            self._cache.store(key, outcome)
        return outcome

    def _land(self, key: str, flight: _Flight) -> None:
        if self._flights.get(key) is flight:
            del self._flights[key]


def methods(gateway: Gateway) -> dict[str, Method]:
    """The service methods over a gateway."""

    def run(work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, _loop())

    def ask(progress: Progress, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        asked = _requests(requests)
        gateway.check(asked)
        futures = [run(gateway.ask(request)) for request in asked]
        missing: set[Future[Outcome]] = set(futures)
        try:
            while missing:
                _, missing = wait(missing, HEARTBEAT, FIRST_COMPLETED)
                progress(len(futures) - len(missing), len(futures))  # fails when the caller is dead
            return [{type(found).__name__: found.model_dump(mode="json")} for found in (f.result() for f in futures)]
        except BaseException:
            for future in futures:
                future.cancel()
            raise

    def known(progress: Progress, requests: list[dict[str, Any]]) -> list[bool]:
        return gateway.known(_requests(requests))

    def forget(progress: Progress, requests: list[dict[str, Any]]) -> None:
        gateway.forget(_requests(requests))

    def spent(progress: Progress) -> dict[str, Any]:
        return run(gateway.spent()).result().model_dump(mode="json")

    return {"ask": ask, "known": known, "forget": forget, "spent": spent}


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """The process's one event loop, in a thread: clients of providers share connections, which belong to a loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True, name="calls").start()
    return loop


def _requests(found: list[dict[str, Any]]) -> list[ChatRequest]:
    try:
        return [ChatRequest.model_validate(one) for one in found]
    except ValidationError as error:
        raise InputError(f"not a request to a chat model: {explain(error)}") from None


def main() -> None:
    """Serve until the parent dies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spec", action="append", default=[], help="a model that may be asked; repeatable")
    parser.add_argument("--price", action="append", default=[], help="SPEC=IN,OUT in dollars per million tokens")
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--ledger", required=True, type=Path)
    parser.add_argument("--transcript", type=Path, help="JSON Lines file that receives every call")
    parser.add_argument("--socket", required=True, type=Path)
    for name in Limits.model_fields:
        parser.add_argument(f"--{name.replace('_', '-')}", default=argparse.SUPPRESS)
    arguments = parser.parse_args()
    scrub = Scrubber(secrets())
    sys.stdout = cast(TextIO, ScrubbedStream(sys.stdout, scrub))
    sys.stderr = cast(TextIO, ScrubbedStream(sys.stderr, scrub))
    serve(arguments.socket, lambda: methods(_gateway(arguments)))


def _gateway(arguments: argparse.Namespace) -> Gateway:
    try:
        limits = Limits.model_validate({k: v for k, v in vars(arguments).items() if k in Limits.model_fields})
    except ValidationError as error:
        raise InputError(f"limits of the gateway: {explain(error)}") from None
    prices = parse_prices(arguments.price)
    accounts = Accounts(arguments.ledger, limits)
    cache = ChatCache(arguments.cache)
    return Gateway(arguments.spec, cache, accounts, limits, prices, arguments.transcript)


if __name__ == "__main__":
    main()
