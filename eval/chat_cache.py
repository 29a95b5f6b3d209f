"""Answers of language models that were paid for once: SQLite, by everything that decides them.

One file serves all runs that share a cache folder. It holds whole answers only, and of the questions their digests.
"""

import sqlite3
import threading
from collections.abc import Iterable
from pathlib import Path

from eval.chat_records import ChatReply

FILE = "chat.sqlite"


class ChatCache:
    """Replies by `ChatRequest.key`; any thread or process may use it."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._database = sqlite3.connect(folder / FILE, check_same_thread=False, timeout=30)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=NORMAL")  # safe when a process dies; a power cut may cost the last
        self._database.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL)")
        self._database.commit()

    def load(self, key: str) -> ChatReply | None:
        """The reply to a request, or None."""
        with self._lock:
            row = self._database.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        return ChatReply.model_validate_json(row[0]) if row else None

    def store(self, key: str, reply: ChatReply) -> None:
        """Keep a reply; the first one stays."""
        with self._lock, self._database:
            self._database.execute("INSERT OR IGNORE INTO replies VALUES (?, ?)", (key, reply.model_dump_json()))

    def forget(self, keys: Iterable[str]) -> None:
        """Drop replies that turned out to be of no use."""
        with self._lock, self._database:
            self._database.executemany("DELETE FROM replies WHERE key = ?", [(key,) for key in keys])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
