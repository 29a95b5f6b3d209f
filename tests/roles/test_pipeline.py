"""Recipes carried out for real: processes in bubblewrap, kept outputs, untrusted scripts, what none of them can see."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memory.records import DataRecipe, Step
from roles.data_steps.gate import GatedRow
from roles.data_steps.pipeline import Pipeline, PreparedRows, SegmentRequest
from tasks import sandbox
from tasks.child import CHECKOUT
from tasks.corpus import materialise
from tasks.failure import FailureKind, StageError
from tasks.record import read_jsonl, read_record, write_record
from tasks.starter.planted import PLANTED
from tasks.task import Task

pytestmark = pytest.mark.skipif(sandbox.available() is not None, reason=str(sandbox.available()))

FORMAT = Step(
    name="format",
    parameters={"source": "lessons", "answer": "{{ answer }}", "fields": {"first": "{{ answer }}", "second": "black"}},
)


def sample(rows: int) -> Step:
    return Step(name="sample", parameters={"rows": rows})


def script(code: str, **parameters: Any) -> Step:
    return Step(name="script", parameters={"code": code, **parameters})


def recipe(*steps: Step, sources: tuple[str, ...] = ("lessons",)) -> DataRecipe:
    return DataRecipe(sources=sources, steps=steps)


class Bench:
    """A pipeline over the toy task in a folder of its own."""

    def __init__(self, task: Task, folder: Path, model: Path) -> None:
        self.task, self.model, self.folder = task, model, folder / "steps"
        self.corpus = materialise(task, None, folder / "cache")
        self.scripts = folder / "script"

    def apply(self, *steps: Step, sources: tuple[str, ...] = ("lessons",)) -> PreparedRows:
        pipeline = Pipeline(self.task, self.corpus, self.folder, self.model, 0)
        return pipeline.apply(recipe(*steps, sources=sources), 400, self.scripts)

    def refuses(self, *steps: Step, sources: tuple[str, ...] = ("lessons",)) -> StageError:
        with pytest.raises(StageError) as failed:
            self.apply(*steps, sources=sources)
        assert failed.value.failure.stage == "prepare_data"
        return failed.value

    def files(self) -> dict[str, tuple[int, int]]:
        """Time and inode of every file that is kept."""
        return {path.name: (path.stat().st_mtime_ns, path.stat().st_ino) for path in self.folder.iterdir()}


@pytest.fixture
def bench(toy_task: Task, tmp_path: Path, tiny_model: Path) -> Bench:
    return Bench(toy_task, tmp_path, tiny_model)


def gated(prepared: PreparedRows) -> list[GatedRow]:
    return [GatedRow.model_validate(row) for row in read_jsonl(Path(prepared.path))]


def test_a_recipe_runs_from_raw_rows_to_gated_ones(bench: Bench) -> None:
    drop = Step(name="filter", parameters={"where": "'lesson 7' not in question"})
    prepared = bench.apply(drop, FORMAT, sample(40))
    rows = gated(prepared)
    assert prepared.removed == {"filter: not 'lesson 7' not in question": 11, "sample: not sampled": 69}
    assert len(rows) == 40
    assert all(row.prompt == f"{row.content} {row.answer} or black?" for row in rows)
    assert all(row.source == "lessons" and row.options == (row.answer, "black") and row.tokens > 20 for row in rows)
    assert all(f"lesson {row.row - 1}." in row.content for row in rows)


def test_an_unchanged_prefix_is_not_computed_again(bench: Bench) -> None:
    first = bench.apply(Step(name="deduplicate"), FORMAT, sample(20))
    before = bench.files()
    other = bench.apply(Step(name="deduplicate"), FORMAT, sample(10))
    after = bench.files()
    assert {name: after[name] for name in before} == before
    asked = [
        read_record(bench.folder / name, SegmentRequest) for name in after.keys() - before.keys() if "request" in name
    ]
    assert sorted([step.name for step in request.steps] for request in asked) == [[], ["sample"]]
    assert (len(gated(first)), len(gated(other))) == (20, 10)
    assert {row.row for row in gated(other)} < {row.row for row in gated(first)}
    again = bench.apply(Step(name="deduplicate"), FORMAT, sample(20))
    assert (again, bench.files()) == (first, after)


def test_a_half_written_output_is_computed_again(bench: Bench) -> None:
    """A crash between rows and report leaves rows without a report."""
    first = bench.apply(FORMAT)
    report = Path(first.path).with_suffix(".json")
    report.unlink()
    assert bench.apply(FORMAT) == first
    assert report.exists()


# ----- wrong recipes


@pytest.mark.parametrize(
    ("steps", "sources", "said"),
    [
        ((), ("lesson",), ["unknown source 'lesson'", "known: lessons"]),
        ((Step(name="shuffle"),), ("lessons",), ["unknown step 'shuffle'", "deduplicate", "script"]),
        (
            (Step(name="sample", parameters={"n": 3}),),
            ("lessons",),
            ["step 'sample'", "n: Extra", "rows: Field required"],
        ),
        ((script("pass", wall_seconds=0),), ("lessons",), ["step 'script'", "wall_seconds"]),
    ],
)
def test_a_wrong_recipe_is_refused_before_anything_runs(bench: Bench, steps, sources, said) -> None:
    error = bench.refuses(FORMAT, *steps, sources=sources)
    assert error.failure.kind == FailureKind.CONFIG
    assert all(words in error.failure.message for words in said)
    assert not bench.folder.exists()


def test_a_template_that_fits_no_row_comes_back_with_step_and_fields(bench: Bench) -> None:
    wrong = Step(name="format", parameters={"source": "lessons", "prompt": "{{ title }}", "answer": "{{ answer }}"})
    error = bench.refuses(Step(name="deduplicate"), wrong)
    assert error.failure.kind == FailureKind.CONFIG
    assert all(words in error.failure.message for words in ["step 2 (format)", "{{ title }}", "question, answer"])


def test_rows_that_nobody_formatted_are_a_fault_of_the_data(bench: Bench) -> None:
    error = bench.refuses(sample(5))
    assert error.failure.kind == FailureKind.DATA
    assert "was the source formatted?" in error.failure.message


def test_a_step_that_leaves_nothing_is_named(bench: Bench) -> None:
    emptying = Step(name="filter", parameters={"require": ["never there"]})
    error = bench.refuses(emptying, sample(5))
    assert error.failure.kind == FailureKind.DATA
    assert error.failure.message.startswith("step 'filter' leaves no rows (removed: no never there: ")


# ----- scripts

WRITE = "import json; out = open('/out/data.jsonl', 'w')\n"


def test_a_script_reads_corpus_and_rows_and_replaces_them(bench: Bench) -> None:
    code = (
        WRITE
        + """
corpus = [json.loads(line) for line in open('/corpus/lessons.jsonl')]
for line in open('/out/rows.jsonl'):
    row = json.loads(line)
    raw = corpus[row['row'] - 1]
    assert raw == row['fields'], (raw, row)
    print(json.dumps({'prompt': raw['question'] + '!', 'answer': raw['answer'],
                      'options': ['red', 'blue', 'green', 'white'],
                      'source': row['source'], 'row': row['row']}), file=out)
print(json.dumps({'prompt': 'mine', 'answer': 'red', 'options': ['red', 'blue']}), file=out)
"""
    )
    rows = gated(bench.apply(sample(8), script(code)))
    assert [row.source for row in rows] == ["lessons"] * 8 + ["script"]
    assert all(row.prompt.endswith(f"lesson {row.row - 1}.!") for row in rows[:8])
    assert (rows[8].prompt, rows[8].row) == ("mine", 9)


def test_a_script_is_tried_on_few_rows_first(bench: Bench) -> None:
    """Without rows of its own it gets the first of each source; with them, the first of these and all sources."""
    count = WRITE + "n = len(open('/corpus/lessons.jsonl').readlines()); assert n != 100, n"
    said = bench.refuses(script(count)).failure.message
    assert said.startswith("in a trial over the first 100 rows: ")
    assert "AssertionError: 100" in said
    count = WRITE + "n = len(open('/out/rows.jsonl').readlines()); m = len(open('/corpus/lessons.jsonl').readlines())"
    said = bench.refuses(sample(110), script(count + "; assert n != 100, (n, m)")).failure.message
    assert "AssertionError: (100, 120)" in said
    assert "trial" not in bench.refuses(sample(90), script(count + "; 1 / 0")).failure.message
    assert not (bench.scripts / "trial").exists()


def test_raw_rows_of_a_script_are_formatted_afterwards(bench: Bench) -> None:
    code = (
        WRITE
        + """
for line in open('/out/rows.jsonl'):
    row = json.loads(line)
    print(json.dumps({**row['fields'], 'answer': 'white', 'source': 'lessons', 'row': row['row']}), file=out)
"""
    )
    rows = gated(bench.apply(sample(8), script(code), FORMAT))
    assert {(row.answer, row.task_format, row.source) for row in rows} == {("white", True, "lessons")}
    assert "was the source formatted" in str(bench.refuses(sample(8), script(code)))


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("raise ValueError('broken here')", FailureKind.SANDBOX, ["ValueError: broken here", "line 1"]),
        ("import roles", FailureKind.SANDBOX, ["ModuleNotFoundError"]),
        ("pass", FailureKind.DATA, ["data.jsonl does not exist"]),
        (WRITE + "out.write('{}\\n{\"prompt\": ')", FailureKind.DATA, ["row 2", "not valid JSON"]),
        (WRITE + "out.write('[1, 2]\\n')", FailureKind.DATA, ["row 1", "expected a JSON object, found list"]),
        ("open('/out/data.jsonl', 'wb').write(b'\\xff\\n')", FailureKind.DATA, ["row 1", "not valid JSON"]),
        ("import os; os.symlink('/etc/passwd', '/out/data.jsonl')", FailureKind.DATA, ["does not exist"]),
        ("import os; os.mkfifo('/out/data.jsonl')", FailureKind.DATA, ["does not exist"]),
        ("while True: pass", FailureKind.TIMEOUT, ["limit of"]),
        (
            "import socket; socket.create_connection(('1.1.1.1', 53), 3)",
            FailureKind.SANDBOX,
            ["OSError", "nreachable"],
        ),
        ("open('/corpus/lessons.jsonl', 'a')", FailureKind.SANDBOX, ["Read-only file system"]),
    ],
)
def test_a_script_that_misbehaves_fails_with_its_reason_and_is_not_kept(bench: Bench, code, kind, said) -> None:
    error = bench.refuses(script(code, wall_seconds=2))
    assert error.failure.kind == kind, error
    assert all(words in error.failure.message for words in said), error
    assert not bench.folder.exists()


def test_a_script_that_failed_runs_again(bench: Bench) -> None:
    """A failure is never cached: the same step succeeds when its cause is gone."""
    row = json.dumps({"prompt": "mine", "answer": "red", "options": ["red", "blue"]})
    code = "import os, pathlib\nassert os.listdir('/out') == [], os.listdir('/out')\n"
    code += f"pathlib.Path('/out/data.jsonl').write_text({row!r}) if len(os.listdir('/corpus')) == 3 else 1 / 0"
    assert "ZeroDivisionError" in bench.refuses(script(code)).failure.message
    (bench.corpus / "more.jsonl").touch()
    assert len(gated(bench.apply(script(code)))) == 1


def test_rows_of_a_script_pass_the_same_gate(bench: Bench) -> None:
    code = WRITE + "print(json.dumps({'prompt': 'q', 'answer': 'pink', 'options': ['red', 'blue']}), file=out)"
    assert bench.refuses(script(code)).failure.kind == FailureKind.FORMAT


# ----- the benchmark is out of reach

HUNT = '''
import json, os, socket, stat, sys


def hunt(needles):
    """Files and environments that hold a needle, and `network` when it answers; leaves a mark where it can write."""
    found = []
    skipped = ("/usr", "/sys", sys.prefix, sys.base_prefix)
    for folder, folders, files in os.walk("/"):
        folders[:] = [name for name in folders if not os.path.join(folder, name).startswith(skipped)]
        if folder.startswith("/proc") and not folder[6:].isdigit():
            folders[:] = folders if folder == "/proc" else []
            continue
        for name in files if not folder.startswith("/proc") else ["environ", "cmdline"]:
            try:
                if not stat.S_ISREG(os.stat(os.path.join(folder, name)).st_mode):
                    continue  # to read a device may block
                with open(os.path.join(folder, name), "rb") as file:
                    text = file.read(10_000_000)
            except OSError:
                continue
            found += [f"{needle} in {folder}/{name}" for needle in needles if bytes.fromhex(needle) in text]
        if not folder.startswith(("/dev", "/proc")):
            try:
                open(os.path.join(folder, "was.here"), "w").close()
            except OSError:
                pass
    try:
        socket.create_connection(("1.1.1.1", 53), 2)
        found.append("network")
    except OSError:
        pass
    return sorted(found)
'''
PROBE = f'''"""An attack: a step that looks for the benchmark wherever it can."""

from collections import Counter

from roles.data_steps.row import Applied, DataRow, DataStep
{HUNT}

class Probe(DataStep):
    """Writes down what it found."""

    needles: tuple[str, ...]

    def apply(self, rows, context):
        """Look everywhere."""
        fields = {{"prompt": json.dumps(hunt(self.needles)), "answer": "found"}}
        return Applied([DataRow(source="probe", row=1, fields=fields)], Counter())


STEP = Probe
'''
DRIVER = """
import sys
from pathlib import Path
from memory.records import DataRecipe
from roles.data_steps.pipeline import Pipeline
from tasks.record import read_record
from tasks.task import Task

task, recipe, corpus, folder, model = map(Path, sys.argv[1:])
pipeline = Pipeline(read_record(task, Task), corpus, folder, model, 0)
print(pipeline.apply(read_record(recipe, DataRecipe), 10**6, folder / "script").path)
"""
SECRET, OPEN = "planted-benchmark-words", "planted-lesson-words"


def planted(toy_task: Task, tmp_path: Path) -> tuple[list[str], Path]:
    """Secrets where a run and the starter task keep them, an open word in the corpus as control; needles and corpus."""
    with (tmp_path / "benchmark.jsonl").open("a") as file:
        file.write(json.dumps({"id": "x", "question": SECRET}) + "\n")
    with (tmp_path / "lessons.jsonl").open("a") as file:
        file.write(json.dumps({"question": OPEN, "answer": "red"}) + "\n")
    for place in ("sealed/test.jsonl", "experiments/001/feedback.jsonl", "transcript.jsonl"):
        path = tmp_path / "run" / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SECRET)
    starter = json.loads((CHECKOUT / "tasks/starter/data/benchmark.jsonl").read_text().partition("\n")[0])["question"]
    faults = next(line for line in PLANTED.read_text().splitlines() if "wrong_labels" in line)
    needles = [text.encode().hex() for text in (SECRET, starter, faults, OPEN)]
    return needles, materialise(toy_task, None, tmp_path / "cache")


def test_a_step_that_looks_for_the_benchmark_finds_nothing(toy_task: Task, tmp_path: Path, tiny_model: Path) -> None:
    """In a copy of the checkout, so that the planted step runs as any step does."""
    checkout, folder = tmp_path / "checkout", tmp_path / "run" / "steps"
    for room in ("tasks", "eval", "memory", "roles"):
        shutil.copytree(CHECKOUT / room, checkout / room, ignore=shutil.ignore_patterns("__pycache__"))
    (checkout / "roles" / "data_steps" / "probe.py").write_text(PROBE)
    needles, corpus = planted(toy_task, tmp_path)
    write_record(tmp_path / "task.json", toy_task)
    probe = Step(name="probe", parameters={"needles": needles})
    write_record(tmp_path / "recipe.json", recipe(probe))
    arguments = map(str, (tmp_path / "task.json", tmp_path / "recipe.json", corpus, folder, tiny_model))
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(checkout), "OPENAI_API_KEY": SECRET}
    done = subprocess.run(
        [sys.executable, "-P", "-c", DRIVER, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (row,) = read_jsonl(Path(done.stdout.strip()))
    assert json.loads(row["prompt"]) == [f"{needles[-1]} in {corpus}/lessons.jsonl"]
    assert list(tmp_path.rglob("was.here")) == [folder / "was.here"]


def test_a_script_that_looks_for_the_benchmark_finds_nothing(
    toy_task: Task, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    needles, corpus = planted(toy_task, tmp_path)
    folder = tmp_path / "run" / "experiments" / "002" / "script"
    code = f"{HUNT}\nrow = {{'prompt': json.dumps(hunt({needles})), 'answer': 'A', 'options': ['x', 'y']}}\n"
    code += "open('/out/data.jsonl', 'w').write(json.dumps(row))"
    pipeline = Pipeline(toy_task, corpus, tmp_path / "run" / "steps", tiny_model, 0)
    (row,) = gated(pipeline.apply(recipe(script(code)), 10**6, folder))
    assert json.loads(row.prompt) == [f"{needles[-1]} in /corpus/lessons.jsonl"]
    assert list(tmp_path.rglob("was.here")) == [folder / "out" / "was.here"]


def test_rows_can_be_looked_for(bench: Bench) -> None:
    """By a condition over their fields, in the sandbox; what was found is kept."""
    pipeline = Pipeline(bench.task, bench.corpus, bench.folder, bench.model, 0)
    found = list(read_jsonl(pipeline.matching("lessons", "answer == 'red'")))
    assert [row["row"] for row in found] == list(range(1, 121, 4))
    assert {row["fields"]["answer"] for row in found} == {"red"}
    kept = bench.files()
    pipeline.matching("lessons", "answer == 'red'")
    assert bench.files() == kept
    assert list(read_jsonl(pipeline.matching("lessons", "colour == 'red'"))) == []


@pytest.mark.parametrize("where", ["answer ==", "'a' * 10**11", "().__class__.__base__.__subclasses__()"])
def test_a_condition_can_do_no_harm(where: str, bench: Bench) -> None:
    """It is an agent's: a wrong, a greedy or a nosy one fails where it cannot hurt."""
    with pytest.raises(StageError) as failed:
        Pipeline(bench.task, bench.corpus, bench.folder, bench.model, 0).matching("lessons", where)
    assert failed.value.failure.stage == "prepare_data"
