"""A chat model as a mind, against a local server that does what servers do: answer, ramble, refuse, fail."""

import json
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import situations as s

from memory.records import Plan
from roles.backbone import Question, Usage
from roles.backbones.chat import Chat
from tasks.failure import FailureKind, InputError, StageError

KEY = "sk-secret-0123456789"
GOOD = s.plan().model_copy(update={"hypothesis": "a {braced} idea with ``` in it"}).model_dump_json()
BAD = json.dumps(json.loads(GOOD) | {"predicted_effect": 7})
ECHO = "echo the key"
"""A reply that stands for the Authorization header that came."""


class Server(ThreadingHTTPServer):
    """Gives the replies in turn, the last one for ever; a reply is a text, or a status."""

    daemon_threads = True

    def __init__(self, replies: list[str | int]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.replies = replies
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def spec(self) -> str:
        return f"openai:some/model@http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    """One request of a `Server`."""

    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = self.headers["Authorization"]
        self.server.requests.append(body | {"path": self.path})
        self.server.keys.append(key)
        reply = self.server.replies[min(len(self.server.requests), len(self.server.replies)) - 1]
        if isinstance(reply, int):
            return self._send(reply, {"error": {"message": f"refused, the key was {key}", "type": "x"}})
        text = f"I saw {key}" if reply == ECHO else reply
        message = {"role": "assistant", "content": text}
        return self._send(200, {
            "id": "1", "object": "chat.completion", "created": 0, "model": "m",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120},
        })  # fmt: skip

    def _send(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        if status >= 500:
            self.send_header("Retry-After-Ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the library's name
        """Stay quiet."""


@pytest.fixture
def serve() -> Generator[Any]:
    """Start a server with these replies."""
    servers: list[Server] = []

    def start(*replies: str | int) -> Server:
        server = Server(list(replies))
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def decide(spec: str) -> tuple[Plan, Usage]:
    return Chat(spec).decide(Question("planner", s.planner(), Plan))


@pytest.mark.parametrize(
    "answer",
    [
        GOOD,
        f"```json\n{GOOD}\n```",
        f"```\n{GOOD}\n```",
        f"Certainly! Here is the plan:\n\n{GOOD}\n\nGood luck.",
        f"First I had:\n```json\n{{}}\n```\nbut better is\n```json\n{json.dumps(json.loads(GOOD), indent=2)}\n```",
    ],
    ids=["bare", "fenced", "fenced without a language", "in prose", "two fences, the last counts"],
)
def test_the_json_is_found_in_the_answer(serve: Any, answer: str) -> None:
    server = serve(answer)
    decided, usage = decide(server.spec)
    assert decided == Plan.model_validate_json(GOOD)
    assert len(server.requests) == 1
    assert (usage.mind, usage.input_tokens, usage.output_tokens) == (server.spec, 100, 20)


@pytest.mark.parametrize("first", [BAD, "I would rather not.", "", "{}", GOOD[:-20]])
def test_an_answer_that_does_not_validate_gets_one_repair_turn(serve: Any, first: str) -> None:
    server = serve(first, GOOD)
    decided, usage = decide(server.spec)
    assert decided == Plan.model_validate_json(GOOD)
    assert (usage.input_tokens, usage.output_tokens) == (200, 40)
    said = server.requests[1]["messages"]
    assert [message["role"] for message in said] == ["system", "user", "assistant", "user"]
    assert said[2]["content"] == first
    assert "does not validate" in said[3]["content"]
    if first == BAD:
        assert "predicted_effect" in said[3]["content"]


@pytest.mark.parametrize("answer", [BAD, "", "never"])
def test_two_invalid_answers_fail_as_the_providers_fault(serve: Any, answer: str) -> None:
    server = serve(answer)
    with pytest.raises(StageError) as failed:
        decide(server.spec)
    assert failed.value.failure.kind == FailureKind.PROVIDER
    assert server.spec in failed.value.failure.message
    assert len(server.requests) == 2


@pytest.mark.parametrize(("status", "tries"), [(500, 3), (401, 1), (404, 1), (400, 1)])
def test_a_refusal_fails_as_the_providers_fault_and_only_a_passing_one_is_retried(
    serve: Any, status: int, tries: int
) -> None:
    server = serve(status)
    with pytest.raises(StageError, match=str(status)) as failed:
        decide(server.spec)
    assert failed.value.failure.kind == FailureKind.PROVIDER
    assert len(server.requests) == tries


def test_a_server_that_fails_once_is_asked_again(serve: Any) -> None:
    server = serve(500, GOOD)
    assert decide(server.spec)[0] == Plan.model_validate_json(GOOD)
    assert len(server.requests) == 2


def test_a_server_that_is_not_there_fails_as_the_providers_fault() -> None:
    with pytest.raises(StageError) as failed:
        decide("openai:m@http://127.0.0.1:9/v1")
    assert failed.value.failure.kind == FailureKind.PROVIDER
    assert "127.0.0.1:9" in failed.value.failure.message


@pytest.mark.parametrize("reply", [401, 500, ECHO])
def test_the_key_is_sent_and_never_told_on(serve: Any, monkeypatch: pytest.MonkeyPatch, reply: str | int) -> None:
    """The attack: a server that repeats the key it got."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = serve(reply)
    with pytest.raises(StageError) as failed:
        decide(server.spec)
    assert server.keys[0] == f"Bearer {KEY}"
    assert KEY not in f"{failed.value} {failed.value.failure} {failed.value.__cause__}"
    assert "[key]" in failed.value.failure.message


def test_a_named_server_needs_no_key(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for value in (None, ""):
        if value is not None:
            monkeypatch.setenv("OPENAI_API_KEY", value)
        server = serve(GOOD)
        decide(server.spec)
        assert "Bearer" in server.keys[0]


@pytest.mark.parametrize("value", [None, ""])
def test_without_key_and_server_the_message_says_what_to_set(monkeypatch: pytest.MonkeyPatch, value) -> None:
    if value is not None:
        monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(InputError, match="set OPENAI_API_KEY"):
        Chat("openai:gpt-x")


def test_the_request_carries_the_prompts_and_the_schema(serve: Any) -> None:
    server = serve(GOOD)
    decide(server.spec)
    asked, question = server.requests[0], Question("planner", s.planner(), Plan)
    assert (asked["model"], asked["path"]) == ("some/model", "/v1/chat/completions")
    assert [message["content"] for message in asked["messages"]] == [question.system, question.user]
    assert asked["response_format"]["type"] == "json_schema"
    assert asked["response_format"]["json_schema"]["schema"] == Plan.model_json_schema()
