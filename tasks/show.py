"""Show items of a task as a model gets them: `python -m tasks.show TASK [--split feedback] [-n 3] [--data-root DIR]`.

For a person who wants to see what is asked. The test split stays sealed.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from tasks.benchmark import load_benchmark
from tasks.catalogue import find_task, with_protocol
from tasks.failure import InputError
from tasks.task import Protocol, Sample

_WIDTH = 100


def shown(sample: Sample, longest: int) -> str:
    """An item in words.

    Args:
        longest: characters of the prompt beyond which its middle is left out.
    """
    prompt = sample.prompt
    if len(prompt) > longest:
        half = longest // 2
        prompt = f"{prompt[:half]}\n[... {len(prompt) - 2 * half} characters ...]\n{prompt[-half:]}"
    heading = f"--- item {sample.id}, {sample.group} ".ljust(_WIDTH, "-")
    return f"{heading}\n{prompt}\n--- reference\n{sample.answer}\n"


def main(argv: Sequence[str] | None = None) -> int:
    """Print the items; the exit code is 2 for wrong input."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.show", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", help="a task, or a task file (.yaml)")
    parser.add_argument("--split", choices=("feedback", "selection"), default="feedback")
    parser.add_argument("-n", type=int, default=3, help="items (default: 3)")
    parser.add_argument("--data-root", type=Path, help="folder with data sets")
    parser.add_argument("--protocol", choices=get_args(Protocol), default="honest")
    parser.add_argument("--longest", type=int, default=4000, help="characters of a prompt (default: 4000)")
    arguments = parser.parse_args(argv)
    try:
        task = with_protocol(find_task(arguments.task), arguments.protocol)
        benchmark = load_benchmark(task, arguments.data_root)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    for sample in benchmark.of(arguments.split)[: arguments.n]:
        print(shown(sample, arguments.longest))
    contract = benchmark.scorer.contract()
    print(f"--- answers\n{contract.description}\nfor example: {contract.example}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
