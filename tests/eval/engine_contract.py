"""What every evaluation engine must do, as plain functions over an engine; the tests of each engine call them.

Also the tiny model that they run on, and an engine in its own process seen as an engine.
"""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from eval.adapter import adapter_hash
from eval.engine import Checkpoint, Completion, EngineInfo, EvalEngine, Progress, Sampling
from eval.service import Service
from tasks.failure import FailureKind, InputError, StageError

CONTEXT = 256
WITHOUT_SCHEMA = ("transformers",)
"""Engines that cannot hold a model to a JSON schema."""
PROMPTS = [f"{'How large is it? ' * (i % 5)}What follows {word}?" for i, word in enumerate("abcdefghijklmnop")]
GREEDY = Sampling(max_new_tokens=12)
DRAWN = Sampling(max_new_tokens=12, temperature=1.0, samples=3)


class Fixture(NamedTuple):
    """Folders of a tiny model and of adapters for it."""

    model: str
    adapter: str
    """A LoRA that changes the model."""
    zero: str
    """A LoRA that changes nothing."""

    @property
    def base(self) -> Checkpoint:
        """The untouched model."""
        return Checkpoint(model=self.model)

    def adapted(self, adapter: str) -> Checkpoint:
        """The model with an adapter."""
        return Checkpoint(model=self.model, adapter=adapter, adapter_hash=adapter_hash(Path(adapter)))


class ServedEngine:
    """An engine in its own process, with an engine's interface."""

    def __init__(self, name: str, model: str, log: Path) -> None:
        self.service = Service("engine", "eval.engine_server", ["--engine", name, "--model", model], log=log)

    def info(self) -> EngineInfo:
        return EngineInfo.model_validate(self.service.call("info"))

    def generate(
        self, prompts: Sequence[str], sampling: Sampling, checkpoint: Checkpoint, progress: Progress
    ) -> list[list[Completion]]:
        replies = self.service.call(
            "generate",
            progress,
            prompts=list(prompts),
            sampling=sampling.model_dump(mode="json"),
            checkpoint=checkpoint.model_dump(mode="json"),
        )
        return [[Completion.model_validate(reply) for reply in one] for one in replies]

    def rest(self) -> float:
        return self.service.call("rest")

    def close(self) -> None:
        self.service.close()


def build(folder: Path) -> Fixture:
    """Write a random Llama of two layers with a small tokenizer, an adapter that changes it and one that does not."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    tokenizer = _tokenizer()
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=CONTEXT,
        initializer_range=0.2,  # large enough that different prompts are completed differently
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model: Any = LlamaForCausalLM(config).to(torch.bfloat16)
    for part in (model, tokenizer):
        part.save_pretrained(folder / "model")
    adapt(model, folder / "adapter", folder / "zero")
    return Fixture(*(str(folder / name) for name in ("model", "adapter", "zero")))


def adapt(model: Any, folder: Path, zero: Path | None = None, **settings: Any) -> str:
    """Write an adapter of random numbers for a model, and first, where a folder is given, one without effect."""
    import torch
    from peft import LoraConfig, get_peft_model

    chosen = {"r": 4, "target_modules": ["q_proj", "v_proj", "down_proj"], **settings}
    adapted: Any = get_peft_model(model, LoraConfig(**chosen))
    if zero:
        adapted.save_pretrained(zero)  # PEFT starts with B = 0
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=0.2)
    adapted.save_pretrained(folder)
    return str(folder)


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<unk>", "<pad>", "<end>", "<user>", "<assistant>"]
    trainer: Any = trainers.BpeTrainer(vocab_size=300, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator([f"{__doc__} {Checkpoint.__doc__} 0123456789 :?!", *PROMPTS], trainer)
    fast: Any = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", pad_token="<pad>", eos_token="<end>"
    )
    fast.chat_template = "{% for m in messages %}<user>{{ m.content }}<end>{% endfor %}<assistant>"
    return fast


def generate(
    engine: EvalEngine, sampling: Sampling, checkpoint: Checkpoint, prompts: Sequence[str] = PROMPTS
) -> list[list[Completion]]:
    """Generate without watching."""
    return engine.generate(prompts, sampling, checkpoint, lambda done, total: None)


def check_info(engine: EvalEngine, fixture: Fixture) -> None:
    info = engine.info()
    assert info.model == fixture.model
    assert info.context == CONTEXT
    assert info.chunk > 0
    assert info.numerics.startswith(f"{info.name}-")


def check_order_is_kept(engine: EvalEngine, fixture: Fixture) -> None:
    results = generate(engine, GREEDY, fixture.base)
    assert len({one.text for (one,) in results}) > len(PROMPTS) // 2
    reversed_results = generate(engine, GREEDY, fixture.base, PROMPTS[::-1])
    same = sum(a == b for a, b in zip(results, reversed_results[::-1], strict=True))
    assert same >= 0.8 * len(PROMPTS)  # another place in the batch may change the last bits


def check_a_call_can_be_repeated(engine: EvalEngine, fixture: Fixture) -> None:
    for sampling in (GREEDY, DRAWN):
        assert generate(engine, sampling, fixture.base) == generate(engine, sampling, fixture.base)


def check_samples(engine: EvalEngine, fixture: Fixture) -> None:
    results = generate(engine, DRAWN, fixture.base)
    assert {len(one) for one in results} == {DRAWN.samples}
    assert all(len({sample.text for sample in one}) > 1 for one in results)


def check_greedy_samples_are_alike(engine: EvalEngine, fixture: Fixture) -> None:
    results = generate(engine, Sampling(max_new_tokens=4, samples=2), fixture.base)
    assert all(len(one) == 2 and one[0] == one[1] for one in results)


def check_seed_decides(engine: EvalEngine, fixture: Fixture) -> None:
    other = generate(engine, DRAWN.model_copy(update={"seed": 1}), fixture.base)
    assert other != generate(engine, DRAWN, fixture.base)


def check_length_and_text(engine: EvalEngine, fixture: Fixture) -> None:
    for one in (sample for samples in generate(engine, DRAWN, fixture.base) for sample in samples):
        assert one.text == one.text.strip()
        assert 0 < one.tokens <= DRAWN.max_new_tokens
        assert one.finish == "stop" or one.tokens == DRAWN.max_new_tokens


def check_stop_strings(engine: EvalEngine, fixture: Fixture) -> None:
    (whole,) = generate(engine, GREEDY, fixture.base, PROMPTS[:1])[0]
    stop = whole.text[len(whole.text) // 2 :][:2]
    (cut,) = generate(engine, GREEDY.model_copy(update={"stop": ("\0", stop)}), fixture.base, PROMPTS[:1])[0]
    assert cut.text == whole.text[: whole.text.index(stop)].strip()
    assert cut.finish == "stop"
    assert cut.tokens < whole.tokens


def check_long_prompts_are_reported(engine: EvalEngine, fixture: Fixture) -> None:
    long = "word " * CONTEXT
    results = generate(engine, DRAWN, fixture.base, [PROMPTS[0], long, PROMPTS[1]])
    assert results[1] == [Completion(text="", tokens=0, finish="prompt_too_long")] * DRAWN.samples
    assert all(sample.tokens for one in (results[0], results[2]) for sample in one)
    everything = generate(engine, Sampling(max_new_tokens=CONTEXT), fixture.base, PROMPTS[:2])
    assert [one.finish for (one,) in everything] == ["prompt_too_long"] * 2


def check_progress(engine: EvalEngine, fixture: Fixture) -> None:
    seen: list[tuple[int, int]] = []
    prompts = [*PROMPTS, "word " * CONTEXT]
    engine.generate(prompts, GREEDY, fixture.base, lambda done, total: seen.append((done, total)))
    assert seen == sorted(seen)
    assert seen[-1] == (len(prompts), len(prompts))


def check_no_prompts(engine: EvalEngine, fixture: Fixture) -> None:
    assert generate(engine, GREEDY, fixture.base, []) == []


def check_a_batch_answers_as_each_alone(engine: EvalEngine, fixture: Fixture) -> None:
    """Prompts of very different lengths; the last bits of a sum depend on the batch, so not every answer must agree."""
    together = generate(engine, GREEDY, fixture.base)
    alone = [generate(engine, GREEDY, fixture.base, [prompt])[0] for prompt in PROMPTS]
    assert sum(a == b for a, b in zip(alone, together, strict=True)) >= 0.8 * len(PROMPTS)


def check_answers_keep_to_a_schema_or_are_refused(engine: EvalEngine, fixture: Fixture) -> None:
    """A random model writes no number by itself; its small vocabulary has the digits, but no brackets."""
    sampling = Sampling(max_new_tokens=6, json_schema={"type": "integer", "minimum": 1, "maximum": 9})
    if engine.info().name in WITHOUT_SCHEMA:
        with pytest.raises(InputError, match="JSON schema; use vllm"):
            generate(engine, sampling, fixture.base, PROMPTS[:2])
        return
    for (one,) in generate(engine, sampling, fixture.base, PROMPTS[:4]):
        assert 1 <= json.loads(one.text) <= 9


def check_an_engine_that_rested_goes_on(engine: EvalEngine, fixture: Fixture) -> None:
    adapted = fixture.adapted(fixture.adapter)
    before = [generate(engine, GREEDY, one) for one in (fixture.base, adapted)]
    for _ in range(2):
        assert engine.rest() >= 0
    assert [generate(engine, GREEDY, one) for one in (fixture.base, adapted)] == before


def check_callers_at_once_get_their_own_answers(engine: EvalEngine, fixture: Fixture) -> None:
    expected = generate(engine, GREEDY, fixture.base, PROMPTS[:8])
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda prompt: generate(engine, GREEDY, fixture.base, [prompt])[0], PROMPTS[:8]))
    assert sum(a == b for a, b in zip(found, expected, strict=True)) >= 0.8 * len(expected)


def check_an_adapter_comes_and_goes(engine: EvalEngine, fixture: Fixture) -> None:
    base = generate(engine, GREEDY, fixture.base)
    adapted = generate(engine, GREEDY, fixture.adapted(fixture.adapter))
    assert sum(a != b for a, b in zip(base, adapted, strict=True)) > len(PROMPTS) // 2
    assert generate(engine, GREEDY, fixture.base) == base
    assert generate(engine, GREEDY, fixture.adapted(fixture.adapter)) == adapted


def check_an_adapter_without_effect_is_refused(engine: EvalEngine, fixture: Fixture) -> None:
    base = generate(engine, GREEDY, fixture.base)
    for _ in range(2):  # being refused once must not make it known
        with pytest.raises(StageError) as caught:
            generate(engine, GREEDY, fixture.adapted(fixture.zero))
        assert caught.value.failure.kind is FailureKind.FORMAT
    assert generate(engine, GREEDY, fixture.base) == base


def check_a_missing_adapter_is_an_environment_failure(engine: EvalEngine, fixture: Fixture) -> None:
    missing = Checkpoint(model=fixture.model, adapter=f"{fixture.model}/missing", adapter_hash="missing")
    with pytest.raises(StageError) as caught:
        generate(engine, GREEDY, missing)
    assert caught.value.failure.kind is FailureKind.ENVIRONMENT


CHECKS = [value for name, value in sorted(globals().items()) if name.startswith("check_")]
"""Every check: parametrise over it."""
