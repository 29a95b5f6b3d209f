"""What exceptions of providers' clients mean, whichever client they come from and however they are wrapped."""

from email.utils import formatdate
from typing import Any

import httpx
import pytest

from eval.chat_records import TokenUsage, Trouble
from eval.provider_errors import CallError, classify, retry_after

NOW = 1_700_000_000.0


class Refused(Exception):
    """An error of a client that keeps the reply."""

    def __init__(self, message: str, status: int, headers: dict[str, str] | None = None, body: Any = None) -> None:
        super().__init__(message)
        self.response = httpx.Response(status, headers=headers, json=body)


class Timeout(Exception):
    """By its name alone."""


class ContextOverflowError(Exception):
    """As LangChain calls it."""


class Botocore(Exception):
    """An error whose reply is a dictionary."""

    response: dict[str, Any] = {"Error": {"Code": "ThrottlingException"}, "ResponseMetadata": {"HTTPStatusCode": 429}}  # noqa: RUF012


class Genai(Exception):
    """An error with the status as its code."""

    code = 503


def wrapped(inner: Exception, outer: Exception) -> Exception:
    """An exception raised out of another one."""
    try:
        try:
            raise inner
        except Exception as error:
            raise outer from error
    except Exception as error:  # noqa: BLE001
        return error


@pytest.mark.parametrize(
    ("error", "trouble", "passing"),
    [
        (Refused("no", 401), Trouble.KEY, False),
        (Refused("pay", 402), Trouble.QUOTA, False),
        (Refused("no", 403), Trouble.KEY, False),
        (Refused("where", 404), Trouble.MODEL, False),
        (Refused("slow", 408), Trouble.TIMEOUT, True),
        (Refused("clash", 409), Trouble.SERVER, True),
        (Refused("much", 413), Trouble.CONTEXT, False),
        (Refused("Rate limit reached. Add a payment method under account/billing", 429), Trouble.RATE_LIMIT, True),
        (Refused("insufficient_quota", 429), Trouble.QUOTA, False),
        (Refused("overloaded", 529), Trouble.SERVER, True),
        (Refused("strange", 418), Trouble.REQUEST, False),
        (Refused("the request exceeds the available context size", 500), Trouble.CONTEXT, False),
        (Refused("prompt is too long: 300000 tokens > 200000 maximum", 400), Trouble.CONTEXT, False),
        (Refused("Please reduce the length of the messages", 400), Trouble.CONTEXT, False),
        (Refused("Output blocked by content filtering policy", 400), Trouble.REFUSAL, False),
        (Botocore("throttled"), Trouble.RATE_LIMIT, True),
        (Genai("busy"), Trouble.SERVER, True),
        (wrapped(Refused("slow down", 429), ValueError("all attempts failed")), Trouble.RATE_LIMIT, True),
        (wrapped(Refused("bad key", 401), ValueError("oops")), Trouble.KEY, False),
        (Timeout("late"), Trouble.TIMEOUT, True),
        (TimeoutError(), Trouble.TIMEOUT, True),
        (wrapped(httpx.ReadTimeout("late"), ConnectionError("gone")), Trouble.TIMEOUT, True),
        (httpx.ConnectError("refused"), Trouble.UNREACHABLE, True),
        (httpx.RemoteProtocolError("cut"), Trouble.UNREACHABLE, True),
        (OSError("no route"), Trouble.UNREACHABLE, True),
        (wrapped(ConnectionResetError("reset"), ValueError("odd")), Trouble.UNREACHABLE, True),
        (ContextOverflowError("4096"), Trouble.CONTEXT, False),
        (ValueError("Expecting value: line 1 column 1"), Trouble.SERVER, True),
    ],
    ids=repr,
)
def test_whose_fault_it_is_and_whether_it_passes(error: Exception, trouble: Trouble, passing: bool) -> None:
    found = classify(error, formatted=False)
    assert (found.trouble, found.passing) == (trouble, passing)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "Invalid parameter: 'response_format' of type 'json_schema' is not supported with this model"),
        (400, "Invalid schema for response_format 'Plan': 'additionalProperties' is required"),
        (400, "Invalid schema for function 'Plan'"),
        (400, "registry.ollama.ai/library/gemma:2b does not support tools"),
        (400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set'),
        (404, "No endpoints found that support tool use"),
        (422, "body.response_format: Extra inputs are not permitted"),
        (500, "tools param requires --jinja flag"),
        (400, "Failed to parse grammar"),
        (400, "Unrecognized request argument supplied: functions"),
        (400, "json_object mode is not available"),
    ],
)
def test_an_unsupported_form_is_known_by_the_words_of_servers(status: int, words: str) -> None:
    assert classify(Refused(words, status), formatted=True).trouble is Trouble.FORMAT
    assert classify(Refused(words, status), formatted=False).trouble is not Trouble.FORMAT


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (400, "temperature must be 1"),
        (404, "The model `m` does not exist"),
        (401, "no key for response_format"),
        (429, "too many requests with response_format"),
        (503, "the grammar server is busy"),
        (400, "This model's maximum context length is 4096 tokens, with tools"),
    ],
)
def test_other_refusals_are_not_taken_for_it(status: int, words: str) -> None:
    assert classify(Refused(words, status), formatted=True).trouble is not Trouble.FORMAT


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"RETRY-AFTER-MS": "1500", "retry-after": "9"}, 1.5),
        ({"Retry-After": formatdate(NOW + 30, usegmt=True)}, 30.0),
        ({"Retry-After": formatdate(NOW - 30, usegmt=True)}, 0.0),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": ""}, None),
    ],
    ids=repr,
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


def test_the_header_is_found_in_a_wrapped_exception() -> None:
    inner = Refused("slow down", 429, {"Retry-After": "12"})
    assert classify(wrapped(wrapped(inner, KeyError("x")), ValueError("y")), formatted=False).retry_after == 12


def test_a_server_may_forbid_to_try_again() -> None:
    assert not classify(Refused("no", 500, {"X-Should-Retry": "false"}), formatted=False).passing
    assert classify(Refused("no", 500, {"X-Should-Retry": "true"}), formatted=False).passing


def test_a_bill_in_the_body_is_read() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 2}
    assert classify(Refused("no", 500, body={"usage": usage}), formatted=False).usage == TokenUsage(input=5, output=2)
    for body in ({}, [], {"usage": None}, {"usage": {"prompt_tokens": "many"}}):
        assert classify(Refused("no", 500, body=body), formatted=False).usage == TokenUsage()


def test_the_message_is_short_and_tells_the_inner_cause() -> None:
    found = classify(wrapped(OSError("name not known"), ValueError("Connection error.")), formatted=False)
    assert found.message == "ValueError: Connection error.; name not known"
    assert len(classify(Refused("x" * 5000, 400), formatted=False).message) <= 400
    assert str(CallError(Trouble.KEY, "said")) == "said"
