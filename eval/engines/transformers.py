"""The engine that is always there: transformers, in bf16, on CPU or CUDA.

Prompts that begin alike go together, sorted by length, in batches under a token budget, so that little is padded and a
few-shot prompt's examples are read once (`eval/decoding.py`; models whose attention differs from the usual fall back to
`generate`). The base model is loaded once; an adapter is merged into a copy of it in memory, which takes a fraction of
a second, serves as fast as the base, and works for every kind of adapter that PEFT can merge. It costs the memory of a
second model.
"""

import copy
import gc
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from eval.decoding import ATTENTION, Prefix, decode, fits, last_logits, read_prefix
from eval.engine import (
    CANARY,
    Checkpoint,
    Completion,
    EngineInfo,
    Progress,
    Sampling,
    cache_bytes,
    prompt_too_long,
    stream_seed,
)
from eval.merge import load_base, merge
from eval.precision import widen
from eval.prefixes import by_prefix
from eval.render import end_tokens, prompt_ids
from tasks.failure import FailureKind, InputError, StageError

BATCH_ROWS = {"cpu": 64, "cuda": 256}
BATCH_TOKENS = {"cpu": 8192, "cuda": 131_072}
"""Padded tokens of one batch beyond what its prompts share, new tokens included."""
CACHE_PART = 0.3
"""Of the memory of a GPU that the model leaves, what keys and values may take."""
SCORES = 1 << 29
"""Attention scores of one layer and batch, at most: short prompts hold them in full."""
SHARED_TOKENS = 32
"""Prompts that share so many tokens more than all do are batched together."""
PREFIX_TOKENS = 32_768
"""Tokens of shared beginnings that are kept, the latest used ones."""


class TransformersEngine:
    """One base model in bf16, and beside it the adapter that was asked for last, merged."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._rows, self._tokens = BATCH_ROWS[self._device], BATCH_TOKENS[self._device]
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, padding_side="left")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        try:
            base = load_base(model).to(self._device)
        except (OSError, ValueError, RuntimeError, MemoryError) as error:
            raise InputError(f"the transformers engine cannot load {model}: {error}") from error
        self._ends = end_tokens(base, self._tokenizer)
        # Only what the caller asks for decides how is drawn, not what the model's author preferred.
        base.generation_config = transformers.GenerationConfig()
        self._base: Any = base.eval()
        config = base.config.get_text_config()
        self._heads: int = config.num_attention_heads
        if self._device == "cuda":
            free, _ = torch.cuda.mem_get_info()
            self._tokens = min(self._tokens, int(CACHE_PART * free / cache_bytes(config)))
        self._shares = fits(self._base, prompt_ids(self._tokenizer, CANARY))
        self._widened = self._shares and widen(self._base, prompt_ids(self._tokenizer, CANARY))
        if self._shares:
            self._base.set_attn_implementation(ATTENTION)
        self._merged: Any = None
        self._merged_name = ""
        self._prefixes: OrderedDict[tuple[int, ...], Prefix] = OrderedDict()
        """Of the checkpoint that was served last."""
        self._prefixes_of = ""

    def info(self) -> EngineInfo:
        """Name, model, numerics and context length."""
        precision = "bfloat16-wide" if self._widened else "bfloat16"
        numerics = f"transformers-{transformers.__version__}/torch-{torch.__version__}/{precision}/{self._device}"
        return EngineInfo(
            name="transformers",
            model=self._name,
            numerics=f"{numerics}/{'shared' if self._shares else 'generate'}/rows-{self._rows}/tokens-{self._tokens}",
            context=self._base.config.max_position_embeddings,
            chunk=self._rows,
        )

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; see `EvalEngine.generate`."""
        if sampling.json_schema:
            raise InputError("the transformers engine cannot hold a model to a JSON schema; use vllm or endpoint=URL")
        ids = [prompt_ids(self._tokenizer, prompt) for prompt in prompts]
        limit = self._base.config.max_position_embeddings - sampling.max_new_tokens
        results: list[list[Completion]] = [prompt_too_long(sampling)] * len(prompts)
        fitting = [i for i in range(len(ids)) if len(ids[i]) <= limit]
        done = len(ids) - len(fitting)
        model = self._serving(checkpoint)
        with torch.inference_mode():
            for group in by_prefix([ids[i] for i in fitting], SHARED_TOKENS):
                shared = group.shared if self._shares else 0
                members = sorted((fitting[place] for place in group.members), key=lambda i: (len(ids[i]), i))
                for batch in self._batches(members, ids, shared, sampling):
                    found = self._complete(model, [ids[i] for i in batch], shared, sampling)
                    for index, completions in zip(batch, found, strict=True):
                        results[index] = completions
                    done += len(batch)
                    progress(done, len(ids))
        return results

    def rest(self) -> float:
        """Move the base to the host and forget the rest; see `EvalEngine.rest`."""
        self._merged, self._merged_name = None, ""
        self._prefixes.clear()
        if self._device == "cpu":
            return 0.0
        self._base.to("cpu")
        gc.collect()
        torch.cuda.empty_cache()
        free, total = torch.cuda.mem_get_info()
        return (total - free) / 2**30

    def close(self) -> None:
        """Free the model."""
        self._base = self._merged = None

    def _complete(self, model: Any, ids: list[list[int]], shared: int, sampling: Sampling) -> list[list[Completion]]:
        if self._shares:
            found = decode(
                model,
                self._prefix(model, ids[0][:shared]),
                [row[shared:] for row in ids],
                sampling,
                self._ends,
                [stream_seed(sampling.seed, row) for row in ids],
                self._stopped(sampling),
            )
        else:
            found = self._generate(model, ids, sampling)
        completions = [[self._completion(tokens, sampling) for tokens in drawn] for drawn in found]
        return [drawn * (sampling.samples // len(drawn)) for drawn in completions]  # greedy samples are all alike

    def _prefix(self, model: Any, ids: list[int]) -> Prefix:
        """What is shared, read once and kept while the same checkpoint is served."""
        key = tuple(ids)
        if key not in self._prefixes:
            self._prefixes[key] = read_prefix(model, ids)
        self._prefixes.move_to_end(key)
        while len(self._prefixes) > 1 and sum(map(len, self._prefixes)) > PREFIX_TOKENS:
            self._prefixes.popitem(last=False)
        return self._prefixes[key]

    def _stopped(self, sampling: Sampling) -> Callable[[list[int]], bool]:
        if not sampling.stop:
            return lambda tokens: False

        def stopped(tokens: list[int]) -> bool:
            text = self._tokenizer.decode(tokens, skip_special_tokens=True)
            return any(stop in text for stop in sampling.stop)

        return stopped

    def _generate(self, model: Any, ids: list[list[int]], sampling: Sampling) -> list[list[list[int]]]:
        """New tokens by transformers' own `generate`, for models whose attention cannot share."""
        padded = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device)
        torch.manual_seed(stream_seed(sampling.seed, ids))
        output = model.generate(**padded, **self._arguments(sampling))
        new = output[:, padded["input_ids"].shape[1] :].tolist()
        drawn = len(new) // len(ids)
        return [new[i : i + drawn] for i in range(0, len(new), drawn)]

    def _arguments(self, sampling: Sampling) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "max_new_tokens": sampling.max_new_tokens,
            "pad_token_id": self._tokenizer.pad_token_id,
            "eos_token_id": self._ends,
        }
        if sampling.temperature > 0:
            drawn = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
            arguments |= {"do_sample": True, "num_return_sequences": sampling.samples, **drawn}
        if sampling.stop:
            arguments |= {"stop_strings": list(sampling.stop), "tokenizer": self._tokenizer}
        return arguments

    def _completion(self, tokens: list[int], sampling: Sampling) -> Completion:
        ended = next((k for k, token in enumerate(tokens) if token in self._ends), None)
        if ended is None:  # a row that met a stop string is padded to the length of the batch
            while tokens and tokens[-1] == self._tokenizer.pad_token_id:
                tokens = tokens[:-1]
        length = len(tokens) if ended is None else ended + 1
        text = self._tokenizer.decode(tokens[:length], skip_special_tokens=True)
        cut = min((at for stop in sampling.stop if (at := text.find(stop)) >= 0), default=None)
        stopped = ended is not None or cut is not None
        return Completion(text=text[:cut].strip(), tokens=length, finish="stop" if stopped else "length")

    def _serving(self, checkpoint: Checkpoint) -> Any:
        """The model that answers for a checkpoint."""
        name = checkpoint.adapter_hash
        self._base.to(self._device)  # where it may have rested
        if name != self._prefixes_of:
            self._prefixes.clear()
            self._prefixes_of = name
        if checkpoint.adapter is None:
            return self._base
        if name != self._merged_name:
            self._merged, self._merged_name = None, ""  # one at a time: free the old copy first
            merged = self._merge(checkpoint.adapter)
            self._check_changes(merged, checkpoint.adapter)
            self._merged, self._merged_name = merged, name
        return self._merged

    def _merge(self, folder: str) -> Any:
        try:
            merged = merge(copy.deepcopy(self._base), folder)
            # With frozen weights PyTorch's CPU kernels keep each layer's scratch memory for the whole pass: gigabytes.
            return merged.eval().requires_grad_(True)
        except (OSError, ValueError, RuntimeError, KeyError, TypeError, SafetensorError) as error:
            message = f"cannot load adapter {folder}: {str(error)[:1000]}"  # of a long message the end is kept
            raise StageError("evaluate", FailureKind.ENVIRONMENT, message) from error

    def _check_changes(self, merged: Any, folder: str) -> None:
        canary = prompt_ids(self._tokenizer, CANARY)
        with torch.inference_mode():
            unchanged = torch.equal(self._logits(merged, canary), self._logits(self._base, canary))
        if unchanged:
            raise StageError("evaluate", FailureKind.FORMAT, f"adapter {folder} does not change the model's output")

    def _logits(self, model: Any, ids: list[int]) -> torch.Tensor:
        if self._shares:
            return last_logits(model, ids)
        return model(torch.tensor([ids], device=self._device)).logits

    def _batches(self, order: list[int], ids: list[list[int]], shared: int, sampling: Sampling) -> Iterator[list[int]]:
        """Cut indices, sorted by prompt length, into batches that fit the row, token and score limits."""
        batch: list[int] = []
        for index in order:
            prompts = len(batch) + 1
            rows, width = prompts * sampling.samples, len(ids[index]) - shared
            tokens, scores = rows * (width + sampling.max_new_tokens), prompts * width * (shared + width) * self._heads
            if batch and (rows > self._rows or tokens > self._tokens or scores > SCORES):
                yield batch
                batch = []
            batch.append(index)
        if batch:
            yield batch


ENGINE = TransformersEngine
