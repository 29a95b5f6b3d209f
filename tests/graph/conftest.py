"""Finished runs that several tests look at; each is made once a session."""

from pathlib import Path

import pytest
from laboratory import LESSONS, PLANTED, Finished, Laboratory, write_marked, write_signs
from sealed_watch import Sighting, watch_memory


@pytest.fixture(scope="session")
def laboratory(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Laboratory:
    """A folder for runs, with the session's cache."""
    return Laboratory(tmp_path_factory.mktemp("laboratory"), cache)


@pytest.fixture(scope="session")
def marked_task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A task file whose rows each hold tokens of their own, in question and answer."""
    return write_marked(tmp_path_factory.mktemp("marked"))


DRY = ("--dry-run", "--max-experiments", "1")


@pytest.fixture(scope="session")
def watched_run(laboratory: Laboratory, marked_task: Path) -> tuple[Finished, list[Sighting]]:
    """An undisturbed dry run with secrets in its environment, and what was seen in the memory of its graph process."""
    started = laboratory.start("undisturbed", "--task", marked_task, *DRY, env=PLANTED)
    sightings = watch_memory(started, marked_task)
    return laboratory.end(started), sightings


@pytest.fixture(scope="session")
def dry_run(watched_run: tuple[Finished, list[Sighting]]) -> Finished:
    """An undisturbed dry run of one experiment."""
    return watched_run[0]


@pytest.fixture(scope="session")
def learned_run(laboratory: Laboratory, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    """A real loop of the built-in practitioner on a task that the tiny model can learn; all is delivered."""
    task = write_signs(tmp_path_factory.mktemp("signs"), lessons=LESSONS)
    return laboratory.run("learned", "--task", task, "--model", "tiny-random", "--max-experiments", "2", "--merge")
