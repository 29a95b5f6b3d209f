"""Attacks on the seal: selection and test rows, and secrets, must appear nowhere that roles or people look."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from laboratory import PLANTED, Finished, token
from sealed_watch import Sighting, tokens_in, tokens_of


@pytest.fixture(scope="module")
def sealed(marked_task: Path) -> set[str]:
    """Tokens of the selection and test rows."""
    return tokens_of(marked_task, "selection") | tokens_of(marked_task, "test")


@pytest.fixture(scope="module")
def feedback(marked_task: Path) -> set[str]:
    """Tokens of the feedback rows."""
    return tokens_of(marked_task, "feedback")


def outputs(run: Finished) -> Iterator[tuple[str, bytes]]:
    """Everything a run left but the evaluator's own records: name and content, terminal and memory included."""
    yield "stdout", run.out.encode()
    yield "stderr", run.err.encode()
    for root in (run.path, run.memory):
        for path in sorted(root.rglob("*")):
            name = str(path.relative_to(root.parent))
            if path.is_file() and not name.startswith(f"{run.path.name}/sealed/"):
                yield name, path.read_bytes()


def holding(run: Finished, tokens: set[str]) -> dict[str, set[str]]:
    """The outputs that hold some of the tokens."""
    return {name: found for name, content in outputs(run) if (found := tokens_in(content) & tokens)}


def test_the_search_finds_what_is_there(dry_run: Finished, sealed: set[str], feedback: set[str]) -> None:
    """A search that finds nothing proves nothing: training tokens and the sealed records themselves are found."""
    lessons = {token("lessons", number, "question") for number in range(40)}
    assert "undisturbed/experiments/001/data.jsonl" in holding(dry_run, lessons)
    records = sorted((dry_run.path / "sealed").glob("*.jsonl"))
    assert {path.name for path in records} >= {"000.selection.jsonl", "001.selection.jsonl", "baseline.test.jsonl"}
    seen = set().union(*(tokens_in(path.read_bytes()) for path in records))
    assert seen == sealed
    assert not sealed & feedback


def test_no_selection_or_test_row_in_any_output(dry_run: Finished, sealed: set[str]) -> None:
    """Transcript, records, report, model card, memory, state, logs and terminal hold no token of a sealed row."""
    names = {name for name, _ in outputs(dry_run)}
    looked_at = ("transcript.jsonl", "report.html", "deliver/MODEL_CARD.md", "events.jsonl", "graph.sqlite",
                 "engine.log", "experiments.jsonl", "survey.json", "experiments/001/feedback.jsonl")  # fmt: skip
    assert names >= {f"undisturbed/{name}" for name in looked_at}
    assert any(name.startswith("undisturbed-memory/") for name in names)
    assert holding(dry_run, sealed) == {}


def test_the_evaluators_log_holds_no_row(dry_run: Finished, sealed: set[str]) -> None:
    """The evaluator's log lies beside the cache, where every run can read."""
    cache = Path(dry_run.json("config.json")["cache_dir"])
    logs = list((cache / "logs").glob("undisturbed-evaluator.log"))
    assert len(logs) == 1
    assert not tokens_in(logs[0].read_bytes()) & sealed


def test_the_corpus_of_the_sandbox_holds_no_benchmark_row(
    dry_run: Finished, sealed: set[str], feedback: set[str]
) -> None:
    """What data steps and scripts may read is made of the sources alone."""
    cache = Path(dry_run.json("config.json")["cache_dir"])
    found = set().union(*(tokens_in(path.read_bytes()) for path in (cache / "corpus").glob("marked-*/*")))
    assert token("lessons", 0, "question") in found
    assert not found & (sealed | feedback)


def test_feedback_rows_reach_the_diagnostician_alone(dry_run: Finished, feedback: set[str]) -> None:
    """Feedback items lie in `feedback.jsonl` and in what the diagnostician is told, nowhere else."""
    places = holding(dry_run, feedback)
    allowed = {f"undisturbed/experiments/{number}/feedback.jsonl" for number in ("000", "001")}
    assert set(places) == allowed | {"undisturbed/transcript.jsonl"}
    roles = {row["role"] for row in dry_run.rows("transcript.jsonl") if tokens_in(str(row).encode()) & feedback}
    assert roles == {"diagnostician"}


def test_sealed_rows_never_enter_the_graph_process(
    watched_run: tuple[Finished, list[Sighting]], sealed: set[str], feedback: set[str]
) -> None:
    """The memory of the process that runs the roles holds feedback and training tokens, but no sealed one."""
    sightings = watched_run[1]
    assert [sighting.moment for sighting in sightings] == ["diagnostician", "test"]
    assert sightings[0].tokens & feedback, "the search in memory finds nothing"
    for sighting in sightings:
        assert token("lessons", 0, "question") in sighting.tokens, "the search in memory finds nothing"
        assert not sighting.tokens & sealed, sighting.moment


def test_a_real_loop_keeps_the_seal(learned_run: Finished) -> None:
    """The same with minds that read what they are told, and a delivered adapter."""
    task = Path(learned_run.json("config.json")["task"])
    sealed = tokens_of(task, "selection") | tokens_of(task, "test")
    assert holding(learned_run, sealed) == {}
    assert holding(learned_run, tokens_of(task, "feedback"))


@pytest.mark.parametrize("name", sorted(PLANTED))
def test_no_secret_of_the_environment_is_written(dry_run: Finished, name: str) -> None:
    """Keys in the environment are in no file of the run, the evaluator's records included."""
    secret = PLANTED[name].encode()
    sealed_files = ((str(path), path.read_bytes()) for path in (dry_run.path / "sealed").rglob("*") if path.is_file())
    assert [where for where, content in (*outputs(dry_run), *sealed_files) if secret in content] == []
