import fcntl
import json
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.result import EvalResult
from eval.verdict import Outcome, Verdict
from memory import index, store
from memory.command import main
from memory.recall import data_question, describe, diagnostician_question, planner_question, trainer_question
from memory.records import DataRecipe, Diagnosis, Experiment, Factor, Finding, Plan, Step, TrainingConfig
from memory.store import ExperimentMemory, open_memory
from tasks.embedding import SentenceEmbedder, Vectors
from tasks.failure import Failure, FailureKind, InputError
from tasks.record import write_jsonl

ROOT = Path(__file__).parents[2]
DOMAINS = {"finance_starter": "finance", "chemistry_starter": "chemistry"}
EMBEDDER = SentenceEmbedder()


class OtherEmbedder:
    """Another vector space, of three dimensions."""

    name = "letters"
    dimension = 3

    def embed(self, texts: Sequence[str]) -> Vectors:
        counts = np.array([[1 + text.count(letter) for letter in "abc"] for text in texts], dtype=np.float32)
        return (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)


def experiment(
    number: int, task: str, hypothesis: str, *, run: str = "run-a", factor: Factor = "data", **rest: Any
) -> Experiment:
    plan = Plan(
        hypothesis=hypothesis,
        parent=0,
        factor=factor,
        data_strategy=hypothesis if factor == "data" else "keep",
        training_strategy=hypothesis if factor == "training" else "keep",
        predicted_effect=0.05,
    )
    return Experiment(run=run, task=task, domain=DOMAINS[task], model="SmolLM2-135M", number=number, plan=plan, **rest)


def verdict(outcome: Outcome, effect: float) -> Verdict:
    return Verdict(
        outcome=outcome, incumbent=0, effect=effect, low=effect - 0.1, high=effect + 0.1, p_better=0.5, p_worse=0.5,
        alpha=0.03, n=100, fixed=5, broken=5, mcnemar_p=1.0, rule="paired bootstrap",
    )  # fmt: skip


def selection(score: float) -> EvalResult:
    return EvalResult(
        split="selection", n=100, samples=1, score=score, standard_error=0.05, unparsed=0.1, truncated=0.0,
        generated=100, seconds=3.0,
    )  # fmt: skip


def examples() -> list[Experiment]:
    finance, chemistry = "finance_starter", "chemistry_starter"
    recipe = DataRecipe(
        sources=("textbook", "exams"), steps=(Step(name="filter", parameters={"min_words": 5}), Step(name="format"))
    )
    config = TrainingConfig(learning_rate=2e-3)
    diagnosis = Diagnosis(
        findings=(Finding(claim="answers do not parse: the letter is missing", count=40, of=100),),
        suspected_cause="the training rows end without the answer letter",
        next_intervention="append the letter",
        next_factor="data",
    )
    diverged = Failure(stage="train", kind=FailureKind.DIVERGED, message="loss is not finite at step 31 größer ∞")
    return [
        experiment(1, finance, "Exam questions on bonds and accounting teach the format", recipe=recipe),
        experiment(2, finance, "More questions on banking", diagnosis=diagnosis, verdict=verdict("worse", -0.08)),
        experiment(3, finance, "A higher learning rate", factor="training", config=config, failure=diverged),
        experiment(4, finance, "Rationales", config=config, selection=selection(0.41), verdict=verdict("better", 0.06)),
        experiment(1, chemistry, "Reaction products from SMILES strings", run="run-b", recipe=recipe),
        experiment(2, chemistry, "Names of molecules and their functional groups", run="run-b"),
    ]


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("filled")
    memory = open_memory(directory, EMBEDDER)
    for one in examples():
        memory.add(one)
    return directory


@pytest.fixture
def memory(filled: Path, tmp_path: Path) -> ExperimentMemory:
    """The memory of `examples()`, in a copy of its own."""
    shutil.copytree(filled, tmp_path / "memory")
    return open_memory(tmp_path / "memory", EMBEDDER)


def write_runs(folder: Path, experiments: Sequence[Experiment]) -> list[Path]:
    runs = sorted({one.run for one in experiments})
    for run in runs:
        write_jsonl(folder / run / "experiments.jsonl", [one for one in experiments if one.run == run])
    return [folder / run for run in runs]


def contents(directory: Path) -> dict[str, tuple[Any, ...]]:
    """Everything the index holds, by id."""
    with index.opened(directory, EMBEDDER) as collection:
        rows = collection.get(include=["metadatas", "documents", "embeddings"])
    columns = zip(
        rows["metadatas"] or [], rows["documents"] or [], np.asarray(rows["embeddings"]).tolist(), strict=True
    )
    return dict(zip(rows["ids"], columns, strict=True))


def run_python(code: str, *arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


# adding and recalling


def test_what_was_added_comes_back_equal(memory: ExperimentMemory) -> None:
    wanted = sorted(examples(), key=lambda one: one.id)
    assert memory.experiments() == wanted
    recalled = memory.recall("anything", limit=50)
    assert sorted((one.experiment for one in recalled), key=lambda one: one.id) == wanted
    assert all(one.id == one.experiment.id and 0 <= one.similarity <= 1 for one in recalled)
    similarities = [one.similarity for one in recalled]
    assert similarities == sorted(similarities, reverse=True)


def test_adding_again_changes_nothing_and_a_new_version_replaces(memory: ExperimentMemory) -> None:
    before = contents(memory.directory)
    for one in examples():
        memory.add(one)
    assert contents(memory.directory) == before
    changed = examples()[1].model_copy(update={"verdict": None, "diagnosis": None})
    memory.add(changed)
    assert memory.count() == 6
    metadata = contents(memory.directory)[changed.id][0]
    assert Experiment.model_validate_json(metadata["record"]) == changed
    assert "effect" not in metadata  # an upsert must not leave the old verdict to be filtered by


def test_similar_experiments_come_first(memory: ExperimentMemory) -> None:
    domains = [one.experiment.domain for one in memory.recall("molecules and chemical reactions", limit=6)]
    assert domains == ["chemistry"] * 2 + ["finance"] * 4
    assert memory.recall("exam questions about bonds and accounting")[0].id == "run-a/001"


def test_every_role_finds_its_experiment(memory: ExperimentMemory) -> None:
    task, domain, model = "finance_starter", "finance", "SmolLM2-135M"
    asked = {
        data_question(task=task, domain=domain, sources=["textbook", "exams"]): "run-a/001",
        trainer_question(task=task, model=model, method="sft", strategy="raise the learning rate"): "run-a/003",
        diagnostician_question(task=task, domain=domain, symptoms="many answers do not parse"): "run-a/002",
    }
    assert [memory.recall(question)[0].id for question in asked] == list(asked.values())


def test_the_planner_of_a_new_task_finds_the_similar_task(memory: ExperimentMemory) -> None:
    question = planner_question(
        task="reactions", domain="chemistry", model="another", description="predict the product of a reaction"
    )
    assert [one.experiment.domain for one in memory.recall(question, limit=3)] == ["chemistry", "chemistry", "finance"]


def test_questions_leave_out_what_is_not_known() -> None:
    assert planner_question(task="t", domain="d", model="m") == "task: t\ndomain: d\nmodel: m"
    assert data_question(task="t", domain="d", sources=["a", "b"]) == "task: t\ndomain: d\nrecipe: from a, b"


def test_failures_and_negative_results_are_recalled(memory: ExperimentMemory) -> None:
    assert memory.recall("the loss diverged, it is not finite")[0].experiment.failure == examples()[2].failure
    found = memory.recall("finance", task="finance_starter", limit=10)
    assert {"run-a/002", "run-a/003"} <= {one.id for one in found}


@pytest.mark.parametrize(
    ("filters", "ids"),
    [
        ({"task": "chemistry_starter"}, ["run-b/001", "run-b/002"]),
        ({"domain": "chemistry"}, ["run-b/001", "run-b/002"]),
        ({"run": "run-a"}, ["run-a/001", "run-a/002", "run-a/003", "run-a/004"]),
        ({"exclude_run": "run-a"}, ["run-b/001", "run-b/002"]),
        ({"domain": "finance", "exclude_run": "run-a"}, []),
        ({"task": "finance_starter", "domain": "finance", "run": "run-a", "limit": 50},
         ["run-a/001", "run-a/002", "run-a/003", "run-a/004"]),
        ({"task": "law"}, []),
    ],
)  # fmt: skip
def test_filters(memory: ExperimentMemory, filters: dict[str, Any], ids: list[str]) -> None:
    assert sorted(one.id for one in memory.recall("experiments", **filters)) == ids


def test_limit(memory: ExperimentMemory) -> None:
    assert len(memory.recall("experiments", limit=1)) == 1
    with pytest.raises(ValueError, match="at least 1"):
        memory.recall("experiments", limit=0)


def test_equally_similar_ones_come_in_the_order_of_their_ids(tmp_path: Path) -> None:
    memory = open_memory(tmp_path, EMBEDDER)
    same = [experiment(1, "finance_starter", "The same", run=f"run-{letter}") for letter in "hcagbedfij"]
    for one in same:
        memory.add(one)
    memory.add(experiment(2, "chemistry_starter", "Another", run="run-0"))
    found = memory.recall("the same in finance", limit=3)
    assert [one.id for one in found] == ["run-a/001", "run-b/001", "run-c/001"]
    assert len({one.similarity for one in found}) == 1


def test_metadata_to_filter_by_leaves_out_what_is_unknown(memory: ExperimentMemory) -> None:
    metadata = {id_: dict(row[0]) for id_, row in contents(memory.directory).items()}
    for row in metadata.values():
        del row["record"]
    shared = {"run": "run-a", "task": "finance_starter", "domain": "finance", "model": "SmolLM2-135M"}
    assert metadata["run-a/001"] == {**shared, "number": 1, "outcome": "unscored", "factor": "data", "failed": False}
    assert metadata["run-a/003"] == {
        **shared, "number": 3, "outcome": "failed", "factor": "training", "failed": True, "method": "sft",
    }  # fmt: skip
    assert metadata["run-a/004"] == {
        **shared, "number": 4, "outcome": "better", "factor": "data", "failed": False, "method": "sft",
        "effect": 0.06, "score": 0.41,
    }  # fmt: skip


def test_an_empty_memory_and_the_untouched_model(tmp_path: Path) -> None:
    with open_memory(tmp_path, EMBEDDER) as memory:
        assert (memory.count(), memory.experiments(), memory.recall("anything")) == (0, [], [])
        untouched = Experiment(run="r", task="finance_starter", domain="finance", model="m", number=0)
        memory.add(untouched)
        assert memory.recall("anything")[0].experiment == untouched
        assert contents(tmp_path)["r/000"][0]["outcome"] == "baseline"


def test_the_text_fits_the_embedder_whatever_the_fields_hold() -> None:
    script = Step(name="script", parameters={"code": "import json\n" * 5000})
    long = examples()[1].model_copy(
        update={
            "recipe": DataRecipe(sources=("exams",), steps=(script,) * 3),
            "failure": Failure(stage="train", kind=FailureKind.OOM, message="x" * 1900 + " CUDA out of memory"),
        }
    )
    text = describe(long)
    assert len(text) < 1500
    assert "CUDA out of memory" in text
    assert text.splitlines()[3] == "outcome: failed, effect -0.080 against experiment 0"


# what the index was made with


def test_another_embedder_is_refused_until_the_index_is_built_again(memory: ExperimentMemory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"embedder all-MiniLM-L6-v2-int8.*has.*letters.*memory\.store rebuild"):
        open_memory(memory.directory, OtherEmbedder())
    other = ExperimentMemory(memory.directory, OtherEmbedder())
    with pytest.raises(InputError, match="rebuild"):
        other.recall("a")
    assert other.rebuild(write_runs(tmp_path / "runs", examples())) == 6
    assert open_memory(memory.directory, OtherEmbedder()).count() == 6
    with pytest.raises(InputError, match="letters"):
        memory.recall("a")


def test_a_collection_opened_without_an_embedding_function_still_uses_ours(memory: ExperimentMemory) -> None:
    with index.opened(memory.directory, EMBEDDER) as collection:
        config = collection.configuration_json["embedding_function"]
        assert config["type"] == "known"
        assert config["config"] == {"embedder": EMBEDDER.name, "dimension": 384}
        function = collection.configuration["embedding_function"]
        assert isinstance(function, index.MemoryEmbedding)
        np.testing.assert_array_equal(function(["bonds"])[0], EMBEDDER.embed(["bonds"])[0])


@pytest.mark.parametrize("damage", [b"", b"this is no database" * 500])
def test_a_damaged_index_is_refused_and_can_be_built_again(
    memory: ExperimentMemory, tmp_path: Path, damage: bytes
) -> None:
    (memory.directory / index.FOLDER / "chroma.sqlite3").write_bytes(damage)
    for _ in range(2):
        with pytest.raises(InputError, match="rebuild"):
            open_memory(memory.directory, EMBEDDER)
    memory.rebuild(write_runs(tmp_path / "runs", examples()))
    assert memory.count() == 6


# building it again


def test_rebuild_equals_the_original_even_after_deletion(memory: ExperimentMemory, tmp_path: Path) -> None:
    original, nearest = contents(memory.directory), memory.recall("exam questions", limit=6)
    runs = write_runs(tmp_path / "runs", list(reversed(examples())))
    again = ExperimentMemory(tmp_path / "again", EMBEDDER)
    assert memory.rebuild(runs) == again.rebuild(runs) == 6
    assert contents(memory.directory) == contents(again.directory) == original
    assert memory.recall("exam questions", limit=6) == again.recall("exam questions", limit=6) == nearest


def test_rebuild_forgets_what_the_runs_do_not_hold(memory: ExperimentMemory, tmp_path: Path) -> None:
    assert memory.rebuild(write_runs(tmp_path / "runs", examples()[4:])) == 2
    assert [one.id for one in memory.experiments()] == ["run-b/001", "run-b/002"]
    assert memory.rebuild([]) == memory.count() == 0


def test_the_last_line_of_an_id_counts_within_a_run_and_two_runs_may_not_disagree(tmp_path: Path) -> None:
    first, last = examples()[1], examples()[1].model_copy(update={"verdict": None})
    memory = ExperimentMemory(tmp_path / "memory", EMBEDDER)
    run, copy, other = tmp_path / "run", tmp_path / "copy", tmp_path / "other"
    write_jsonl(run / "experiments.jsonl", [first, last])
    write_jsonl(copy / "experiments.jsonl", [last])
    write_jsonl(other / "experiments.jsonl", [first])
    assert memory.rebuild([run, copy]) == 1
    assert memory.experiments() == [last]
    with pytest.raises(InputError, match="different experiments run-a/002"):
        memory.rebuild([run, other])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"run": "run-a"', r"experiments\.jsonl, row 3: .*JSON"),
        ('{"version": 2, "run": "run-a"}', r"row 3: version 2 is not supported; this program reads version 1"),
        (json.dumps({**examples()[0].model_dump(mode="json"), "colour": 1}), "row 3: .*colour"),
        ("[]", "row 3"),
    ],
)
def test_a_corrupt_line_is_named_and_the_old_index_stays(
    memory: ExperimentMemory, tmp_path: Path, line: str, message: str
) -> None:
    (run,) = write_runs(tmp_path / "runs", examples()[:1])
    with (run / "experiments.jsonl").open("a") as file:
        file.write(f"\n{line}\n")  # row 2 is blank
    with pytest.raises(InputError, match=message) as error:
        memory.rebuild([run])
    assert str(run / "experiments.jsonl") in str(error.value)
    assert memory.count() == 6


def test_a_run_without_a_journal_is_named(memory: ExperimentMemory, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere/experiments\.jsonl does not exist"):
        memory.rebuild([tmp_path / "nowhere"])


def test_killed_in_the_middle_of_a_rebuild_the_old_index_stays(memory: ExperimentMemory, tmp_path: Path) -> None:
    write_runs(tmp_path / "runs", examples()[:3])
    code = """
import os, signal, sys
from pathlib import Path
from memory import store
upsert, store.BATCH = store._upsert, 2
def stop(collection, batch):
    upsert(collection, batch)
    os.kill(os.getpid(), signal.SIGKILL)
store._upsert = stop
store.ExperimentMemory(Path(sys.argv[1])).rebuild([Path(sys.argv[2])])
"""
    process = run_python(code, memory.directory, tmp_path / "runs" / "run-a")
    process.communicate(timeout=30)
    assert process.returncode == -signal.SIGKILL
    assert (memory.directory / f"{index.FOLDER}.new").exists()
    assert memory.experiments() == sorted(examples(), key=lambda one: one.id)
    assert memory.rebuild([tmp_path / "runs" / "run-a"]) == memory.count() == 3


def test_killed_between_the_renames_of_a_rebuild(memory: ExperimentMemory) -> None:
    folder = memory.directory / index.FOLDER
    old = folder.with_name(f"{index.FOLDER}.old")
    folder.rename(old)
    assert memory.count() == 6
    old.mkdir()  # after both renames: the old one was not removed yet
    assert memory.count() == 6
    assert not old.exists()


# several processes


def test_two_processes_writing_at_once_lose_nothing(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from memory.records import Experiment
from memory.store import open_memory
directory, run = Path(sys.argv[1]), sys.argv[2]
memory = open_memory(directory)
for number in range(12):
    memory.add(Experiment(run=run, task="finance_starter", domain="finance", model="m", number=number))
    assert memory.recall("finance", run=run, limit=1)
print(memory.count() >= 12)
"""
    processes = [run_python(code, tmp_path, run) for run in ("run-a", "run-b")]
    for process in processes:
        assert process.communicate(timeout=60) == ("True\n", "")
    memory = open_memory(tmp_path, EMBEDDER)
    wanted = [f"{run}/{number:03d}" for run in ("run-a", "run-b") for number in range(12)]
    assert [one.id for one in memory.experiments()] == wanted
    assert {one.id for one in memory.recall("finance", limit=100)} == set(wanted)


def test_a_new_process_remembers(memory: ExperimentMemory) -> None:
    code = """
import sys
from pathlib import Path
from memory.store import open_memory
for recalled in open_memory(Path(sys.argv[1])).recall("exam questions", limit=6):
    print(recalled.model_dump_json())
"""
    out, err = run_python(code, memory.directory).communicate(timeout=30)
    assert err == ""
    assert [store.Recalled.model_validate_json(line) for line in out.splitlines()] == memory.recall(
        "exam questions", limit=6
    )


def test_waiting_for_the_lock_is_bounded(memory: ExperimentMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "LOCK_SECONDS", 0.1)
    with (memory.directory / ".lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="locked by another process"):
            memory.count()
    assert memory.count() == 6


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        open_memory(tmp_path / "file" / "memory", EMBEDDER)


# what it must not do


def test_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: socket.socket, address: Any) -> None:
        raise AssertionError(f"tried to reach {address}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    memory = open_memory(tmp_path, SentenceEmbedder())
    memory.add(examples()[0])
    assert memory.recall("bonds")[0].experiment == examples()[0]


def test_import_is_light_and_silent_and_makes_nothing(tmp_path: Path) -> None:
    code = """
import sys
import memory.store, memory.command
memory.store.ExperimentMemory(memory.store.DIRECTORY)
assert not {"chromadb", "onnxruntime", "tokenizers", "torch"} & set(sys.modules)
"""
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{code}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr, list(tmp_path.iterdir())) == (0, "", "", [])


# the command


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_runs(tmp_path / "runs", examples())
    (tmp_path / "runs" / "started").mkdir()
    where = ["--memory-dir", str(tmp_path / "memory")]
    assert main(["rebuild", "--runs", str(tmp_path / "runs"), *where]) == 0
    assert capsys.readouterr().out == f"6 experiments of 2 runs in {tmp_path / 'memory'}\n"
    assert main(["list", "--task", "finance_starter", *where]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4
    assert lines[3] == "run-a/004  finance_starter  better  score 0.410  effect +0.060  Rationales"
    assert main(["recall", "molecules", "--limit", "1", *where]) == 0
    assert "run-b/002" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["list", "--memory-dir", "nowhere"], "--memory-dir nowhere: no such folder"),
        (["rebuild", "--runs", "nowhere", "--memory-dir", "memory"], "--runs nowhere: no such folder"),
        (["rebuild", "--runs", ".", "--memory-dir", "memory"], "no run in it has a experiments.jsonl"),
    ],
)
def test_command_errors(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert list(tmp_path.iterdir()) == []


def test_module_runs_as_a_command(memory: ExperimentMemory) -> None:
    command = [sys.executable, "-m", "memory.store", "list", "--memory-dir", str(memory.directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (0, "", 6)
