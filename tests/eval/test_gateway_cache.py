"""What is bought once only, and many requests at a time."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from faulty_server import Behaviour, FaultyServer, Reply, Status, serving
from gateways import HASTY, in_process, request

from eval.chat_records import ChatError, ChatFailure, ChatReply, Message
from eval.gateway_client import Asker
from eval.provider_call import Models
from tasks.failure import InputError

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


def test_an_answer_is_bought_once(server: FaultyServer, gateway: Asker) -> None:
    first, second = (gateway.ask(request(server.spec(), "hello", who=who)) for who in ("a", "b"))
    assert second == first.model_copy(update={"cached": True, "cost": 0.0})
    assert len(server.requests) == 1
    assert gateway.spent().by_who["b"].calls == 0


@pytest.mark.parametrize(
    "change",
    [
        {"messages": (Message(role="user", content="hello "),)},
        {"messages": (Message(role="system", content="hello"),)},
        {"temperature": 0.0},
        {"max_output_tokens": 5},
        {"json_schema": SCHEMA},
        {"mode": "schema", "json_schema": SCHEMA},
        {"seed": 0},
        {"effort": "high"},
        {"draw": 1},
    ],
    ids=str,
)
def test_whatever_decides_an_answer_is_part_of_its_address(
    server: FaultyServer, gateway: Asker, change: dict[str, Any]
) -> None:
    asked = request(server.spec(), "hello")
    gateway.ask(asked)
    assert not gateway.ask(asked.model_copy(update=change)).cached
    assert len(server.requests) == 2


def test_two_models_do_not_share_answers(server: FaultyServer, tmp_path: Path) -> None:
    gateway = in_process([server.spec("a"), server.spec("b")], tmp_path)
    assert not gateway.ask(request(server.spec("a"), "hello")).cached
    assert not gateway.ask(request(server.spec("b"), "hello")).cached
    assert gateway.ask(request(server.spec("a"), "hello", stream=True)).cached


def test_failures_are_not_kept(server: FaultyServer, gateway: Asker) -> None:
    server.script = [Status(400)]
    with pytest.raises(ChatError):
        gateway.ask(request(server.spec(), "hello"))
    assert gateway.ask(request(server.spec(), "hello")).text == "You said: hello"


def test_an_answer_that_led_nowhere_can_be_dropped(server: FaultyServer, gateway: Asker) -> None:
    asked, other = request(server.spec(), "hello"), request(server.spec(), "bye")
    gateway.ask_many([asked, other])
    gateway.forget([asked])
    assert not gateway.ask(asked).cached
    assert gateway.ask(other).cached


def test_equal_requests_in_flight_cost_one_call(server: FaultyServer, gateway: Asker) -> None:
    server.delay = 0.2
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(gateway.ask, request(server.spec(), "hello", who=f"w{n}")) for n in range(6)]
        replies = [one.result() for one in asked]
    assert len(server.requests) == 1
    assert sorted(reply.cached for reply in replies) == [False] + [True] * 5
    assert sum(reply.cost is None for reply in replies) == 1
    many = gateway.ask_many([request(server.spec(), "twice")] * 2)
    assert [reply.text for reply in many if isinstance(reply, ChatReply)] == ["You said: twice"] * 2
    assert len(server.requests) == 2
    assert gateway.spent().total.usage == server.billed


def test_equal_requests_in_flight_share_a_failure_and_its_bill(server: FaultyServer, gateway: Asker) -> None:
    server.delay, server.answer = 0.1, lambda body: Status(400, billed=True)
    first, second = gateway.ask_many([request(server.spec(), "hello", who=who) for who in ("a", "b")])
    assert isinstance(first, ChatFailure)
    assert isinstance(second, ChatFailure)
    assert (first.stage, second.stage) == ("a", "b")
    assert first.usage + second.usage == server.billed
    assert len(server.requests) == 1


def test_many_answers_come_in_order_and_failures_stay_in_their_places(server: FaultyServer, gateway: Asker) -> None:
    def answer(body: dict[str, Any]) -> Behaviour:
        n = int(body["messages"][0]["content"])
        time.sleep(0.05 if n % 5 == 0 else 0)  # later ones overtake
        return Status(400, f"not {n}") if n % 7 == 3 else Reply(f"answer {n}")

    server.answer = answer
    told: list[tuple[int, int]] = []
    found = gateway.ask_many(
        [request(server.spec(), str(n)) for n in range(30)], lambda done, total: told.append((done, total))
    )
    for n, one in enumerate(found):
        if n % 7 == 3:
            assert isinstance(one, ChatFailure)
            assert f"not {n}" in one.message
        else:
            assert isinstance(one, ChatReply)
            assert one.text == f"answer {n}"
    assert told[-1] == (30, 30)
    assert told == sorted(told)


def test_nothing_is_asked_for_nothing(gateway: Asker) -> None:
    assert gateway.ask_many([]) == []


def test_no_more_requests_are_in_work_at_one_server_than_allowed(server: FaultyServer, tmp_path: Path) -> None:
    specs = [server.spec("a"), server.spec("b")]  # two models of one server share its limit
    gateway = in_process(specs, tmp_path, HASTY.model_copy(update={"concurrency": 3}))
    server.delay = 0.02
    gateway.ask_many([request(specs[n % 2], str(n)) for n in range(24)])
    assert server.busiest == 3


def test_another_server_does_not_wait(server: FaultyServer, tmp_path: Path) -> None:
    with serving() as other:
        gateway = in_process([server.spec(), other.spec()], tmp_path, HASTY.model_copy(update={"concurrency": 1}))
        held = threading.Event()
        server.answer = lambda body: Reply("late" if held.wait(5) else "never")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(gateway.ask, request(server.spec(), "hello"))
            assert gateway.ask(request(other.spec(), "hello")).text == "You said: hello"
            held.set()
            assert waiting.result().text == "late"


def leave(done: int, total: int) -> None:
    """What the socket does when the caller has died."""
    raise BrokenPipeError


def test_a_caller_that_goes_away_stops_the_buying(server: FaultyServer, gateway: Asker) -> None:
    """What is in flight is finished and kept; the rest of its requests is not sent."""
    server.delay = 0.05
    requests = [request(server.spec(), str(n)) for n in range(100)]
    with pytest.raises(BrokenPipeError):
        gateway.ask_many(requests, leave)
    sent = server.settled()
    assert 0 < sent <= 2 * HASTY.concurrency
    assert server.answered == sent
    assert sum(one.cached for one in gateway.ask_many(requests[:20]) if isinstance(one, ChatReply)) == sent


def test_nothing_is_tried_again_for_a_caller_that_went_away(server: FaultyServer, gateway: Asker) -> None:
    def answer(body: dict[str, Any]) -> Behaviour:
        if body["messages"][0]["content"] == "good":
            return Reply("fine")
        time.sleep(0.3)
        return Status(500)

    server.answer = answer
    with pytest.raises(BrokenPipeError):
        gateway.ask_many([request(server.spec(), "good"), request(server.spec(), "bad")], leave)
    assert server.settled() == 2


def test_a_request_that_was_given_up_in_the_queue_belongs_to_who_asks_it_next(
    server: FaultyServer, tmp_path: Path
) -> None:
    gateway = in_process([server.spec()], tmp_path, HASTY.model_copy(update={"concurrency": 1}))
    gateway.ask(request(server.spec(), "known"))
    held, arrived = threading.Event(), threading.Event()
    server.answer = lambda body: Reply("answer" if arrived.set() or held.wait(20) else "never")
    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(gateway.ask, request(server.spec(), "long", who="first"))
        assert arrived.wait(20)
        with pytest.raises(BrokenPipeError):
            gateway.ask_many([request(server.spec(), text, who="second") for text in ("known", "queued")], leave)
        later = pool.submit(gateway.ask, request(server.spec(), "queued", who="third"))
        time.sleep(0.1)
        held.set()
        assert (busy.result().text, later.result().text, later.result().cached) == ("answer", "answer", False)
    assert {who: tally.calls for who, tally in gateway.spent().by_who.items()} == {
        "": 1, "first": 1, "second": 0, "third": 1,
    }  # fmt: skip


def test_a_model_that_was_not_named_is_not_asked(server: FaultyServer, gateway: Asker) -> None:
    """The attack: whoever has the socket names a server of his own, to which a key would be sent."""
    with serving() as evil:
        asked = [request(server.spec(), "hello"), request(evil.spec(), "hello")]
        with pytest.raises(InputError, match=f"it may ask: {server.spec()}"):
            gateway.ask_many(asked)
        assert evil.requests == server.requests == []


def test_a_setting_that_is_none_is_refused(server: FaultyServer, gateway: Asker) -> None:
    with pytest.raises(InputError, match="not a request to a chat model: colour"):
        gateway._send("ask", None, requests=[request(server.spec(), "x").model_dump(mode="json") | {"colour": 1}])


def test_a_complaint_about_a_setting_does_not_hold_the_key(
    server: FaultyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: a client that shows all that it was given."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-4711")
    gateway = in_process([server.spec()], tmp_path)

    async def complain(*_: Any) -> Any:
        raise InputError("wrong effort in {'api_key': 'sk-secret-4711'}")

    monkeypatch.setattr(Models, "call", complain)
    with pytest.raises(InputError, match=r"wrong effort in .*\[key\]") as refused:
        gateway.ask(request(server.spec(), "hello"))
    assert "4711" not in f"{refused.value} {refused.value.__cause__}"
    assert gateway.spent().total.usage.total == 0
