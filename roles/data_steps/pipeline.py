"""Carrying out a data recipe: typed steps and scripts in sandboxes, every output kept under the hash of its making.

A recipe is cut into segments: consecutive typed steps share one process, a script has its own. The output of step k is
named by hash(corpus, seed, task, steps 1 to k with their versions), so a recipe that shares a prefix with an earlier
one starts where they part.
"""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from memory.records import DataRecipe, Flow, Step
from roles.data_steps import SCRIPT, load_step
from roles.data_steps.row import DataRow
from roles.data_steps.script import Script
from tasks import sandbox
from tasks.child import CHECKOUT, child_environment, module_command
from tasks.corpus import read_corpus
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import Record, digest, explain, read_jsonl, read_record, write_jsonl, write_record, write_text
from tasks.supervise import Limits
from tasks.task import Task

STAGE = "prepare_data"
_ROOMS = ("tasks", "eval", "memory", "roles")
_STARTER = CHECKOUT / "tasks" / "starter"
"""Holds the benchmark of the embedded task, so no step may see it."""


class GateRequest(Record):
    """What the gate needs beside the rows."""

    tokenizer: str
    """Folder of the target model's tokenizer."""
    max_length: int
    output: str
    """Path without suffix: rows go to `.jsonl`, the report to `.json`."""


class SegmentRequest(Record):
    """Typed steps to apply in one process."""

    task: Task
    corpus: str
    seed: int
    sources: tuple[str, ...]
    rows: str | None
    """Rows to start from; None starts from the raw sources."""
    steps: tuple[Step, ...]
    outputs: tuple[str, ...]
    """One path without suffix a step."""
    gate: GateRequest | None = None


class SegmentReport(Record):
    """What one step left."""

    rows: int
    removed: dict[str, int]
    changed: dict[str, int] = Field(default_factory=dict)


class GateReport(SegmentReport):
    """What the gate left."""


class PreparedRows(Record):
    """The outcome of a recipe before decontamination."""

    path: str
    """`GatedRow`s as JSON Lines."""
    rows: int
    """How many there are."""
    removed: dict[str, int]
    """Rows dropped by step and reason."""
    flow: tuple[Flow, ...]
    """The recipe step by step, from `sources` to `gate`."""


def read_rows(path: Path) -> list[DataRow]:
    """Rows that a step or a script wrote.

    Raises:
        InputError: a line is not a row; it names the file and the line.
    """
    rows: list[DataRow] = []
    for number, row in enumerate(read_jsonl(path), start=1):
        try:
            rows.append(DataRow.model_validate(row))
        except ValidationError as error:
            raise InputError(f"{path.name}, row {number}: {explain(error)}") from None
    return rows


class Pipeline:
    """Applies recipes of one run. `folder` keeps step outputs; `model` holds the target tokenizer."""

    def __init__(self, task: Task, corpus: Path, folder: Path, model: Path, seed: int, *, unsafe: bool = False) -> None:
        self._task = task
        self._corpus = corpus
        self._folder = folder.absolute()
        self._model = model
        self._seed = seed
        self._unsafe = unsafe

    def apply(self, recipe: DataRecipe, max_length: int, script_folder: Path) -> PreparedRows:
        """Apply a recipe and the gate.

        Args:
            max_length: tokens a row may have.
            script_folder: the only folder that scripts of this recipe may write to.

        Raises:
            StageError: CONFIG (unknown source, step or parameter), DATA, FORMAT, SANDBOX or TIMEOUT.
        """
        self._check(recipe)
        outputs = self._outputs(recipe)
        done = max((k + 1 for k in range(len(outputs)) if self._is_done(outputs[k])), default=0)
        while done < len(recipe.steps):
            done = self._segment(recipe, outputs, done, script_folder)
        _refuse_nothing(self._flow(recipe, outputs))
        last = outputs[-1] if outputs else None
        gated = self._folder / digest([str(last), recipe.sources, self._model.name, max_length, "gate"])
        if not self._is_done(gated):
            gate = GateRequest(tokenizer=str(self._model), max_length=max_length, output=str(gated))
            self._run(recipe, (), (), last, gate)
        flow = self._flow(recipe, [*outputs, gated])
        removed: Counter[str] = Counter()
        for stage in flow:
            for reason, count in stage.removed.items():
                removed[f"{stage.step}: {reason}"] += count
        rows = read_record(gated.with_suffix(".json"), SegmentReport).rows
        return PreparedRows(path=str(gated.with_suffix(".jsonl")), rows=rows, removed=dict(removed), flow=flow)

    def _flow(self, recipe: DataRecipe, outputs: Sequence[Path]) -> tuple[Flow, ...]:
        """What each step left; `outputs` has one path a step, and then the gate's."""
        raw = sum(source.rows for source in read_corpus(self._corpus).sources if source.name in recipe.sources)
        stages = [Flow(step="sources", rows=raw)]
        for name, output in zip([*(step.name for step in recipe.steps), "gate"], outputs, strict=False):
            report = read_record(output.with_suffix(".json"), SegmentReport)
            stages.append(Flow(step=name, rows=report.rows, removed=report.removed, changed=report.changed))
        return tuple(stages)

    def _check(self, recipe: DataRecipe) -> None:
        known = [source.name for source in read_corpus(self._corpus).sources]
        for name in recipe.sources:
            if name not in known:
                raise StageError(STAGE, FailureKind.CONFIG, f"unknown source '{name}'; known: {', '.join(known)}")
        for step in recipe.steps:
            load_step(step)

    def _outputs(self, recipe: DataRecipe) -> list[Path]:
        """Where each step's rows go, without suffix."""
        made = digest([self._corpus.name, self._seed, self._task, sorted(recipe.sources)])
        outputs: list[Path] = []
        for step in recipe.steps:
            made = digest([made, step, type(load_step(step)).version])
            outputs.append(self._folder / made)
        return outputs

    def _is_done(self, output: Path) -> bool:
        return output.with_suffix(".json").exists() and output.with_suffix(".jsonl").exists()

    def _segment(self, recipe: DataRecipe, outputs: list[Path], done: int, script_folder: Path) -> int:
        """Run the next script, or all typed steps up to the next script; returns the steps done."""
        before = outputs[done - 1] if done else None
        step = recipe.steps[done]
        if step.name == SCRIPT:
            self._script(step, before, outputs[done], script_folder)
            return done + 1
        end = next((k for k in range(done, len(outputs)) if recipe.steps[k].name == SCRIPT), len(outputs))
        self._run(recipe, recipe.steps[done:end], outputs[done:end], before, None)
        return end

    def _run(
        self,
        recipe: DataRecipe,
        steps: Sequence[Step],
        outputs: Sequence[Path],
        before: Path | None,
        gate: GateRequest | None,
    ) -> None:
        request = SegmentRequest(
            task=self._task,
            corpus=str(self._corpus),
            seed=self._seed,
            sources=tuple(sorted(recipe.sources)),
            rows=str(before.with_suffix(".jsonl")) if before else None,
            steps=tuple(steps),
            outputs=tuple(str(output) for output in outputs),
            gate=gate,
        )
        path = self._folder / f"{digest(request)}.request.json"
        failure = path.with_suffix(".failure.json")
        failure.unlink(missing_ok=True)
        write_record(path, request)
        rooms = [CHECKOUT / room for room in _ROOMS]
        mounts = sandbox.Mounts(
            readonly=sandbox.same(*rooms, self._corpus, self._model),
            writable=sandbox.same(self._folder),
            masked=(_STARTER,),
        )
        environment = {name: value for name, value in child_environment().items() if name not in ("HOME", "PATH")}
        command = module_command("roles.data_steps", [path])
        # These are our own typed steps: without bubblewrap they run unconfined, scripts do not (`_script`).
        finished = sandbox.run(command, mounts, env=environment, stage=STAGE, unsafe=True)
        if failure.exists():
            found = read_record(failure, Failure)
            raise StageError(STAGE, found.kind, found.message)
        sandbox.raise_for_failure(finished, STAGE, FailureKind.ENVIRONMENT)

    def _script(self, step: Step, before: Path | None, output: Path, folder: Path) -> None:
        """Run agent-written code, then read what it wrote as untrusted rows."""
        script = Script.model_validate(step.parameters)
        shutil.rmtree(folder, ignore_errors=True)
        out = folder / "out"
        out.mkdir(parents=True)
        write_text(folder / "script.py", script.code)
        if before:
            shutil.copyfile(before.with_suffix(".jsonl"), out / "rows.jsonl")
        limits = Limits(wall_seconds=script.wall_seconds, cpu_seconds=script.wall_seconds)
        finished = sandbox.run_script(folder / "script.py", self._corpus, out, limits, stage=STAGE, unsafe=self._unsafe)
        sandbox.raise_for_failure(finished, STAGE)
        try:
            rows = [_script_row(number, row) for number, row in enumerate(read_jsonl(out / "data.jsonl"), start=1)]
        except InputError as error:
            raise StageError(STAGE, FailureKind.DATA, f"script: {error}") from None
        write_jsonl(output.with_suffix(".jsonl"), rows)
        write_record(output.with_suffix(".json"), SegmentReport(rows=len(rows), removed={}))


def _refuse_nothing(flow: Sequence[Flow]) -> None:
    """Raise a DATA failure that names the first step after which no row is left."""
    for stage in flow:
        if stage.rows == 0:
            reasons = ", ".join(f"{reason}: {count}" for reason, count in stage.removed.items())
            message = f"step '{stage.step}' leaves no rows" + (f" (removed: {reasons})" if reasons else "")
            raise StageError(STAGE, FailureKind.DATA, message)


def _script_row(number: int, row: dict[str, object]) -> DataRow:
    source, origin = row.pop("source", SCRIPT), row.pop("row", number)
    return DataRow(
        source=str(source), row=origin if isinstance(origin, int) else number, fields={**row, "task_format": True}
    )
