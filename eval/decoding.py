"""Decoding a batch on few cores: what prompts share is computed once, and rows that have ended leave the batch.

`generate` of transformers keeps a copy of the whole prompt's keys and values for every row, joins them anew for every
token, repeats them for grouped queries, and computes every row until the last has ended. Here

- keys and values of the shared beginning exist once, and one product serves all rows (as in Hydragen, Juravsky et al.
  2024);
- those of each row are written in place into buffers, and grouped queries are multiplied without repeating keys;
- the batch shrinks when rows have ended;
- each row draws from its own random stream, so that a sampled answer does not depend on the rest of the batch.

The products are those of plain attention, so the results agree but for rounding.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from eval.engine import Sampling

ATTENTION = "ft_dojo_shared_prefix"
FUSED_TOKENS = 1024
"""Beyond so many new tokens of a row, PyTorch's fused attention takes over on a CPU: the scores of plain attention take
memory with the square of the length, below it they are faster."""
SHRINK = 0.8
"""The batch shrinks when at most this share of its rows is left."""
UNKNOWN = ("sliding_window", "softcap", "s_aux")
"""What some models ask of their attention and this one does not have."""
_TOLERANCE = 0.05
"""Largest difference to the model's own attention, as a share of the spread of its logits."""


class Prefix(NamedTuple):
    """Keys and values of a shared beginning."""

    length: int
    layers: list[tuple[Tensor, Tensor]]
    """A layer each: keys and values, shape (key-value heads, tokens, head size)."""


NOTHING = Prefix(0, [])


class Rows:
    """Keys and values of a batch, in place of transformers' cache."""

    def __init__(self, prefix: Prefix, capacity: int) -> None:
        """
        Args:
            capacity: tokens that a row may get after the shared beginning.
        """
        self.prefix = prefix
        self._capacity = capacity
        self._keys: dict[int, Tensor] = {}
        self._values: dict[int, Tensor] = {}
        self._lengths: dict[int, int] = {}

    def update(self, key: Tensor, value: Tensor, layer_idx: int, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Add what a layer has computed, shape (rows, key-value heads, tokens, head size); returns all of the rows."""
        begin = self._lengths.get(layer_idx, 0)
        end = begin + key.shape[2]
        if layer_idx not in self._keys:
            for buffers, new in ((self._keys, key), (self._values, value)):
                buffers[layer_idx] = new.new_empty((*new.shape[:2], self._capacity, new.shape[3]))
        self._keys[layer_idx][:, :, begin:end] = key
        self._values[layer_idx][:, :, begin:end] = value
        self._lengths[layer_idx] = end
        return self._keys[layer_idx][:, :, :end], self._values[layer_idx][:, :, :end]

    def select(self, rows: Tensor) -> None:
        """Go on with these rows, in this order; a row may be named several times."""
        for buffers in (self._keys, self._values):
            for layer, old in buffers.items():
                length = self._lengths[layer]
                new = old.new_empty((len(rows), *old.shape[1:]))
                new[:, :, :length] = old[:, :, :length].index_select(0, rows)
                buffers[layer] = new

    def taken(self) -> Prefix:
        """The first row's keys and values as a prefix."""

        def first(buffers: dict[int, Tensor], layer: int) -> Tensor:
            return buffers[layer][0, :, : self._lengths[layer]].contiguous()

        layers = [(first(self._keys, layer), first(self._values, layer)) for layer in sorted(self._keys)]
        return Prefix(self._lengths[0] if layers else 0, layers)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """Tokens of a row so far, the shared beginning included."""
        return self.prefix.length + self._lengths.get(layer_idx, 0)


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    shared: Prefix = NOTHING,
    **others: Any,
) -> tuple[Tensor, None]:
    """Attention for `ALL_ATTENTION_FUNCTIONS`, with keys and values that all rows share.

    Args:
        query: shape (rows, heads, tokens, head size).
        key, value: of each row, shape (rows, key-value heads, row tokens, head size).
        attention_mask: added to the scores of the row's own keys, shape (rows, 1, tokens, row tokens).
        shared: keys and values that every query may see.

    Raises:
        ValueError: the model wants more of its attention: a window, capped scores, sinks.
    """
    if unknown := [name for name in UNKNOWN if others.get(name) is not None]:
        raise ValueError(f"attention with {', '.join(unknown)}")
    rows, heads, tokens, size = query.shape
    scale = size**-0.5 if scaling is None else scaling
    if tokens > FUSED_TOKENS:
        return _fused(module, query, key, value, attention_mask, scale, shared), None
    groups = key.shape[1]
    # Queries of the heads that share a key head lie behind one another.
    grouped = query.reshape(rows, groups, -1, size) * scale
    scores = torch.matmul(grouped, key.transpose(2, 3))
    if attention_mask is not None:
        own = scores.view(rows, groups, heads // groups, tokens, -1) + attention_mask[:, :, None]
        scores = own.view(rows, groups, heads // groups * tokens, -1)
    if not shared.length:
        weights = torch.softmax(scores, -1, dtype=torch.float32).to(query.dtype)
        mixed = torch.matmul(weights, value)
    else:
        shared_key, shared_value = shared.layers[module.layer_idx]
        flat = grouped.transpose(0, 1).reshape(groups, -1, size)
        before = torch.matmul(flat, shared_key.transpose(1, 2)).view(groups, rows, -1, shared.length).transpose(0, 1)
        weights = torch.softmax(torch.cat([before, scores], -1), -1, dtype=torch.float32).to(query.dtype)
        flat = weights[..., : shared.length].transpose(0, 1).reshape(groups, -1, shared.length)
        mixed = torch.matmul(flat, shared_value).view(groups, rows, -1, size).transpose(0, 1)
        mixed = mixed + torch.matmul(weights[..., shared.length :], value)
    return mixed.reshape(rows, heads, tokens, size).transpose(1, 2).contiguous(), None


def _fused(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, scale: float, shared: Prefix
) -> Tensor:
    """`attend` by PyTorch's kernel, which holds no scores; what is shared is copied for each row."""
    rows, heads = query.shape[:2]
    if shared.length:
        before = (part.expand(rows, -1, -1, -1) for part in shared.layers[module.layer_idx])
        key, value = (torch.cat(parts, 2) for parts in zip(before, (key, value), strict=True))
        mask = None if mask is None else torch.nn.functional.pad(mask, (shared.length, 0))
    # Each head with a key head of its own: with fewer, kernels of CUDA that take a mask hold the scores.
    key, value = (part.repeat_interleave(heads // part.shape[1], 1) for part in (key, value))
    fused = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask, scale=scale)
    return fused.transpose(1, 2).contiguous()


ALL_ATTENTION_FUNCTIONS.register(ATTENTION, attend)


def fits(model: Any, ids: Sequence[int]) -> bool:
    """Whether a model's layers use attention as it is done here: its logits must agree with its own implementation.

    Models with sliding windows, capped scores or states instead of keys do not.

    Args:
        ids: tokens of some text, more than four.
    """
    own = model.config._attn_implementation
    with torch.inference_mode():
        expected = model(torch.tensor([list(ids)], device=model.device), use_cache=False).logits[0, -1].float()
        try:
            model.set_attn_implementation(ATTENTION)
            found = last_logits(model, ids, shared=4).float()
        except (AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError):
            return False
        finally:
            model.set_attn_implementation(own)
    return bool((found - expected).abs().max() <= _TOLERANCE * (expected.max() - expected.min()))


def last_logits(model: Any, ids: Sequence[int], shared: int = 0) -> Tensor:
    """Logits after the last token, shape (vocabulary,); the first `shared` tokens are read as a prefix."""
    rest = torch.tensor([list(ids[shared:])], device=model.device)
    rows = Rows(read_prefix(model, ids[:shared]), rest.shape[1])
    return _forward(model, rest, torch.ones_like(rest).bool(), rows)[0]


def read_prefix(model: Any, ids: Sequence[int]) -> Prefix:
    """Keys and values of a beginning."""
    if not ids:
        return NOTHING
    rows = Rows(NOTHING, len(ids))
    tokens = torch.tensor([list(ids)], device=model.device)
    _forward(model, tokens, torch.ones_like(tokens).bool(), rows)
    return rows.taken()


def decode(
    model: Any,
    prefix: Prefix,
    ids: Sequence[Sequence[int]],
    sampling: Sampling,
    ends: Sequence[int],
    seeds: Sequence[int],
    stopped: Callable[[list[int]], bool],
) -> list[list[list[int]]]:
    """Continue each prompt.

    Args:
        model: with its attention set to `ATTENTION`.
        prefix: what all prompts begin with.
        ids: what each prompt has beyond it; at least one token each.
        ends: tokens that end a row.
        seeds: of each prompt's random stream.
        stopped: whether the tokens of a row so far end it, besides `ends`.

    Returns:
        New tokens for each prompt and sample, the ending token included.
    """
    drawn = sampling.samples if sampling.temperature > 0 else 1
    width = max(len(row) for row in ids)
    tokens = torch.tensor([[0] * (width - len(row)) + list(row) for row in ids], device=model.device)
    seen = torch.tensor([[False] * (width - len(row)) + [True] * len(row) for row in ids], device=model.device)
    cache = Rows(prefix, width + sampling.max_new_tokens)
    logits = _forward(model, tokens, seen, cache)
    if drawn > 1:
        copies = torch.arange(len(ids), device=model.device).repeat_interleave(drawn)
        cache.select(copies)
        logits, seen = logits[copies], seen[copies]
    chances = _chances(seeds, drawn, sampling)
    found: list[list[int]] = [[] for _ in range(len(ids) * drawn)]
    held = list(range(len(found)))  # whose row each row of the batch is
    ended: set[int] = set()
    for step in range(sampling.max_new_tokens):
        chosen = _choose(logits, sampling, chances[held, step])
        for row, token in zip(held, chosen.tolist(), strict=True):
            if row not in ended:
                found[row].append(token)
                if token in ends or stopped(found[row]):
                    ended.add(row)
        left = [place for place, row in enumerate(held) if row not in ended]
        if not left or step + 1 == sampling.max_new_tokens:
            break
        if len(left) <= SHRINK * len(held):
            kept = torch.tensor(left, device=model.device)
            cache.select(kept)
            chosen, seen, held = chosen[kept], seen[kept], [held[place] for place in left]
        seen = torch.cat([seen, seen.new_ones((len(held), 1))], 1)
        logits = _forward(model, chosen[:, None], seen, cache)
    return [found[i : i + drawn] for i in range(0, len(found), drawn)]


def _forward(model: Any, tokens: Tensor, seen: Tensor, cache: Rows) -> Tensor:
    """Logits after the last of the new tokens, shape (rows, vocabulary).

    Args:
        tokens: shape (rows, new tokens).
        seen: which of a row's own tokens, old and new, are real and not padding, shape (rows, old and new tokens).
    """
    new, total = tokens.shape[1], seen.shape[1]
    columns = torch.arange(total, device=tokens.device)
    allowed = seen[:, None, :] & (columns <= columns[total - new :, None])
    mask = torch.zeros(allowed.shape, dtype=model.dtype, device=tokens.device)
    mask.masked_fill_(~allowed, torch.finfo(model.dtype).min)
    places = (seen.cumsum(1)[:, total - new :] - 1).clamp(min=0) + cache.prefix.length
    output = model(
        input_ids=tokens,
        attention_mask=mask[:, None],
        position_ids=places,
        past_key_values=cache,
        use_cache=True,
        logits_to_keep=1,
        shared=cache.prefix,
    )
    return output.logits[:, -1]


def _chances(seeds: Sequence[int], drawn: int, sampling: Sampling) -> np.ndarray:
    """A random number between 0 and 1 for each row and token, shape (prompts * drawn, new tokens)."""
    if sampling.temperature == 0:
        return np.zeros((len(seeds) * drawn, sampling.max_new_tokens))
    return np.concatenate([np.random.default_rng(seed).random((drawn, sampling.max_new_tokens)) for seed in seeds])


def _choose(logits: Tensor, sampling: Sampling, chances: np.ndarray) -> Tensor:
    """The next token of each row: the likeliest, or one drawn from the nucleus (Holtzman et al. 2020)."""
    if sampling.temperature == 0:
        return logits.float().argmax(-1)  # bf16 has no fast kernel for it on a CPU
    likely = torch.softmax(logits.double() / sampling.temperature, -1)  # sums on CUDA vary in their last bits
    likely, tokens = likely.sort(dim=-1, descending=True, stable=True)
    upto = likely.cumsum(-1)
    likely = likely.masked_fill(upto - likely >= sampling.top_p, 0.0)
    upto = likely.cumsum(-1)
    goals = torch.tensor(chances, dtype=upto.dtype, device=upto.device)[:, None] * upto[:, -1:]
    last = (likely > 0).sum(-1, keepdim=True) - 1
    places = torch.minimum(torch.searchsorted(upto, goals, right=True), last)
    return tokens.gather(1, places)[:, 0]
