"""What an exception of a provider's client means: whose fault it is, and whether the same request may work later.

Clients raise many types, some wrapped in others. What they have in common is looked at: the HTTP status, the words of
the server, the names of the exception's classes, and LangChain's own classes of errors.
"""

import re
import time
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from eval.chat_records import TokenUsage, Trouble

SHOWN = 400
"""Characters of a server's words that are kept."""
_PASSING = {Trouble.UNREACHABLE, Trouble.RATE_LIMIT, Trouble.SERVER, Trouble.TIMEOUT}
_BY_STATUS = {
    401: Trouble.KEY,
    402: Trouble.QUOTA,
    403: Trouble.KEY,
    404: Trouble.MODEL,
    408: Trouble.TIMEOUT,
    409: Trouble.SERVER,
    413: Trouble.CONTEXT,
    429: Trouble.RATE_LIMIT,
}
_QUOTA = re.compile(r"insufficient_quota|credit balance", re.IGNORECASE)
_CONTEXT = re.compile(
    r"context.?(length|window|size)|maximum context|prompt is too long|too many (input )?tokens|input token count"
    r"|input tokens exceed|reduce the length",
    re.IGNORECASE,
)
_REFUSAL = re.compile(r"content.?(filter|policy)|responsible.?ai|safety (system|filter|policy)", re.IGNORECASE)
_FORMAT = re.compile(
    r"response.?format|invalid schema|json.?(schema|object|mode)|structured.?output|guided|grammar"
    r"|tool.?(choice|use|call)"
    r"|(tools?|functions?)\b.{0,40}(not (be )?(supported|allowed|permitted)|unsupported|require|unknown|unrecognized)"
    r"|(not support|unsupported|unknown|unrecognized).{0,40}\b(tools?|functions?)\b",
    re.IGNORECASE | re.DOTALL,
)
_TIMEOUT = re.compile("Timeout")
_LOST = {Trouble.TIMEOUT, Trouble.UNREACHABLE, Trouble.SERVER}
"""Without a status, a reply that was cut, late or unreadable."""
_UNSENT = re.compile(r"\b(ConnectError|ConnectTimeout|PoolTimeout|ConnectionRefusedError|gaierror)\b")
_UNREACHABLE = re.compile("Connection|Connect|TransportError|NetworkError|ProtocolError|ReadError|WriteError")


class CallError(Exception):
    """A call to a provider gave no answer."""

    def __init__(
        self,
        trouble: Trouble,
        message: str,
        *,
        passing: bool = False,
        retry_after: float | None = None,
        usage: TokenUsage | None = None,
        lost: bool = False,
    ) -> None:
        """
        Args:
            passing: whether the same request may work later.
            retry_after: seconds that the server asks to wait.
            usage: what was billed all the same, when the server says so.
            lost: the request reached a server whose reply did not come through, so that it may have been billed.
        """
        super().__init__(message)
        self.trouble = trouble
        self.message = message
        self.passing = passing
        self.retry_after = retry_after
        self.usage = usage or TokenUsage()
        self.lost = lost


def classify(error: BaseException, *, formatted: bool) -> CallError:
    """What an exception of a provider's client means.

    Args:
        formatted: whether the request asked for the form of its answer by other means than words.
    """
    chain = list(_chain(error))
    status, words = _status(chain), _words(chain)
    trouble = _trouble(chain, status, words, formatted=formatted)
    headers = _headers(chain)
    passing = trouble in _PASSING and _header(headers, "x-should-retry") != "false"
    place = f"status {status}" if status else type(error).__name__
    return CallError(
        trouble,
        f"{place}: {_in_short(chain) or words}"[:SHOWN],
        passing=passing,
        retry_after=retry_after(headers, time.time()),
        usage=_billed(chain),
        lost=status is None and trouble in _LOST and not _UNSENT.search(_names(chain)),
    )


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds that a server asks to wait, by the headers of its reply; None when it does not say.

    Args:
        now: seconds since the epoch.
    """
    milliseconds, value = _header(headers, "retry-after-ms"), _header(headers, "retry-after")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        return None if value is None else max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(value or "").timestamp() - now)
    except ValueError:
        return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An exception and those it wraps."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        error = error.__cause__ or error.__context__


def _status(chain: list[BaseException]) -> int | None:
    for error in chain:
        response = _response(error)
        amazon = response.get("ResponseMetadata", {}).get("HTTPStatusCode") if isinstance(response, dict) else None
        own, google = getattr(error, "status_code", None), getattr(error, "code", None)
        for value in (own, getattr(response, "status_code", None), google, amazon):
            if isinstance(value, int) and 400 <= value < 600:
                return value
    return None


def _response(error: BaseException) -> Any:
    return getattr(error, "response", None)


def _in_short(chain: list[BaseException]) -> str | None:
    """The server's message out of the body of its reply."""
    for error in chain:
        body = getattr(error, "body", None)
        if isinstance(body, dict) and isinstance(body.get("message"), str):
            return " ".join(body["message"].split())
    return None


def _words(chain: list[BaseException]) -> str:
    """The messages of the chain, each once: the outer one is often the least telling."""
    said = dict.fromkeys(" ".join(str(getattr(error, "message", None) or error).split()) for error in chain)
    longest = [text for text in said if text and not any(text != other and text in other for other in said)]
    return "; ".join(longest)


def _trouble(chain: list[BaseException], status: int | None, words: str, *, formatted: bool) -> Trouble:
    names = _names(chain)
    if "ContextOverflow" in names:
        return Trouble.CONTEXT
    if status is not None:
        return _by_status(status, words, formatted=formatted)
    if _TIMEOUT.search(names):
        return Trouble.TIMEOUT
    if _UNREACHABLE.search(names) or any(isinstance(error, OSError) for error in chain):
        return Trouble.UNREACHABLE
    if _CONTEXT.search(words):
        return Trouble.CONTEXT
    return Trouble.SERVER


def _names(chain: list[BaseException]) -> str:
    """The classes of the exceptions and their bases."""
    return " ".join(kind.__name__ for error in chain for kind in type(error).__mro__)


def _by_status(status: int, words: str, *, formatted: bool) -> Trouble:
    if status in (429, 403) and _QUOTA.search(words):
        return Trouble.QUOTA
    if status in (400, 403, 413, 422, 500) and (_CONTEXT.search(words) or status == 413):
        return Trouble.CONTEXT
    if status in (400, 403) and _REFUSAL.search(words):
        return Trouble.REFUSAL
    if formatted and status not in (*_BY_STATUS.keys() - {404}, 502, 503, 504) and _FORMAT.search(words):
        return Trouble.FORMAT
    return _BY_STATUS.get(status, Trouble.SERVER if status >= 500 else Trouble.REQUEST)


def _headers(chain: list[BaseException]) -> Mapping[str, str]:
    """The headers of the reply that an exception of the chain carries."""
    for error in chain:
        headers = getattr(_response(error), "headers", None)
        if headers is not None:
            return headers
    return {}


def _header(headers: Mapping[str, str], name: str) -> str | None:
    found = (value for key, value in headers.items() if key.lower() == name)
    return next(found, None)


def _billed(chain: list[BaseException]) -> TokenUsage | None:
    """The usage in the body of a refusing reply."""
    for error in chain:
        try:
            body = _response(error).json()
            usage = body["usage"]
            return TokenUsage(input=usage["prompt_tokens"], output=usage["completion_tokens"])
        except (AttributeError, KeyError, TypeError, ValueError):
            continue
        except Exception:  # noqa: BLE001  a body that was not read yet, or is no JSON: each client has its own error
            continue
    return None
