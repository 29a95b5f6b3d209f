"""The evaluator: the only process that holds benchmark rows and reference answers.

`python -P -m eval.evaluator --task REF --cache DIR --socket PATH [--data-root DIR]` serves, on a Unix socket:

- `describe`: sizes and hashes of the splits, where the training-only corpus lies;
- `evaluate`: scores a checkpoint on feedback or selection with the run's warm engine; on selection it stops early where
  the checkpoint cannot be found better any more;
- `compare`: the verdict between two evaluated checkpoints on selection;
- `probe`: what a checkpoint has lost elsewhere (`eval/probe.py`);
- `decontaminate`: candidate training rows in, rows that leak no benchmark item out, and a rounded count of the others;
- `test`: opens the sealed split, against an entry in the ledger, for the end of a run;
- `unseal`: the same for a person at the command line (`eval/run.py`); then `evaluate` scores it too.

Calls name the run directory; per-item records of selection and test go to its `sealed/`. Roles learn of them nothing
but rounded aggregates and verdicts. Completions are cached one by one, so a killed evaluation goes on where it
stopped, in the same batches.
"""

import argparse
import math
import threading
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from eval import probe
from eval.completion_cache import CompletionCache
from eval.engine import Checkpoint, Completion, EngineInfo, Sampling
from eval.evaluator_client import (
    CPU_NEW_TOKENS,
    CPU_SAMPLES,
    ENGINE_LOST,
    SHARED_SAMPLES,
    Description,
    Rival,
    TestResult,
)
from eval.hardware import survey_hardware
from eval.leaks import LeakGuard
from eval.ledger import open_test
from eval.probe import grade, probe_items, regression
from eval.replication import recipe_effect
from eval.result import EvalResult, ItemResult, Split, scored_items, summarise
from eval.sequential import in_order, looks
from eval.service import Method, Progress, call, serve
from eval.verdict import Verdict, compare, is_hopeless, paired
from tasks.benchmark import LoadedBenchmark, benchmark_hash, load_benchmark
from tasks.catalogue import find_task, with_protocol
from tasks.corpus import materialise
from tasks.failure import FailureKind, StageError
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Protocol, Sample, Task

ENGINE_SILENCE = 1800.0
"""Seconds without a finished prompt after which the engine is held for dead."""
TEST_ALPHA = 0.05
TEMPERATURE = 0.7
"""Of sampled completions, where the task does not say."""
TOP_P = 0.95


class Evaluator:
    """The state behind the service."""

    def __init__(self, task: Task, data_root: Path | None, cache: Path) -> None:
        self._task = task
        self._data_root = data_root
        self._cache_root = cache
        self._loaded: LoadedBenchmark | None = None
        self._run_dir: Path | None = None
        self._completions: CompletionCache | None = None
        self._lock = threading.Lock()

    def describe(self, progress: Progress) -> dict[str, Any]:
        """Load and check everything; returns a `Description`."""
        corpus = materialise(self._task, self._data_root, self._cache_root)
        splits = self._benchmark.splits
        groups: dict[str, int] = {}
        for sample in self._benchmark.samples.values():
            groups[sample.group] = groups.get(sample.group, 0) + 1
        return Description(
            task=self._task,
            feedback=len(splits.feedback),
            selection=len(splits.selection),
            test=len(splits.test),
            shared=splits.shared,
            samples=self._samples("selection"),
            test_samples=self._samples("test"),
            new_tokens=self._new_tokens,
            groups=dict(sorted(groups.items())),
            benchmark_hash=benchmark_hash(self._benchmark),
            related=self._guard.related,
            corpus=str(corpus),
            options=self._options(),
        ).model_dump(mode="json")

    def methods(self) -> dict[str, Method]:
        """What the service answers."""
        names = ("evaluate", "compare", "probe", "decontaminate", "test", "unseal")
        return {"describe": self.describe, **{name: self._within(getattr(self, name)) for name in names}}

    def _within(self, method: Method) -> Method:
        def call_in(progress: Progress, run_dir: str, **parameters: Any) -> Any:
            with self._lock:
                if self._run_dir != Path(run_dir):
                    self._run_dir = Path(run_dir)
                    self._completions = CompletionCache(self._sealed / "completions.sqlite")
            return method(progress, **parameters)

        return call_in

    def evaluate(
        self,
        progress: Progress,
        label: str,
        split: Split,
        checkpoint: dict[str, Any],
        engine: str,
        seed: int,
        rival: dict[str, Any] | None = None,
        opener: str = "",
    ) -> dict[str, Any]:
        """Score a checkpoint on a split; returns an `EvalResult`.

        Args:
            label: names the records: `feedback.jsonl` in the experiment's folder, `LABEL.selection.jsonl` sealed.
            engine: socket of the engine service.
            rival: a `Rival` to beat on selection; the evaluation stops where it is clear that it will not.
            opener: in whose name the test split is open, see `unseal`.
        """
        if split == "test":
            if not opener:
                raise ValueError("the test split is sealed")
            self.unseal(progress, opener)  # again: the process that did it may have died
        against = Rival.model_validate(rival) if rival and split == "selection" else None
        result = self._score(label, split, Checkpoint.model_validate(checkpoint), Path(engine), seed, progress, against)
        return result.model_dump(mode="json")

    def compare(
        self,
        progress: Progress,
        label: str,
        incumbent: str,
        alpha: float,
        seed: int,
        split: Split = "selection",
        replicates: Sequence[str] = (),
        incumbent_replicates: Sequence[str] = (),
    ) -> dict[str, Any]:
        """The `Verdict` between two evaluated labels on a split.

        Args:
            replicates: labels of the candidate's recipe with other seeds; the verdict then tells of the recipe too.
            incumbent_replicates: the same of the incumbent's.
        """
        verdict = self._verdict(label, incumbent, split, alpha, seed)
        if replicates:
            candidates = [self._answered(name, split) for name in (label, *replicates)]
            incumbents = [self._answered(name, split) for name in (incumbent, *incumbent_replicates)]
            recipe = recipe_effect(candidates, incumbents, self._task.metric)
            verdict = verdict.model_copy(update={"recipe": recipe})
        return verdict.model_dump(mode="json")

    def probe(
        self, progress: Progress, label: str, baseline: dict[str, Any], checkpoint: dict[str, Any], engine: str
    ) -> dict[str, Any]:
        """The `Regression` of a checkpoint against the untouched model; answers go to `probe/LABEL.jsonl`."""
        before = self._probed("baseline", Checkpoint.model_validate(baseline), Path(engine), progress)
        after = self._probed(label, Checkpoint.model_validate(checkpoint), Path(engine), progress)
        return regression(before, after).model_dump(mode="json")

    def _probed(self, label: str, checkpoint: Checkpoint, engine: Path, progress: Progress) -> list[ItemResult]:
        samples = [Sample(id=item.id, prompt=item.prompt, answer=item.example) for item in probe_items()]
        completions, _ = self._complete(samples, checkpoint, probe.SAMPLING, engine, progress)
        items = grade(completions)
        write_jsonl(self._attached / "probe" / f"{label}.jsonl", items)
        return items

    def decontaminate(self, progress: Progress, rows: str, kept: str) -> int:
        """Copy the rows of one file that leak no benchmark item to another; the others go to `sealed/leaks/`.

        Returns:
            How many leaks there are at most, see `LeakGuard.clean`.
        """
        return self._guard.clean(Path(rows), Path(kept), self._sealed / "leaks" / Path(rows).name)

    def test(
        self,
        progress: Progress,
        run: str,
        baseline: dict[str, Any],
        best: dict[str, Any] | None,
        engine: str,
        seed: int,
    ) -> dict[str, Any]:
        """Open the sealed split for the baseline and the delivered checkpoint; returns a `TestResult`."""
        openings = self.unseal(progress, run)
        before = self._score("baseline", "test", Checkpoint.model_validate(baseline), Path(engine), seed, progress)
        after = verdict = None
        if best:
            after = self._score("best", "test", Checkpoint.model_validate(best), Path(engine), seed, progress)
            verdict = self._verdict("best", "baseline", "test", TEST_ALPHA, seed)
        return TestResult(baseline=before, best=after, verdict=verdict, openings=openings).model_dump(mode="json")

    def unseal(self, progress: Progress, run: str) -> int:
        """Open the test split in the name of a run; returns how often it has been opened. Once for each run counts."""
        return open_test(self._cache_root, self._task.name, benchmark_hash(self._benchmark), run)

    def _options(self) -> int | None:
        numbers = {len(sample.options) for sample in self._benchmark.samples.values()}
        return numbers.pop() if self._task.scorer["name"] == "choice" and len(numbers) == 1 else None

    @property
    def _benchmark(self) -> LoadedBenchmark:
        if self._loaded is None:
            self._loaded = load_benchmark(self._task, self._data_root)
        return self._loaded

    @cached_property
    def _guard(self) -> LeakGuard:
        return LeakGuard(self._task, self._data_root, self._benchmark, self._cache_root)

    @property
    def _sealed(self) -> Path:
        return self._attached / "sealed"

    @property
    def _attached(self) -> Path:
        if self._run_dir is None:
            raise RuntimeError("no run directory is attached")
        return self._run_dir

    def _records(self, label: str, split: Split) -> Path:
        if split == "feedback" and self._run_dir:
            return self._run_dir / "experiments" / label / "feedback.jsonl"
        return self._sealed / f"{label}.{split}.jsonl"

    def _score(
        self,
        label: str,
        split: Split,
        checkpoint: Checkpoint,
        engine: Path,
        seed: int,
        progress: Progress,
        rival: Rival | None = None,
    ) -> EvalResult:
        started = time.monotonic()
        samples, sampling = self._benchmark.of(split), self._sampling(split, seed)
        # Without a rival too the items of a look are batched together, so that both sides are answered in like batches.
        parts = self._looks(samples) if split == "selection" else [samples]
        items: list[ItemResult] = []
        generated = 0
        for part in parts:
            before = len(items)
            completions, new = self._complete(
                part, checkpoint, sampling, engine, lambda done, _, n=before: progress(n + done, len(samples))
            )
            generated += new
            items += scored_items(self._benchmark.scorer, part, completions)
            if rival and len(items) < len(samples) and self._is_hopeless(items, len(samples), rival):
                break
        place = {sample.id: number for number, sample in enumerate(samples)}
        items.sort(key=lambda item: place[item.id])
        write_jsonl(self._records(label, split), items)
        return summarise(
            items,
            split,
            self._task.metric,
            generated=generated,
            seconds=time.monotonic() - started,
            split_n=len(samples),
        )

    def _looks(self, samples: list[Sample]) -> list[list[Sample]]:
        """The items of a split, cut where a candidate is looked at."""
        ordered = in_order(samples, benchmark_hash(self._benchmark))
        ends = looks(len(ordered))
        return [ordered[start:end] for start, end in zip([0, *ends], ends, strict=False)]

    def _is_hopeless(self, items: list[ItemResult], split_n: int, rival: Rival) -> bool:
        ids = {item.id for item in items}
        pairs = paired(items, [item for item in self._answered(rival.label, "selection") if item.id in ids])
        return is_hopeless(pairs, self._task.metric, split_n, rival.alpha)

    def _sampling(self, split: Split, seed: int) -> Sampling:
        samples = self._samples(split)
        if samples == 1:
            return Sampling(max_new_tokens=self._new_tokens)
        return Sampling(
            max_new_tokens=self._new_tokens,
            temperature=self._task.temperature or TEMPERATURE,
            top_p=TOP_P,
            samples=samples,
            seed=seed,
        )

    def _samples(self, split: Split) -> int:
        if self._task.samples > 1:
            return self._task.samples if survey_hardware().gpus else min(self._task.samples, CPU_SAMPLES)
        return SHARED_SAMPLES if self._benchmark.splits.shared and split != "test" else 1

    @cached_property
    def _new_tokens(self) -> int:
        asked = self._task.max_new_tokens
        return asked if survey_hardware().gpus else min(asked, CPU_NEW_TOKENS)

    def _complete(
        self, samples: list[Sample], checkpoint: Checkpoint, sampling: Sampling, engine: Path, progress: Progress
    ) -> tuple[list[list[Completion]], int]:
        """Completions in the order of the samples, and how many prompts were generated now.

        Chunks are cut from all samples by length before the cache is asked, so a resumed evaluation generates a
        missing chunk in the batches of an undisturbed one.
        """
        cache = self._completions
        if cache is None:
            raise RuntimeError("no run directory is attached")
        info = EngineInfo.model_validate(_engine(engine, "info"))
        keys = [cache.key(info, checkpoint, sampling, sample.prompt) for sample in samples]
        order = sorted(range(len(samples)), key=lambda index: (len(samples[index].prompt), samples[index].id))
        generated = 0
        size = math.ceil(len(order) / math.ceil(len(order) / info.chunk))  # chunks of like size
        for start in range(0, len(order), size):
            chunk = order[start : start + size]
            if not cache.holds([keys[index] for index in chunk]):
                base = start

                def moved(done: int, total: int, base: int = base) -> None:
                    progress(base + done, len(samples))

                found = _engine(
                    engine,
                    "generate",
                    moved,
                    prompts=[samples[index].prompt for index in chunk],
                    sampling=sampling.model_dump(),
                    checkpoint=checkpoint.model_dump(),
                )
                cache.store([keys[index] for index in chunk], found)
                generated += len(chunk)
            progress(start + len(chunk), len(samples))
        return [cache.load(key) for key in keys], generated

    def _verdict(self, label: str, incumbent: str, split: Split, alpha: float, seed: int) -> Verdict:
        """On the items that both have answered: an evaluation may have stopped early."""
        candidate, other = self._answered(label, split), self._answered(incumbent, split)
        both = {item.id for item in candidate} & {item.id for item in other}
        return compare(
            [item for item in candidate if item.id in both],
            [item for item in other if item.id in both],
            self._task.metric,
            incumbent_number=int(incumbent) if incumbent.isdigit() else 0,
            alpha=alpha,
            seed=seed,
            split_n=len(self._benchmark.of(split)),
        )

    def _answered(self, label: str, split: Split) -> list[ItemResult]:
        """The items that were answered under a label."""
        return [ItemResult.model_validate(row) for row in read_jsonl(self._records(label, split))]


def _engine(socket: Path, method: str, progress: Progress | None = None, **parameters: Any) -> Any:
    try:
        return call(socket, method, progress, silence=ENGINE_SILENCE, **parameters)
    except (EOFError, OSError) as error:
        raise StageError(ENGINE_LOST, FailureKind.ENVIRONMENT, f"the engine went away: {error!r}") from error


def main() -> None:
    """Serve one task until the parent dies."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", required=True)
    parser.add_argument("--protocol", choices=get_args(Protocol), default="honest")
    parser.add_argument("--data-root", type=Path)
    parser.add_argument("--cache", required=True, type=Path)
    parser.add_argument("--socket", required=True, type=Path)
    arguments = parser.parse_args()

    def prepare() -> dict[str, Method]:
        task = with_protocol(find_task(arguments.task), arguments.protocol)
        return Evaluator(task, arguments.data_root, arguments.cache).methods()

    serve(arguments.socket, prepare)


if __name__ == "__main__":
    main()
