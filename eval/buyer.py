"""Buys the answer to one request: in turn at its server, under the caps, tried again when that may help."""

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt, stop_any, stop_before_delay

from eval.chat_records import Call, ChatFailure, ChatReply, ChatRequest, Limits, TokenUsage, Trouble
from eval.pricing import Price, check_prices, cost
from eval.provider_call import Answer, Models, estimate
from eval.provider_errors import CallError
from eval.providers import parse_spec, secrets
from eval.scrub import Scrubber
from eval.spending import Accounts, CapReached, now
from tasks.failure import FailureKind, InputError
from tasks.record import append_jsonl

USUAL_OUTPUT = 2048
"""Tokens of an answer that are held ready under a cap when the request sets no limit."""
LONGEST_PAUSE = 60.0
"""Seconds between two calls for a request, unless the server asks for more."""
Outcome = ChatReply | ChatFailure
_SAID = {
    Trouble.KEY: "the key was refused",
    Trouble.QUOTA: "the account has nothing left",
    Trouble.UNREACHABLE: "the server cannot be reached",
    Trouble.RATE_LIMIT: "rate limited",
    Trouble.SERVER: "the server failed",
    Trouble.TIMEOUT: "no answer in time",
    Trouble.CONTEXT: "the prompt is too long for the model",
    Trouble.REFUSAL: "the provider refused the request",
    Trouble.FORMAT: "the server does not support the form of answer that was asked for",
    Trouble.MODEL: "no such model or address",
    Trouble.REQUEST: "the request was refused",
}


class _Bill:
    """What the calls for one request have taken so far."""

    def __init__(self) -> None:
        self.calls = 0
        self.usage = TokenUsage()
        self.cost: float | None = 0.0

    def add(self, usage: TokenUsage, dollars: float | None) -> None:
        """Count a call."""
        self.usage += usage
        self.cost = None if self.cost is None or dollars is None else self.cost + dollars


class Buyer:
    """Buys answers of some models; all its coroutines run in one event loop."""

    def __init__(
        self,
        specs: Sequence[str],
        accounts: Accounts,
        limits: Limits,
        prices: Mapping[str, Price],
        transcript: Path | None = None,
    ) -> None:
        """
        Args:
            transcript: JSON Lines file that receives each call with what was said, without secrets.

        Raises:
            InputError: one of the models cannot be had, or its price is unknown though there is a cap on cost.
        """
        self._accounts, self._limits, self._prices, self._transcript = accounts, limits, prices, transcript
        self._models = Models(limits.timeout)
        self._turns: dict[str, asyncio.Semaphore] = {}
        for spec in specs:
            self._models.check(spec)
            self._turns.setdefault(_endpoint(spec), asyncio.Semaphore(limits.concurrency))
        if limits.max_cost is not None:
            check_prices(specs, prices)
        self._scrub = Scrubber(secrets())

    async def buy(self, request: ChatRequest, wanted: Callable[[], bool]) -> Outcome:
        """The answer, or why there is none.

        Args:
            wanted: whether somebody still waits; if not, nothing is sent any more.

        Raises:
            InputError: the request has a setting that the model's provider does not know.
        """
        bill = _Bill()
        async with self._turns[_endpoint(request.spec)]:
            began = time.monotonic()
            if not wanted():
                return self._failure(request, bill, Trouble.REQUEST, "nobody waits for the answer any more")
            try:
                answer = await self._call_until_answered(request, bill, wanted)
            except CapReached as reached:
                return self._failure(request, bill, Trouble.CAP, str(reached))
            except CallError as error:
                return self._failure(request, bill, error.trouble, _message(request, error, bill))
            except InputError as error:
                raise InputError(self._scrub(str(error))) from None
        return ChatReply(
            text=self._scrub(answer.text),
            finish=answer.finish,
            refusal=answer.refusal and self._scrub(answer.refusal),
            usage=bill.usage,
            cost=bill.cost,
            seconds=round(time.monotonic() - began, 3),
            retries=bill.calls - 1,
        )

    async def _call_until_answered(self, request: ChatRequest, bill: _Bill, wanted: Callable[[], bool]) -> Answer:
        enough = stop_any(stop_after_attempt(self._limits.attempts), stop_before_delay(self._limits.patience))
        attempts = AsyncRetrying(
            stop=lambda state: enough(state) or not wanted(),
            wait=self._pause,
            retry=retry_if_exception(_passes),
            reraise=True,
        )
        async for attempt in attempts:
            with attempt:
                return await self._call(request, bill)
        raise AssertionError("unreachable")

    def _pause(self, state: RetryCallState) -> float:
        """Seconds until the next call: random under a limit that doubles, and no less than the server asks for."""
        longest = min(LONGEST_PAUSE, self._limits.backoff * 2 ** (state.attempt_number - 1))
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, CallError) else None
        jitter = random.uniform(0, longest)
        return jitter if asked is None else asked + jitter / 4

    async def _call(self, request: ChatRequest, bill: _Bill) -> Answer:
        """One call, with its two lines in the accounts; a lost reply counts with the most it might have taken."""
        spec = request.spec
        output = request.max_output_tokens or USUAL_OUTPUT
        most = TokenUsage(input=estimate(request), output=output, estimated=True)
        dearest = cost(spec, most, self._prices)
        call = await self._accounts.begin(request.who, spec, most, dearest, bill.calls)
        bill.calls += 1
        began, usage, trouble = time.monotonic(), most, "stopped"
        answer: Answer | None = None
        try:
            answer = await self._models.call(request)
            usage, trouble = answer.usage, None
            return answer
        except CallError as error:
            usage, trouble = most if error.lost else error.usage, error.trouble.value
            raise
        except InputError:
            usage, trouble = TokenUsage(), "not sent"
            raise
        finally:
            dollars = cost(spec, usage, self._prices)
            bill.add(usage, dollars)
            seconds = time.monotonic() - began
            await self._accounts.end(call, usage, dollars, seconds, trouble)
            self._write(
                Call(
                    at=now(),
                    who=request.who,
                    spec=spec,
                    messages=request.messages,
                    answer=answer and answer.text,
                    refusal=answer and answer.refusal,
                    trouble=trouble,
                    retry=bill.calls - 1,
                    usage=usage,
                    cost=dollars,
                    seconds=round(seconds, 3),
                )
            )

    def _write(self, call: Call) -> None:
        """Add a call to the transcript."""
        if self._transcript:
            text = self._scrub(call.model_dump_json())
            append_jsonl(self._transcript, Call.model_validate_json(text))

    def _failure(self, request: ChatRequest, bill: _Bill, trouble: Trouble, message: str) -> ChatFailure:
        return ChatFailure(
            stage=request.who or "ask",
            kind=FailureKind.BUDGET if trouble is Trouble.CAP else FailureKind.PROVIDER,
            message=self._scrub(message),
            trouble=trouble,
            retries=max(0, bill.calls - 1),
            usage=bill.usage,
            cost=bill.cost,
        )


def _passes(error: BaseException) -> bool:
    return isinstance(error, CallError) and error.passing


def _message(request: ChatRequest, error: CallError, bill: _Bill) -> str:
    tries = f" after {bill.calls} tries" if bill.calls > 1 else ""
    wait = f"; it asks to wait {error.retry_after:.0f} s" if error.retry_after else ""
    return f"{request.spec}: {_SAID[error.trouble]}{tries}{wait}: {error.message}"


def _endpoint(spec: str) -> str:
    """What shares a limit on requests: a server, or a provider."""
    parsed = parse_spec(spec)
    return parsed.base_url or parsed.provider
