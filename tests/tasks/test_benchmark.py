"""Benchmark rows become samples, or the file, the row and the field at fault are named."""

from pathlib import Path
from typing import Any

import pytest

from tasks import catalogue
from tasks.benchmark import MINIMUM, benchmark_hash, content_of, load_benchmark, render_options
from tasks.failure import InputError
from tasks.record import read_jsonl, write_jsonl
from tasks.task import Benchmark, Task

Rows = list[dict[str, Any]]


def with_benchmark(task: Task, **changes: Any) -> Task:
    return task.model_copy(update={"benchmark": task.benchmark.model_copy(update=changes)})


def test_a_row_becomes_a_sample(toy_task: Task) -> None:
    benchmark = load_benchmark(toy_task, None)
    sample = benchmark.samples["q5"]
    assert sample.prompt == "Which colour has the code 1 in box 5? blue or green?"
    assert (sample.answer, sample.options, sample.group) == ("blue", ("blue", "green"), "g1")
    assert sample.content == "Which colour has the code 1 in box 5?"
    assert benchmark.scorer.score("It is blue.", sample).score == 1


def test_splits_hold_the_samples_in_a_fixed_order(toy_task: Task) -> None:
    benchmark = load_benchmark(toy_task, None)
    assert [sample.id for sample in benchmark.of("test")] == list(benchmark.splits.test)
    ids = [sample.id for split in ("feedback", "test") for sample in benchmark.of(split)]
    assert sorted(ids) == sorted(benchmark.samples)  # 40 rows are left: feedback and selection are shared


def test_without_id_and_group_the_row_number_serves(toy_task: Task) -> None:
    samples = load_benchmark(with_benchmark(toy_task, id=None, group=None), None).samples
    assert list(samples) == [str(number) for number in range(1, 81)]
    assert {sample.group for sample in samples.values()} == {"all"}


def test_an_explicit_test_file_is_the_test_split(toy_task: Task, toy_rows: Rows, tmp_path: Path) -> None:
    """Its ids stand apart, and its twins among the other rows are left out."""
    fresh = [row | {"question": f"New: {row['question']}"} for row in toy_rows[:25]]
    write_jsonl(tmp_path / "test.jsonl", [*fresh, *toy_rows[25:30]])
    benchmark = load_benchmark(with_benchmark(toy_task, test="test.jsonl"), None)
    assert set(benchmark.splits.test) == {f"test:q{i}" for i in range(30)}
    rest = {*benchmark.splits.feedback, *benchmark.splits.selection}
    assert rest == {f"q{i}" for i in range(80) if not 25 <= i < 30}


@pytest.mark.parametrize(
    ("options", "row", "expected"),
    [
        ((), {}, ()),
        (("{{ a }}", "{{ b }}"), {"a": 1, "b": "x, y"}, ("1", "x, y")),
        ("{{ options | tojson }}", {"options": ["<a>", 'b"', 3]}, ("<a>", 'b"', "3")),
    ],
)
def test_options_render(options: tuple[str, ...] | str, row: dict[str, Any], expected: tuple[str, ...]) -> None:
    assert render_options(options, row) == expected


@pytest.mark.parametrize("rendered", ["a, b", '{"a": 1}', '"ab"', "3", ""])
def test_options_that_are_no_list_are_refused(rendered: str) -> None:
    with pytest.raises(InputError, match=r"`options` must render a JSON list .*tojson"):
        render_options("{{ options }}", {"options": rendered})


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "Which?"),
        ({"prompt": "{{ passage }}\n{{ question }} {{ first }}"}, "Text. Which?"),
        ({"content": "{{ question }} {{ first }}"}, "Which? red"),
        ({"prompt": "{{ first }} or {{ second }}?"}, "red blue"),
    ],
)
def test_content_is_the_question_without_options(toy_task: Task, changes: dict[str, Any], expected: str) -> None:
    row = {"question": "Which?", "first": "red", "second": "blue", "passage": "Text.", "answer": "red"}
    assert content_of(toy_task.model_copy(update=changes), row) == expected


def double(rows: Rows) -> Rows:
    return [*rows, rows[4]]


def put(position: int, **fields: Any) -> Any:
    def change(rows: Rows) -> Rows:
        return [row | fields if index == position else row for index, row in enumerate(rows)]

    return change


def drop(position: int, field: str) -> Any:
    def change(rows: Rows) -> Rows:
        return [{key: row[key] for key in row if index != position or key != field} for index, row in enumerate(rows)]

    return change


BAD_ROWS: dict[str, tuple[Any, list[str]]] = {
    "id twice": (double, ["row 81", "id 'q4' occurs twice"]),
    "no id": (drop(6, "id"), ["row 7", "no field 'id'", "question, first"]),
    "no group": (drop(6, "group"), ["row 7", "no field 'group'"]),
    "no question": (drop(2, "question"), ["row 3", "'question' is undefined", "the row has: id, first"]),
    "no answer": (drop(2, "answer"), ["row 3", "'answer' is undefined"]),
    "empty answer": (put(2, answer="  "), ["row 3", "the reference answer is empty"]),
    "no option": (drop(2, "second"), ["row 3", "'second' is undefined"]),
    "reference that is no option": (put(2, answer="purple"), ["row 3", "reference 'purple'", "names no option"]),
    "reference beyond the options": (put(2, answer="C"), ["row 3", "reference 'C'", "names no option"]),
    "too many groups": (
        lambda rows: [row | {"group": f"g{index}"} for index, row in enumerate(rows)],
        ["group 'group' has 80 values over 80 rows", "`cluster`"],
    ),
    "too few rows": (lambda rows: rows[:19], ["toy: the benchmark has 19 rows", "at least 20"]),
    "one group a row": (
        lambda rows: [row | {"group": f"g{index}"} for index, row in enumerate(rows[:20])],
        ["toy: the benchmark leaves no rows for test", "`group`"],
    ),
}


@pytest.mark.parametrize("case", BAD_ROWS)
def test_a_bad_row_is_named(toy_task: Task, toy_rows: Rows, tmp_path: Path, case: str) -> None:
    change, expected = BAD_ROWS[case]
    write_jsonl(tmp_path / "benchmark.jsonl", change(toy_rows))
    with pytest.raises(InputError) as error:
        load_benchmark(toy_task, None)
    path = tmp_path / "benchmark.jsonl"
    first = f"{path}, {expected[0]}: " if expected[0].startswith("row ") else expected[0]
    for part in [first, *expected[1:]]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"answer": "{{ question }}", "scorer": {"name": "number", "marker": "####"}}, None),
        ({"scorer": {"name": "number"}}, "holds no number"),
        ({"answer": "...", "scorer": {"name": "exact"}}, "is empty after normalisation"),
        ({"answer": "word " * 60, "scorer": {"name": "contains", "max_words": 9}}, None),
        ({"answer": "{{ first }} | {{ second }}", "scorer": {"name": "f1", "separator": "|"}}, "does not score 1"),
    ],
)
def test_a_reference_is_one_the_scorer_can_compare_with(
    toy_task: Task, changes: dict[str, Any], expected: str | None
) -> None:
    """A reference need not be a good answer (a long solution is read otherwise), but must not be a broken one."""
    task = toy_task.model_copy(update=changes)
    if expected is None:
        assert len(load_benchmark(task, None).samples) == 80
        return
    with pytest.raises(InputError, match=expected) as error:
        load_benchmark(task, None)
    assert "benchmark.jsonl, row 1: " in str(error.value)


def test_a_bad_row_of_the_test_file_is_named(toy_task: Task, toy_rows: Rows, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "test.jsonl", put(3, answer="purple")(toy_rows))
    with pytest.raises(InputError, match=r"test\.jsonl, row 4: reference 'purple'"):
        load_benchmark(with_benchmark(toy_task, test="test.jsonl"), None)


@pytest.mark.parametrize("case", ["test", "cluster"])
def test_a_benchmark_that_leaves_nothing_to_learn_from_is_refused(
    toy_task: Task, toy_rows: Rows, tmp_path: Path, case: str
) -> None:
    write_jsonl(tmp_path / "benchmark.jsonl", [row | {"page": "1"} for row in toy_rows])
    task = with_benchmark(toy_task, **({"test": "benchmark.jsonl"} if case == "test" else {"cluster": "page"}))
    with pytest.raises(InputError, match="toy: the benchmark leaves no rows for feedback and selection"):
        load_benchmark(task, None)


def test_a_missing_cluster_or_file_is_named(toy_task: Task) -> None:
    with pytest.raises(InputError, match=r"row 1: no field 'page'; it has: id, question"):
        load_benchmark(with_benchmark(toy_task, cluster="page"), None)
    with pytest.raises(InputError, match=r"no file .*gone\.csv; --data-root"):
        load_benchmark(toy_task.model_copy(update={"benchmark": Benchmark(path="gone.csv")}), None)


def test_the_smallest_benchmark_is_accepted(toy_task: Task, toy_rows: Rows, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "benchmark.jsonl", toy_rows[:MINIMUM])
    assert len(load_benchmark(toy_task, None).samples) == MINIMUM


def test_the_hash_follows_what_is_asked_and_how_it_is_split(toy_task: Task, toy_rows: Rows, tmp_path: Path) -> None:
    first = benchmark_hash(load_benchmark(toy_task, None))
    assert first == benchmark_hash(load_benchmark(toy_task, None))
    others = [
        toy_task.model_copy(update={"prompt": "{{ question }} {{ first }}, {{ second }}?"}),
        toy_task.model_copy(update={"answer": "{{ second }}"}),
        with_benchmark(toy_task, group=None),
        with_benchmark(toy_task, limit=70),
    ]
    hashes = {first, *(benchmark_hash(load_benchmark(task, None)) for task in others)}
    assert len(hashes) == 5


@pytest.mark.parametrize("name", catalogue.tasks())
def test_a_shipped_task_proves_itself(name: str) -> None:
    """Without a model: its references score 1 by its own scorer, and its splits are of a useful size."""
    task = catalogue.tasks()[name]
    if task.benchmark.path is None or not (Path(task.base_dir) / task.benchmark.path).is_file():
        pytest.skip(f"{name}: its data do not ship with the project")
    benchmark = load_benchmark(task, None)
    assert all(benchmark.scorer.score(sample.answer, sample).score == 1 for sample in benchmark.samples.values())
    assert len(benchmark.samples) == len(list(read_jsonl(Path(task.base_dir) / task.benchmark.path)))
    assert min(len(benchmark.of(split)) for split in ("feedback", "selection", "test")) >= 20
