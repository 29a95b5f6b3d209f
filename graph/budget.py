"""What a run may still spend: experiments and wall clock, with the time of test and delivery set aside.

All limits are here, checked before the spend. Time that earlier sessions of a resumed run used counts: the ledger is
`clock.json` in the run directory.
"""

import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from eval.probe import probe_items
from eval.result import EvalResult
from graph.config import RunConfig
from memory.records import Experiment
from roles.briefing import Remaining
from tasks.record import Record, read_record, write_record

CLOCK = "clock.json"
"""The ledger's name in the run directory."""
DELIVERY_SECONDS = 20.0
"""Set aside for model card, report and the like."""
MERGE_SECONDS = 40.0
"""Set aside for the merged model, where one is asked for."""
OVERHEAD_SECONDS = 30.0
"""Start of a training process, data steps and decisions of one experiment."""
ENDING_SAVES = 0.4
"""Of an evaluation whose answers all run into the token limit, what answers that end by themselves would save."""
SLOWER = 1.3
"""Allowance for a test that takes longer than the evaluations before it suggest."""


class Clock(Record):
    """Seconds that earlier sessions of a run used."""

    used: float


def used_before(path: Path) -> float:
    """Seconds that the ledger `path` holds; none without one."""
    return read_record(path, Clock).used if path.exists() else 0.0


class Budget:
    """The limits of one run and what is left of them."""

    def __init__(
        self, config: RunConfig, path: Path, test_answers: int, other_answers: int, started: float | None = None
    ) -> None:
        """
        Args:
            path: `clock.json` of the run.
            test_answers: answers to the sealed split, given twice at the end.
            other_answers: answers to feedback and selection, given by every experiment.
            started: when this session began, by `time.monotonic`; now, if it is not given.
        """
        self._config = config
        self._path = path
        self._test_answers = test_answers
        self._other_answers = other_answers
        self._before = used_before(path)
        self._started = time.monotonic() if started is None else started
        self._stopped: float | None = None

    @property
    def used(self) -> float:
        """Seconds used, earlier sessions included, without those in which the clock was stopped."""
        now = time.monotonic() if self._stopped is None else self._stopped
        return self._before + now - self._started

    @contextmanager
    def stopped(self) -> Generator[None]:
        """Stop the clock, while a person thinks. The ledger is written first: a process that is killed meanwhile has
        used no more."""
        self._stopped = time.monotonic()
        self.save()
        try:
            yield
        finally:
            self._started += time.monotonic() - self._stopped
            self._stopped = None

    def save(self) -> None:
        """Write the time used so far to the ledger."""
        write_record(self._path, Clock(used=round(self.used, 1)))

    def evaluation_seconds(self, experiments: list[Experiment]) -> float:
        """Expected seconds of one experiment's evaluation: the slowest of a trained model so far.

        Before there is one, the untouched model's, less what a trained one saves by ending its answers.
        """
        trained = max((self._seconds(e) for e in experiments if e.number > 0), default=0.0)
        if trained:
            return trained
        return max((self._seconds(e) * (1 - ENDING_SAVES * _cut(e)) for e in experiments), default=0.0)

    def reserve(self, experiments: list[Experiment]) -> float:
        """Seconds set aside for test and general probe, of the untouched and of the best model, and for `deliver`."""
        both = self.evaluation_seconds(experiments) + max((self._seconds(e) for e in experiments), default=0.0)
        delivery = DELIVERY_SECONDS + (MERGE_SECONDS if self._config.merge else 0.0)
        answers = self._test_answers + len(probe_items())
        return answers * both / max(self._other_answers, 1) * SLOWER + delivery

    def seconds_left(self, experiments: list[Experiment]) -> float | None:
        """Seconds that experiments may still take; None without a time limit."""
        if self._config.budget_seconds is None:
            return None
        return self._config.budget_seconds - self.used - self.reserve(experiments)

    def allows_another(self, experiments: list[Experiment]) -> bool:
        """Whether another experiment may start: one is left, and there is time for a useful one."""
        left = self.seconds_left(experiments)
        if self._experiments_left(experiments) <= 0:
            return False
        return left is None or left > self._overhead(experiments) * 1.25

    def training_seconds(self, experiments: list[Experiment], share: float | None = None) -> float | None:
        """Seconds that the next training may take: its share of what is left; None without a time limit.

        Args:
            share: of the time left, as the plan asks; None shares it evenly among the experiments that are left.
        """
        left = self.seconds_left(experiments)
        if left is None:
            return None
        part = left * (share or 1 / max(1, self._experiments_left(experiments)))
        return max(0.0, part - self._overhead(experiments)) / self._config.replicates

    def remaining(self, experiments: list[Experiment], share: float | None = None) -> Remaining:
        """What is left, rounded, as roles are told.

        Args:
            share: of the time left that the plan gives to its experiment.
        """
        left = self.seconds_left(experiments)
        rates = [e.training.tokens_per_second for e in experiments if e.training]
        rate = rates[-1] if rates else self._config.tokens_per_second

        def tokens(part: float | None) -> int | None:
            seconds = self.training_seconds(experiments, part)
            return None if seconds is None else int(float(f"{seconds * rate:.2g}"))

        return Remaining(
            experiments=self._experiments_left(experiments),
            tokens_per_second=int(float(f"{rate:.2g}")),
            minutes=None if left is None else round(left / 60),
            training_tokens=tokens(share),
            most_tokens=tokens(1.0),
            evaluation_minutes=round(self.evaluation_seconds(experiments) / 60, 1),
        )

    def _seconds(self, experiment: Experiment) -> float:
        """Seconds of a whole evaluation, though it may have stopped early, had a part of its answers in the cache, or
        been of feedback only.

        0 where nothing was generated.
        """
        results = [result for result in (experiment.selection, experiment.feedback) if result]
        if not any(result.generated for result in results):
            return 0.0
        seconds = sum(_whole(result) for result in results)
        if experiment.selection:
            return seconds
        return seconds * self._other_answers / sum(result.n * result.samples for result in results)

    def _experiments_left(self, experiments: list[Experiment]) -> int:
        return self._config.max_experiments - sum(experiment.number > 0 for experiment in experiments)

    def _overhead(self, experiments: list[Experiment]) -> float:
        return self.evaluation_seconds(experiments) * self._config.replicates + OVERHEAD_SECONDS


def _whole(result: EvalResult) -> float:
    generated = result.generated or result.n
    return result.seconds * (result.split_n or result.n) / generated


def _cut(experiment: Experiment) -> float:
    return experiment.selection.truncated if experiment.selection else 0.0
