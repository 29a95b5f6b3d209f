"""Completions that were paid for once: SQLite, keyed by everything that decides them."""

import json
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.engine import Checkpoint, Completion, EngineInfo, Sampling
from tasks.record import digest


class CompletionCache:
    """Completions by (base model, adapter hash, prompt, sampling, engine numerics)."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("CREATE TABLE IF NOT EXISTS completions (key TEXT PRIMARY KEY, completions TEXT)")
        self._database.commit()

    @staticmethod
    def key(info: EngineInfo, checkpoint: Checkpoint, sampling: Sampling, prompt: str) -> str:
        """The cache key of one prompt."""
        return digest([info.numerics, info.weights or checkpoint.model, checkpoint.adapter_hash, sampling, prompt])

    def holds(self, keys: Sequence[str]) -> bool:
        """Whether all keys are cached."""
        return all(self._find(key) is not None for key in keys)

    def store(self, keys: Sequence[str], completions: Sequence[Any]) -> None:
        """Store the completions (JSON data, a list a prompt) of a chunk in one transaction."""
        rows = [(key, json.dumps(found)) for key, found in zip(keys, completions, strict=True)]
        with self._lock, self._database:
            self._database.executemany("INSERT OR IGNORE INTO completions VALUES (?, ?)", rows)

    def load(self, key: str) -> list[Completion]:
        """The completions of one prompt.

        Raises:
            KeyError: not cached.
        """
        found = self._find(key)
        if found is None:
            raise KeyError(key)
        return [Completion.model_validate(completion) for completion in json.loads(found)]

    def _find(self, key: str) -> str | None:
        with self._lock:
            row = self._database.execute("SELECT completions FROM completions WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None
