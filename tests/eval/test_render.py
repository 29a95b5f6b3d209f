"""Training rows and evaluation prompts, token by token, against the tokenizer's own chat template."""

from pathlib import Path
from typing import Any

import pytest

from eval.base_model import SMOLLM2, TINY, resolve_model
from eval.render import prompt_ids, prompt_text, training_ids

TURNS = [
    ("Which colour has code 3?", "red"),
    ("What is 2024 + 1999?\nA) 4023\nB) 4,022.50", "4023"),
    ("Füllen Sie die Lücke: naïve ☕ 你好、世界 🙂🏽", "世界 🙂🏽 — été"),
    ('Return {"total": {{ 1 + 1 }}} and {% raw %} or {{answer}}', '{"total": [1, {"a": null}]}'),
    ("  leading and trailing spaces  \n\n", "  stripped answer \n"),
    ("one\n\n\ntwo\ttabs\r\nlines", "first line\n\nsecond line\n    indented"),
    ("a" * 300, "b" * 50),
    ("?", "7"),
    ("Tokens such as </s> or [INST] are text.", "$1,234.56 (12%)"),
]


@pytest.fixture(scope="module", params=[TINY, SMOLLM2])
def folder(request: pytest.FixtureRequest, cache: Path) -> Path:
    return resolve_model(request.param, cache)


@pytest.fixture(scope="module")
def tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


def conversation(prompt: str, answer: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}]


def rendered(tokenizer: Any, messages: list[dict[str, str]], **options: bool) -> list[int]:
    """Ids as the tokenizer itself renders them."""
    return tokenizer.apply_chat_template(messages, tokenize=True, return_dict=True, **options)["input_ids"]


@pytest.mark.parametrize(("prompt", "answer"), TURNS)
def test_a_training_row_is_the_whole_conversation(tokenizer: Any, prompt: str, answer: str) -> None:
    row = training_ids(tokenizer, prompt, answer)
    whole = rendered(tokenizer, conversation(prompt, answer.strip()))
    assert whole[: len(row.input_ids)] == row.input_ids
    assert tokenizer.decode(whole[len(row.input_ids) :]) == "\n"  # what the template puts between turns
    assert row.input_ids[-1] == tokenizer.eos_token_id


@pytest.mark.parametrize(("prompt", "answer"), TURNS)
def test_a_training_row_starts_with_the_evaluation_prompt(tokenizer: Any, prompt: str, answer: str) -> None:
    row, asked = training_ids(tokenizer, prompt, answer), prompt_ids(tokenizer, prompt)
    answered = tokenizer(answer.strip(), add_special_tokens=False)["input_ids"]
    assert row.input_ids == [*asked, *answered, tokenizer.eos_token_id]
    assert row.completion_mask == [0] * len(asked) + [1] * (len(answered) + 1)
    assert asked == rendered(tokenizer, conversation(prompt, answer)[:1], add_generation_prompt=True)


def test_the_prompt_text_is_the_tokens(tokenizer: Any) -> None:
    for prompt, _ in TURNS:
        assert tokenizer.decode(prompt_ids(tokenizer, prompt)) == prompt_text(tokenizer, prompt)


def test_the_engine_feeds_the_evaluation_prompt(folder: Path, tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the model, what is shared and the rest, is `prompt_ids`; decoding is replaced by listening."""
    from eval.engine import Checkpoint, Sampling
    from eval.engines import transformers

    engine = transformers.TransformersEngine(str(folder))
    fed: list[list[int]] = []
    shared: list[int] = []

    def read(model: Any, ids: list[int]) -> Any:
        shared[:] = ids
        return object()

    def listening(model: Any, prefix: Any, ids: list[list[int]], *others: Any) -> Any:
        fed.extend([*shared, *row] for row in ids)
        return [[[0]] for _ in ids]

    monkeypatch.setattr(transformers, "read_prefix", read)
    monkeypatch.setattr(transformers, "decode", listening)
    prompts = [prompt for prompt, _ in TURNS]
    engine.generate(prompts, Sampling(max_new_tokens=1), Checkpoint(model=str(folder)), lambda done, total: None)
    assert sorted(fed) == sorted(prompt_ids(tokenizer, prompt) for prompt in prompts)


def test_smollm2_splits_digits(cache: Path) -> None:
    """The GGUF file does not say so, but the model was trained with single digits."""
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(resolve_model(SMOLLM2, cache))
    assert tokenizer.tokenize("1234.56 in 2024") == ["1", "2", "3", "4", ".", "5", "6", "Ġin", "Ġ", "2", "0", "2", "4"]


def test_a_tokenizer_without_a_template_gets_plain_text(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(tiny_model)
    tokenizer.chat_template = None
    assert prompt_text(tokenizer, "Why?") == "Why?\n"
    row = training_ids(tokenizer, "Why?", "So.")
    assert tokenizer.decode(row.input_ids) == "Why?\nSo.<|im_end|>"
