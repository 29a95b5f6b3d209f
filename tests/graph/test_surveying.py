"""What is found out before the first experiment."""

import json
from pathlib import Path
from typing import Any

import pytest

from graph.surveying import FEW_VALUES, field_values, model_gib, model_shape, row_tokens, spread
from roles.briefing import ModelShape
from tasks.corpus import Corpus, CorpusSource
from tasks.record import write_jsonl

SMOLLM2 = {"num_attention_heads": 9, "num_key_value_heads": 3, "hidden_size": 576, "num_hidden_layers": 30,
           "intermediate_size": 1536, "max_position_embeddings": 8192}  # fmt: skip


def test_rows_are_shown_from_all_over_a_source() -> None:
    rows = [{"n": n} for n in range(101)]
    assert spread(rows) == ({"n": 0}, {"n": 50}, {"n": 100})
    assert spread(rows[:2]) == ({"n": 0}, {"n": 1})
    assert spread(rows[:1]) == ({"n": 0},)


def test_fields_with_few_values_are_counted() -> None:
    rows: list[dict[str, Any]] = [
        {"subject": "tax" if n % 3 else "funds", "question": f"Q{n}", "year": 2020 + n % 2, "text": "x" * 90 * (n % 2)}
        for n in range(40)
    ]
    rows.append({"subject": "tax", "question": "Q", "options": ["a", "b"]})
    found = field_values(rows)
    assert found == {"subject": {"tax": 27, "funds": 14}, "year": {"2020": 20, "2021": 20}}
    assert list(found["subject"]) == ["tax", "funds"], "the most frequent first"


@pytest.mark.parametrize(("values", "counted"), [(1, False), (2, True), (FEW_VALUES, True), (FEW_VALUES + 1, False)])
def test_how_many_values_are_few(values: int, counted: bool) -> None:
    assert bool(field_values([{"kind": n % values} for n in range(60)])) is counted


def test_values_that_never_repeat_are_no_categories() -> None:
    assert field_values([{"id": n} for n in range(5)]) == {}


def test_tokens_of_a_row_are_those_of_its_values(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "bank.jsonl", [{"a": "x " * n, "b": 7} for n in (3, 1, 2)])
    source = CorpusSource(name="bank", description="", licence="", rows=3, fields=("a", "b"), examples=())
    corpus = Corpus(task="t", hash="h", sources=(source,))
    found = row_tokens(tmp_path, corpus, lambda texts: [len(text.split()) for text in texts])
    assert found == {"bank": [2, 3, 4]}


@pytest.mark.parametrize("nested", [False, True])
def test_the_shape_of_a_model(tmp_path: Path, nested: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"text_config": SMOLLM2} if nested else SMOLLM2))
    assert model_shape(tmp_path) == ModelShape(
        layers=30, hidden=576, queries=576, key_values=192, intermediate=1536, context=8192
    )


def test_a_shape_that_is_not_told(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 8}))
    assert model_shape(tmp_path) is None


def test_without_groups_of_heads_keys_are_as_wide_as_queries(tmp_path: Path) -> None:
    old = {name: value for name, value in SMOLLM2.items() if name != "num_key_value_heads"} | {"head_dim": 128}
    (tmp_path / "config.json").write_text(json.dumps(old))
    shape = model_shape(tmp_path)
    assert shape
    assert (shape.queries, shape.key_values) == (1152, 1152)


def test_the_size_of_the_weights(tmp_path: Path) -> None:
    for part in ("model-1.safetensors", "model-2.safetensors", "other.bin"):
        (tmp_path / part).write_bytes(bytes(2**20 * 13))
    assert model_gib(tmp_path) == 0.03
