"""Make a delivered adapter again from its lineage: `python -m graph.reproduce deliver/lineage.json [OUTPUT]`.

The same recipe over the same sources, the same gates, the same training; then the hashes of rows and adapter are
compared with the recorded ones. No mind is asked and no memory is read: the lineage holds the decisions themselves, and
what language models wrote for the rows lies beside it.
Everything is made anew, so OUTPUT must be a new folder; without one it is `reproduced` beside the lineage.

Exit code 0 when rows and adapter are the recorded ones, 1 when not, 2 when they cannot be made here.
"""

import argparse
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from eval.base_identity import identify
from eval.hardware import Hardware, survey_hardware, versions
from graph.actions import train
from graph.config import RunConfig
from graph.context import RunContext
from graph.delivery import BOUGHT, TASK_FILE
from graph.lineage import Lineage
from graph.preparation import prepare_data, row_limit
from graph.progress import Terminal, complain
from graph.run_dir import RunDir
from graph.session import CACHE, STEPS, opened
from memory.records import TrainingData, TrainingRun
from tasks.corpus import read_corpus
from tasks.failure import InputError, StageError
from tasks.record import read_record


def reproduce(lineage: Lineage, config: RunConfig, output: Path, bought: Path) -> bool:
    """Prepare the data and train again in `output`; True when rows and adapter are the recorded ones.

    Args:
        bought: folder of what models gave to the data steps, if there is one.

    Raises:
        InputError, StageError: the data, the model or the training are not to be had here.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"{output} exists already; name a new folder, in which everything is made anew")
    run, terminal, hardware = RunDir(output), Terminal(), survey_hardware()
    with opened(config, run, hardware, terminal, begin=run.create, warm=False) as context:
        notes = [*_other_inputs(lineage, context), *_other_machine(lineage, hardware)]
        for note in notes:
            terminal.say(f"note: {note}")
        limit = lineage.data.row_limit or row_limit(context)
        if bought.is_dir():
            shutil.copytree(bought, run.file(STEPS))
        data = prepare_data(context, lineage.experiment, lineage.recipe, limit, lineage.models)
        training = train(context, lineage.experiment, data, lineage.config, 0, None)
    for line in compare(lineage, data, training, notes):
        terminal.say(line)
    terminal.say(f"the adapter lies in {output / training.adapter}")
    return is_same(lineage, data, training)


def is_same(lineage: Lineage, data: TrainingData, training: TrainingRun) -> bool:
    """Whether rows and adapter are the recorded ones."""
    recorded = (lineage.data.content_hash, lineage.training.adapter_hash)
    return (data.content_hash, training.adapter_hash) == recorded


def compare(lineage: Lineage, data: TrainingData, training: TrainingRun, notes: list[str]) -> Iterator[str]:
    """What has come out, beside what is recorded, line by line.

    Args:
        notes: what is not as it was in the run.
    """
    was = lineage.training
    yield _outcome("rows", data.content_hash, lineage.data.content_hash)
    yield _outcome("adapter", training.adapter_hash, was.adapter_hash)
    if training.adapter_hash == was.adapter_hash:
        return
    yield f"loss {training.first_loss} to {training.final_loss}, recorded {was.first_loss} to {was.final_loss}"
    if data.content_hash != lineage.data.content_hash:
        yield "other rows make another adapter; the notes above say what else is different, if anything is"
    elif notes:
        yield "from the same rows another adapter was to be expected: what the notes above name decides the last bits"
    else:
        yield "nothing is known to be different from the run, so the training does not repeat itself on this machine"


def _outcome(what: str, found: str, recorded: str) -> str:
    return f"{what}: the same ({found})" if found == recorded else f"{what}: different ({found}, recorded {recorded})"


def _other_inputs(lineage: Lineage, context: RunContext) -> Iterator[str]:
    """What of the data and the model is not what the run used."""
    corpus, description = read_corpus(context.corpus), context.description
    if corpus.hash != lineage.corpus_hash:
        yield f"the sources are others ({corpus.hash}, were {lineage.corpus_hash}), so the rows may be too"
    if description.benchmark_hash != lineage.benchmark_hash:
        yield f"the benchmark is another one ({description.benchmark_hash}, was {lineage.benchmark_hash})"
    if identify(context.config.model, context.model).weights != lineage.base.weights:
        yield f"the weights of the base model {lineage.base.model} are others"


def _other_machine(lineage: Lineage, hardware: Hardware) -> Iterator[str]:
    """What of the software and the machine is not what the run had."""
    here = versions()
    for name, was in lineage.versions.items():
        if here.get(name) != was:
            yield f"{name} is {here.get(name, 'absent')} here and was {was}"
    for name, began in lineage.began_with.items():
        later = lineage.versions.get(name, "absent")
        yield f"the run was resumed: {name} was {began} when it began and {later} at its end"
    found, was = ((one.processor, one.cores, [gpu.name for gpu in one.gpus]) for one in (hardware, lineage.hardware))
    if found != was:
        yield f"the machine is {found[0]}, {found[1]} cores, GPUs {found[2]}, and was {was[0]}, {was[1]}, {was[2]}"


def find_again(lineage: Lineage, folder: Path, asked: argparse.Namespace) -> RunConfig:
    """The configuration of the run, with task, data and model where they lie here.

    Args:
        folder: where the lineage lies; the task file beside it serves when the run's own is gone.
        asked: `task`, `data_root`, `model`, `cache_dir` and `output` of the command line.

    Raises:
        InputError: something is not here; the message names the flag that says where it is.
    """
    recorded = lineage.run_config
    task = str(asked.task.resolve()) if asked.task else recorded.task
    if Path(task).is_absolute() and not Path(task).is_file():
        task = str(folder / TASK_FILE)
        if not Path(task).is_file():
            raise InputError(f"the task file {recorded.task} is not here; name it with --task")
    root = str(asked.data_root.resolve()) if asked.data_root else recorded.data_root
    if root and not Path(root).is_dir():
        raise InputError(f"the data folder {root} is not here; name it with --data-root")
    model = str(asked.model.resolve()) if asked.model else recorded.model
    if Path(model).is_absolute() and not Path(model).is_dir():
        raise InputError(f"the folder of the base model, {model}, is not here; name it with --model")
    places = {"run": asked.output.name, "task": task, "data_root": root, "model": model}
    spending = {"memory": "off", "cache_dir": str(asked.cache_dir.absolute()), "budget_seconds": None, "tiers": {}}
    return recorded.model_copy(update={**places, **spending})


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lineage", type=Path)
    parser.add_argument("output", type=Path, nargs="?")
    parser.add_argument("--task", type=Path, help="the task file, if it lies elsewhere than in the run")
    parser.add_argument("--data-root", type=Path, help="where the data lies, likewise")
    parser.add_argument("--model", type=Path, help="folder of the base model, likewise")
    parser.add_argument("--cache-dir", type=Path, default=CACHE)
    arguments = parser.parse_args()
    arguments.output = (arguments.output or arguments.lineage.with_name("reproduced")).absolute()
    try:
        lineage = read_record(arguments.lineage, Lineage)
        folder = arguments.lineage.absolute().parent
        config = find_again(lineage, folder, arguments)
        return 0 if reproduce(lineage, config, arguments.output, folder / BOUGHT) else 1
    except (InputError, StageError) as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
