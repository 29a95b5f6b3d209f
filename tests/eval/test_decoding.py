"""Our decoding against transformers' own, in fp32, where equal means equal."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eval import decoding
from eval.decoding import ATTENTION, decode, fits, last_logits, read_prefix
from eval.engine import Sampling

VOCABULARY = 60
SHARED = [5, 9, 33, 2, 17, 40, 8]
ROWS = [[11], [3, 4, 5], [50, 51, 52, 53, 54, 55, 56, 57], [7, 7], [11, 12]]
END = 1
GREEDY = Sampling(max_new_tokens=14)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def built(kind: str = "Llama", **changes: Any) -> Any:
    """A random model of two layers whose four heads share two key-value heads."""
    import transformers

    torch.manual_seed(1)
    config = getattr(transformers, f"{kind}Config")(
        **{
            "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
            "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "initializer_range": 0.4,
            "bos_token_id": 0, "eos_token_id": END, "pad_token_id": 0, **changes,
        }
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForCausalLM")(config).float().eval()
    model.generation_config = transformers.GenerationConfig(pad_token_id=0)
    return model


@pytest.fixture(scope="module")
def model() -> Any:
    made = built()
    made.set_attn_implementation(ATTENTION)
    return made


def ours(
    model: Any, rows: Sequence[Sequence[int]], sampling: Sampling = GREEDY, shared: Sequence[int] = (), **changes: Any
) -> list[list[list[int]]]:
    told = {"ends": [END], "seeds": range(len(rows)), "stopped": lambda tokens: False, **changes}
    with torch.inference_mode():
        return decode(model, read_prefix(model, shared), rows, sampling, **told)


def theirs(rows: Sequence[Sequence[int]], kind: str = "Llama") -> list[list[list[int]]]:
    """Each row alone."""
    found: list[list[list[int]]] = []
    model = built(kind)
    for row in rows:
        output = model.generate(torch.tensor([list(row)]), max_new_tokens=14, do_sample=False, eos_token_id=END)
        found.append([output[0, len(row) :].tolist()])
    return found


def test_rows_of_any_length(model: Any) -> None:
    found = ours(model, ROWS)
    assert found == theirs(ROWS)
    assert len({len(one[0]) for one in found}) > 1, "no row ended before the others"


def test_what_is_shared_is_read_once(model: Any) -> None:
    whole = [SHARED + row for row in ROWS]
    found = ours(model, ROWS, shared=SHARED)
    assert found == ours(model, whole) == theirs(whole)
    assert found != ours(model, ROWS)


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3", "Mistral", "Phi3", "Olmo2"])
def test_families_of_models(kind: str) -> None:
    model = built(kind, sliding_window=None) if kind in {"Mistral", "Phi3"} else built(kind)
    assert fits(model, SHARED)
    assert model.config._attn_implementation != ATTENTION  # it only looked
    model.set_attn_implementation(ATTENTION)
    if kind not in {"Mistral", "Phi3"}:
        assert ours(model, ROWS, shared=SHARED) == theirs([SHARED + row for row in ROWS], kind)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("Mistral", {"sliding_window": 4096}),  # longer than the text by which a model is judged
        ("Gemma2", {"attn_logit_softcapping": 50.0, "sliding_window": 4096, "query_pre_attn_scalar": 8}),
        ("Mamba", {"state_size": 4, "num_attention_heads": None, "num_key_value_heads": None}),
    ],
)
def test_models_with_another_attention_are_told(kind: str, changes: dict[str, Any]) -> None:
    model = built(kind, **changes)
    assert not fits(model, [*SHARED, *SHARED])


def test_the_batch_shrinks_as_rows_end(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is computed long after it has ended, and shrinking or not, the answers are the same."""
    sizes: list[int] = []
    forward = decoding._forward

    def watched(model: Any, tokens: Tensor, seen: Tensor, cache: Any) -> Tensor:
        sizes.append(len(tokens))
        return forward(model, tokens, seen, cache)

    monkeypatch.setattr(decoding, "_forward", watched)
    rows = [[i, i + 1] for i in range(2, 42)]
    found = ours(model, rows)
    assert sizes[0] == 40 > sizes[-1]
    needed = [sum(len(one[0]) > step for one in found) for step in range(len(sizes))]
    assert all(size * decoding.SHRINK <= need for size, need in zip(sizes[1:], needed[1:], strict=True))
    monkeypatch.setattr(decoding, "SHRINK", 0.0)
    assert ours(model, rows) == found


def test_fused_attention_for_long_rows(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "FUSED_TOKENS", 2)
    assert ours(model, ROWS) == theirs(ROWS)
    assert ours(model, ROWS, shared=SHARED) == theirs([SHARED + row for row in ROWS])


def test_a_row_may_be_stopped(model: Any) -> None:
    """By what it has written; the others go on."""
    free = ours(model, ROWS, ends=[])
    third = free[0][0][2]
    stopped = ours(model, ROWS, ends=[], stopped=lambda tokens: tokens == free[0][0][:3])
    assert stopped[0][0] == free[0][0][:3]
    assert stopped[0][0][-1] == third
    assert stopped[1:] == free[1:]


DRAWN = Sampling(max_new_tokens=8, temperature=1.0, top_p=0.9, samples=3)


def test_what_is_drawn_depends_on_the_row_alone(model: Any) -> None:
    together = ours(model, ROWS, DRAWN, SHARED)
    alone = [ours(model, [row], DRAWN, SHARED, seeds=[seed])[0] for seed, row in enumerate(ROWS)]
    assert together == alone
    assert len({tuple(sample) for sample in together[0]}) > 1
    assert ours(model, ROWS, DRAWN, SHARED, seeds=range(10, 15)) != together


def test_more_samples_begin_with_the_fewer(model: Any) -> None:
    more = ours(model, ROWS, DRAWN.model_copy(update={"samples": 5}))
    assert [one[:3] for one in more] == ours(model, ROWS, DRAWN)


@pytest.mark.parametrize("top_p", [1.0, 0.7])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_tokens_are_drawn_as_often_as_they_are_likely(model: Any, temperature: float, top_p: float) -> None:
    """Of 4,000 draws, against the probabilities of the nucleus."""
    with torch.inference_mode():
        likely = torch.softmax(last_logits(model, SHARED) / temperature, -1).numpy().astype(float)
    order = np.argsort(-likely)
    outside = order[np.cumsum(likely[order]) - likely[order] >= top_p]
    likely[outside] = 0.0
    sampling = Sampling(max_new_tokens=1, temperature=temperature, top_p=top_p, samples=4000)
    counts = np.bincount([one[0] for one in ours(model, [SHARED], sampling)[0]], minlength=VOCABULARY)
    assert not counts[outside].any()
    assert counts / 4000 == pytest.approx(likely / likely.sum(), abs=0.03)


def test_a_beginning_changes_no_logits(model: Any) -> None:
    ids = SHARED + ROWS[2]
    with torch.inference_mode():
        for shared in (0, 1, 7, 14):
            assert last_logits(model, ids, shared) == pytest.approx(last_logits(model, ids), abs=1e-4)
