"""A server with OpenAI's chat completions over an engine: what `test_endpoint_engine.py` talks to."""

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from eval.adapter import adapter_hash
from eval.engine import Checkpoint, EvalEngine, Sampling
from tasks.failure import FailureKind, InputError, StageError


class OpenAiServer(ThreadingHTTPServer):
    """One model, and the adapters that were loaded; answers one request at a time."""

    daemon_threads = True

    def __init__(self, engine: EvalEngine, name: str, context: int | None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.engine, self.name, self.context = engine, name, context
        self.checkpoints = {name: Checkpoint(model=engine.info().model)}
        self.keys: set[str] = set()
        """Keys that requests came with."""
        self.troubles: list[int] = []
        """Status codes that the next requests are answered with."""
        self.requests: list[dict[str, Any]] = []
        self.turn = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: OpenAiServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Quiet."""

    def do_GET(self) -> None:
        listed = [
            {"id": name, "object": "model", "created": 0, "owned_by": "test",
             "parent": self.server.name if checkpoint.adapter else None, "max_model_len": self.server.context}
            for name, checkpoint in self.server.checkpoints.items()
        ]  # fmt: skip
        self._reply(200, {"object": "list", "data": listed})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.keys.add(self.headers["Authorization"])
        with self.server.turn:
            if self.server.troubles:
                self._reply(self.server.troubles.pop(0), {"error": {"message": "try again"}})
            elif self.path == "/v1/load_lora_adapter":
                self._load(body)
            else:
                self.server.requests.append(body)
                self._complete(body)

    def _load(self, body: dict[str, Any]) -> None:
        try:
            name = adapter_hash(Path(body["lora_path"]))
        except InputError as error:
            return self._reply(404, {"error": {"message": str(error)}})
        checkpoint = Checkpoint(model=self.server.engine.info().model, adapter=body["lora_path"], adapter_hash=name)
        try:
            self.server.engine.generate(["?"], Sampling(max_new_tokens=1), checkpoint, lambda *_: None)
        except StageError as error:
            if error.failure.kind is not FailureKind.FORMAT:
                return self._reply(400, {"error": {"message": error.failure.message}})
            checkpoint = self.server.checkpoints[self.server.name]  # a server does not notice that nothing changes
        self.server.checkpoints[body["lora_name"]] = checkpoint
        return self._reply(200, "loaded")

    def _complete(self, body: dict[str, Any]) -> None:
        sampling = Sampling(
            max_new_tokens=body["max_tokens"],
            temperature=body["temperature"],
            top_p=body.get("top_p", 1.0),
            samples=body.get("n", 1),
            stop=tuple(body.get("stop") or ()),
            seed=body.get("seed", 0),
        )
        (message,) = body["messages"]
        if schema := body.get("response_format"):
            found = [(str(schema["json_schema"]["schema"]["minimum"]), 2, "stop")]
        else:
            checkpoint = self.server.checkpoints[body["model"]]
            (completions,) = self.server.engine.generate([message["content"]], sampling, checkpoint, lambda *_: None)
            found = [(one.text, one.tokens, one.finish) for one in completions]
        choices = [
            {"index": i, "finish_reason": finish, "message": {"role": "assistant", "content": text}}
            for i, (text, _, finish) in enumerate(found)
        ]
        usage = {"prompt_tokens": 1, "completion_tokens": sum(n for _, n, _ in found), "total_tokens": 1}
        reply = {"id": "1", "object": "chat.completion", "created": 0, "model": body["model"]}
        self._reply(200, {**reply, "choices": choices, "usage": usage})

    def _reply(self, status: int, body: object) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@contextmanager
def serving(engine: EvalEngine, name: str, context: int | None = None) -> Generator[OpenAiServer]:
    """A server that runs."""
    with OpenAiServer(engine, name, context) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
