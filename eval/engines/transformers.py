"""The engine that is always there: transformers' `generate`, in bf16, on CPU or CUDA.

Prompts are sorted by length and batched under a token budget, so that little is padded. The base model is loaded once;
an adapter is merged into a copy of it in memory, which takes a fraction of a second, serves as fast as the base, and
works for every kind of adapter that PEFT can merge. It costs the memory of a second model.
"""

import copy
import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import transformers
from safetensors import SafetensorError

from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.merge import load_base, merge
from eval.render import end_tokens, prompt_ids
from tasks.failure import FailureKind, StageError

CANARY = "Name one thing that every adapter changes."
"""An adapter must change the logits of this prompt."""
BATCH_ROWS = 64
BATCH_TOKENS = 8192
"""Padded prompt tokens plus new tokens of one batch."""
EAGER_TOKENS = 1024
"""Up to prompts of this length, plain attention is faster on a CPU than the fused kernel; its scores take memory with
the square of the length."""


class TransformersEngine:
    """One base model in bf16, and beside it the adapter that was asked for last, merged."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, padding_side="left")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        base = load_base(model)
        self._ends = end_tokens(base, self._tokenizer)
        # Only what the caller asks for decides how is drawn, not what the model's author preferred.
        base.generation_config = transformers.GenerationConfig()
        self._base: Any = base.to(self._device).eval()
        self._attention: str = base.config._attn_implementation
        self._merged: Any = None
        self._merged_name = ""

    def info(self) -> EngineInfo:
        """Name, model, numerics and context length."""
        numerics = f"transformers-{transformers.__version__}/torch-{torch.__version__}/bfloat16/{self._device}"
        return EngineInfo(
            name="transformers",
            model=self._name,
            numerics=f"{numerics}/eager-{EAGER_TOKENS}/rows-{BATCH_ROWS}/tokens-{BATCH_TOKENS}",
            context=self._base.config.max_position_embeddings,
            chunk=BATCH_ROWS,
        )

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; see `EvalEngine.generate`."""
        ids = [prompt_ids(self._tokenizer, prompt) for prompt in prompts]
        limit = self._base.config.max_position_embeddings - sampling.max_new_tokens
        results: list[list[Completion]] = [_too_long(sampling)] * len(prompts)
        fitting = sorted((i for i in range(len(ids)) if len(ids[i]) <= limit), key=lambda i: (len(ids[i]), i))
        done = len(ids) - len(fitting)
        model = self._serving(checkpoint)
        with torch.inference_mode():
            for batch in _batches(fitting, ids, sampling):
                for index, completions in zip(
                    batch, self._complete(model, [ids[i] for i in batch], sampling), strict=True
                ):
                    results[index] = completions
                done += len(batch)
                progress(done, len(ids))
        return results

    def close(self) -> None:
        """Free the model."""
        self._base = self._merged = None

    def _complete(self, model: Any, ids: list[list[int]], sampling: Sampling) -> list[list[Completion]]:
        padded = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device)
        eager = self._device == "cpu" and padded["input_ids"].shape[1] <= EAGER_TOKENS
        model.set_attn_implementation("eager" if eager else self._attention)
        torch.manual_seed(_seed(sampling.seed, ids))
        output = model.generate(**padded, **self._arguments(sampling))
        new = output[:, padded["input_ids"].shape[1] :].tolist()
        completions = [self._completion(tokens, sampling) for tokens in new]
        if sampling.temperature == 0:  # greedy samples are all alike
            return [[completion] * sampling.samples for completion in completions]
        return [completions[i : i + sampling.samples] for i in range(0, len(completions), sampling.samples)]

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
        if checkpoint.adapter is None:
            return self._base
        name = checkpoint.adapter_hash or checkpoint.adapter
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
        canary = torch.tensor([prompt_ids(self._tokenizer, CANARY)], device=self._device)
        with torch.inference_mode():
            unchanged = torch.equal(merged(canary).logits, self._base(canary).logits)
        if unchanged:
            raise StageError("evaluate", FailureKind.FORMAT, f"adapter {folder} does not change the model's output")


def _batches(order: list[int], ids: list[list[int]], sampling: Sampling) -> Iterator[list[int]]:
    """Cut indices, sorted by prompt length, into batches that fit the row and token limits."""
    batch: list[int] = []
    for index in order:
        rows = (len(batch) + 1) * sampling.samples
        if batch and (rows > BATCH_ROWS or rows * (len(ids[index]) + sampling.max_new_tokens) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _seed(seed: int, ids: list[list[int]]) -> int:
    """A seed that depends on the batch, so that a batch is drawn alike whether or not others came before it."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{ids}".encode()).digest()[:4])


def _too_long(sampling: Sampling) -> list[Completion]:
    return [Completion(text="", tokens=0, finish="prompt_too_long")] * sampling.samples


ENGINE = TransformersEngine
