"""The one chat renderer: training rows, baseline and evaluation all pass here.

A template that differs between training and evaluation is the commonest silent fault of fine-tuning, so a training
row is, by construction, the evaluation prompt's tokens followed by the answer's tokens and the end of the turn.
`tests/eval/test_render.py` compares the two token by token.
"""

from typing import Any, NamedTuple


class TrainingTokens(NamedTuple):
    """Token ids of a training row."""

    input_ids: list[int]
    """Prompt, answer, end of turn."""
    completion_mask: list[int]
    """1 where a token belongs to the answer (or ends the turn) and is learned, 0 in the prompt; same length."""


def prompt_text(tokenizer: Any, prompt: str) -> str:
    """Render a user message up to where the assistant starts to speak.

    Args:
        tokenizer: a `transformers` tokenizer with a chat template; without one, the prompt and a line break are used.
    """
    if not tokenizer.chat_template:
        return f"{prompt}\n"
    messages = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)


def prompt_ids(tokenizer: Any, prompt: str) -> list[int]:
    """Token ids of `prompt_text`; the template writes its own special tokens, so none are added."""
    return tokenizer(prompt_text(tokenizer, prompt), add_special_tokens=False)["input_ids"]


def training_ids(tokenizer: Any, prompt: str, answer: str) -> TrainingTokens:
    """Token ids of a training row: the evaluation prompt's ids, then the answer's, then the end of the turn."""
    question = prompt_ids(tokenizer, prompt)
    completion = tokenizer(answer.strip(), add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    return TrainingTokens(question + completion, [0] * len(question) + [1] * len(completion))


def end_tokens(model: Any, tokenizer: Any) -> list[int]:
    """Tokens that end a turn: the tokenizer's, and those that the model's generation settings name."""
    named = model.generation_config.eos_token_id
    also = named if isinstance(named, list) else [named]
    return sorted({token for token in [tokenizer.eos_token_id, *also] if token is not None})
