"""A widened bf16 model against itself in fp32."""

import copy
from typing import Any

import pytest
import torch

from eval.precision import widen

IDS = list(range(3, 40))


def built(kind: str, **changes: Any) -> Any:
    """A random model in fp32, its weights rounded to what bf16 can hold; its logits lie around 30, as real ones do."""
    import transformers

    torch.manual_seed(0)
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=256, hidden_size=64, intermediate_size=128, num_hidden_layers=6, num_attention_heads=4,
        num_key_value_heads=2, head_dim=16, initializer_range=0.2, pad_token_id=0, bos_token_id=1, eos_token_id=2,
        **changes,
    )  # fmt: skip
    model = getattr(transformers, f"{kind}ForCausalLM")(config).eval()
    model.lm_head = torch.nn.Linear(64, 256)
    torch.nn.init.normal_(model.lm_head.weight, std=0.2)
    torch.nn.init.constant_(model.lm_head.bias, 30)
    return model.bfloat16().float()


def logits(model: Any) -> torch.Tensor:
    with torch.inference_mode():
        return model(torch.tensor([IDS]), use_cache=False).logits[0].float()


def error(model: Any, exact: torch.Tensor) -> float:
    """Root mean square over the four likeliest tokens of each place, which decide."""
    likeliest = exact.topk(4).indices
    return float((logits(model) - exact).gather(-1, likeliest).pow(2).mean().sqrt())


@pytest.mark.parametrize("kind", ["Llama", "Qwen2", "Qwen3", "Mistral"])
def test_logits_are_closer_to_fp32(kind: str) -> None:
    exact = logits(built(kind))
    plain, wide = built(kind).bfloat16(), built(kind).bfloat16()
    assert widen(wide, IDS)
    assert error(wide, exact) < 0.75 * error(plain, exact)
    assert wide.dtype == torch.bfloat16, "the weights stay small"


def test_a_copy_keeps_it_and_is_its_own() -> None:
    wide = built("Llama").bfloat16()
    assert widen(wide, IDS)
    before = logits(wide)
    copied = copy.deepcopy(wide)
    assert torch.equal(logits(copied), before)
    with torch.no_grad():
        copied.lm_head.bias.add_(1)
    assert torch.equal(logits(wide), before)
    assert torch.allclose(logits(copied), before + 1, atol=0.2)


class Stubborn(torch.nn.Module):
    """A norm that hands on whatever type it gets, under a name that nobody knows."""

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return hidden


def test_a_model_that_does_not_take_it_stays_as_it_was() -> None:
    model = built("Llama").bfloat16()
    model.model.layers[2].input_layernorm = Stubborn()
    before = logits(model)
    assert not widen(model, IDS)
    assert torch.equal(logits(model), before)
