"""The engine's process: `python -P -m eval.engine_server --engine NAME --model PATH --socket PATH`.

Loads one engine of `eval/engines/` and answers `info`, `generate`, `count_tokens` and `rest` on a Unix socket. One
generation runs at a time; further callers wait their turn.
"""

import argparse
import importlib
import threading
from pathlib import Path
from typing import Any

from eval.engine import Checkpoint, EvalEngine, Progress, Sampling
from eval.engines import names
from eval.service import serve
from tasks.failure import InputError
from tasks.record import digest


def load_engine(spec: str, model: str) -> EvalEngine:
    """Load an engine by the name of its module in `eval/engines/`, or `NAME=ARGUMENT`.

    Raises:
        InputError: no such engine; the message lists the known ones. Or it cannot be had; the message says why.
    """
    name, _, argument = spec.partition("=")
    if name not in names():
        raise InputError(f"unknown engine '{name}'; known: {', '.join(names())}")
    return importlib.import_module(f"eval.engines.{name}").ENGINE(model, *([argument] if argument else []))


def methods(engine: EvalEngine) -> dict[str, Any]:
    """The service methods over an engine."""
    turn = threading.Lock()
    files = [path for kind in ("*.safetensors", "*.bin") for path in Path(engine.info().model).glob(kind)]
    weights = digest(sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files))

    def info(progress: Progress) -> dict[str, Any]:
        return {**engine.info().model_dump(), "weights": weights}

    def generate(
        progress: Progress, prompts: list[str], sampling: dict[str, Any], checkpoint: dict[str, Any]
    ) -> list[list[dict[str, Any]]]:
        with turn:
            completions = engine.generate(
                prompts, Sampling.model_validate(sampling), Checkpoint.model_validate(checkpoint), progress
            )
        return [[completion.model_dump() for completion in one] for one in completions]

    def count_tokens(progress: Progress, texts: list[str]) -> list[int]:
        from transformers import AutoTokenizer

        tokenizer: Any = AutoTokenizer.from_pretrained(engine.info().model)
        return [len(ids) for ids in tokenizer(texts, add_special_tokens=False)["input_ids"]] if texts else []

    def rest(progress: Progress) -> float:
        with turn:
            return engine.rest()

    return {"info": info, "generate": generate, "count_tokens": count_tokens, "rest": rest}


def main() -> None:
    """Serve one engine until the parent dies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--socket", required=True, type=Path)
    arguments = parser.parse_args()
    serve(arguments.socket, lambda: methods(load_engine(arguments.engine, arguments.model)))


if __name__ == "__main__":
    main()
