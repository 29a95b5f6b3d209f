"""Runs of a study: started, gone on with, or read back when they are complete."""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from eval.evaluator_client import TestResult
from graph.run_dir import RunDir
from memory.records import Experiment
from tasks.child import CHECKOUT
from tasks.record import read_record


class FinishedRun:
    """What a complete run left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.result = read_record(path / "test.json", TestResult)
        self.experiments: list[Experiment] = RunDir(path).experiments()

    def delivered(self) -> Experiment | None:
        """The experiment that was delivered; None when the untouched model stayed best."""
        lineage = self.path / "deliver" / "lineage.json"
        if not lineage.exists():
            return None
        from graph.lineage import Lineage

        return self.experiments[read_record(lineage, Lineage).experiment]


def complete(path: Path, flags: Sequence[str | Path]) -> FinishedRun:
    """The run in `path`: made with `flags` when there is none, gone on with when it was stopped.

    Raises:
        subprocess.CalledProcessError: the run failed; its output was shown.
    """
    if not (path / "deliver" / "MODEL_CARD.md").exists():
        begun = (path / "config.json").exists()
        how = ["--resume", path] if begun else ["--run-dir", path, *flags]
        subprocess.run([sys.executable, "run_graph.py", *map(str, how)], cwd=CHECKOUT, check=True)
    return FinishedRun(path)


def study_flags(about: str | None) -> argparse.Namespace:
    """The flags of a study: `seeds`, `budget` of each run, `out`."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--budget", default="20m", help="wall clock of each run")
    parser.add_argument("--out", type=Path, default=Path("runs/study"))
    return parser.parse_args()
