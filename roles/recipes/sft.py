"""Supervised fine-tuning with LoRA: TRL's `SFTTrainer` over rows rendered by the one chat renderer.

The loss covers the answer only. Before the training the longest batch goes forward and backward once, so that memory
runs out in the first seconds or not at all; a loss that is not finite, or that grows far above where it began, ends it.
A killed training goes on from its own last checkpoint and ends with the same adapter.
"""

import json
import math
import os
import shutil
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psutil
import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback, set_seed
from trl.trainer import utils as trl_utils
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from eval.render import training_ids
from memory.records import TrainingOutcome
from roles.recipes.request import (
    ADAPTER,
    CHECKPOINTS,
    FAILURE,
    LOSSES,
    MICRO_BATCH_TOKENS,
    RESULT,
    LossPoint,
    TrainingRequest,
)
from tasks.failure import FailureKind, StageError
from tasks.record import read_jsonl, read_record, write_record

STAGE = "train"
EAGER_TOKENS = 512
"""Up to rows of this length, plain attention is faster on a CPU than the fused kernel, whose backward pass is slow; its
scores take memory with the square of the length."""
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
SAVE_EVERY = 25
"""Optimiser steps between checkpoints."""
EXPLODED = 3.0
"""A loss this many times its beginning counts as diverged."""


class Watch(TrainerCallback):
    """Streams the losses and stops a training that diverges."""

    def __init__(self, path: Path) -> None:
        self.losses = [LossPoint.model_validate(row) for row in read_jsonl(path)] if path.exists() else []
        self._path = path
        self.earlier = 0.0
        """Seconds that earlier processes took to get to the checkpoint that training resumes from."""
        self._started = time.monotonic()

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget losses after the checkpoint that training resumes from."""
        self.losses = [point for point in self.losses if point.step <= state.global_step]
        self.earlier = self.losses[-1].seconds if self.losses else 0.0
        self._path.write_text("".join(point.model_dump_json() + "\n" for point in self.losses))

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, float] | None = None, **kwargs: Any) -> None:
        """Append one line a step."""
        if not logs or "loss" not in logs:
            return
        point = LossPoint(
            step=state.global_step,
            steps=state.max_steps,
            loss=logs["loss"],
            learning_rate=logs.get("learning_rate", 0.0),
            seconds=round(self.earlier + time.monotonic() - self._started, 2),
        )
        if not math.isfinite(point.loss):
            raise StageError(STAGE, FailureKind.DIVERGED, f"the loss is {point.loss} at step {point.step}")
        self.losses.append(point)
        with self._path.open("a") as file:
            file.write(point.model_dump_json() + "\n")
        # The median, because a training that explodes at once has done so within the first five.
        begun, lately = median(point.loss for point in self.losses[:5]), _mean(self.losses[-5:])
        if len(self.losses) >= 10 and lately > EXPLODED * max(begun, 0.5):
            message = f"the loss rose from {begun:.2f} to {lately:.2f} by step {point.step}"
            raise StageError(STAGE, FailureKind.DIVERGED, message)


def train(request: TrainingRequest) -> TrainingOutcome:
    """Train one adapter into `request.output`.

    Raises:
        StageError: OOM, DIVERGED or DATA.
    """
    output, config = Path(request.output), request.config
    set_seed(request.seed)
    tokenizer: Any = AutoTokenizer.from_pretrained(request.model)
    rows = [training_ids(tokenizer, row["prompt"], row["answer"]) for row in read_jsonl(Path(request.data))]
    if not rows:
        raise StageError(STAGE, FailureKind.DATA, f"{request.data} has no rows")
    longest = max(len(row.input_ids) for row in rows)
    micro = _micro_batch(config.batch_size, longest)
    watch = Watch(output / LOSSES)
    _score_answers_only()
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(
            request.model, dtype=torch.bfloat16, attn_implementation=_attention(longest)
        ),
        args=_arguments(request, micro),
        train_dataset=Dataset.from_list([row._asdict() for row in rows]),
        processing_class=tokenizer,
        peft_config=_lora(request),
        callbacks=[watch],
    )
    started = time.monotonic()
    try:
        _probe_longest_batch(trainer, max(rows, key=lambda row: len(row.input_ids)).input_ids, micro)
        trainer.train(resume_from_checkpoint=_last_checkpoint(output))
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise StageError(STAGE, FailureKind.OOM, f"{micro} rows of {longest} tokens do not fit: {error}") from error
    seconds = watch.earlier + time.monotonic() - started
    _save(trainer, output)
    tenth = max(1, len(watch.losses) // 10)
    return TrainingOutcome(
        steps=trainer.state.global_step,
        first_loss=round(_mean(watch.losses[:tenth]), 4),
        final_loss=round(_mean(watch.losses[-tenth:]), 4),
        tokens_per_second=round(sum(len(row.input_ids) for row in rows) * config.epochs / seconds, 1),
        peak_memory_gib=round(_peak_memory() / 2**30, 2),
        seconds=round(seconds, 1),
    )


def _arguments(request: TrainingRequest, micro: int) -> SFTConfig:
    config = request.config
    return SFTConfig(
        output_dir=str(Path(request.output) / CHECKPOINTS),
        num_train_epochs=config.epochs,
        learning_rate=config.learning_rate,
        per_device_train_batch_size=micro,
        gradient_accumulation_steps=config.batch_size // micro,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup_ratio,
        weight_decay=config.weight_decay,
        max_length=None,
        packing=False,
        completion_only_loss=True,
        bf16=True,  # autocast: the adapter itself stays in fp32
        use_cpu=not torch.cuda.is_available(),
        gradient_checkpointing=False,
        logging_steps=1,
        save_strategy="steps",
        save_steps=SAVE_EVERY,
        save_total_limit=1,
        seed=request.seed,
        data_seed=request.seed,
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def _lora(request: TrainingRequest) -> LoraConfig:
    config = request.config
    return LoraConfig(
        task_type="CAUSAL_LM",
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=config.lora_dropout,
        target_modules="all-linear" if config.target_modules == "all-linear" else ATTENTION,
    )


def _attention(longest: int) -> str | None:
    """The implementation of attention, by its name in transformers; None for the model's default."""
    return "eager" if not torch.cuda.is_available() and longest <= EAGER_TOKENS else None


def _score_answers_only() -> None:
    """Make TRL project the learned positions onto the vocabulary and no others.

    It does so by itself where Triton runs. Elsewhere it projects prompts and padding too, so that shapes stay alike for
    accelerators that compile by shape; on a CPU that is a third of a training.
    """

    def always(device: torch.device) -> bool:
        return True

    trl_utils._use_triton = always  # pyright: ignore[reportPrivateUsage, reportPrivateImportUsage]


def _micro_batch(batch_size: int, longest: int) -> int:
    """Rows that go through the model at once: the largest divisor of the batch that fits the token limit."""
    fitting = max(1, MICRO_BATCH_TOKENS // longest)
    return max(size for size in range(1, batch_size + 1) if batch_size % size == 0 and size <= fitting)


def _probe_longest_batch(trainer: Any, ids: list[int], micro: int) -> None:
    """Forward and backward over the largest batch there can be, without a step."""
    batch = torch.tensor([ids] * micro, device=trainer.model.device)
    inputs = {"input_ids": batch, "attention_mask": torch.ones_like(batch), "labels": batch}
    with trainer.compute_loss_context_manager():
        loss = trainer.compute_loss(trainer.model, inputs)
    trainer.accelerator.backward(loss)
    trainer.model.zero_grad(set_to_none=True)


def _is_out_of_memory(error: Exception) -> bool:
    """On a CPU, PyTorch raises a plain `RuntimeError` that only its text tells apart."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _last_checkpoint(output: Path) -> str | None:
    found = sorted((output / CHECKPOINTS).glob("checkpoint-*"), key=lambda path: int(path.name.split("-")[1]))
    whole = [path for path in found if _is_whole(path / "trainer_state.json")]  # written after weights and optimiser
    return str(whole[-1]) if whole else None


def _is_whole(state: Path) -> bool:
    """Whether a file of JSON is there to its last brace; a kill can cut it."""
    try:
        return bool(json.loads(state.read_text()))
    except (FileNotFoundError, ValueError):
        return False


def _save(trainer: Any, output: Path) -> None:
    """Write the adapter in one step, then drop the checkpoints."""
    scratch, adapter = output / ".adapter", output / ADAPTER
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(adapter, ignore_errors=True)
    trainer.model.save_pretrained(scratch)
    scratch.rename(adapter)
    shutil.rmtree(output / CHECKPOINTS, ignore_errors=True)


def _mean(points: list[LossPoint]) -> float:
    return sum(point.loss for point in points) / len(points)


def _peak_memory() -> int:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    import resource

    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, psutil.Process().memory_info().rss)


if __name__ == "__main__":
    asked = read_record(Path(sys.argv[1]), TrainingRequest)
    folder = Path(asked.output)
    try:
        write_record(folder / RESULT, train(asked))
    except StageError as error:
        write_record(folder / FAILURE, error.failure)
        os._exit(3)
