"""Does the verdict keep its promise? Comparisons of one adapter with itself, and with itself made better or worse.

    python -m benchmarks.verdict_null --adapter RUN/deliver/adapter [--task finance_starter] [--out runs/verdict_null]

First every selection item is answered 20 times by the same adapter, with other seeds of sampling; that is done once
and kept. Then comparisons are drawn from these real answers: as many items as there are, with replacement, and for each
item two different ones of its 20 answers, one for either side. Both sides come from one adapter, so each acceptance is
an error. Effects are made by turning wrong answers of the candidate right with some chance, or right ones wrong.

Prints one JSON line:

- `null`: accepted of all null comparisons; `p_exact` is that of the exact binomial test of "more than alpha".
- `real_nulls`: verdicts of 20 whole regenerations against the next.
- `naive`: how often "the higher score wins" accepts the same nulls.
- `power`: accepted by effect, with every item and with stopping (`eval/sequential.py`).
- `mix`: on the declared mix of effects the items that stopping saves, and the points of power that it costs.
"""

import argparse
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from eval.adapter import adapter_hash
from eval.base_model import SMOLLM2
from eval.engine import Checkpoint, Sampling
from eval.engine_client import AUTO, choose_engine, engine_service, model_folder
from eval.power import detectable_effect
from eval.resampling import standard_error
from eval.result import ItemResult
from eval.sequential import HOPELESS, chance, looks
from eval.verdict import alpha_share, compare, effect, paired
from tasks.benchmark import load_benchmark
from tasks.catalogue import find_task
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Metric

REGENERATIONS = 20
TEMPERATURE = 0.7
COMPARISONS = 10_000
FEWER = 2_000
"""Comparisons for each effect that is not null."""
MIX = {-0.05: 0.2, -0.02: 0.2, 0.0: 0.3, 0.02: 0.1, 0.05: 0.1, 0.1: 0.1}
"""Share of each true effect among the candidates of a laboratory: most changes do little or harm."""
CACHE = Path.home() / ".cache" / "ft-dojo"


class Outcome(NamedTuple):
    """What became of one comparison."""

    accepted: bool
    """By the verdict on all items."""
    stopped_at: int
    """Items after which the sequential rule ended the evaluation."""
    higher: bool
    """The candidate's score is above the incumbent's."""


def regenerate(arguments: argparse.Namespace) -> list[ItemResult]:
    """Every selection item answered many times by the adapter; kept in `answers.jsonl`."""
    kept = arguments.out / "answers.jsonl"
    if not kept.exists():
        task = find_task(arguments.task)
        benchmark = load_benchmark(task, arguments.data_root)
        samples = benchmark.of("selection")
        model = model_folder(arguments.model, CACHE)
        arguments.out.mkdir(parents=True, exist_ok=True)
        engine = engine_service(choose_engine(arguments.engine), model, arguments.out / "engine.log")
        name = adapter_hash(arguments.adapter)
        checkpoint = Checkpoint(model=str(model), adapter=str(arguments.adapter.absolute()), adapter_hash=name)
        sampling = Sampling(max_new_tokens=task.max_new_tokens, temperature=TEMPERATURE, samples=REGENERATIONS)
        try:
            found = engine.call(
                "generate",
                lambda done, total: print(f"answered {done} of {total} items", flush=True),
                prompts=[sample.prompt for sample in samples],
                sampling=sampling.model_dump(),
                checkpoint=checkpoint.model_dump(),
            )
        finally:
            engine.close()
        rows: list[ItemResult] = []
        for sample, completions in zip(samples, found, strict=True):
            texts = [completion["text"] for completion in completions]
            scores = [benchmark.scorer.score(text, sample) for text in texts]
            rows.append(
                ItemResult(
                    id=sample.id,
                    group=sample.group,
                    cluster=sample.cluster,
                    prompt="",
                    answer="",
                    completions=(),
                    scores=tuple(score.score for score in scores),
                    parsed=tuple(score.parsed for score in scores),
                    truncated=False,
                )
            )
        write_jsonl(kept, rows)
    return [ItemResult.model_validate(row) for row in read_jsonl(kept)]


def answered(item: ItemResult, number: int, score: float) -> ItemResult:
    """An item as one side answered it; `number` tells apart what was drawn twice."""
    return ItemResult.model_construct(
        id=f"{number:05}", group=item.group, cluster=f"{number:05} {item.cluster}" if item.cluster else "",
        scores=(score,), parsed=(True,), prompt="", answer="", completions=(), truncated=False,
    )  # fmt: skip


def draw(pool: list[ItemResult], shift: float, rng: np.random.Generator) -> tuple[list[ItemResult], list[ItemResult]]:
    """A candidate and an incumbent whose expected scores differ by `shift`; items in random order."""
    mean = float(np.mean([item.score for item in pool]))
    turned = shift / (1 - mean) if shift > 0 else -shift / mean
    candidate: list[ItemResult] = []
    incumbent: list[ItemResult] = []
    n = len(pool)
    turns = rng.random(n) < turned
    ones = rng.integers(REGENERATIONS, size=n)
    others = (ones + rng.integers(1, REGENERATIONS, size=n)) % REGENERATIONS
    for number, pick in enumerate(rng.integers(n, size=n)):
        item = pool[pick]
        score = float(shift > 0) if turns[number] else item.scores[ones[number]]
        candidate.append(answered(item, number, score))
        incumbent.append(answered(item, number, item.scores[others[number]]))
    return candidate, incumbent


def judge(candidate: list[ItemResult], incumbent: list[ItemResult], metric: Metric, alpha: float, seed: int) -> Outcome:
    """The verdict on all items, where the sequential rule would have stopped, and the naive rule."""
    verdict = compare(candidate, incumbent, metric, incumbent_number=0, alpha=alpha, seed=seed)
    stopped_at = len(candidate)
    for look in looks(len(candidate))[:-1]:
        found = effect(paired(candidate[:look], incumbent[:look]), metric)
        if chance(found.value, standard_error(found), look / len(candidate), alpha) < HOPELESS:
            stopped_at = look
            break
    return Outcome(verdict.outcome == "better", stopped_at, verdict.effect > 0)


def simulate(
    pool: list[ItemResult], metric: Metric, alpha: float, shift: float, comparisons: int, seed: int
) -> list[Outcome]:
    """Many comparisons with one true effect."""
    rng = np.random.default_rng([seed, round(1000 * shift) + 10_000])
    return [judge(*draw(pool, shift, rng), metric, alpha, number) for number in range(comparisons)]


def regenerations(pool: list[ItemResult], metric: Metric, alpha: float) -> list[str]:
    """The verdict on each whole regeneration against the next."""
    columns = [[answered(item, n, item.scores[k]) for n, item in enumerate(pool)] for k in range(REGENERATIONS)]
    return [
        compare(columns[k], columns[k - 1], metric, incumbent_number=0, alpha=alpha, seed=k).outcome
        for k in range(REGENERATIONS)
    ]


def share(values: Iterable[bool]) -> float:
    """Share of what is true."""
    return round(float(np.mean(list(values))), 4)


def summary(pool: list[ItemResult], metric: Metric, alpha: float, seed: int, comparisons: int) -> dict[str, Any]:
    """All that the docstring of this file promises."""
    n = len(pool)
    fewer = max(1, comparisons * FEWER // COMPARISONS)
    found = {shift: simulate(pool, metric, alpha, shift, fewer if shift else comparisons, seed) for shift in MIX}
    null = found[0.0]
    accepted = sum(one.accepted for one in null)
    sequential = sum(one.accepted and one.stopped_at == n for one in null)
    power = {
        shift: {
            "accepted": share(one.accepted for one in outcomes),
            "accepted_with_stopping": share(one.accepted and one.stopped_at == n for one in outcomes),
            "items_saved": round(1 - float(np.mean([one.stopped_at for one in outcomes])) / n, 3),
        }
        for shift, outcomes in found.items()
    }
    real = regenerations(pool, metric, alpha)
    return {
        "items": n,
        "mean": round(float(np.mean([item.score for item in pool])), 3),
        "alpha": round(alpha, 4),
        "detectable": round(detectable_effect(n, alpha), 3),
        "null": {
            "comparisons": len(null),
            "accepted": accepted,
            "rate": round(accepted / len(null), 4),
            "p_exact": round(float(binomtest(accepted, len(null), alpha, alternative="greater").pvalue), 4),
            "accepted_with_stopping": sequential,
        },
        "naive": share(one.higher for one in null),
        "real_nulls": {outcome: real.count(outcome) for outcome in ("better", "worse", "undecided")},
        "power": power,
        "mix": {
            "shares": MIX,
            "items_saved": round(sum(part * power[shift]["items_saved"] for shift, part in MIX.items()), 3),
            "power_lost_at_most": round(
                max(one["accepted"] - one["accepted_with_stopping"] for shift, one in power.items() if shift > 0), 4
            ),
        },
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True, help="PEFT adapter that answers")
    parser.add_argument("--task", default="finance_starter")
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--engine", default=AUTO)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--experiments", type=int, default=3, help="that a run plans; they share the error rate")
    parser.add_argument("--comparisons", type=int, default=COMPARISONS, help="null comparisons")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/verdict_null"))
    arguments = parser.parse_args()
    pool = regenerate(arguments)
    metric, alpha = find_task(arguments.task).metric, alpha_share(arguments.experiments)
    print(json.dumps(summary(pool, metric, alpha, arguments.seed, arguments.comparisons)))


if __name__ == "__main__":
    main()
