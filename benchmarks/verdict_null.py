"""Does the verdict keep its promise? Comparisons of one adapter with itself, and with itself made better or worse.

    python -m benchmarks.verdict_null --adapter RUN/deliver/adapter [--other RUN2/deliver/adapter]

First every selection item is answered 40 times by each adapter, with other random streams; that is done once and kept
in `--out`. Then comparisons are drawn from these real answers. Facts are drawn with replacement, with all of their
items, until there are as many items as the split has; of each item two different answers of the 40 are taken, one for
either side. Both sides come from one adapter, so each acceptance is an error. Effects are made by turning all of a
fact's answers of the candidate right, or wrong, with some chance.

Prints one JSON line:

- `null`: accepted of all null comparisons, with the exact binomial test of "more than alpha" and the upper 95 % limit
  of the rate (Clopper and Pearson 1934); `naive` is how often "the higher score wins" accepts the same nulls.
- `null_of_two`: with `--other`, where the sides are two adapters that change places fact by fact at random: no side is
  better, but items and facts have effects of their own.
- `real_nulls`: verdicts of 20 whole regenerations against 20 others.
- `power`: accepted by effect, with every item and with stopping (`eval/sequential.py`).
- `mix`: on the declared mix of effects the items that stopping saves, and the points of power that it costs.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest

from eval.adapter import adapter_hash
from eval.base_model import SMOLLM2
from eval.devices import plan_devices
from eval.engine import Checkpoint, Sampling
from eval.engine_client import AUTO, choose_engine, engine_service, model_folder
from eval.hardware import survey_hardware
from eval.power import detectable_effect
from eval.result import ItemResult
from eval.sequential import looks
from eval.verdict import alpha_share, compare, is_hopeless, paired
from tasks.benchmark import LoadedBenchmark, load_benchmark
from tasks.catalogue import find_task
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Metric, Task

REGENERATIONS = 40
TEMPERATURE = 0.7
COMPARISONS = 10_000
FEWER = 2_000
"""Comparisons for each effect that is not null."""
MIX = {-0.05: 0.2, -0.02: 0.2, 0.0: 0.3, 0.02: 0.1, 0.05: 0.1, 0.1: 0.1}
"""Share of each true effect among the candidates of a laboratory: most changes do little or harm."""
CACHE = Path.home() / ".cache" / "ft-dojo"

Facts = list[list[ItemResult]]
"""Items by what is independent."""


class Outcome(NamedTuple):
    """What became of one comparison."""

    accepted: bool
    """By the verdict on all items."""
    stopped_at: int
    """Items after which the sequential rule ended the evaluation."""
    higher: bool
    """The candidate's score is above the incumbent's."""


def regenerated(adapter: Path, arguments: argparse.Namespace, task: Task, benchmark: LoadedBenchmark) -> Facts:
    """Every selection item answered many times by an adapter; kept in `--out`."""
    name = adapter_hash(adapter)
    kept = arguments.out / f"{name}.jsonl"
    if not kept.exists():
        write_jsonl(kept, _answer(adapter, name, arguments, task, benchmark))
    facts: dict[str, list[ItemResult]] = defaultdict(list)
    for row in read_jsonl(kept):
        item = ItemResult.model_validate(row)
        facts[item.unit].append(item)
    return list(facts.values())


def _answer(
    adapter: Path, name: str, arguments: argparse.Namespace, task: Task, benchmark: LoadedBenchmark
) -> Iterator[ItemResult]:
    samples, model = benchmark.of("selection"), model_folder(arguments.model, CACHE)
    arguments.out.mkdir(parents=True, exist_ok=True)
    devices = plan_devices(survey_hardware().gpus, model)
    engine = engine_service(choose_engine(arguments.engine), model, arguments.out / "engine.log", devices)
    checkpoint = Checkpoint(model=str(model), adapter=str(adapter.absolute()), adapter_hash=name)
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
    for sample, completions in zip(samples, found, strict=True):
        scores = [benchmark.scorer.score(completion["text"], sample) for completion in completions]
        yield ItemResult(
            id=sample.id, group=sample.group, cluster=sample.cluster, prompt="", answer="", completions=(),
            scores=tuple(score.score for score in scores), parsed=tuple(score.parsed for score in scores),
            truncated=False,
        )  # fmt: skip


def answered(item: ItemResult, place: int, fact: int, score: float) -> ItemResult:
    """An item as one side answered it; `place` and `fact` tell apart what was drawn twice."""
    return ItemResult.model_construct(
        id=f"{place:05}", group=item.group, cluster=f"{fact:05}", scores=(score,), parsed=(True,), prompt="", answer="",
        completions=(), truncated=False,
    )  # fmt: skip


class Draw:
    """Two sides that are filled fact by fact."""

    def __init__(self) -> None:
        self.candidate: list[ItemResult] = []
        self.incumbent: list[ItemResult] = []

    def add(self, fact: int, item: ItemResult, candidate: float, incumbent: float) -> None:
        """One item's scores on either side."""
        place = len(self.candidate)
        self.candidate.append(answered(item, place, fact, candidate))
        self.incumbent.append(answered(item, place, fact, incumbent))


def draw(facts: Facts, n: int, shift: float, rng: np.random.Generator) -> Draw:
    """A candidate and an incumbent of the same adapter, whose expected scores then differ by `shift`."""
    mean = float(np.mean([item.score for fact in facts for item in fact]))
    turned = shift / (1 - mean) if shift > 0 else -shift / mean
    made = Draw()
    ones = rng.integers(REGENERATIONS, size=n)
    others = (ones + rng.integers(1, REGENERATIONS, size=n)) % REGENERATIONS
    number = place = 0
    while place < n:
        turns = rng.random() < turned
        for item in facts[rng.integers(len(facts))][: n - place]:
            made.add(number, item, float(shift > 0) if turns else item.scores[ones[place]], item.scores[others[place]])
            place += 1
        number += 1
    return made


def draw_of_two(facts: Facts, others: dict[str, ItemResult], n: int, rng: np.random.Generator) -> Draw:
    """Two adapters that change places fact by fact at random, so that neither side is better."""
    made = Draw()
    number = 0
    while len(made.candidate) < n:
        swapped = rng.random() < 0.5
        for item in facts[rng.integers(len(facts))][: n - len(made.candidate)]:
            one, other = item.scores[rng.integers(REGENERATIONS)], others[item.id].scores[rng.integers(REGENERATIONS)]
            made.add(number, item, *((other, one) if swapped else (one, other)))
        number += 1
    return made


def judge(sides: Draw, metric: Metric, alpha: float, seed: int) -> Outcome:
    """The verdict on all items, where the sequential rule would have stopped, and the naive rule."""
    n = len(sides.candidate)
    verdict = compare(sides.candidate, sides.incumbent, metric, incumbent_number=0, alpha=alpha, seed=seed)
    stops = (
        look
        for look in looks(n)[:-1]
        if is_hopeless(paired(sides.candidate[:look], sides.incumbent[:look]), metric, n, alpha)
    )
    return Outcome(verdict.outcome == "better", next(stops, n), verdict.effect > 0)


def regenerations(facts: Facts, metric: Metric, alpha: float) -> list[str]:
    """The verdict on each whole regeneration against one that is compared with no other."""
    columns = [
        [answered(item, place, fact, item.scores[k]) for place, (fact, item) in enumerate(_numbered(facts))]
        for k in range(REGENERATIONS)
    ]
    return [
        compare(one, other, metric, incumbent_number=0, alpha=alpha, seed=seed).outcome
        for seed, (one, other) in enumerate(zip(columns[::2], columns[1::2], strict=True))
    ]


def _numbered(facts: Facts) -> Iterator[tuple[int, ItemResult]]:
    return ((number, item) for number, fact in enumerate(facts) for item in fact)


def share(values: Iterable[bool]) -> float:
    """Share of what is true."""
    return round(float(np.mean(list(values))), 4)


def errors(outcomes: Sequence[Outcome], n: int, alpha: float) -> dict[str, Any]:
    """How often nothing was accepted as something, and what is sure of it."""
    accepted = sum(one.accepted for one in outcomes)
    found = binomtest(accepted, len(outcomes), alpha, alternative="greater")
    upper = binomtest(accepted, len(outcomes), alpha).proportion_ci(0.9, method="exact").high
    return {
        "comparisons": len(outcomes),
        "accepted": accepted,
        "rate": round(accepted / len(outcomes), 4),
        "upper_limit": round(float(upper), 4),
        "p_exact": round(float(found.pvalue), 4),
        "accepted_with_stopping": sum(one.accepted and one.stopped_at == n for one in outcomes),
    }


def seen(outcomes: Sequence[Outcome], n: int) -> dict[str, float]:
    """What one effect leads to."""
    return {
        "accepted": share(one.accepted for one in outcomes),
        "accepted_with_stopping": share(one.accepted and one.stopped_at == n for one in outcomes),
        "items_saved": round(1 - float(np.mean([one.stopped_at for one in outcomes])) / n, 3),
    }


def summary(facts: Facts, others: Facts | None, metric: Metric, alpha: float, comparisons: int) -> dict[str, Any]:
    """All that the docstring of this file promises."""
    n = sum(map(len, facts))
    fewer = max(1, comparisons * FEWER // COMPARISONS)
    found: dict[float, list[Outcome]] = {}
    for number, shift in enumerate(MIX):
        rng = np.random.default_rng(number)
        rounds = fewer if shift else comparisons
        found[shift] = [judge(draw(facts, n, shift, rng), metric, alpha, seed) for seed in range(rounds)]
    null, power = found[0.0], {shift: seen(outcomes, n) for shift, outcomes in found.items()}
    result: dict[str, Any] = {
        "items": n,
        "facts": len(facts),
        "mean": round(float(np.mean([item.score for fact in facts for item in fact])), 3),
        "alpha": round(alpha, 4),
        "detectable": round(detectable_effect(n, alpha), 3),
        "null": errors(null, n, alpha),
        "naive": share(one.higher for one in null),
    }
    if others:
        by_id, rng = {item.id: item for fact in others for item in fact}, np.random.default_rng(len(MIX))
        of_two = [judge(draw_of_two(facts, by_id, n, rng), metric, alpha, seed) for seed in range(comparisons)]
        result["null_of_two"] = errors(of_two, n, alpha)
    real = regenerations(facts, metric, alpha)
    lost = max(one["accepted"] - one["accepted_with_stopping"] for shift, one in power.items() if shift > 0)
    return {
        **result,
        "real_nulls": {outcome: real.count(outcome) for outcome in ("better", "worse", "undecided")},
        "power": power,
        "mix": {
            "shares": MIX,
            "items_saved": round(sum(part * power[shift]["items_saved"] for shift, part in MIX.items()), 3),
            "power_lost_at_most": round(lost, 4),
        },
    }


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--adapter", type=Path, required=True, help="PEFT adapter that answers")
    parser.add_argument("--other", type=Path, help="another one, for nulls in which items have effects")
    parser.add_argument("--task", default="finance_starter", help="whose metric is better when it is higher")
    parser.add_argument("--model", default=SMOLLM2)
    parser.add_argument("--engine", default=AUTO)
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--experiments", type=int, default=3, help="that a run plans; they share the error rate")
    parser.add_argument("--comparisons", type=int, default=COMPARISONS, help="null comparisons")
    parser.add_argument("--out", type=Path, default=Path("runs/verdict_null"))
    arguments = parser.parse_args()
    task = find_task(arguments.task)
    benchmark = load_benchmark(task, arguments.data_root)
    facts = regenerated(arguments.adapter, arguments, task, benchmark)
    others = regenerated(arguments.other, arguments, task, benchmark) if arguments.other else None
    print(json.dumps(summary(facts, others, task.metric, alpha_share(arguments.experiments), arguments.comparisons)))


if __name__ == "__main__":
    main()
