"""What a warm engine saves: adapters one after the other, against a fresh engine for each piece of work.

    python -m benchmarks.adapter_swap [--engine NAME] [--adapters 8] [--items 120] [--fresh 2]

The warm way: one engine, already started, answers the items of every adapter in turn. The other way starts an engine
anew for each split of each sub-dataset (10 subjects of `finance_starter`, feedback and selection) of each adapter, as
the reference system does. Both answer the same prompts with the same adapters, made of random numbers. The fresh way is
carried out for `--fresh` of the adapters, whose time is scaled to all of them.

Prints one JSON line: the share of swaps in the warm way (the first one-token answer of an adapter less the second), how
many times longer the fresh way takes, and the seconds of a second evaluation of an adapter.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from eval.adapter import adapter_hash
from eval.base_model import SMOLLM2
from eval.devices import plan_devices
from eval.engine import Checkpoint, Sampling
from eval.engine_client import AUTO, choose_engine, engine_service, model_folder
from eval.evaluator_client import Evaluator
from eval.hardware import survey_hardware
from eval.service import Service
from tasks.benchmark import load_benchmark
from tasks.catalogue import find_task

CACHE = Path.home() / ".cache" / "ft-dojo"
TASK = "finance_starter"
SPLITS = ("feedback", "selection")
RANK = 16
SPREAD = 0.02
"""Standard deviation of the second matrix of an adapter; PEFT begins with zero, which would change nothing."""


def random_adapter(model: Path, folder: Path, seed: int) -> Checkpoint:
    """An adapter of random numbers for a model."""
    import torch
    from peft import LoraConfig, get_peft_model

    from eval.merge import load_base

    torch.manual_seed(seed)
    adapted: Any = get_peft_model(load_base(model), LoraConfig(r=RANK, target_modules="all-linear"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter.data, std=SPREAD)
    adapted.save_pretrained(folder)
    return Checkpoint(model=str(model), adapter=str(folder), adapter_hash=adapter_hash(folder))


def pieces(items: int) -> list[list[str]]:
    """Prompts of each sub-dataset and split, about `items` in all."""
    benchmark = load_benchmark(find_task(TASK), None)
    found: dict[tuple[str, str], list[str]] = {}
    for split in SPLITS:
        for sample in benchmark.of(split):
            found.setdefault((sample.group, split), []).append(sample.prompt)
    return [prompts[: max(1, items // len(found))] for prompts in found.values()]


def generate(engine: Service, prompts: list[str], checkpoint: Checkpoint, tokens: int) -> float:
    """Seconds that an engine takes."""
    began = time.perf_counter()
    sampling = Sampling(max_new_tokens=tokens).model_dump()
    engine.call("generate", prompts=prompts, sampling=sampling, checkpoint=checkpoint.model_dump())
    return time.perf_counter() - began


def warm(engine: Service, checkpoints: list[Checkpoint], work: list[list[str]], tokens: int) -> tuple[float, float]:
    """Seconds of all adapters on an engine that runs, and how many of them went into swaps."""
    total = swaps = 0.0
    prompts = [prompt for piece in work for prompt in piece]
    for checkpoint in checkpoints:
        first, again = (generate(engine, prompts[:1], checkpoint, 1) for _ in range(2))
        swaps += max(0.0, first - again)
        total += max(0.0, first - again) + generate(engine, prompts, checkpoint, tokens)
    return total, swaps


def fresh(
    name: str, model: Path, checkpoints: list[Checkpoint], work: list[list[str]], tokens: int, log: Path
) -> float:
    """Seconds when each piece of work starts an engine of its own."""
    began = time.perf_counter()
    for checkpoint in checkpoints:
        for prompts in work:
            engine = engine_service(name, model, log, plan_devices(survey_hardware().gpus, model))
            try:
                generate(engine, prompts, checkpoint, tokens)
            finally:
                engine.close()
        print(f"fresh engines: {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    return time.perf_counter() - began


def second_evaluation(engine: Service, checkpoint: Checkpoint, folder: Path) -> float:
    """Seconds of evaluating an adapter on feedback that was evaluated before."""
    evaluator = Evaluator(TASK, None, CACHE, folder / "evaluator.log")
    try:
        evaluator.attach(folder / "run")
        for label in ("first", "again"):
            began = time.perf_counter()
            evaluator.evaluate(label, "feedback", checkpoint, engine.socket, 0, lambda done, total: None)
        return time.perf_counter() - began
    finally:
        evaluator.close()


def measure(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """All that the docstring of this file promises."""
    name, model = choose_engine(arguments.engine), model_folder(SMOLLM2, CACHE)
    checkpoints = [random_adapter(model, folder / f"adapter-{i}", i) for i in range(arguments.adapters)]
    work, tokens = pieces(arguments.items), find_task(TASK).max_new_tokens
    engine = engine_service(name, model, folder / "engine.log", plan_devices(survey_hardware().gpus, model))
    try:
        engine.call("info")
        warm_seconds, swaps = warm(engine, checkpoints, work, tokens)
        second = second_evaluation(engine, checkpoints[0], folder)
    finally:
        engine.close()
    some = checkpoints[: arguments.fresh]
    fresh_seconds = fresh(name, model, some, work, tokens, folder / "fresh.log") * len(checkpoints) / len(some)
    return {
        "engine": name,
        "adapters": len(checkpoints),
        "items": sum(map(len, work)),
        "pieces": len(work),
        "warm_seconds": round(warm_seconds, 1),
        "swap_seconds": round(swaps / len(checkpoints), 2),
        "swap_share": round(swaps / warm_seconds, 3),
        "fresh_seconds": round(fresh_seconds, 1),
        "fresh_measured_on": len(some),
        "warm_faster": round(fresh_seconds / warm_seconds, 1),
        "second_evaluation_seconds": round(second, 2),
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", default=AUTO)
    parser.add_argument("--adapters", type=int, default=8)
    parser.add_argument("--items", type=int, default=120, help="of each adapter, spread over the pieces of work")
    parser.add_argument("--fresh", type=int, default=2, help="adapters that the fresh way is carried out for")
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(parser.parse_args(), Path(folder))))


if __name__ == "__main__":
    main()
