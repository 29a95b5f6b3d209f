"""An adapter merged into its base, in bf16: what the engines serve, and what `--merge` delivers.

    python -P -m eval.merge BASE ADAPTER OUT      writes the merged model into a new folder OUT

OUT holds weights, tokenizer, chat template and generation settings, and loads as any other model does. The settings
name the tokens that end a turn and nothing else: how the base's author would draw is not how the scores were measured.
"""

import argparse
import shutil
import sys
import warnings
from pathlib import Path
from typing import Any

from eval.base_identity import copy_tokenizer
from eval.render import end_tokens


def load_base(model: str | Path) -> Any:
    """A base model in bf16, in which it is trained and evaluated whatever its files hold."""
    import torch
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16)


def merge(base: Any, adapter: str | Path) -> Any:
    """Merge a PEFT adapter into a loaded base, which is used up. A spoilt adapter raises one of many types."""
    from peft import PeftModel

    adapted: Any = PeftModel.from_pretrained(base, adapter)
    _merge_linear(adapted)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "All adapters are already merged")
        return adapted.merge_and_unload()


def _merge_linear(adapted: Any) -> None:
    """Merge the linear layers in fp32: the same sums, at twice the speed, as PyTorch adds fp32 to bf16 slowly."""
    import torch
    from peft.tuners.tuners_utils import BaseTunerLayer

    for layer in adapted.modules():
        if isinstance(layer, BaseTunerLayer) and isinstance(layer.get_base_layer(), torch.nn.Linear):
            weight: Any = layer.get_base_layer().weight
            dtype, weight.data = weight.dtype, weight.data.float()
            layer.merge()
            weight.data = weight.data.to(dtype)


def write_merged(base: Path, adapter: Path, out: Path) -> None:
    """Write base and adapter as one model; `out` appears as a whole or not at all."""
    import torch
    from transformers import AutoTokenizer, GenerationConfig

    device = "cuda" if torch.cuda.is_available() else "cpu"  # the engine's, so that each sum is rounded as it was there
    model = merge(load_base(base).to(device), adapter)
    tokenizer: Any = AutoTokenizer.from_pretrained(base)
    model.generation_config = GenerationConfig(
        eos_token_id=end_tokens(model, tokenizer),
        pad_token_id=tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id,
    )
    scratch = out.with_name(f".{out.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        model.save_pretrained(scratch)
        copy_tokenizer(base, scratch)
        shutil.rmtree(out, ignore_errors=True)
        scratch.rename(out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("base", "adapter", "out"):
        parser.add_argument(name, type=Path)
    arguments = parser.parse_args()
    write_merged(arguments.base, arguments.adapter, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
