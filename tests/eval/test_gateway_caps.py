"""What the gateway counts, and where it stops spending: against the server's own count."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from faulty_server import Behaviour, FaultyServer, Reply, Status, serving
from gateways import HASTY, in_process, request

from eval.chat_records import ChatError, ChatFailure, ChatReply, TokenUsage, Trouble
from eval.gateway_client import Asker
from tasks.failure import FailureKind, InputError

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


def test_the_accounts_agree_with_the_server_to_the_token(server: FaultyServer, gateway: Asker) -> None:
    """Over answers of all kinds, streamed ones, failures that were billed and such that were not."""
    server.script = [
        Reply("one two three", cached=1),
        Status(500, billed=True),
        Status(429),
        Reply(None, refusal="no thank you"),
        Reply("cut off", finish="length"),
        Status(400, billed=True),
    ]
    for n in range(6):
        stream = n % 2 == 1
        try:
            gateway.ask(request(server.spec(), f"question number {n} " + "word " * n, stream=stream, who=f"w{n % 2}"))
        except ChatError as error:
            assert error.trouble is Trouble.REQUEST  # noqa: PT017  the only one that stays
    for n in range(6, 20):
        mode: Any = ("schema", "function", "text")[n % 3]
        gateway.ask(request(server.spec(), f"question {n}", mode=mode, json_schema=SCHEMA, stream=n % 2 == 1, who="w0"))
    spent = gateway.spent()
    assert spent.total.usage.model_copy(update={"cached_input": 0}) == server.billed
    assert spent.total.usage.cached_input == 1
    assert spent.total.calls == len(server.requests) == 22
    assert sum((tally.usage for tally in spent.by_who.values()), TokenUsage()) == spent.total.usage
    assert set(spent.by_who) == {"w0", "w1"}
    assert any(body.get("stream") for body in server.requests)


def test_what_a_failed_call_was_billed_is_told_with_the_failure(server: FaultyServer, gateway: Asker) -> None:
    server.answer = lambda body: Status(400, "no", billed=True)
    (failure,) = gateway.ask_many([request(server.spec(), "three words here")])
    assert isinstance(failure, ChatFailure)
    assert failure.usage == TokenUsage(input=3) == server.billed


@pytest.mark.parametrize("stream", [False, True])
def test_a_server_that_does_not_count_is_estimated(server: FaultyServer, gateway: Asker, stream: bool) -> None:
    server.script = [Reply("x" * 40, counted=False)]
    reply = gateway.ask(request(server.spec(), "y" * 400, stream=stream))
    assert reply.usage == TokenUsage(input=104, output=10, estimated=True)
    assert gateway.spent().total.estimated == 1


def test_given_prices_make_costs(server: FaultyServer, tmp_path: Path) -> None:
    gateway = in_process([server.spec()], tmp_path, prices=[f"{server.spec()}=2,10"])
    server.script = [Status(500, billed=True), Reply("one two three four five")]
    reply = gateway.ask(request(server.spec(), "one two three"))
    assert reply.cost == pytest.approx((3 * 2 + 3 * 2 + 5 * 10) / 1e6)  # the failed call was billed, too
    spent = gateway.spent().total
    assert (spent.cost, spent.unpriced) == (reply.cost, 0)
    assert gateway.ask(request(server.spec(), "one two three")).cost == 0
    assert gateway.spent().total.cost == spent.cost


def test_unknown_prices_are_counted_as_unknown(server: FaultyServer, gateway: Asker) -> None:
    gateway.ask(request(server.spec(), "one"))
    assert (gateway.spent().total.cost, gateway.spent().total.unpriced) == (0, 1)


def test_a_gateway_that_is_started_again_goes_on_counting(server: FaultyServer, tmp_path: Path) -> None:
    in_process([server.spec()], tmp_path).ask(request(server.spec(), "one two", who="a"))
    gateway = in_process([server.spec()], tmp_path)
    gateway.ask(request(server.spec(), "one two", who="a"))
    gateway.ask(request(server.spec(), "one two three", who="b"))
    spent = gateway.spent()
    assert spent.total.usage == server.billed
    assert (spent.total.calls, spent.total.reused) == (2, 1)
    assert (spent.by_who["a"].calls, spent.by_who["a"].reused, spent.by_who["b"].calls) == (1, 1, 1)


def test_the_cap_on_tokens_is_never_passed_by_more_than_the_calls_in_flight(
    server: FaultyServer, tmp_path: Path
) -> None:
    """The first call for every third request fails and is billed; answers are twice as long as was held ready."""
    cap, flying, prompt, answer = 2000, 4, 20, 100
    limits = HASTY.model_copy(update={"max_tokens": cap, "concurrency": flying, "attempts": 3})
    gateway = in_process([server.spec()], tmp_path, limits)
    failed: set[str] = set()

    def behave(body: dict[str, Any]) -> Behaviour:
        text = body["messages"][0]["content"]
        if int(text.rpartition(" ")[2]) % 3 == 2 and text not in failed:
            failed.add(text)
            return Status(500, billed=True)
        return Reply("word " * answer)

    server.answer = behave
    server.delay = 0.005
    text = "word " * (prompt - 1)
    found = gateway.ask_many([request(server.spec(), f"{text} {n}", max_output_tokens=answer // 2) for n in range(60)])
    assert failed
    failures = [one for one in found if isinstance(one, ChatFailure)]
    assert {(one.kind, one.trouble) for one in failures} == {(FailureKind.BUDGET, Trouble.CAP)}
    assert "--max-tokens" in failures[0].message
    spent = gateway.spent().total
    assert spent.usage == server.billed
    assert cap - (prompt + answer) * flying <= spent.usage.total <= cap + (prompt + answer) * flying
    assert len(found) - len(failures) == server.answered
    sent = len(server.requests)
    with pytest.raises(ChatError) as refused:
        gateway.ask(request(server.spec(), text))
    assert refused.value.failure.kind is FailureKind.BUDGET
    assert len(server.requests) == sent


def test_a_cap_holds_over_a_restart(server: FaultyServer, tmp_path: Path) -> None:
    limits = HASTY.model_copy(update={"max_tokens": 100})
    server.answer = lambda body: Reply("word " * 60)
    first = in_process([server.spec()], tmp_path, limits)
    assert first.ask(request(server.spec(), "go", max_output_tokens=60)).usage.total == 61
    second = in_process([server.spec()], tmp_path, limits)
    with pytest.raises(ChatError) as failed:
        second.ask(request(server.spec(), "go on", max_output_tokens=60))
    assert failed.value.trouble is Trouble.CAP
    assert second.ask(request(server.spec(), "go", max_output_tokens=60)).cached  # what was bought stays free
    assert second.ask(request(server.spec(), "go on", max_output_tokens=20)).usage.total == 62


def test_calls_wait_for_one_that_may_leave_enough(server: FaultyServer, tmp_path: Path) -> None:
    """Two calls that together might pass the cap but do not: the second waits and is not refused."""
    limits = HASTY.model_copy(update={"max_tokens": 100})
    gateway = in_process([server.spec()], tmp_path, limits)
    server.delay = 0.1
    found = gateway.ask_many([request(server.spec(), f"question {n}", max_output_tokens=70) for n in range(3)])
    assert all(isinstance(one, ChatReply) for one in found)
    assert server.busiest == 1


def test_the_cap_on_cost(server: FaultyServer, tmp_path: Path) -> None:
    limits = HASTY.model_copy(update={"max_cost": 0.01, "concurrency": 2})
    gateway = in_process([server.spec()], tmp_path, limits, prices=[f"{server.spec()}=0,100"])
    server.answer = lambda body: Reply("word " * 10)
    found = gateway.ask_many([request(server.spec(), f"question {n}", max_output_tokens=10) for n in range(20)])
    failures = [one for one in found if isinstance(one, ChatFailure)]
    assert len(failures) == 10
    assert {(one.kind, one.trouble) for one in failures} == {(FailureKind.BUDGET, Trouble.CAP)}
    assert "--max-cost" in failures[0].message
    assert gateway.spent().total.cost == pytest.approx(0.01)


def test_a_cap_on_cost_needs_every_price(server: FaultyServer, tmp_path: Path) -> None:
    limits = HASTY.model_copy(update={"max_cost": 1.0})
    with pytest.raises(InputError, match=rf"--price {server.spec()}=IN,OUT"):
        in_process([server.spec()], tmp_path, limits)
    in_process([server.spec()], tmp_path, limits, prices=[f"{server.spec()}=0,0"])
