"""Check a task before anything is spent on it: `python -m tasks.check my_task/task.yaml [--model FOLDER]`.

Reads every source and the whole benchmark, shows three prompts as a model gets them, and tells: whether the references
score 1 and the empty answer 0, the sizes of the splits, what they have in common, how long the prompts are for a model,
and which difference a comparison can find.
"""

import argparse
import statistics
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

from tasks import scoring
from tasks.benchmark import LoadedBenchmark, load_benchmark
from tasks.catalogue import find_task, with_protocol
from tasks.detectable import detectable_effect
from tasks.failure import InputError
from tasks.rows import load_rows
from tasks.show import shown
from tasks.splits import content_key
from tasks.task import Protocol, Sample, Task

PROMPTS = 3
ALPHA = 0.1 / 3
"""Error rate of one decision of a run with three experiments."""
SPLITS = ("feedback", "selection", "test")


def report(task: Task, data_root: Path | None, model: str | None) -> Iterator[str]:
    """The lines that are printed.

    Raises:
        InputError: something is wrong with the task or its files.
    """
    for source in task.sources:
        rows = load_rows(source, task.base_dir, data_root)
        yield f"source {source.name}: {len(rows)} rows ({source.licence}); fields {', '.join(rows[0])}"
    benchmark = load_benchmark(task, data_root)
    yield from _prompts(benchmark)
    yield from _answers(benchmark)
    yield from _splits(benchmark)
    if model:
        yield _lengths(list(benchmark.samples.values()), model, task.max_new_tokens)
    yield from _power(task, benchmark)


def _prompts(benchmark: LoadedBenchmark) -> Iterator[str]:
    for sample in benchmark.of("feedback")[:PROMPTS]:
        yield shown(sample, 2000)


def _answers(benchmark: LoadedBenchmark) -> Iterator[str]:
    scorer = benchmark.scorer
    contract = scorer.contract()
    yield f"answers: {contract.description} For example: {contract.example}"
    if not scoring.compares(scorer):
        yield "references: answers are not compared with one"
        return
    samples = list(benchmark.samples.values())
    gold = Counter(map(_judged, scoring.score_all(scorer, [(sample.answer, sample) for sample in samples])))
    yield "references as answers: " + ", ".join(f"{count} {what}" for what, count in sorted(gold.items()))
    empty = sum(score.score for score in scoring.score_all(scorer, [("", sample) for sample in samples]))
    yield f"empty answers score {empty / len(samples):.3f}" + ("" if empty == 0 else ": it should be 0")


def _judged(score: Any) -> str:
    if not score.parsed:
        return "in another form than the scorer reads"
    return "score 1" if score.score == 1 else f"score {score.score:.2f}"


def _splits(benchmark: LoadedBenchmark) -> Iterator[str]:
    splits = benchmark.splits
    sizes = ", ".join(f"{name} {len(getattr(splits, name))}" for name in SPLITS)
    yield f"splits: {sizes}" + (" (feedback and selection are the same rows)" if splits.shared else "")
    groups = Counter(sample.group for sample in benchmark.samples.values())
    if len(groups) > 1:
        yield "groups: " + ", ".join(f"{group} {count}" for group, count in sorted(groups.items()))
    known = [{content_key(sample) for sample in benchmark.of(name)} for name in SPLITS]
    both = len((known[0] | known[1]) & known[2])
    yield f"questions both in the test split and in another: {both}"


def _lengths(samples: list[Sample], model: str, new_tokens: int) -> str:
    import transformers

    try:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(model)
        config: Any = transformers.AutoConfig.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise InputError(f"--model {model}: no tokenizer and configuration there ({str(error)[:200]})") from None
    lengths = sorted(len(ids) for ids in tokenizer([sample.prompt for sample in samples])["input_ids"])
    context = config.get_text_config().max_position_embeddings
    over = sum(length + new_tokens > context for length in lengths)
    return (
        f"tokens of a prompt for {model}: median {int(statistics.median(lengths))}, longest {lengths[-1]}; with "
        f"{new_tokens} new ones {over} of {len(lengths)} do not fit into {context}"
    )


def _power(task: Task, benchmark: LoadedBenchmark) -> Iterator[str]:
    n = len(benchmark.splits.selection)
    found = detectable_effect(n, ALPHA, samples=task.samples)
    yield f"one decision of three finds a difference of {found:.3f} on selection with 80 % ({n} items)"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the findings; the exit code is 2 when the task cannot be used."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.check", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", help="a task, or a task file (.yaml)")
    parser.add_argument("--data-root", type=Path, help="folder with data sets")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="honest")
    parser.add_argument("--model", help="folder or hub id of a model whose tokens are counted")
    arguments = parser.parse_args(argv)
    try:
        task = with_protocol(find_task(arguments.task), arguments.protocol)
        for line in report(task, arguments.data_root, arguments.model):
            print(line, flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
