"""The graph's side of the evaluator: typed calls over the service, and nothing of the benchmark's content."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.engine import Checkpoint
from eval.probe import Regression
from eval.result import EvalResult, Split
from eval.service import Progress, Service
from eval.verdict import Verdict
from tasks.child import child_environment
from tasks.record import Record
from tasks.task import Protocol, Task

ENGINE_LOST = "engine"
"""Stage of a failure after which the engine must be started again."""


SHARED_SAMPLES = 4
"""Completions an item where feedback and selection are the same few rows."""
CPU_SAMPLES = 4
"""Completions an item at most where there is no GPU."""
CPU_NEW_TOKENS = 512
"""Tokens of a completion at most where there is no GPU."""


class Description(Record):
    """What may be known of a benchmark without seeing it."""

    task: Task
    feedback: int
    selection: int
    test: int
    shared: bool
    """Feedback and selection are the same rows."""
    samples: int = 1
    """Completions an item of feedback and selection."""
    test_samples: int = 1
    """The same of the test split."""
    new_tokens: int
    """Tokens of a completion at most."""
    groups: dict[str, int]
    """Items a group, over all splits."""
    benchmark_hash: str
    related: tuple[str, ...] = ()
    """Other tasks whose benchmark items are kept out of training data, too."""
    corpus: str
    """Folder of the materialised training-only corpus."""
    options: int | None = None
    """Options that every item offers to choose from; None for free answers, or when their number varies."""

    @property
    def test_answers(self) -> int:
        """Completions that one checkpoint is asked for on the sealed split."""
        return self.test * self.test_samples

    @property
    def other_answers(self) -> int:
        """Completions that one checkpoint is asked for on feedback and selection."""
        return (self.feedback + (0 if self.shared else self.selection)) * self.samples


class Rival(Record):
    """What a candidate must beat on selection."""

    label: str
    """Of an evaluation of all selection items."""
    alpha: float
    """One-sided error rate of the decision."""


class TestResult(Record):
    """The sealed split, opened once for the baseline and the delivered checkpoint."""

    baseline: EvalResult
    best: EvalResult | None
    """None when no experiment is delivered."""
    verdict: Verdict | None
    openings: int
    """How often the test split of this task has been opened so far, this run included."""


class Evaluator:
    """A running evaluator service. Every method may raise `InputError` or `StageError`."""

    def __init__(
        self, task: str, data_root: Path | None, cache: Path, log: Path, protocol: Protocol = "honest"
    ) -> None:
        """
        Args:
            task: a name or a path that `tasks.catalogue.find_task` understands.
        """
        root = ["--data-root", data_root] if data_root else []
        self.service = Service(
            "evaluator",
            "eval.evaluator",
            ["--task", task, "--cache", cache, "--protocol", protocol, *root],
            log=log,
            environment=child_environment(hub=True),
        )
        self._run_dir: Path | None = None

    def describe(self) -> Description:
        """Load and check the task's files."""
        return Description.model_validate(self.service.call("describe"))

    def attach(self, run_dir: Path) -> None:
        """Use a run directory; per-item records of selection and test go to its `sealed/`."""
        self._run_dir = run_dir

    def evaluate(
        self,
        label: str,
        split: Split,
        checkpoint: Checkpoint,
        engine: Path,
        seed: int,
        progress: Progress,
        rival: Rival | None = None,
        opener: str = "",
    ) -> EvalResult:
        """Score a checkpoint on a split.

        Args:
            rival: where it is clear that the checkpoint will not be found better, its selection evaluation stops.
            opener: the name that `unseal` was given, for the test split.
        """
        found = self._call(
            "evaluate",
            progress,
            label=label,
            split=split,
            checkpoint=checkpoint.model_dump(),
            engine=str(engine),
            seed=seed,
            rival=rival.model_dump() if rival else None,
            opener=opener,
        )
        return EvalResult.model_validate(found)

    def compare(
        self,
        label: str,
        incumbent: str,
        alpha: float,
        seed: int,
        split: Split = "selection",
        replicates: Sequence[str] = (),
        incumbent_replicates: Sequence[str] = (),
    ) -> Verdict:
        """The verdict between two evaluated labels, and between their recipes where replicates are named."""
        found = self._call(
            "compare",
            label=label,
            incumbent=incumbent,
            alpha=alpha,
            seed=seed,
            split=split,
            replicates=list(replicates),
            incumbent_replicates=list(incumbent_replicates),
        )
        return Verdict.model_validate(found)

    def probe(
        self, label: str, baseline: Checkpoint, checkpoint: Checkpoint, engine: Path, progress: Progress
    ) -> Regression:
        """What a checkpoint has lost against the untouched model, on items that have nothing to do with the task."""
        found = self._call(
            "probe",
            progress,
            label=label,
            baseline=baseline.model_dump(),
            checkpoint=checkpoint.model_dump(),
            engine=str(engine),
        )
        return Regression.model_validate(found)

    def decontaminate(self, rows: Path, kept: Path) -> int:
        """Copy the rows that leak no benchmark item; returns how many of the others there are at most, in tens."""
        return int(self._call("decontaminate", rows=str(rows), kept=str(kept)))

    def test(
        self, run: str, baseline: Checkpoint, best: Checkpoint | None, engine: Path, seed: int, progress: Progress
    ) -> TestResult:
        """Open the sealed split."""
        found = self._call(
            "test",
            progress,
            run=run,
            baseline=baseline.model_dump(),
            best=best.model_dump() if best else None,
            engine=str(engine),
            seed=seed,
        )
        return TestResult.model_validate(found)

    def unseal(self, run: str) -> int:
        """Open the test split for `evaluate`; returns how often it has been opened, this time included."""
        return int(self._call("unseal", run=run))

    def close(self) -> None:
        """End the process."""
        self.service.close()

    def _call(self, method: str, progress: Progress | None = None, **parameters: object) -> Any:
        """Call with the run directory, which a process that was started again does not know."""
        return self.service.call(method, progress, run_dir=str(self._run_dir), **parameters)
