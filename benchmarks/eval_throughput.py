"""How fast are the engines? Ratios within one run, because machines are noisy.

    python -m benchmarks.eval_throughput [--adapter RUN/deliver/adapter] [--items 360] [--rounds 2]
    python -m benchmarks.eval_throughput --engine vllm

The first compares the `transformers` engine with the plain way, `generate` over batches of 16 in the order of the file,
on four-option items of `finance_starter` (feedback and selection), greedy with the task's 20 new tokens: zero-shot, and
with the same five solved items before each. The plain way runs in fp32 and in bf16. Answers are equal when the scorer
reads the same option, or none, from both; `same_text` counts equal words. How far the two plain ways agree tells what
rounding alone does to a model that is not sure of its answers.

The second compares the vLLM engine with the `transformers` engine on 256 free-form prompts of very different answers.

Every way answers all prompts `--rounds` times, the ways taking turns; the fastest round of each counts. Prints one JSON
line. Starts itself again in the environment of an engine (threads, tcmalloc).
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from eval.adapter import adapter_hash
from eval.base_model import SMOLLM2
from eval.devices import plan_devices
from eval.engine import Checkpoint, Completion, EvalEngine, Sampling
from eval.engine_client import engine_service, model_folder
from eval.engine_server import load_engine
from eval.hardware import compute_environment, survey_hardware
from eval.merge import merge
from eval.render import end_tokens, prompt_text
from eval.service import Service
from tasks.benchmark import LoadedBenchmark, load_benchmark
from tasks.catalogue import find_task
from tasks.task import Sample

CACHE = Path.home() / ".cache" / "ft-dojo"
PLAIN_BATCH = 16
SHOTS = 5
FREE_FORM = 256
FREE_FORM_TOKENS = 128
STARTED_AGAIN = "FT_DOJO_BENCHMARK"
WORDS = """inflation dividend mortgage bond equity audit liquidity hedge premium pension invoice ledger deficit
surplus tariff leverage collateral annuity futures insurance"""
ASKED = ("Say only the word '{}'.", "Define {} in one short sentence.", "Explain {} to a child in three sentences.",
         "Write a paragraph about {}.", "List five facts about {}.")  # fmt: skip
Way = Callable[[list[str]], list[str]]


def plain(model: str, adapter: Path | None, dtype: str, tokens: int) -> Way:
    """transformers' `generate` as its documentation has it: pad to the left, 16 at a time."""
    import torch
    import transformers

    tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model, padding_side="left")
    loaded: Any = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=getattr(torch, dtype))
    ends = end_tokens(loaded, tokenizer)
    loaded = (merge(loaded, adapter) if adapter else loaded).eval()
    padding = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id

    def answer(prompts: list[str]) -> list[str]:
        texts: list[str] = []
        for start in range(0, len(prompts), PLAIN_BATCH):
            batch = [prompt_text(tokenizer, prompt) for prompt in prompts[start : start + PLAIN_BATCH]]
            inputs = tokenizer(batch, return_tensors="pt", padding=True, add_special_tokens=False)
            with torch.inference_mode():
                output = loaded.generate(
                    **inputs, max_new_tokens=tokens, do_sample=False, eos_token_id=ends, pad_token_id=padding
                )
            texts += tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        return [text.strip() for text in texts]

    return answer


def ours(engine: EvalEngine, checkpoint: Checkpoint, sampling: Sampling) -> Way:
    """Our engine in this process, in the calls that the evaluator makes."""

    def answer(prompts: list[str]) -> list[str]:
        order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
        texts = [""] * len(prompts)
        for start in range(0, len(order), engine.info().chunk):
            part = order[start : start + engine.info().chunk]
            found = engine.generate([prompts[i] for i in part], sampling, checkpoint, lambda done, total: None)
            for i, (one,) in zip(part, found, strict=True):
                texts[i] = one.text
        return texts

    return answer


def race(ways: dict[str, Way], prompts: list[str], rounds: int) -> tuple[dict[str, float], dict[str, list[str]]]:
    """Seconds of the fastest round of each way, and what it answered; each is warmed up with a few prompts."""
    seconds = {name: float("inf") for name in ways}
    answers: dict[str, list[str]] = {}
    for way in ways.values():
        way(prompts[:4])
    for number in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            answers[name] = way(prompts)
            taken = time.perf_counter() - began
            print(f"round {number + 1}: {name} {taken:.1f} s", file=sys.stderr, flush=True)
            seconds[name] = min(seconds[name], taken)
    return seconds, answers


def few_shot(benchmark: LoadedBenchmark, samples: Sequence[Sample]) -> list[str]:
    """Each prompt behind the same five solved items, which are not among those that are asked."""
    asked = {sample.id for sample in samples}
    solved = [sample for sample in benchmark.of("selection") if sample.id not in asked][:SHOTS]
    if len(solved) < SHOTS:
        raise SystemExit(f"--items: at least {SHOTS} of the benchmark's items must be left as examples")
    examples = "\n\n".join(f"{sample.prompt}\n{sample.answer}" for sample in solved)
    return [f"{examples}\n\n{sample.prompt}" for sample in samples]


def against_plain(arguments: argparse.Namespace) -> dict[str, Any]:
    """The `transformers` engine against the plain way, in this process."""
    task = find_task("finance_starter")
    benchmark = load_benchmark(task, None)
    samples = (benchmark.of("feedback") + benchmark.of("selection"))[: arguments.items]
    model = str(model_folder(SMOLLM2, CACHE))
    adapter = arguments.adapter
    checkpoint = Checkpoint(model=model)
    if adapter:
        checkpoint = Checkpoint(model=model, adapter=str(adapter.absolute()), adapter_hash=adapter_hash(adapter))
    ways = {
        "ours": ours(load_engine("transformers", model), checkpoint, Sampling(max_new_tokens=task.max_new_tokens)),
        "plain_bf16": plain(model, adapter, "bfloat16", task.max_new_tokens),
        "plain_fp32": plain(model, adapter, "float32", task.max_new_tokens),
    }
    found: dict[str, Any] = {"items": len(samples), "adapter": bool(adapter)}
    for shots, prompts in ((0, [sample.prompt for sample in samples]), (SHOTS, few_shot(benchmark, samples))):
        seconds, answers = race(ways, prompts, arguments.rounds)
        read = {
            name: [benchmark.scorer.score(text, sample).extracted for text, sample in zip(texts, samples, strict=True)]
            for name, texts in answers.items()
        }
        found[f"{shots}-shot"] = {
            "seconds": {name: round(taken, 2) for name, taken in seconds.items()},
            **{
                f"against_{name}": {
                    "faster": round(seconds[name] / seconds["ours"], 2),
                    "same_answer": equal(read["ours"], read[name]),
                    "same_text": equal(answers["ours"], answers[name]),
                }
                for name in ("plain_fp32", "plain_bf16")
            },
            "plain_bf16_against_plain_fp32": {
                "same_answer": equal(read["plain_bf16"], read["plain_fp32"]),
                "same_text": equal(answers["plain_bf16"], answers["plain_fp32"]),
            },
        }
    return found


def equal(one: Sequence[object], other: Sequence[object]) -> float:
    """Share of places at which two sequences agree."""
    return round(statistics.fmean(a == b for a, b in zip(one, other, strict=True)), 4)


def against_transformers(arguments: argparse.Namespace) -> dict[str, Any]:
    """The vLLM engine against the `transformers` engine, each in a process of its own, as runs have them."""
    words = WORDS.split()
    prompts = [ASKED[i % len(ASKED)].format(words[(i // len(ASKED)) % len(words)]) for i in range(FREE_FORM)]
    prompts = [f"{prompt} ({i})" for i, prompt in enumerate(prompts)]  # no two alike
    model = model_folder(SMOLLM2, CACHE)
    sampling = Sampling(max_new_tokens=FREE_FORM_TOKENS)
    lengths: dict[str, list[int]] = {}
    with tempfile.TemporaryDirectory() as folder:
        devices = plan_devices(survey_hardware().gpus, model)
        services = {name: engine_service(name, model, Path(folder, name), devices) for name in ("vllm", "transformers")}
        try:
            ways = {name: served(service, model, sampling, lengths, name) for name, service in services.items()}
            seconds, _ = race(ways, prompts, arguments.rounds)
        finally:
            for service in services.values():
                service.close()
    return {
        "prompts": len(prompts),
        "new_tokens": {name: describe(counts) for name, counts in lengths.items()},
        "tokens_per_second": {name: round(sum(lengths[name]) / taken) for name, taken in seconds.items()},
        "seconds": {name: round(taken, 2) for name, taken in seconds.items()},
        "vllm_faster": round(seconds["transformers"] / seconds["vllm"], 2),
    }


def served(service: Service, model: Path, sampling: Sampling, lengths: dict[str, list[int]], name: str) -> Way:
    """An engine in its process; notes the lengths of its answers."""

    def answer(prompts: list[str]) -> list[str]:
        checkpoint = Checkpoint(model=str(model)).model_dump()
        found = service.call("generate", prompts=prompts, sampling=sampling.model_dump(), checkpoint=checkpoint)
        completions = [Completion.model_validate(one) for (one,) in found]
        lengths[name] = [completion.tokens for completion in completions]
        return [completion.text for completion in completions]

    return answer


def describe(lengths: list[int]) -> dict[str, int]:
    """Smallest, median and largest."""
    return {"min": min(lengths), "median": int(statistics.median(lengths)), "max": max(lengths)}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--engine", choices=("transformers", "vllm"), default="transformers")
    parser.add_argument("--adapter", type=Path, help="answer with this adapter instead of the untouched model")
    parser.add_argument("--items", type=int, default=360)
    parser.add_argument("--rounds", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.engine == "vllm":
        print(json.dumps(against_transformers(arguments)))
    elif STARTED_AGAIN in os.environ:
        print(json.dumps(against_plain(arguments)))
    else:
        environment = {**os.environ, **compute_environment(), STARTED_AGAIN: "1"}
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.eval_throughput", *sys.argv[1:]], environment)


if __name__ == "__main__":
    main()
