"""What is asked of a language model through the gateway, what comes back, and what it took."""

from enum import StrEnum
from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from tasks.failure import Failure, StageError
from tasks.record import Record, digest

Mode = Literal["schema", "function", "text"]
"""How the form of an answer is asked for: as response format, as arguments of a forced call, or in the prompt only."""
Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]


class Message(Record):
    """A turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


class ChatRequest(Record):
    """A question to a chat model; all but `who` and `stream` decide the answer."""

    spec: str
    """`provider:model`, or `provider:model@base_url`."""
    messages: tuple[Message, ...] = Field(min_length=1)
    temperature: float | None = Field(default=None, ge=0)
    max_output_tokens: PositiveInt | None = None
    json_schema: dict[str, Any] | None = None
    """Schema of the answer, an object; it has no effect in mode `text`."""
    mode: Mode = "text"
    seed: int | None = None
    """Where the provider takes one."""
    effort: Effort | None = None
    """How much a reasoning model thinks."""
    draw: NonNegativeInt = 0
    """Tells several answers to one question apart."""
    who: str = ""
    """Who asks, for the accounts."""
    stream: bool = False
    """Receive the answer in pieces, from providers that cut connections on which nothing comes for minutes. A refusal
    may look like an empty answer then."""

    @property
    def key(self) -> str:
        """The address of the answer: a digest of everything that decides it."""
        return digest(self.model_dump(mode="json", exclude={"who", "stream"}))


class TokenUsage(Record):
    """Tokens of one or more calls."""

    input: NonNegativeInt = 0
    """Tokens of the prompt, cached ones included."""
    output: NonNegativeInt = 0
    """Tokens of the answer, its reasoning included."""
    cached_input: NonNegativeInt = 0
    """Tokens of the prompt that the provider had in its own cache."""
    estimated: bool = False
    """The server did not count, so the numbers stand for UTF-8 bytes by four."""

    def __add__(self, other: "TokenUsage") -> "TokenUsage":
        return TokenUsage(
            input=self.input + other.input,
            output=self.output + other.output,
            cached_input=self.cached_input + other.cached_input,
            estimated=self.estimated or other.estimated,
        )

    @property
    def total(self) -> int:
        """Tokens in and out."""
        return self.input + self.output


Finish = Literal["stop", "length", "refusal", "other"]


class ChatReply(Record):
    """An answer."""

    text: str
    """For mode `function` the arguments, as JSON text."""
    finish: Finish
    """Why it ends: it is complete, it is cut at a limit, the model or a filter refused."""
    refusal: str | None = None
    """The words of a refusal, where there are some."""
    usage: TokenUsage
    """Of the call, and of failed ones before it that were billed."""
    cost: float | None
    """Dollars; None when the price is unknown, 0 when the answer was there already."""
    seconds: float
    cached: bool = False
    """It was bought earlier, or by somebody else who asked the same at the same time."""
    retries: int = 0
    """Calls that failed before this one."""

    @property
    def usable(self) -> bool:
        """Whether it is a whole answer with something in it."""
        return self.finish in ("stop", "other") and self.refusal is None and bool(self.text.strip())


class Trouble(StrEnum):
    """Why no answer came."""

    KEY = "key"  # refused, missing, or without permission
    QUOTA = "quota"  # the account has nothing left
    UNREACHABLE = "unreachable"
    RATE_LIMIT = "rate limit"
    SERVER = "server"  # its fault: 5xx, or a reply that is none
    TIMEOUT = "timeout"
    CONTEXT = "context"  # the prompt is too long for the model
    REFUSAL = "refusal"  # the provider does not let the request pass
    FORMAT = "format"  # the server does not know the mode in which the answer's form was asked for
    MODEL = "model"  # no such model, or no such address
    REQUEST = "request"  # refused for another reason
    CAP = "cap"  # tokens or dollars are spent


class ChatFailure(Failure):
    """A request that ended without an answer."""

    trouble: Trouble
    retries: int = 0
    """Calls after the first one."""
    usage: TokenUsage = TokenUsage()
    """Of the calls, as far as they were billed and the server said so."""
    cost: float | None = 0.0
    """Dollars; None when the price is unknown."""


class ChatError(StageError):
    """A `ChatFailure`, raised."""

    def __init__(self, failure: ChatFailure) -> None:
        super().__init__(failure.stage, failure.kind, failure.message)
        self.chat_failure = failure

    @property
    def trouble(self) -> Trouble:
        """Why no answer came."""
        return self.chat_failure.trouble


class Tally(Record):
    """What some calls took."""

    calls: int = 0
    """Sent to a provider, failed ones included."""
    failures: int = 0
    """Of these, without an answer."""
    retries: int = 0
    """Of these, sent because an earlier one had failed."""
    reused: int = 0
    """Answers that were there already."""
    usage: TokenUsage = TokenUsage()
    cost: float = 0.0
    """Dollars, of the calls whose price is known."""
    unpriced: int = 0
    """Calls with tokens whose price is unknown."""
    estimated: int = 0
    """Calls whose tokens the server did not count, or whose end nobody saw."""


class Call(Record):
    """A line of the transcript: one call to a provider, with what was said."""

    kind: Literal["call"] = "call"
    at: str
    """UTC, ISO 8601, at its end."""
    who: str
    spec: str
    messages: tuple[Message, ...]
    answer: str | None
    """None when none came."""
    refusal: str | None = None
    trouble: str | None = None
    """Why there is no answer."""
    retry: int
    """Calls for the same request that had failed before."""
    usage: TokenUsage
    cost: float | None
    """Dollars; None when the price is unknown."""
    seconds: float


class Spent(Record):
    """What has been spent so far, in a run that was resumed also before, and what is left of the caps."""

    total: Tally
    by_who: dict[str, Tally]
    tokens_left: int | None = None
    """None without a cap."""
    dollars_left: float | None = None
    """None without a cap."""


class Limits(Record):
    """What a gateway may spend, and how patient it is."""

    max_tokens: NonNegativeInt | None = None
    """In and out, of all calls together."""
    max_cost: NonNegativeFloat | None = None
    """Dollars."""
    concurrency: PositiveInt = 8
    """Requests in progress at one server, those included that wait to be tried again."""
    timeout: PositiveFloat = 600.0
    """Seconds that one call may take."""
    attempts: PositiveInt = 6
    """Calls at most for one request."""
    patience: NonNegativeFloat = 900.0
    """Seconds after its first call in which a request may be tried again."""
    backoff: NonNegativeFloat = 1.0
    """Seconds that the first pause lasts at most; the next ones up to twice as long each, with jitter."""
