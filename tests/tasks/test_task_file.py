"""A task file is read as it stands or refused with path, key and what was expected; the manual covers it all."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from tasks import scoring
from tasks.benchmark import content_of, load_benchmark, render_options
from tasks.corpus import materialise, read_corpus
from tasks.decontaminate import Content, Decontaminator
from tasks.failure import InputError
from tasks.rows import load_rows
from tasks.task import Benchmark, Metric, Origin, Sample, Shots, Source, Task
from tasks.task_file import load_task_file
from tasks.template import render

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "mmlu_finance" / "task.yaml"
DATA = ROOT.parent / "shared" / "data"
MANUAL = (ROOT / "docs" / "tasks.md").read_text(encoding="utf-8")

GOOD: dict[str, Any] = {
    "name": "capitals",
    "domain": "geography",
    "description": "Capitals.",
    "sources": [{"name": "gazetteer", "path": "gazetteer.csv"}],
    "benchmark": {"path": "questions.jsonl", "id": "id"},
    "prompt": "Capital of {{ country }}?",
    "answer": "{{ capital }}",
    "scorer": "exact",
}


def write(folder: Path, **changes: Any) -> Path:
    """A good task file with some keys changed; None drops a key."""
    content = {key: value for key, value in {**GOOD, **changes}.items() if value is not None}
    path = folder / "task.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    task = load_task_file(write(tmp_path))
    assert task.scorer == {"name": "exact"}
    assert task.base_dir == str(tmp_path)
    assert (task.max_new_tokens, task.metric, task.options) == (64, Metric(), ())


def test_every_key_arrives(tmp_path: Path) -> None:
    source = {"name": "s", "hub": "a/b", "config": "main", "split": "test", "licence": "MIT", "description": "rows"}
    benchmark = {"path": "b.csv", "where": {"y": [1, "2"]}, "fold": "1,2/4", "limit": 9, "id": "i", "group": "g",
                 "cluster": "c", "test": "t.csv"}  # fmt: skip
    changes: dict[str, Any] = {
        "sources": [source],
        "benchmark": benchmark,
        "options": ["{{ a }}", "{{ b }}"],
        "content": "{{ q }}",
        "scorer": {"name": "choice", "accept": "text"},
        "metric": {"name": "error", "direction": "down", "aggregate": "group_mean", "only": "g"},
        "context": ["table"],
        "shots": {"path": "s.csv", "count": 3, "match": "g"},
        "identities": {"table": ["table"]},
        "leakage": "tables",
        "protocol": "honest",
        "paper": {"prompt": "{{ p }}"},
        "samples": 2,
        "temperature": 0.5,
        "max_new_tokens": 7,
        "base_dir": "/data",
    }
    read = load_task_file(write(tmp_path, **changes)).model_dump(mode="json")
    assert read == {
        **GOOD,
        **changes,
        "sources": [Source.model_validate(source).model_dump(mode="json")],
        "benchmark": Benchmark.model_validate(benchmark).model_dump(mode="json"),
        "shots": Shots.model_validate(changes["shots"]).model_dump(mode="json"),
    }


SOURCE = GOOD["sources"][0]
WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "missing key": ({"prompt": None}, ["prompt: Field required"]),
    "unknown key": ({"max_tokens": 3}, ["max_tokens: ", "not permitted", "known keys: name, domain", "max_new_tokens"]),
    "unknown key of the benchmark": ({"benchmark": {"path": "a.csv", "idd": 1}}, ["benchmark.idd: ", "cluster, test"]),
    "unknown key of a source": (
        {"sources": [{**SOURCE, "license": "MIT"}]},
        ["sources.0.license: ", "fold", "licence"],
    ),
    "unknown key of the metric": ({"metric": {"dir": "up"}}, ["metric.dir: ", "name, direction, aggregate"]),
    "wrong direction": ({"metric": {"direction": "higher"}}, ["metric.direction: ", "'up' or 'down'"]),
    "limit of zero": ({"benchmark": {"path": "a.csv", "limit": 0}}, ["benchmark.limit: ", "greater than 0"]),
    "tokens in words": ({"max_new_tokens": "many"}, ["max_new_tokens: ", "integer"]),
    "too many tokens": ({"max_new_tokens": 10**6}, ["max_new_tokens: ", "32768"]),
    "no sources": ({"sources": []}, ["sources: at least one source"]),
    "one name for two sources": ({"sources": [SOURCE, SOURCE]}, ["sources: names must differ", "gazetteer, gazetteer"]),
    "source without a place": ({"sources": [{"name": "s"}]}, ["s: give `path`", "`hub`"]),
    "benchmark without a place": ({"benchmark": {"id": "i"}}, ["benchmark: give `path`"]),
    "source that is a path": ({"sources": [{**SOURCE, "name": "../a"}]}, ["name '../a'", "letters"]),
    "task that is a path": ({"name": "my/task"}, ["name 'my/task'", "letters"]),
    "prompt cut short": ({"prompt": "{{ country"}, ["not a valid template: '{{ country'"]),
    "answer cut short": ({"answer": "{% if a %}"}, ["not a valid template: '{% if a %}'"]),
    "option cut short": ({"options": ["{{ a }}", "{{ b"]}, ["not a valid template: '{{ b'"]),
    "content cut short": ({"content": "{{ b"}, ["not a valid template: '{{ b'"]),
    "unknown scorer": ({"scorer": "exakt"}, ["unknown scorer 'exakt'", "known scorers: chart, choice, contains"]),
    "scorer without a name": ({"scorer": {"accept": "text"}}, ["unknown scorer None", "known scorers: "]),
    "unknown parameter": ({"scorer": {"name": "exact", "mark": 1}}, ["scorer exact: mark: ", "ignore_case", "marker"]),
    "wrong parameter": ({"scorer": {"name": "number", "tolerance": -1}}, ["scorer number: tolerance: "]),
    "choice without options": ({"scorer": "choice"}, ["scorer `choice` needs `options`"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_key_is_named_with_the_file(tmp_path: Path, case: str) -> None:
    changes, expected = WRONG[case]
    path = write(tmp_path, **changes)
    with pytest.raises(InputError) as error:
        load_task_file(path)
    for part in [f"{path}: ", *expected]:
        assert part in str(error.value)
    assert "\n" not in str(error.value)


UNREADABLE = {
    "not YAML": (b"name: [a\nb: }", ["is not valid YAML", "line 2"]),
    "a tab": (b"name:\n\t- a", ["is not valid YAML", "line 2"]),
    "a list": (b"- name: a", ["expected a mapping", "`sources`"]),
    "empty": (b"", ["expected a mapping"]),
    "not UTF-8": (b"name: caf\xe9", ["cannot be read", "utf-8"]),
    "an object of Python": (b"name: !!python/object/apply:os.getcwd []", ["is not valid YAML"]),
}


@pytest.mark.parametrize("case", UNREADABLE)
def test_an_unreadable_file_is_named(tmp_path: Path, case: str) -> None:
    content, expected = UNREADABLE[case]
    (tmp_path / "task.yaml").write_bytes(content)
    with pytest.raises(InputError) as error:
        load_task_file(tmp_path / "task.yaml")
    for part in [str(tmp_path / "task.yaml"), *expected]:
        assert part in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"task\.yaml does not exist"):
        load_task_file(tmp_path / "task.yaml")
    with pytest.raises(InputError, match="cannot be read"):
        load_task_file(tmp_path)


def sections(level: str) -> dict[str, str]:
    """Text under each heading of a level, by title; deeper headings belong to it."""
    found: dict[str, str] = {}
    title = ""
    for line in MANUAL.splitlines():
        if line.startswith("#") and len(line.split()[0]) <= len(level):
            title = line.lstrip("# ") if line.startswith(f"{level} ") else ""
        elif title:
            found[title] = found.get(title, "") + line + "\n"
    return found


@pytest.mark.parametrize(
    ("title", "schemas"),
    [
        ("Keys of the task", [Task]),
        ("Keys of `sources` and `benchmark`", [Origin, Source, Benchmark]),
        ("Keys of `metric`", [Metric]),
    ],
)
def test_the_manual_names_every_key(title: str, schemas: list[type[BaseModel]]) -> None:
    text = {**sections("##"), **sections("###")}[title]
    for key in (key for schema in schemas for key in schema.model_fields):
        assert f"\n| `{key}` |" in text, f"docs/tasks.md, {title}: no row for `{key}`"


BENCHMARKS = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
GENERAL = [name for name in scoring.names() if f"\n### {name}\n" in MANUAL]
"""Scorers for any task; the others belong to a benchmark."""


@pytest.mark.parametrize("name", sorted({*scoring.names()} - {*GENERAL}))
def test_the_manual_of_the_benchmarks_names_every_other_scorer(name: str) -> None:
    assert f"\n| `{name}` |" in BENCHMARKS
    assert "protocol" in type(scoring.load(name)).model_fields


def shown(name: str) -> dict[str, Any]:
    """The `scorer` of a section's example, with the file that it names."""
    text = sections("###")[name]
    spec = yaml.safe_load(text.split("```yaml\n")[1].split("```")[0])["scorer"]
    return {**spec, "code": text.split("```python\n")[1].split("```")[0]} if "```python" in text else spec


@pytest.mark.parametrize("name", GENERAL)
def test_the_manual_shows_every_scorer(name: str) -> None:
    """A section each, with every parameter and an example that loads."""
    text = sections("###")[name]
    scorer = type(scoring.load(shown(name)))
    parameters = [field for field in scorer.model_fields if field != "name"]
    documented = [line.split("`")[1] for line in text.splitlines() if line.startswith("| `")]
    assert documented == parameters
    assert shown(name)["name"] == name
    assert f"[`{name}`](#{name})" in MANUAL


@pytest.mark.parametrize("name", GENERAL)
def test_the_manual_tells_the_truth_about_scores(name: str) -> None:
    """`With the reference `R`, the completion `C` scores S` holds for the example above it."""
    text = sections("###")[name]
    scorer = scoring.load(shown(name))
    claim = text.split("With the reference `")[1]
    reference, rest = claim.split("`, the completion `", 1)
    completion, rest = rest.split("` scores ")
    options = ("red", "blue", "green", "white") if name == "choice" else ()
    sample = Sample(id="1", prompt="", answer=reference, options=options)
    score = float(rest.split(",")[0].split("\n")[0].rstrip("."))
    assert scorer.score(completion, sample).score == pytest.approx(score)


def test_the_small_example_of_the_manual_loads(tmp_path: Path) -> None:
    (tmp_path / "task.yaml").write_text(MANUAL.split("```yaml\n")[1].split("```")[0], encoding="utf-8")
    assert load_task_file(tmp_path / "task.yaml").name == "capitals"


def test_the_example_loads_and_says_how_to_run_it() -> None:
    task = load_task_file(EXAMPLE)
    assert (task.name, task.domain, task.benchmark.group, task.max_new_tokens) == (
        "mmlu_finance", "finance", "subject", 48)  # fmt: skip
    assert {source.licence for source in task.sources} == {"MIT"}
    comments = EXAMPLE.read_text(encoding="utf-8").split("\nname:")[0]
    assert "python run_graph.py --task examples/mmlu_finance/task.yaml --data-root PATH" in comments
    row = {"question": "Which?", "A": "a bond", "B": "a share", "C": "a fund", "D": "cash", "answer": "C"}
    assert render(task.answer, row) == "a fund"
    assert content_of(task, row) == "Which?"


def test_the_example_of_worked_solutions_scores_the_number_only() -> None:
    path = ROOT / "examples" / "gsm8k" / "task.yaml"
    task = load_task_file(path)
    command = "python run_graph.py --task examples/gsm8k/task.yaml --data-root PATH --budget 20m"
    assert command in path.read_text(encoding="utf-8")
    row = {"question": "Half of 36?", "answer": "36 / 2 = <<36/2=18>>18\n#### 18"}
    sample = Sample(id="1", prompt=render(task.prompt, row), answer=render(task.answer, row))
    assert sample.prompt.startswith("Half of 36?\n")
    scorer = scoring.load(task.scorer)
    assert [scorer.score(text, sample).score for text in ("so 36 - 18 = 18\n#### 18", "18\n#### 17")] == [1, 0]
    measured, taught = (str(origin.fold).split("/")[0].split(",") for origin in (task.benchmark, task.sources[0]))
    assert set(measured).isdisjoint(taught)


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder ../shared/data beside the checkout")
def test_two_hundred_items_of_grade_school_problems_measure_and_two_hundred_are_sealed(tmp_path: Path) -> None:
    task = load_task_file(ROOT / "examples" / "gsm8k" / "task.yaml")
    benchmark = load_benchmark(task, DATA)
    assert [len(benchmark.of(split)) for split in ("test", "feedback", "selection")] == [200, 60, 140]
    assert read_corpus(materialise(task, DATA, tmp_path)).sources[0].rows > 6000


@pytest.mark.skipif(not DATA.is_dir(), reason="needs the data folder ../shared/data beside the checkout")
def test_the_example_measures_on_other_rows_than_it_teaches(tmp_path: Path) -> None:
    task = load_task_file(EXAMPLE)
    benchmark = load_benchmark(task, DATA)
    assert len(benchmark.samples) == 400
    assert not benchmark.splits.shared
    assert len({sample.group for sample in benchmark.of("test")}) == 7
    corpus = read_corpus(materialise(task, DATA, tmp_path))
    assert {source.name: source.rows for source in corpus.sources} == {"dev_val": 194, "exam_half": 727}
    guard = Decontaminator(benchmark.samples.values())
    rows = [row for source in task.sources for row in load_rows(source, task.base_dir, DATA)]
    contents = [
        Content(
            question=content_of(task, row), answer=render(task.answer, row), options=render_options(task.options, row)
        )
        for row in rows
    ]
    reasons = guard.leaks(contents)
    assert reasons.count("exact") == 0
    assert len(reasons) - reasons.count(None) < 0.01 * len(reasons)  # twins within MMLU itself
