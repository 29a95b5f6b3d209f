"""The engine that is always there: transformers' `generate`, in bf16, on CPU or CUDA.

Prompts are sorted by length and batched under a token budget, so that little is padded. Adapters are loaded once into
the same base model and switched; the base itself is never loaded again.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
import transformers
from peft import PeftModel

from eval.engine import Checkpoint, Completion, EngineInfo, Progress, Sampling
from eval.render import prompt_ids
from tasks.failure import FailureKind, StageError

CANARY = "Name one thing that every adapter changes."
"""An adapter must change the logits of this prompt."""
BATCH_ROWS = 64
BATCH_TOKENS = 16_384
"""Padded prompt tokens plus new tokens of one batch."""
KEPT_ADAPTERS = 4


class TransformersEngine:
    """One base model in bf16 with switchable LoRA adapters."""

    def __init__(self, model: str) -> None:
        self._name = model
        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, padding_side="left")
        if self._tokenizer.pad_token_id is None:
            self._tokenizer.pad_token = self._tokenizer.eos_token
        base: Any = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)
        self._model: Any = base.to(self._device).eval()
        self._adapters: list[str] = []

    def info(self) -> EngineInfo:
        """Name, model, numerics and context length."""
        numerics = f"transformers-{transformers.__version__}/torch-{torch.__version__}/bfloat16/{self._device}"
        return EngineInfo(
            name="transformers",
            model=self._name,
            numerics=f"{numerics}/rows-{BATCH_ROWS}/tokens-{BATCH_TOKENS}",
            context=self._model.config.max_position_embeddings,
            chunk=BATCH_ROWS,
        )

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        """Complete each user message; see `EvalEngine.generate`."""
        ids = [prompt_ids(self._tokenizer, prompt) for prompt in prompts]
        limit = self._model.config.max_position_embeddings - sampling.max_new_tokens
        results: list[list[Completion]] = [_too_long(sampling)] * len(prompts)
        fitting = sorted((i for i in range(len(ids)) if len(ids[i]) <= limit), key=lambda i: (len(ids[i]), i))
        done = len(ids) - len(fitting)
        with self._serving(checkpoint), torch.inference_mode():
            for batch in _batches(fitting, ids, sampling):
                for index, completions in zip(batch, self._complete([ids[i] for i in batch], sampling), strict=True):
                    results[index] = completions
                done += len(batch)
                progress(done, len(ids))
        return results

    def close(self) -> None:
        """Free the model."""
        self._model = None

    def _complete(self, ids: list[list[int]], sampling: Sampling) -> list[list[Completion]]:
        padded = self._tokenizer.pad({"input_ids": ids}, return_tensors="pt").to(self._device)
        torch.manual_seed(_seed(sampling.seed, ids))
        output = self._model.generate(**padded, **_generation_arguments(sampling, self._tokenizer))
        new = output[:, padded["input_ids"].shape[1] :].tolist()
        completions = [self._completion(tokens, sampling) for tokens in new]
        return [completions[i : i + sampling.samples] for i in range(0, len(completions), sampling.samples)]

    def _completion(self, tokens: list[int], sampling: Sampling) -> Completion:
        end = self._tokenizer.eos_token_id
        length = tokens.index(end) + 1 if end in tokens else len(tokens)
        text = self._tokenizer.decode(tokens[:length], skip_special_tokens=True)
        cut = min((at for stop in sampling.stop if (at := text.find(stop)) >= 0), default=None)
        stopped = end in tokens or cut is not None
        return Completion(text=text[:cut].strip(), tokens=length, finish="stop" if stopped else "length")

    def _serving(self, checkpoint: Checkpoint) -> AbstractContextManager[Any]:
        """Switch to the checkpoint's adapter; the base is served with every adapter disabled."""
        if checkpoint.adapter is None:
            return self._model.disable_adapter() if self._adapters else nullcontext()
        name = checkpoint.adapter_hash or "adapter"
        if name not in self._adapters:
            self._load(name, checkpoint.adapter)
        self._model.set_adapter(name)
        return nullcontext()

    def _load(self, name: str, folder: str) -> None:
        try:
            if self._adapters:
                self._model.load_adapter(folder, adapter_name=name)
            else:
                self._model = PeftModel.from_pretrained(self._model, folder, adapter_name=name).eval()
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise StageError("evaluate", FailureKind.ENVIRONMENT, f"cannot load adapter {folder}: {error}") from error
        self._adapters.append(name)
        if len(self._adapters) > KEPT_ADAPTERS:
            self._model.delete_adapter(self._adapters.pop(0))
        self._check_changes(name, folder)

    def _check_changes(self, name: str, folder: str) -> None:
        canary = torch.tensor([prompt_ids(self._tokenizer, CANARY)], device=self._device)
        self._model.set_adapter(name)
        with torch.inference_mode():
            changed = self._model(canary).logits
            with self._model.disable_adapter():
                base = self._model(canary).logits
        if torch.equal(changed, base):
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


def _generation_arguments(sampling: Sampling, tokenizer: Any) -> dict[str, Any]:
    greedy = sampling.temperature == 0
    drawn = {} if greedy else {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
    stop = {"stop_strings": list(sampling.stop), "tokenizer": tokenizer} if sampling.stop else {}
    return {
        "max_new_tokens": sampling.max_new_tokens,
        "do_sample": not greedy,
        "num_return_sequences": sampling.samples,
        "pad_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        **drawn,
        **stop,
    }


def _seed(seed: int, ids: list[list[int]]) -> int:
    """A seed that depends on the batch, so that a batch is drawn alike whether or not others came before it."""
    return int.from_bytes(hashlib.sha256(f"{seed}|{ids}".encode()).digest()[:4])


def _too_long(sampling: Sampling) -> list[Completion]:
    return [Completion(text="", tokens=0, finish="prompt_too_long")] * sampling.samples


ENGINE = TransformersEngine
