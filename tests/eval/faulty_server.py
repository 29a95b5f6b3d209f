"""A server with OpenAI's chat completions that counts its own tokens and goes wrong as it is told to."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from eval.chat_records import TokenUsage

UNSUPPORTED = "This model does not support the parameter response_format of type json_schema"
NO_TOOLS = "this model does not support tools"


@dataclass(frozen=True)
class Reply:
    """An answer with status 200."""

    text: str | None
    finish: str = "stop"
    refusal: str | None = None
    counted: bool = True
    """Whether the usage is told."""
    cached: int = 0
    """Tokens of the prompt that are said to have been in the provider's cache."""


@dataclass(frozen=True)
class Status:
    """A refusal; `{key}` in the message stands for the Authorization header that came."""

    code: int
    message: str = "something is wrong"
    headers: dict[str, str] = field(default_factory=dict)
    billed: bool = False
    """Whether the prompt is billed, as the body says then."""


HANG = "no answer for a long time"
RESET = "the connection is reset"
CUT = "the body ends in the middle"
GARBLED = "the body is no JSON"
ECHO = "the key that came, as the answer"
Behaviour = Reply | Status | str


def tokens(text: str) -> int:
    """The server's tokens are words."""
    return len(text.split())


def repeat(body: dict[str, Any]) -> Behaviour:
    """The usual answer: the last message again."""
    return Reply("You said: " + body["messages"][-1]["content"])


class FaultyServer(ThreadingHTTPServer):
    """Follows `script` first, one behaviour a request whose form and length it supports, then `answer`."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.turn = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget what came and what to do."""
        self.answer: Callable[[dict[str, Any]], Behaviour] = repeat
        self.script: list[Behaviour] = []
        self.modes = {"schema", "function", "text"}
        """Ways to ask for the form of an answer that are supported."""
        self.context: int | None = None
        """Tokens of the longest prompt."""
        self.delay = 0.0
        """Seconds that an answer takes."""
        self.requests: list[dict[str, Any]] = []
        self.times: list[float] = []
        self.headers: list[dict[str, str]] = []
        self.prompt = self.completion = self.answered = 0
        """Tokens billed, and requests answered."""
        self.busy = self.busiest = 0
        """Requests in work, and the most there were at once."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def spec(self, model: str = "m") -> str:
        return f"openai:{model}@{self.url}"

    @property
    def billed(self) -> TokenUsage:
        """All tokens so far."""
        return TokenUsage(input=self.prompt, output=self.completion)

    def settled(self) -> int:
        """How many requests came, once no more do."""
        sent = -1
        while sent != len(self.requests) or self.busy:
            sent = len(self.requests)
            time.sleep(0.4)
        return sent

    def behaviour(self, body: dict[str, Any]) -> Behaviour:
        """What to do with a request."""
        with self.turn:
            self.requests.append(body)
            self.times.append(time.monotonic())
        if "response_format" in body and "schema" not in self.modes:
            return Status(400, UNSUPPORTED)
        if "tools" in body and "function" not in self.modes:
            return Status(400, NO_TOOLS)
        if self.context is not None and _prompt_tokens(body) > self.context:
            return Status(400, f"This model's maximum context length is {self.context} tokens.")
        with self.turn:
            planned = self.script.pop(0) if self.script else None
        return planned or self.answer(body)

    def bill(self, prompt: int, completion: int) -> dict[str, Any]:
        """Count, and say so as the API does."""
        with self.turn:
            self.prompt += prompt
            self.completion += completion
        return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


def _prompt_tokens(body: dict[str, Any]) -> int:
    return sum(tokens(message["content"] or "") for message in body["messages"])


class _Handler(BaseHTTPRequestHandler):
    server: FaultyServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Quiet."""

    def do_GET(self) -> None:
        self._send(200, {"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.turn:
            server.headers.append({name.lower(): value for name, value in self.headers.items()})
            server.busy += 1
            server.busiest = max(server.busiest, server.busy)
        try:
            behaviour = server.behaviour(body)
            time.sleep(server.delay)
        finally:
            with server.turn:
                server.busy -= 1
        self._behave(behaviour, body)

    def _behave(self, behaviour: Behaviour, body: dict[str, Any]) -> None:
        key = self.headers["Authorization"]
        if isinstance(behaviour, Status):
            self._refuse(behaviour, body, key)
        elif behaviour == HANG:
            time.sleep(20)
            self.close_connection = True
        elif behaviour == RESET:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        elif behaviour == GARBLED:
            self._send(200, "<html>busy</html>")
        else:
            reply = behaviour if isinstance(behaviour, Reply) else Reply(f"I saw {key}")
            self._reply(reply, body, cut=behaviour == CUT)

    def _refuse(self, status: Status, body: dict[str, Any], key: str) -> None:
        content: dict[str, Any] = {"error": {"message": status.message.replace("{key}", key), "type": "x"}}
        if status.billed:
            content["usage"] = self.server.bill(_prompt_tokens(body), 0)
        self._send(status.code, content, status.headers)

    def _reply(self, reply: Reply, body: dict[str, Any], *, cut: bool) -> None:
        said = reply.text or reply.refusal or ""
        usage = self.server.bill(_prompt_tokens(body), tokens(said))
        usage["prompt_tokens_details"] = {"cached_tokens": reply.cached}
        with self.server.turn:
            self.server.answered += 1
        message: dict[str, Any] = {"role": "assistant", "content": reply.text}
        if reply.refusal:
            message["refusal"] = reply.refusal
        if "tools" in body and reply.text and reply.text.startswith("{"):
            function = {"name": body["tools"][0]["function"]["name"], "arguments": reply.text}
            message |= {"content": None, "tool_calls": [{"id": "1", "type": "function", "function": function}]}
        if body.get("stream"):
            return self._stream(reply, message, usage, body)
        whole = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"],
                 "choices": [{"index": 0, "message": message, "finish_reason": reply.finish}]}  # fmt: skip
        return self._send(200, whole | ({"usage": usage} if reply.counted else {}), cut=cut)

    def _stream(self, reply: Reply, message: dict[str, Any], usage: dict[str, Any], body: dict[str, Any]) -> None:
        base = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": body["model"]}
        if message.get("tool_calls"):
            message["tool_calls"][0]["index"] = 0
        parts = [message]
        if message["content"]:
            half = len(message["content"]) // 2
            parts = [message | {"content": message["content"][:half]}, {"content": message["content"][half:]}]
        chunks = [base | {"choices": [{"index": 0, "delta": part, "finish_reason": None}]} for part in parts]
        chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
        if reply.counted and (body.get("stream_options") or {}).get("include_usage"):
            chunks.append(base | {"choices": [], "usage": usage})
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for chunk in [*map(json.dumps, chunks), "[DONE]"]:
            self.wfile.write(f"data: {chunk}\n\n".encode())
        self.close_connection = True

    def _send(self, status: int, body: object, headers: dict[str, str] | None = None, *, cut: bool = False) -> None:
        data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if cut else data)
        self.close_connection = self.close_connection or cut


@contextmanager
def serving() -> Generator[FaultyServer]:
    """A server that runs."""
    with FaultyServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
