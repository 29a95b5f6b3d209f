"""Carrying out a data recipe: typed steps and scripts in sandboxes, every output kept under the hash of its making.

A recipe is cut into segments: consecutive typed steps share one process, a script has its own. The output of step k is
named by hash(corpus, seed, task, steps 1 to k with their versions), so a recipe that shares a prefix with an earlier
one starts where they part.
"""

import itertools
import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, JsonValue, ValidationError

from eval.evaluator_client import ENGINE_LOST
from memory.records import DataRecipe, Flow, Step
from roles.data_steps import SCRIPT, load_step, step_class
from roles.data_steps.models import STAGE, ModelAccess
from roles.data_steps.row import DataRow, Service
from roles.data_steps.script import Script
from tasks import sandbox
from tasks.child import CHECKOUT, child_environment, module_command
from tasks.corpus import read_corpus
from tasks.failure import Failure, FailureKind, InputError, StageError
from tasks.record import Record, digest, explain, read_jsonl, read_record, write_jsonl, write_record, write_text
from tasks.supervise import Limits
from tasks.task import Task

_ROOMS = ("tasks", "eval", "memory", "roles")
_STARTER = CHECKOUT / "tasks" / "starter"
"""Holds the benchmark of the embedded task, so no step may see it."""
COMPLETIONS = "completions.sqlite"
"""What steps drew from the engine, in the folder of step outputs."""
ASKING_SECONDS = 12 * 3600.0
"""Seconds that steps may take which wait for models: the gateway and the engine give up earlier by themselves."""
TRIAL = 100
"""Rows of each source on which a script is tried first, so that its errors come back in seconds."""
NO_ACCESS = ModelAccess()


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
    models: ModelAccess = NO_ACCESS
    """What the steps may ask."""
    completions: str = ""
    """Database for what they draw from the engine."""


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

    def asked(self, recipe: DataRecipe, models: ModelAccess) -> list[JsonValue]:
        """What decides the output of the recipe's steps besides themselves: for each step the model that it asks.

        Raises:
            StageError: CONFIG, a step is unknown, or there is no model for it.
        """
        return [load_step(step).depends_on(models) for step in recipe.steps]

    def bought(self, recipe: DataRecipe, models: ModelAccess) -> list[Path]:
        """The files that hold what models gave to the recipe's steps, as far as it was applied: with them in the folder
        of another pipeline, it is not asked for again.
        """
        outputs = [
            output for step, output in zip(recipe.steps, self._outputs(recipe, models), strict=True)
            if step_class(step.name).asks and self._is_done(output)
        ]  # fmt: skip
        return [output.with_suffix(suffix) for output in outputs for suffix in (".jsonl", ".json")]

    def apply(
        self, recipe: DataRecipe, max_length: int, script_folder: Path, models: ModelAccess = NO_ACCESS
    ) -> PreparedRows:
        """Apply a recipe and the gate.

        Args:
            max_length: tokens a row may have.
            script_folder: the only folder that scripts of this recipe may write to.
            models: what `synthesize` and `rejection_sample` may ask.

        Raises:
            StageError: CONFIG (unknown source, step or parameter, no model for a step, too much asked of it), DATA,
                FORMAT, SANDBOX, TIMEOUT, PROVIDER or BUDGET (of what was asked of models); of the stage
                `ENGINE_LOST`, the engine went away.
        """
        self._check(recipe)
        outputs = self._outputs(recipe, models)
        done = max((k + 1 for k in range(len(outputs)) if self._is_done(outputs[k])), default=0)
        while done < len(recipe.steps):
            done = self._segment(recipe, outputs, done, script_folder, models)
        _refuse_nothing(self._flow(recipe, outputs))
        last = outputs[-1] if outputs else None
        gated = self._folder / digest([str(last), recipe.sources, self._model.name, max_length, "gate"])
        if not self._is_done(gated):
            gate = GateRequest(tokenizer=str(self._model), max_length=max_length, output=str(gated))
            self._run(recipe, (), (), last, gate, NO_ACCESS)
        flow = self._flow(recipe, [*outputs, gated])
        removed: Counter[str] = Counter()
        for stage in flow:
            for reason, count in stage.removed.items():
                removed[f"{stage.step}: {reason}"] += count
        rows = read_record(gated.with_suffix(".json"), SegmentReport).rows
        return PreparedRows(path=str(gated.with_suffix(".jsonl")), rows=rows, removed=dict(removed), flow=flow)

    def matching(self, source: str, where: str) -> Path:
        """The rows of a raw source for which a Jinja condition holds, as `DataRow`s in JSON Lines.

        The condition may be an agent's, so it is tried in the sandbox, like any step.

        Raises:
            StageError: as `apply`.
        """
        recipe = DataRecipe(sources=(source,), steps=(Step(name="filter", parameters={"where": where}),))
        self._check(recipe)
        outputs = self._outputs(recipe, NO_ACCESS)
        if not self._is_done(outputs[0]):
            self._run(recipe, recipe.steps, outputs, None, None, NO_ACCESS)
        return outputs[0].with_suffix(".jsonl")

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

    def _outputs(self, recipe: DataRecipe, models: ModelAccess) -> list[Path]:
        """Where each step's rows go, without suffix.

        Raises:
            StageError: CONFIG, there is no model for a step.
        """
        made = digest([self._corpus.name, self._seed, self._task, sorted(recipe.sources)])
        outputs: list[Path] = []
        for step, asked in zip(recipe.steps, self.asked(recipe, models), strict=True):
            made = digest([made, step, step_class(step.name).version, *([] if asked is None else [asked])])
            outputs.append(self._folder / made)
        return outputs

    def _is_done(self, output: Path) -> bool:
        return output.with_suffix(".json").exists() and output.with_suffix(".jsonl").exists()

    def _segment(
        self, recipe: DataRecipe, outputs: list[Path], done: int, script_folder: Path, models: ModelAccess
    ) -> int:
        """Run the next script, or all typed steps up to the next script; returns the steps done."""
        before = outputs[done - 1] if done else None
        step = recipe.steps[done]
        if step.name == SCRIPT:
            self._script(step, before, outputs[done], script_folder)
            return done + 1
        end = next((k for k in range(done, len(outputs)) if recipe.steps[k].name == SCRIPT), len(outputs))
        self._run(recipe, recipe.steps[done:end], outputs[done:end], before, None, models)
        return end

    def _run(
        self,
        recipe: DataRecipe,
        steps: Sequence[Step],
        outputs: Sequence[Path],
        before: Path | None,
        gate: GateRequest | None,
        models: ModelAccess,
    ) -> None:
        sockets = _sockets(steps, models)
        request = SegmentRequest(
            task=self._task,
            corpus=str(self._corpus),
            seed=self._seed,
            sources=tuple(sorted(recipe.sources)),
            rows=str(before.with_suffix(".jsonl")) if before else None,
            steps=tuple(steps),
            outputs=tuple(str(output) for output in outputs),
            gate=gate,
            models=models if sockets else NO_ACCESS,
            completions=str(self._folder / COMPLETIONS),
        )
        path = self._folder / f"{digest(request)}.request.json"
        failure = path.with_suffix(".failure.json")
        failure.unlink(missing_ok=True)
        write_record(path, request)
        rooms = [CHECKOUT / room for room in _ROOMS]
        mounts = sandbox.Mounts(
            readonly=sandbox.same(*rooms, self._corpus, self._model, *(socket.parent for socket in sockets)),
            writable=sandbox.same(self._folder),
            masked=(_STARTER,),
        )
        environment = {name: value for name, value in child_environment().items() if name not in ("HOME", "PATH")}
        command = module_command("roles.data_steps", [path])
        # These are our own typed steps: without bubblewrap they run unconfined, scripts do not (`_script`).
        limits = Limits(wall_seconds=ASKING_SECONDS) if sockets else Limits()
        finished = sandbox.run(command, mounts, limits, env=environment, stage=STAGE, unsafe=True)
        if failure.exists():
            found = read_record(failure, Failure)
            raise StageError(found.stage if found.stage == ENGINE_LOST else STAGE, found.kind, found.message)
        sandbox.raise_for_failure(finished, STAGE, FailureKind.ENVIRONMENT)

    def _script(self, step: Step, before: Path | None, output: Path, folder: Path) -> None:
        """Run agent-written code, first on few rows, then read what it wrote as untrusted rows."""
        script = Script.model_validate(step.parameters)
        given = before.with_suffix(".jsonl") if before else None
        shutil.rmtree(folder, ignore_errors=True)
        if trial := self._trial_corpus(given, folder / "trial" / "corpus"):
            try:
                self._run_script(script, trial, given, folder / "trial", TRIAL)
            except StageError as error:
                message = f"in a trial over the first {TRIAL} rows: {error.failure.message}"
                raise StageError(STAGE, error.failure.kind, message) from None
            finally:
                shutil.rmtree(folder / "trial")
        rows = self._run_script(script, self._corpus, given, folder, None)
        write_jsonl(output.with_suffix(".jsonl"), rows)
        write_record(output.with_suffix(".json"), SegmentReport(rows=len(rows), removed={}))

    def _trial_corpus(self, given: Path | None, trial: Path) -> Path | None:
        """The corpus to try a script on; None when there are few rows anyway.

        A script that is given rows gets few of them, and all sources, where it may look up what they were made from.
        One that reads the sources gets the first rows of each.
        """
        if given:
            return self._corpus if any(True for _ in itertools.islice(read_jsonl(given), TRIAL, None)) else None
        if all(source.rows <= TRIAL for source in read_corpus(self._corpus).sources):
            return None
        shutil.copytree(self._corpus, trial)
        for source in trial.glob("*.jsonl"):
            write_jsonl(source, itertools.islice(read_jsonl(source), TRIAL))
        return trial

    def _run_script(
        self, script: Script, corpus: Path, before: Path | None, folder: Path, most: int | None
    ) -> list[DataRow]:
        """What a script writes.

        Args:
            before: rows of the steps before it.
            folder: the only one it may write to.
            most: of these, the first ones that it gets; None for all.
        """
        out = folder / "out"
        out.mkdir(parents=True)
        write_text(folder / "script.py", script.code)
        if before:
            write_jsonl(out / "rows.jsonl", itertools.islice(read_jsonl(before), most))
        limits = Limits(wall_seconds=script.wall_seconds, cpu_seconds=script.wall_seconds)
        finished = sandbox.run_script(folder / "script.py", corpus, out, limits, stage=STAGE, unsafe=self._unsafe)
        sandbox.raise_for_failure(finished, STAGE)
        try:
            return [_script_row(number, row) for number, row in enumerate(read_jsonl(out / "data.jsonl"), start=1)]
        except InputError as error:
            raise StageError(STAGE, FailureKind.DATA, f"script: {error}") from None


def services(steps: Sequence[Step]) -> frozenset[Service]:
    """The services that steps ask.

    Raises:
        StageError: CONFIG, for an unknown step.
    """
    asked: list[Service | None] = [step_class(step.name).asks for step in steps]
    return frozenset(service for service in asked if service)


def _sockets(steps: Sequence[Step], models: ModelAccess) -> list[Path]:
    """The sockets that the steps need."""
    needed = services(steps)
    places: dict[Service, str | None] = {"gateway": models.gateway, "engine": models.engine}
    return [Path(place) for service, place in places.items() if place and service in needed]


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
        source=str(source),
        row=origin if isinstance(origin, int) else number,
        fields={**row, "task_format": True} if "prompt" in row else row,
    )
