"""One Chroma collection in one directory: locked, opened, checked, and replaced as a whole.

Chroma's embedded client must not be owned by two processes, and it keeps its index in memory while it is open. So
nobody keeps it: every access takes the directory's lock, opens the client, works, closes it and lets the lock go.
This module imports chromadb (0.6 s); import it inside the function that needs it.
"""

import fcntl
import shutil
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import chromadb
from chromadb.api.client import Client
from chromadb.api.shared_system_client import SharedSystemClient
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
from chromadb.config import Settings
from chromadb.errors import InternalError, NotFoundError
from chromadb.utils.embedding_functions import register_embedding_function

from tasks.embedding import Embedder, SentenceEmbedder, Vectors
from tasks.failure import InputError

COLLECTION = "experiments"
FOLDER = "experiments.chroma"
LAYOUT = 1
"""Version of what a document and its metadata hold; raise it when they change."""
LOCK_SECONDS = 60.0
"""How long an access waits for the others; one takes well below a second."""


class AbsentEmbedder:
    """Stands for an embedder that an index names and this program does not have."""

    def __init__(self, name: str, dimension: int) -> None:
        self.name, self.dimension = name, dimension

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Refuse, naming the embedder that is known."""
        raise InputError(f"unknown embedder {self.name}; known: {SentenceEmbedder.name}")


@register_embedding_function
class MemoryEmbedding(EmbeddingFunction[Any]):
    """An `Embedder` as Chroma wants it; its name and dimension rest in the collection's configuration."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder

    def __call__(self, input: Documents) -> Embeddings:  # noqa: A002 - Chroma's name
        return list(self._embedder.embed(input))

    @staticmethod
    def name() -> str:
        """The name that Chroma finds this class by."""
        return "ft_dojo_embedder"

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> "MemoryEmbedding":
        """What Chroma calls with the stored configuration, at every open even when a function is given."""
        if config["embedder"] == SentenceEmbedder.name:
            return MemoryEmbedding(SentenceEmbedder())
        return MemoryEmbedding(AbsentEmbedder(config["embedder"], config["dimension"]))

    def get_config(self) -> dict[str, Any]:
        """What Chroma stores, and gives back to `build_from_config`."""
        return {"embedder": self._embedder.name, "dimension": self._embedder.dimension}

    def default_space(self) -> Space:
        """Vectors are compared by their angle."""
        return "cosine"


@contextmanager
def opened(directory: Path, embedder: Embedder) -> Generator[chromadb.Collection, None, None]:
    """The collection of a memory directory, made when there is none, for one access at a time.

    Raises:
        InputError: another process keeps the lock too long, the directory cannot be written, the index is damaged,
            or it was made with another embedder or layout.
    """
    with _locked(directory):
        new, index, _ = _folders(directory)
        if not index.exists():
            with _created(new, embedder):
                pass
            new.rename(index)
        with _client(index) as client:
            yield _checked(client, directory, embedder)


@contextmanager
def replaced(directory: Path, embedder: Embedder) -> Generator[chromadb.Collection, None, None]:
    """An empty collection that takes the place of the old one when the block ends without an error.

    Killed at any moment, it leaves the old collection or the new one, never a part. The old one is not read.

    Raises:
        InputError: as `opened`, but for the state of the old index.
    """
    with _locked(directory):
        new, index, old = _folders(directory)
        with _created(new, embedder) as collection:
            yield collection
        if index.exists():
            index.rename(old)
        new.rename(index)
        shutil.rmtree(old, ignore_errors=True)


def _folders(directory: Path) -> tuple[Path, Path, Path]:
    return directory / f"{FOLDER}.new", directory / FOLDER, directory / f"{FOLDER}.old"


@contextmanager
def _locked(directory: Path) -> Generator[None, None, None]:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        file = (directory / ".lock").open("a")
    except OSError as error:
        raise InputError(f"the memory directory {directory} cannot be written: {error}") from None
    with file:
        _wait(file.fileno(), directory)
        try:
            _settle(directory)
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)  # closing is not enough: a forked child would keep it locked


def _wait(descriptor: int, directory: Path) -> None:
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise InputError(
                    f"the memory in {directory} has been locked by another process for {LOCK_SECONDS:.0f} s; "
                    f"find it with `fuser {directory / '.lock'}`, or use another memory directory"
                ) from None
            time.sleep(0.02)


def _settle(directory: Path) -> None:
    """Finish or undo a replacement that was killed between its renames."""
    _, index, old = _folders(directory)
    if old.exists() and index.exists():
        shutil.rmtree(old)
    elif old.exists():
        old.rename(index)


@contextmanager
def _created(folder: Path, embedder: Embedder) -> Generator[chromadb.Collection, None, None]:
    shutil.rmtree(folder, ignore_errors=True)  # left by a process that was killed
    with _client(folder) as client:
        yield client.create_collection(
            COLLECTION,
            metadata=_identity(embedder),
            embedding_function=MemoryEmbedding(embedder),
            configuration={"hnsw": {"space": "cosine", "ef_search": 200, "num_threads": 1}},
        )


def _checked(client: Client, directory: Path, embedder: Embedder) -> chromadb.Collection:
    collection = client.get_collection(COLLECTION, embedding_function=MemoryEmbedding(embedder))
    meant, found = _identity(embedder), collection.metadata
    if found != meant:
        raise InputError(
            f"the memory in {directory} was indexed with {_listed(found)}, this program has {_listed(meant)}; "
            f"{advice(directory)}"
        )
    return collection


def _listed(identity: Mapping[str, Any] | None) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted((identity or {}).items())) or "nothing declared"


def _identity(embedder: Embedder) -> dict[str, str | int]:
    return {"layout": LAYOUT, "embedder": embedder.name, "dimension": embedder.dimension}


@contextmanager
def _client(folder: Path) -> Generator[Client, None, None]:
    try:
        client = cast(Client, chromadb.PersistentClient(folder, settings=Settings(anonymized_telemetry=False)))
    except Exception as error:  # whatever Chroma met first in a damaged index
        # Chroma keeps the half-started system, and would hand it to the next who opens this folder
        SharedSystemClient._identifier_to_system.pop(str(folder), None)  # pyright: ignore[reportPrivateUsage]
        raise _unusable(folder, error) from error
    try:
        yield client
    except (InternalError, NotFoundError) as error:
        raise _unusable(folder, error) from error
    finally:
        client.close()


def _unusable(folder: Path, error: Exception) -> InputError:
    return InputError(f"the memory index {folder} cannot be used ({error}); {advice(folder.parent)}")


def advice(directory: Path) -> str:
    """What to do about an index that cannot be used."""
    return f"build it again from the runs: python -m memory.store rebuild --runs RUNS --memory-dir {directory}"
