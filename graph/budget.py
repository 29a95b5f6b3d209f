"""What a run may still spend: experiments and wall clock, with the time of test and delivery set aside.

All limits are here, checked before the spend. Time that earlier sessions of a resumed run used counts: the ledger is
`clock.json` in the run directory.
"""

import time
from pathlib import Path

from graph.config import RunConfig
from memory.records import Experiment
from roles.briefing import Remaining
from tasks.record import Record, read_record, write_record

DELIVERY_SECONDS = 20.0
"""Set aside for model card, report and the like."""
OVERHEAD_SECONDS = 30.0
"""Start of a training process, data steps and decisions of one experiment."""
SLOWER = 1.3
"""Allowance for a test that takes longer than the evaluations before it suggest."""


class Clock(Record):
    """Seconds that earlier sessions of a run used."""

    used: float


class Budget:
    """The limits of one run and what is left of them."""

    def __init__(self, config: RunConfig, path: Path, test_items: int, other_items: int) -> None:
        """
        Args:
            path: `clock.json` of the run.
            test_items: items of the sealed split, answered twice at the end.
            other_items: feedback and selection items, answered by every experiment.
        """
        self._config = config
        self._path = path
        self._test_items = test_items
        self._other_items = other_items
        self._before = read_record(path, Clock).used if path.exists() else 0.0
        self._started = time.monotonic()

    @property
    def used(self) -> float:
        """Seconds used, earlier sessions included."""
        return self._before + time.monotonic() - self._started

    def save(self) -> None:
        """Write the time used so far to the ledger."""
        write_record(self._path, Clock(used=round(self.used, 1)))

    def evaluation_seconds(self, experiments: list[Experiment]) -> float:
        """Expected seconds of one experiment's evaluation, by the slowest so far."""
        seconds = [
            (e.feedback.seconds if e.feedback else 0.0) + (e.selection.seconds if e.selection else 0.0)
            for e in experiments
            if e.selection and e.selection.generated
        ]
        return max(seconds, default=0.0)

    def reserve(self, experiments: list[Experiment]) -> float:
        """Seconds set aside for `test` and `deliver`."""
        an_item = self.evaluation_seconds(experiments) / max(self._other_items, 1)
        return 2 * self._test_items * an_item * SLOWER + DELIVERY_SECONDS

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

    def training_seconds(self, experiments: list[Experiment]) -> float | None:
        """Seconds that the next training may take: its share of what is left; None without a time limit.

        A first experiment leaves time for a second one. Later ones share with as many as fit that are no shorter than
        the latest one.
        """
        left = self.seconds_left(experiments)
        if left is None:
            return None
        tried = [experiment.seconds for experiment in experiments if experiment.training]
        fitting = int(left / max(tried[-1], 1.0)) if tried else 2
        share = left / max(1, min(fitting, self._experiments_left(experiments)))
        return max(0.0, share - self._overhead(experiments)) / self._config.replicates

    def remaining(self, experiments: list[Experiment]) -> Remaining:
        """What is left, rounded, as roles are told."""
        left, training = self.seconds_left(experiments), self.training_seconds(experiments)
        rates = [e.training.tokens_per_second for e in experiments if e.training]
        rate = rates[-1] if rates else self._config.tokens_per_second
        return Remaining(
            experiments=self._experiments_left(experiments),
            tokens_per_second=int(float(f"{rate:.1g}")),
            minutes=None if left is None else round(left / 60),
            training_tokens=None if training is None else int(float(f"{training * rate:.1g}")),
        )

    def _experiments_left(self, experiments: list[Experiment]) -> int:
        return self._config.max_experiments - sum(experiment.number > 0 for experiment in experiments)

    def _overhead(self, experiments: list[Experiment]) -> float:
        return self.evaluation_seconds(experiments) * self._config.replicates + OVERHEAD_SECONDS
