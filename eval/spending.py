"""What calls to language models have taken, and the caps on it.

Every call leaves two lines in a JSON Lines file: what it may take, before it is sent, and what it took. A gateway that
is started again reads them and goes on counting. A call of which only the first line is there (the process was killed
meanwhile) counts with what it might have taken, because the provider may have billed it.
"""

import asyncio
import itertools
import os
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from eval.chat_records import Limits, Spent, Tally, TokenUsage
from tasks.failure import InputError
from tasks.record import Record, explain, read_jsonl

ROUNDING = 1e-9
"""Dollars by which a sum of floating-point numbers may pass a cap."""


class Entry(Record):
    """A line of the file."""

    event: Literal["sent", "ended", "reused"]
    call: str
    """Pairs the two lines of a call; empty for an answer that was there already."""
    at: str
    """UTC, ISO 8601."""
    who: str
    spec: str
    usage: TokenUsage = TokenUsage()
    """When it is sent: what it may take."""
    cost: float | None = 0.0
    """Dollars; None when the price is unknown."""
    retry: int = 0
    """Calls for the same request that had failed before."""
    trouble: str | None = None
    """Why a call that ended gave no answer."""
    seconds: float = 0.0


class CapReached(Exception):
    """A call may take more than is left."""


class Accounts:
    """The file and the sums over it; used from one event loop.

    Raises (on construction):
        InputError: the file does not fit the schema.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        self._limits = limits
        self._total = Tally()
        self._by_who: dict[str, Tally] = {}
        self._open: dict[str, Entry] = {}
        self._changed = asyncio.Condition()
        self._name = f"{os.getpid():x}-{datetime.now(UTC):%y%m%d%H%M%S%f}"
        self._numbers = itertools.count(1)
        path.parent.mkdir(parents=True, exist_ok=True)
        for entry in _read(path):
            self._count(entry)
        for lost in list(self._open.values()):
            self._count(lost.model_copy(update={"event": "ended", "trouble": "nobody saw its end"}))
        self._file = path.open("a", encoding="utf-8", buffering=1)

    async def begin(self, who: str, spec: str, most: TokenUsage, cost: float | None, retry: int) -> str:
        """Note a call that is about to be sent; returns its name.

        Waits while calls in flight might take what this one needs.

        Args:
            most: the tokens that it may take.
            cost: the dollars that it may take.

        Raises:
            CapReached: it may take more than is left.
        """
        async with self._changed:
            while self._over(most, cost, self._open.values()):
                if refused := self._over(most, cost, ()):
                    raise CapReached(refused)
                await self._changed.wait()
            call = f"{self._name}-{next(self._numbers)}"
            entry = Entry(event="sent", call=call, at=now(), who=who, spec=spec, usage=most, cost=cost, retry=retry)
            self._write(entry)
            return call

    async def end(self, call: str, usage: TokenUsage, cost: float | None, seconds: float, trouble: str | None) -> None:
        """Note what a call took."""
        async with self._changed:
            ended = {"event": "ended", "at": now(), "usage": usage, "cost": cost, "trouble": trouble}
            self._write(self._open[call].model_copy(update={**ended, "seconds": round(seconds, 3)}))
            self._changed.notify_all()

    def reuse(self, who: str, spec: str) -> None:
        """Note an answer that was there already."""
        self._write(Entry(event="reused", call="", at=now(), who=who, spec=spec))

    def spent(self) -> Spent:
        """The sums so far, without calls in flight."""
        tokens, dollars = self._limits.max_tokens, self._limits.max_cost
        return Spent(
            total=self._total,
            by_who=dict(self._by_who),
            tokens_left=None if tokens is None else max(0, tokens - self._total.usage.total),
            dollars_left=None if dollars is None else max(0.0, dollars - self._total.cost),
        )

    def _over(self, most: TokenUsage, cost: float | None, flying: Collection[Entry]) -> str | None:
        """Why a call does not fit beside those in flight; None when it does."""
        tokens = self._total.usage.total + sum(entry.usage.total for entry in flying)
        dollars = self._total.cost + sum(entry.cost or 0.0 for entry in flying)
        cap, purse = self._limits.max_tokens, self._limits.max_cost
        if cap is not None and tokens + most.total > cap:
            return (
                f"the cap of {cap:,} tokens (--max-tokens) is reached: {self._total.usage.total:,} are spent, and this "
                f"call may take {most.total:,}"
            )
        if purse is not None and dollars + (cost or 0.0) > purse + ROUNDING:
            return (
                f"the cap of ${purse:g} (--max-cost) is reached: ${self._total.cost:.4f} are spent, and this call may "
                f"take ${cost or 0.0:.4f}"
            )
        return None

    def _write(self, entry: Entry) -> None:
        self._file.write(entry.model_dump_json() + "\n")
        self._count(entry)

    def _count(self, entry: Entry) -> None:
        if entry.event == "sent":
            self._open[entry.call] = entry
            return
        self._open.pop(entry.call, None)
        self._total = _add(self._total, entry)
        self._by_who[entry.who] = _add(self._by_who.get(entry.who, Tally()), entry)


def _add(tally: Tally, entry: Entry) -> Tally:
    if entry.event == "reused":
        return tally.model_copy(update={"reused": tally.reused + 1})
    return Tally(
        calls=tally.calls + 1,
        failures=tally.failures + (entry.trouble is not None),
        retries=tally.retries + (entry.retry > 0),
        reused=tally.reused,
        usage=tally.usage + entry.usage,
        cost=tally.cost + (entry.cost or 0.0),
        unpriced=tally.unpriced + (entry.cost is None),
        estimated=tally.estimated + entry.usage.estimated,
    )


def _read(path: Path) -> Iterator[Entry]:
    _end_last_line(path)
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            yield Entry.model_validate(row)
        except ValidationError as error:
            raise InputError(f"{path}, row {number}: not a line of spending: {explain(error)}") from None


def _end_last_line(path: Path) -> None:
    """Drop the beginning of a line that a full disk or a power cut left at the end."""
    path.touch()
    with path.open("r+b") as file:
        content = file.read()
        file.truncate(content.rfind(b"\n") + 1)


def now() -> str:
    """The time as records keep it: UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
