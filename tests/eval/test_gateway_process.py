"""The gateway as a process: what survives its death, who may reach it, and where keys must not turn up."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from faulty_server import ECHO, FaultyServer, Reply, Status, serving
from gateways import HASTY, request

from eval.chat_cache import FILE
from eval.chat_records import ChatError, ChatFailure, ChatReply, Limits, Trouble
from eval.gateway_client import GatewayClient, GatewaySocket
from eval.providers import PROVIDERS
from tasks.child import CHECKOUT
from tasks.failure import FailureKind, InputError, StageError
from tasks.record import read_jsonl

KEY = "sk-planted/0123+456789=abc"
"""With characters that a URL quotes."""
OTHERS = {
    "ANTHROPIC_API_KEY": "planted-anthropic-key-1",
    "HF_TOKEN": "planted-hub-token-2",
    "MY_SECRET": "planted-3-own",
}
Start = Callable[..., GatewayClient]


@pytest.fixture
def server() -> Iterator[FaultyServer]:
    with serving() as running:
        yield running


@pytest.fixture
def start(server: FaultyServer, tmp_path: Path) -> Iterator[Start]:
    """Makes gateways with one cache, and a ledger for each name; all are closed at the end."""
    made: list[GatewayClient] = []

    def make(name: str = "run", limits: Limits = HASTY, prices: tuple[str, ...] = ()) -> GatewayClient:
        folder = tmp_path / name
        made.append(
            GatewayClient(
                [server.spec()], tmp_path / "cache", folder / "spending.jsonl", folder / "gateway.log", limits, prices
            )
        )
        return made[-1]

    yield make
    for client in made:
        client.close()


def kill(client: GatewayClient) -> None:
    assert client.service.pid
    os.kill(client.service.pid, signal.SIGKILL)


def test_a_gateway_killed_half_way_through_500_requests_buys_nothing_twice(server: FaultyServer, start: Start) -> None:
    requests = [request(server.spec(), f"row {n}", who="synthesize", max_output_tokens=50) for n in range(500)]
    killed: list[int] = []
    told: set[int] = set()

    def strike(done: int, total: int) -> None:
        told.add(done)
        if done >= 250 and not killed:
            kill(client)
            killed.append(done)

    client = start()
    found = client.ask_many(requests, strike)
    assert [one.text for one in found if isinstance(one, ChatReply)] == [f"You said: row {n}" for n in range(500)]
    assert killed
    assert max(told) == 500
    asked = Counter(body["messages"][0]["content"] for body in server.requests)
    twice = [text for text, times in asked.items() if times > 1]
    assert len(asked) == 500
    assert len(twice) <= HASTY.concurrency  # those in flight, whose answers nobody received
    spent = client.spent().total
    lost = spent.failures
    assert lost == spent.estimated <= HASTY.concurrency
    assert spent.calls - lost == 500
    assert spent.calls >= len(server.requests)
    assert spent.usage.total >= server.prompt + server.completion  # the lost ones count with what they might have taken

    client.close()
    sent = len(server.requests)
    resumed = start()
    again = resumed.ask_many(requests)
    assert [one.cached for one in again if isinstance(one, ChatReply)] == [True] * 500
    assert len(server.requests) == sent
    assert resumed.spent().total.usage == spent.usage


def test_a_cache_serves_two_processes(server: FaultyServer, start: Start) -> None:
    first, second = start("a"), start("b")
    first.ask(request(server.spec(), "hello"))
    assert second.ask(request(server.spec(), "hello")).cached
    assert len(server.requests) == 1
    assert (first.spent().total.calls, second.spent().total.calls) == (1, 0)
    assert second.spent().total.reused == 1
    with ThreadPoolExecutor(2) as pool:  # both write at once
        halves = [
            pool.submit(client.ask_many, [request(server.spec(), f"{name} {n}") for n in range(15)])
            for client, name in ((first, "a"), (second, "b"))
        ]
        assert all(isinstance(one, ChatReply) for half in halves for one in half.result())
    assert all(
        isinstance(one, ChatReply) and one.cached
        for one in first.ask_many([request(server.spec(), f"b {n}") for n in range(15)])
    )
    assert len(server.requests) == 31


def test_the_key_is_in_no_file_and_in_no_message(
    server: FaultyServer, start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The attack: a server that repeats the key in errors and answers, and a bug whose traceback holds it."""
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)
    client = start()
    said: list[str] = []
    planned = [ECHO, Status(401, "the key {key} is wrong"), Status(500, "{key}"), Reply(None, refusal=f"not for {KEY}")]
    for n, behaviour in enumerate(planned):
        server.answer = lambda body, behaviour=behaviour: behaviour
        try:
            said.append(client.ask(request(server.spec(), f"question {n}")).model_dump_json())
        except ChatError as error:
            said += [repr(error), str(error), error.chat_failure.model_dump_json(), repr(error.__cause__)]
    assert {headers["authorization"] for headers in server.headers} == {f"Bearer {KEY}"}
    assert sum("[key]" in text for text in said) >= 4
    pid = client.service.pid
    environment = Path(f"/proc/{pid}/environ").read_text()
    assert KEY in environment
    assert not [value for value in OTHERS.values() if value in environment]
    assert KEY not in Path(f"/proc/{pid}/cmdline").read_text()
    with pytest.raises(StageError) as bug:
        client.service.call(f"no-such-method {KEY}")
    said.append(str(bug.value))
    assert "no-such-method [key]" in client.service.log.read_text()
    assert KEY not in " ".join(said)
    files = [path for folder in (tmp_path, client.socket.parent) for path in folder.rglob("*") if path.is_file()]
    assert {"spending.jsonl", "gateway.log", FILE} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert not [value for value in (KEY, *OTHERS.values()) if value.encode() in content], path


def test_a_process_without_keys_and_libraries_asks_through_the_socket(
    server: FaultyServer, start: Start, tmp_path: Path
) -> None:
    client = start()
    client.spent()  # it runs now
    code = (
        "import json, os, sys\n"
        "from pathlib import Path\n"
        "from eval.chat_records import ChatRequest\n"
        "from eval.gateway_client import GatewaySocket\n"
        "door = GatewaySocket(Path(sys.argv[1]))\n"
        "reply = door.ask(ChatRequest.model_validate_json(sys.argv[2]))\n"
        "heavy = {'langchain', 'langchain_core', 'openai', 'genai_prices', 'torch', 'numpy'} & set(sys.modules)\n"
        "print(json.dumps([reply.text, door.spent().by_who['step'].calls, sorted(heavy)]))\n"
    )
    asked = request(server.spec(), "hello", who="step").model_dump_json()
    done = subprocess.run(
        [sys.executable, "-c", code, str(client.socket), asked],
        env={"PYTHONPATH": str(CHECKOUT)}, cwd=tmp_path, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert json.loads(done.stdout) == ["You said: hello", 1, []]


def test_a_gateway_that_is_gone_is_a_failure_of_the_environment(tmp_path: Path) -> None:
    with pytest.raises(StageError) as failed:
        GatewaySocket(tmp_path / "socket").spent()
    assert (failed.value.failure.stage, failed.value.failure.kind) == ("gateway", FailureKind.ENVIRONMENT)


def test_limits_and_prices_reach_the_process(server: FaultyServer, start: Start) -> None:
    limits = HASTY.model_copy(update={"max_tokens": 4000, "max_cost": 0.5, "attempts": 2})
    client = start(limits=limits, prices=(f"{server.spec()}=1,1000",))
    server.script = [Status(500), Status(500)]
    (failure,) = client.ask_many([request(server.spec(), "hello", max_output_tokens=9)])
    assert isinstance(failure, ChatFailure)
    assert (failure.trouble, failure.retries) == (Trouble.SERVER, 1)
    assert client.ask(request(server.spec(), "hello", max_output_tokens=9)).cost == pytest.approx((1 + 3 * 1000) / 1e6)
    with pytest.raises(ChatError, match="--max-cost") as poor:
        client.ask(request(server.spec(), "more", max_output_tokens=600))
    assert poor.value.failure.kind is FailureKind.BUDGET
    with pytest.raises(ChatError, match="--max-tokens"):
        client.ask(request(server.spec(), "more", max_output_tokens=4000))
    lines = list(read_jsonl(client.service.log.parent / "spending.jsonl"))
    assert [line["event"] for line in lines] == ["sent", "ended"] * 3


def test_a_gateway_that_cannot_start_says_why(server: FaultyServer, start: Start) -> None:
    with pytest.raises(InputError, match=r"--max-cost: the price of .* is unknown"):
        start(limits=HASTY.model_copy(update={"max_cost": 1.0})).spent()


def test_what_is_missing_is_told_before_anything_starts(tmp_path: Path) -> None:
    def make(spec: str) -> GatewayClient:
        return GatewayClient([spec], tmp_path / "cache", tmp_path / "ledger", tmp_path / "log")

    with pytest.raises(InputError, match=r"openai:gpt-x: set OPENAI_API_KEY, .*openai:gpt-x@http"):
        make("openai:gpt-x")
    with pytest.raises(InputError, match=f"oracle:delphi: unknown provider 'oracle'; known: {', '.join(PROVIDERS)}"):
        make("oracle:delphi")
    assert list(tmp_path.iterdir()) == []
