"""The gateway against a server that goes wrong in every way servers do."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_server import CUT, GARBLED, HANG, RESET, UNSUPPORTED, Behaviour, FaultyServer, Reply, Status, serving
from gateways import HASTY, in_process, request

from eval.chat_records import ChatError, ChatReply, Message, TokenUsage, Trouble
from eval.gateway_client import Asker
from tasks.failure import FailureKind

SCHEMA = {"title": "Colour", "type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.fixture(scope="module")
def running() -> Iterator[FaultyServer]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: FaultyServer) -> FaultyServer:
    running.reset()
    return running


@pytest.fixture
def gateway(server: FaultyServer, tmp_path: Path) -> Asker:
    return in_process([server.spec()], tmp_path)


def test_an_answer_comes_with_what_it_took(server: FaultyServer, gateway: Asker) -> None:
    server.script = [Reply("four words are enough", cached=2)]
    reply = gateway.ask(request(server.spec(), "how many words do you need"))
    assert (reply.text, reply.finish, reply.refusal, reply.cached) == ("four words are enough", "stop", None, False)
    assert reply.usage == TokenUsage(input=6, output=4, cached_input=2)
    assert reply.cost is None  # nobody knows the price of a server of one's own
    assert reply.usable
    assert 0 < reply.seconds < 10


def test_a_request_says_what_it_was_asked_to_say(server: FaultyServer, gateway: Asker) -> None:
    talk = (
        Message(role="system", content="s"),
        Message(role="user", content="u"),
        Message(role="assistant", content="a"),
    )
    asked = request(server.spec(), "x", temperature=0.5, seed=7, max_output_tokens=99, effort="low")
    gateway.ask(asked.model_copy(update={"messages": talk}))
    (sent,) = server.requests
    assert [(message["role"], message["content"]) for message in sent["messages"]] == [
        ("system", "s"), ("user", "u"), ("assistant", "a"),
    ]  # fmt: skip
    settings = {"temperature": 0.5, "seed": 7, "max_completion_tokens": 99, "reasoning_effort": "low"}
    assert {name: sent[name] for name in settings} == settings
    assert sent["model"] == "m"
    assert not {"response_format", "tools"} & set(sent)


def test_what_is_not_set_is_not_sent(server: FaultyServer, gateway: Asker) -> None:
    gateway.ask(request(server.spec(), "x"))
    assert set(server.requests[0]) == {"model", "messages", "stream"}
    assert server.requests[0]["stream"] is False


def test_the_form_of_an_answer_is_asked_for_in_each_mode(server: FaultyServer, gateway: Asker) -> None:
    server.answer = lambda body: Reply('{"name": "Blau für 2 €"}')
    replies = [
        gateway.ask(request(server.spec(), "colour?", mode=mode, json_schema=SCHEMA))
        for mode in ("schema", "function", "text")
    ]
    assert [reply.text for reply in replies] == ['{"name": "Blau für 2 €"}'] * 3
    assert [reply.finish for reply in replies] == ["stop"] * 3
    schema, function, text = server.requests
    assert schema["response_format"]["json_schema"] == {"name": "Colour", "schema": SCHEMA, "strict": False}
    assert function["tools"][0]["function"]["parameters"]["required"] == ["name"]
    assert function["tool_choice"]["function"]["name"] == "Colour"
    assert not {"response_format", "tools"} & set(text)


def test_a_model_that_talks_instead_of_calling_is_heard(server: FaultyServer, gateway: Asker) -> None:
    server.script = [Reply("I prefer blue.")]
    assert gateway.ask(request(server.spec(), "c", mode="function", json_schema=SCHEMA)).text == "I prefer blue."


@pytest.mark.parametrize("mode", ["text", "schema", "function"])
def test_half_a_character_is_replaced(server: FaultyServer, gateway: Asker, mode: Any) -> None:
    """Models cut emoji in two; JSON can say so, and no file can hold it."""
    server.script = [Reply('{"name": "blue \ud83d"}')]
    reply = gateway.ask(request(server.spec(), "c", mode=mode, json_schema=SCHEMA))
    assert reply.text == '{"name": "blue ?"}'
    assert gateway.ask(request(server.spec(), "c", mode=mode, json_schema=SCHEMA)).cached


@pytest.mark.parametrize("stream", [False, True])
def test_broken_arguments_come_back_as_they_are(server: FaultyServer, gateway: Asker, stream: bool) -> None:
    """LangChain would complete streamed ones."""
    server.script = [Reply('{"name": "blu', finish="length")]
    reply = gateway.ask(request(server.spec(), "c", mode="function", json_schema=SCHEMA, stream=stream))
    assert (reply.text, reply.finish) == ('{"name": "blu', "length")


@pytest.mark.parametrize(
    "fault",
    [Status(429), Status(500), Status(502), Status(503), Status(408), Status(409), RESET, CUT, GARBLED],
    ids=str,
)
def test_a_passing_fault_is_survived(server: FaultyServer, gateway: Asker, fault: Behaviour) -> None:
    server.script = [fault, fault]
    reply = gateway.ask(request(server.spec(), "hello"))
    assert (reply.text, reply.retries) == ("You said: hello", 2)
    tally = gateway.spent().total
    assert (tally.calls, tally.failures, tally.retries) == (3, 2, 2)
    assert tally.estimated == (0 if isinstance(fault, Status) else 2), "a lost reply may have been billed"
    assert tally.usage.total >= server.billed.total
    assert isinstance(fault, str) or tally.usage.total == server.billed.total


@pytest.mark.parametrize(
    ("fault", "trouble", "said"),
    [
        (Status(429, "slow down"), Trouble.RATE_LIMIT, "rate limited after 6 tries: status 429: slow down"),
        (Status(500, "oh no"), Trouble.SERVER, "the server failed after 6 tries: status 500: oh no"),
        (RESET, Trouble.UNREACHABLE, "the server cannot be reached after 6 tries"),
        (GARBLED, Trouble.SERVER, "the server failed after 6 tries"),
    ],
    ids=str,
)
def test_a_fault_that_stays_is_a_failure_after_some_tries(
    server: FaultyServer, gateway: Asker, fault: Behaviour, trouble: Trouble, said: str
) -> None:
    server.answer = lambda body: fault
    with pytest.raises(ChatError) as failed:
        gateway.ask(request(server.spec(), "hello", who="planner"))
    assert failed.value.trouble is trouble
    assert (failed.value.failure.stage, failed.value.failure.kind) == ("planner", FailureKind.PROVIDER)
    assert said in failed.value.failure.message
    assert server.spec() in failed.value.failure.message
    assert len(server.requests) == HASTY.attempts
    assert failed.value.chat_failure.retries == HASTY.attempts - 1


@pytest.mark.parametrize(
    ("fault", "trouble"),
    [
        (Status(401), Trouble.KEY),
        (Status(403), Trouble.KEY),
        (Status(404, "the model `m` does not exist"), Trouble.MODEL),
        (Status(400, "temperature must be 1"), Trouble.REQUEST),
        (Status(422, "unknown field"), Trouble.REQUEST),
        (Status(400, "This model's maximum context length is 10 tokens"), Trouble.CONTEXT),
        (Status(400, "the prompt triggered the content filter"), Trouble.REFUSAL),
        (Status(429, "You have used it up: insufficient_quota"), Trouble.QUOTA),
        (Status(500, "not today", {"x-should-retry": "false"}), Trouble.SERVER),
    ],
    ids=str,
)
def test_what_will_not_pass_is_not_tried_again(
    server: FaultyServer, gateway: Asker, fault: Behaviour, trouble: Trouble
) -> None:
    server.answer = lambda body: fault
    with pytest.raises(ChatError) as failed:
        gateway.ask(request(server.spec(), "hello"))
    assert failed.value.trouble is trouble
    assert len(server.requests) == 1


@pytest.mark.parametrize(("mode", "missing"), [("schema", "schema"), ("function", "function")])
def test_an_unsupported_form_can_be_told_apart(server: FaultyServer, gateway: Asker, mode: Any, missing: str) -> None:
    server.modes = {"schema", "function", "text"} - {missing}
    with pytest.raises(ChatError) as failed:
        gateway.ask(request(server.spec(), "hello", mode=mode, json_schema=SCHEMA))
    assert failed.value.trouble is Trouble.FORMAT
    assert len(server.requests) == 1


def test_the_same_words_are_no_matter_of_form_when_none_was_asked_for(server: FaultyServer, gateway: Asker) -> None:
    server.answer = lambda body: Status(400, UNSUPPORTED)
    with pytest.raises(ChatError) as failed:
        gateway.ask(request(server.spec(), "hello"))
    assert failed.value.trouble is Trouble.REQUEST


def test_a_call_that_takes_too_long_is_given_up(server: FaultyServer, tmp_path: Path) -> None:
    limits = HASTY.model_copy(update={"timeout": 0.3, "attempts": 2})
    gateway = in_process([server.spec()], tmp_path, limits)
    server.answer = lambda body: HANG
    began = time.monotonic()
    with pytest.raises(ChatError) as failed:
        gateway.ask(request(server.spec(), "hello"))
    assert failed.value.trouble is Trouble.TIMEOUT
    assert "no answer in time after 2 tries" in failed.value.failure.message
    assert 0.6 <= time.monotonic() - began < 15
    assert len(server.requests) == 2
    assert gateway.spent().total.estimated == 2, "the server may have worked on it all the same"


def test_a_server_that_is_not_there_bills_nothing(tmp_path: Path) -> None:
    gateway = in_process(["openai:m@http://127.0.0.1:9/v1"], tmp_path)
    with pytest.raises(ChatError, match=r"127\.0\.0\.1:9") as failed:
        gateway.ask(request("openai:m@http://127.0.0.1:9/v1", "hello"))
    assert failed.value.trouble is Trouble.UNREACHABLE
    assert failed.value.chat_failure.retries == HASTY.attempts - 1
    assert gateway.spent().total.usage.total == 0


@pytest.mark.parametrize("header", [{"Retry-After": "0.4"}, {"Retry-After-Ms": "400"}], ids=str)
def test_the_pause_that_a_server_asks_for_is_kept(server: FaultyServer, gateway: Asker, header: dict[str, str]) -> None:
    server.script = [Status(429, "slow down", header)]
    gateway.ask(request(server.spec(), "hello"))
    first, second = server.times
    assert 0.4 <= second - first < 10


def test_a_pause_beyond_all_patience_is_not_waited_for(server: FaultyServer, gateway: Asker) -> None:
    server.script = [Status(429, "come back tomorrow", {"Retry-After": "86400"})]
    began = time.monotonic()
    with pytest.raises(ChatError, match="it asks to wait 86400 s: status 429: come back tomorrow"):
        gateway.ask(request(server.spec(), "hello"))
    assert time.monotonic() - began < 60
    assert len(server.requests) == 1


def test_a_storm_of_rate_limits_is_weathered(server: FaultyServer, gateway: Asker) -> None:
    """Everyone is turned away three times; all get their answers in the end, each bought once."""
    tries: Counter[str] = Counter()

    def answer(body: dict[str, Any]) -> Behaviour:
        text = body["messages"][0]["content"]
        tries[text] += 1
        return Status(429, "busy", {"Retry-After": "0.01"}) if tries[text] <= 3 else Reply(f"at last: {text}")

    server.answer = answer
    found = gateway.ask_many([request(server.spec(), f"number {n}") for n in range(24)])
    assert [(reply.text, reply.retries) for reply in found if isinstance(reply, ChatReply)] == [
        (f"at last: number {n}", 3) for n in range(24)
    ]
    assert server.answered == 24
    assert gateway.spent().total.usage == server.billed


@pytest.mark.parametrize(
    ("answer", "finish"),
    [
        (Reply(None, refusal="I cannot help with that"), "refusal"),
        (Reply("I w", finish="content_filter"), "refusal"),
        (Reply("half an ans", finish="length"), "length"),
        (Reply(""), "stop"),
        (Reply(None), "stop"),
        (Reply(" \n"), "stop"),
    ],
    ids=str,
)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("mode", ["text", "schema", "function"])
def test_a_useless_answer_comes_back_paid_for_and_is_not_kept(
    server: FaultyServer, gateway: Asker, answer: Reply, finish: str, mode: Any, stream: bool
) -> None:
    server.script = [answer]
    asked = request(server.spec(), "hello there", mode=mode, json_schema=SCHEMA, stream=stream)
    reply = gateway.ask(asked)
    lost = stream and answer.refusal  # LangChain drops the words of a streamed refusal, which leaves an empty answer
    assert (reply.finish, reply.refusal) == (("stop", None) if lost else (finish, answer.refusal))
    assert not reply.usable
    assert gateway.spent().total.usage == server.billed
    again = gateway.ask(asked)
    assert (again.text, again.cached) == ("You said: hello there", False)
    assert gateway.spent().total.usage == server.billed
