"""Answers of a bf16 model that are closer to those of fp32, at hardly any cost.

In bf16 a logit of 30 is rounded to multiples of 0.125, so near ties are decided by rounding; and the sum that runs
through the layers is rounded twice a layer. Here the weights and the large products stay in bf16, while that sum is
kept in fp32, and the logits of the likeliest tokens are computed again in fp32.
"""

import types
from typing import Any

import torch
from torch import Tensor, nn

CANDIDATES = 8
"""Tokens whose logits are computed in fp32."""
_TOLERANCE = 0.05
"""Largest difference to the model as it was, as a share of the spread of its logits."""


def widen(model: Any, ids: list[int]) -> bool:
    """Make a bf16 model compute as described; a copy or a merged adapter keeps it.

    Models that do not take it stay as they were.

    Args:
        ids: tokens of some text, on which the model must still say what it said.

    Returns:
        Whether it is done.
    """
    before = _logits(model, ids)
    head = model.get_output_embeddings()
    if not isinstance(head, nn.Linear):
        return False
    handles = _keep_sums(model)
    head.forward = types.MethodType(_logits_of, head)
    try:
        difference = (_logits(model, ids) - before).abs().max()
        if difference <= _TOLERANCE * (before.max() - before.min()):
            return True
    except (AttributeError, RuntimeError, TypeError, ValueError):
        pass  # this model's layers do not take sums of another type
    for handle in handles:
        handle.remove()
    del head.forward
    return False


def _keep_sums(model: Any) -> list[Any]:
    """Let the sum through the layers begin in fp32; what reads it gets the model's own type."""
    norms = [module for module in model.modules() if type(module).__name__.endswith("Norm")]
    turns = [module for module in model.modules() if type(module).__name__.endswith("RotaryEmbedding")]
    handles = [model.get_input_embeddings().register_forward_hook(_to_wide)]
    return handles + [module.register_forward_hook(_to_narrow) for module in (*norms[:-1], *turns)]


def _to_wide(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    return output.float()


def _to_narrow(module: nn.Module, inputs: Any, output: Any) -> Any:
    if isinstance(output, tuple):
        return tuple(part.to(torch.bfloat16) for part in output)
    return output.to(torch.bfloat16)


def _logits_of(head: Any, hidden: Tensor) -> Tensor:
    """In place of the head's `forward`: fp32 logits, shape (..., vocabulary), exact for the likeliest tokens."""
    logits = nn.functional.linear(hidden.to(head.weight.dtype), head.weight, head.bias)
    likely = logits.topk(min(CANDIDATES, logits.shape[-1])).indices
    exact = torch.matmul(head.weight[likely].float(), hidden.float()[..., None])[..., 0]
    if head.bias is not None:
        exact = exact + head.bias[likely].float()
    return logits.float().scatter(-1, likely, exact)


def _logits(model: Any, ids: list[int]) -> Tensor:
    """After the last token, shape (vocabulary,)."""
    with torch.inference_mode():
        return model(torch.tensor([ids], device=model.device), use_cache=False).logits[0, -1].float()
