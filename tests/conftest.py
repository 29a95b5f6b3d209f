"""What all tests share: no network, no spending, one tiny model, one cache."""

import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tasks.task import Benchmark, Source, Task

LOCAL = ("127.", "localhost", "::1")


def pytest_configure() -> None:
    """A shell starts background jobs with Ctrl-C ignored, and children inherit that; tests send it to theirs."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Refuse connections that leave the machine, and hide provider keys, unless a test is marked `live`."""
    if request.node.get_closest_marker("live"):
        return
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and not str(address[0]).startswith(LOCAL):
            raise AssertionError(f"a test tried to reach {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder for the whole session, so that the tiny model is built once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def tiny_model(cache: Path) -> Path:
    """Folder of the tiny random Llama."""
    from eval.base_model import TINY, resolve_model

    return resolve_model(TINY, cache)


@pytest.fixture
def toy_rows() -> list[dict[str, str]]:
    """Eighty questions with two options, in four groups."""
    colours = ["red", "blue", "green", "white"]
    return [
        {
            "id": f"q{i}",
            "question": f"Which colour has the code {i % 4} in box {i}?",
            "first": colours[i % 4],
            "second": colours[(i + 1) % 4],
            "answer": colours[i % 4],
            "group": f"g{i % 4}",
        }
        for i in range(80)
    ]


@pytest.fixture
def toy_task(tmp_path: Path, toy_rows: list[dict[str, str]]) -> Task:
    """A small task over files in `tmp_path`: a benchmark and one source about the same codes."""
    from tasks.record import write_jsonl

    colours = ["red", "blue", "green", "white"]
    write_jsonl(tmp_path / "benchmark.jsonl", toy_rows)
    lessons = [
        {"question": f"Say the colour of code {i % 4}, please; lesson {i}.", "answer": colours[i % 4]}
        for i in range(120)
    ]
    write_jsonl(tmp_path / "lessons.jsonl", lessons)
    return Task(
        name="toy",
        domain="colours",
        description="Codes of colours.",
        sources=(Source(name="lessons", path="lessons.jsonl", licence="MIT", description="codes"),),
        benchmark=Benchmark(path="benchmark.jsonl", id="id", group="group"),
        prompt="{{ question }} {{ first }} or {{ second }}?",
        answer="{{ answer }}",
        options=("{{ first }}", "{{ second }}"),
        scorer={"name": "choice"},
        max_new_tokens=8,
        base_dir=str(tmp_path),
    )
