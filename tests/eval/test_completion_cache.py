"""Completions that were paid for once: the key holds all that decides them, and nothing stored is lost."""

import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from eval.completion_cache import CompletionCache
from eval.engine import Checkpoint, Completion, EngineInfo, Sampling
from tasks.child import child_environment

INFO = EngineInfo(name="e", model="/models/m", numerics="e-1/cpu", context=100, chunk=8)
CHECKPOINT = Checkpoint(model="/models/m", adapter="/runs/1/adapter", adapter_hash="aa")
SAMPLING = Sampling(max_new_tokens=8)
ANSWER = Completion(text="naïve 数\n", tokens=3, finish="stop")


def key(
    info: dict[str, Any] | None = None,
    checkpoint: dict[str, Any] | None = None,
    sampling: dict[str, Any] | None = None,
    prompt: str = "Why?",
) -> str:
    return CompletionCache.key(
        INFO.model_copy(update=info or {}),
        CHECKPOINT.model_copy(update=checkpoint or {}),
        SAMPLING.model_copy(update=sampling or {}),
        prompt,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"info": {"numerics": "e-2/cpu"}},
        {"checkpoint": {"model": "/models/other"}},
        {"checkpoint": {"adapter_hash": "bb"}},
        {"checkpoint": {"adapter": None, "adapter_hash": ""}},
        {"sampling": {"max_new_tokens": 9}},
        {"sampling": {"temperature": 0.5}},
        {"sampling": {"top_p": 0.5}},
        {"sampling": {"samples": 2}},
        {"sampling": {"stop": ("\n",)}},
        {"sampling": {"seed": 1}},
        {"prompt": "Why? "},
        {"prompt": "why?"},
    ],
    ids=str,
)
def test_what_decides_a_completion_is_in_its_key(change: dict[str, Any]) -> None:
    assert key(**change) != key()


@pytest.mark.parametrize(
    "change",
    [{"checkpoint": {"adapter": "/moved/adapter"}}, {"info": {"chunk": 9}}, {"info": {"context": 50}}],
    ids=str,
)
def test_what_does_not_decide_it_is_not(change: dict[str, Any]) -> None:
    assert key(**change) == key()


def test_what_was_stored_is_there_after_opening_again(tmp_path: Path) -> None:
    path = tmp_path / "sealed" / "completions.sqlite"
    cache = CompletionCache(path)
    assert not cache.holds(["a"])
    cache.store(["a", "b"], [[ANSWER.model_dump()] * 2, [ANSWER.model_copy(update={"text": ""}).model_dump()]])
    for reader in (cache, CompletionCache(path)):
        assert reader.holds(["a", "b"])
        assert not reader.holds(["a", "c", "b"])
        assert reader.holds([])
        assert reader.load("a") == [ANSWER, ANSWER]
        assert reader.load("b")[0].text == ""
    with pytest.raises(KeyError, match="c"):
        cache.load("c")


def test_storing_twice_keeps_the_first(tmp_path: Path) -> None:
    """Equal prompts in two chunks: a resumed evaluation must read what an undisturbed one has read."""
    cache = CompletionCache(tmp_path / "completions.sqlite")
    for text in ("one", "two"):
        cache.store(["a"], [[ANSWER.model_copy(update={"text": text}).model_dump()]])
    assert cache.load("a")[0].text == "one"


def test_a_chunk_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = CompletionCache(tmp_path / "completions.sqlite")
    with pytest.raises(ValueError, match="zip"):
        cache.store(["a", "b"], [[ANSWER.model_dump()]])
    with pytest.raises(sqlite3.Error):
        cache.store(["a", object()], [[ANSWER.model_dump()]] * 2)  # type: ignore[list-item]
    assert not cache.holds(["a"])


def test_threads_share_a_cache(tmp_path: Path) -> None:
    cache = CompletionCache(tmp_path / "completions.sqlite")

    def work(number: int) -> bool:
        for i in range(30):
            cache.store([f"{number}-{i}"], [[ANSWER.model_dump()]])
            assert cache.load(f"{number}-{i}") == [ANSWER]
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))
    assert cache.holds([f"{number}-{i}" for number in range(4) for i in range(30)])


def test_a_chunk_outlives_a_killed_process(tmp_path: Path) -> None:
    path = tmp_path / "completions.sqlite"
    code = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from eval.completion_cache import CompletionCache\n"
        "cache = CompletionCache(Path(sys.argv[1]))\n"
        "cache.store(['a', 'b'], [[{'text': 't', 'tokens': 1, 'finish': 'stop'}]] * 2)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], env=child_environment(), check=False)
    assert done.returncode == -9
    assert CompletionCache(path).holds(["a", "b"])
