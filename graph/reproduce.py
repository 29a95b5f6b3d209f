"""Make a delivered adapter again from its lineage: `python -m graph.reproduce deliver/lineage.json OUTPUT`.

The same recipe over the same sources, the same gates, the same training; then the hashes of rows and adapter are
compared with the recorded ones. Exit code 0 when both are equal, 1 when not.
"""

import argparse
import sys
from pathlib import Path

from eval.hardware import survey_hardware, versions
from graph.actions import prepare_data, row_limit, train
from graph.config import RunConfig
from graph.delivery import Lineage
from graph.progress import Terminal, complain
from graph.run_dir import RunDir
from graph.session import CACHE, opened
from tasks.failure import InputError, StageError
from tasks.record import read_record


def reproduce(lineage: Lineage, output: Path, cache: Path, data_root: Path | None) -> bool:
    """Prepare the data and train again in `output`; True when rows and adapter are the recorded ones.

    Raises:
        InputError, StageError: the data, the model or the training are not to be had here.
    """
    terminal = Terminal()
    config = _config(lineage, output, cache, data_root)
    for name, version in lineage.versions.items():
        if versions().get(name) != version:
            terminal.say(f"note: {name} is {versions().get(name)} here and was {version}")
    with opened(config, RunDir(output), survey_hardware(), terminal) as context:
        found = context.description.benchmark_hash
        if found != lineage.benchmark_hash:
            terminal.say(f"note: the benchmark is another one ({found}, was {lineage.benchmark_hash})")
        data = prepare_data(context, lineage.experiment, lineage.recipe, row_limit(context))
        training = train(context, lineage.experiment, data, lineage.config, 0, None)
    same_data = data.content_hash == lineage.data.content_hash
    same_adapter = training.adapter_hash == lineage.training.adapter_hash
    terminal.say(f"rows: {'the same' if same_data else 'different'} ({data.content_hash})")
    terminal.say(f"adapter: {'the same' if same_adapter else 'different'} ({training.adapter_hash})")
    terminal.say(f"the adapter lies in {output / training.adapter}")
    return same_data and same_adapter


def _config(lineage: Lineage, output: Path, cache: Path, data_root: Path | None) -> RunConfig:
    root = str(data_root.resolve()) if data_root else lineage.run_config.data_root
    return lineage.run_config.model_copy(
        update={"run": output.name, "memory": "off", "cache_dir": str(cache), "data_root": root, "budget_seconds": None}
    )


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lineage", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--cache-dir", type=Path, default=CACHE)
    parser.add_argument("--data-root", type=Path, help="where the data lies here, if elsewhere than in the run")
    arguments = parser.parse_args()
    try:
        lineage = read_record(arguments.lineage, Lineage)
        same = reproduce(lineage, arguments.output.absolute(), arguments.cache_dir.absolute(), arguments.data_root)
    except (InputError, StageError) as error:
        complain(str(error))
        return 2
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
