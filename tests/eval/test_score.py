"""`python -m eval.score`: answers in a file, scores out; and the F1 of counts."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from eval.f1 import f1_of_counts, is_counted
from eval.score import aggregate, main, score_file
from tasks.catalogue import find_task
from tasks.child import CHECKOUT
from tasks.task import ItemScore, Task


@pytest.fixture
def with_scorer(toy_task: Task, tmp_path: Path) -> Any:
    """A task file whose scorer is the one that a test names."""

    def write(**scorer: Any) -> str:
        changed = toy_task.model_copy(update={"scorer": scorer})
        file = tmp_path / "toy.yaml"
        file.write_text(yaml.safe_dump(changed.model_dump(mode="json", exclude_defaults=True, exclude={"base_dir"})))
        return str(file)

    return write


@pytest.fixture
def cases(tmp_path: Path) -> Any:
    """A file of answers from (prediction, reference) pairs, or from lines as they stand."""

    def write(*lines: Any) -> Path:
        file = tmp_path / "cases.jsonl"
        rows = (dict(zip(("prediction", "reference"), line, strict=True)) if isinstance(line, tuple) else line
                for line in lines)  # fmt: skip
        file.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
        return file

    return write


def run(task: str, file: Path, *flags: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """The lines that the command prints."""
    assert main(["--task", task, "--in", str(file), *flags]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


# --- the command


def test_a_line_out_for_each_line_in_and_the_aggregate(
    with_scorer: Any, cases: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cases(('{"answer": "G"}', ["G"]), ('I say {"answer": "G"}', {"gold": ["G"], "silver": ["E"]}), ("none", "G"))
    paper = run(with_scorer(name="par4pc"), file, "--protocol", "paper", capsys=capsys)
    counts = {"tp.all": 1.0, "fp.all": 0.0, "fn.all": 0.0, "exact_match": 1.0, "custom": 1.0}
    assert paper[0] == {"score": 1.0, "parsed": True, "metrics": counts}
    assert paper[1]["score"] == pytest.approx(2 / 3)
    assert [line["parsed"] for line in paper[:3]] == [True, True, False]
    means = {"mean": pytest.approx((1 + 2 / 3) / 3), "unparsed": pytest.approx(1 / 3)}
    assert paper[3:] == [{"aggregate": {"n": 3, **means, "by_subtask": {}, "f1": pytest.approx(4 / 6)}}]
    honest = run(with_scorer(name="par4pc"), file, capsys=capsys)
    assert honest[1]["score"] == 1
    assert honest[3]["aggregate"]["f1"] == pytest.approx(4 / 5)


def test_the_flag_decides_the_protocol_not_the_task_file(
    with_scorer: Any, cases: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cases(("B, because ROE", "B"))
    task = with_scorer(name="letter", protocol="paper")
    assert run(task, file, capsys=capsys)[0]["score"] == 1
    assert run(task, file, "--protocol", "paper", capsys=capsys)[0]["score"] == 0


def test_scorers_without_protocols_know_honest_only(cases: Any, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["accrual", "bond", "call", "dividend"]
    file = cases({"prediction": "B", "reference": "bond", "context": {"options": options}}, ("bond", "bond"))
    with pytest.raises(SystemExit):
        main(["--task", "finance_starter", "--in", str(file), "--protocol", "other"])
    capsys.readouterr()
    assert main(["--task", "finance_starter", "--in", str(file), "--protocol", "paper"]) == 2
    assert "the scorer of finance_starter, choice, knows honest only" in capsys.readouterr().err
    lines = run("finance_starter", file, capsys=capsys)
    assert [line.get("score") for line in lines] == [1, 0, None]
    assert "sample 2 has no options" in lines[1]["error"]
    assert {name: lines[2]["aggregate"][name] for name in ("n", "errors", "mean")} == {"n": 2, "errors": 1, "mean": 1}
    assert run("finance_starter", cases(json.loads(file.read_text().splitlines()[0])), capsys=capsys)[0]["score"] == 1


@pytest.mark.parametrize(
    ("scorer", "prediction", "reference", "expected"),
    [
        ({"name": "exact"}, "12", 12, 1),
        ({"name": "exact"}, "-0.5", -0.5, 1),
        ({"name": "exact"}, "12.0", 12.0, 1),
        ({"name": "pi4pc"}, '{"answer": 17}', 17, 1),
        ({"name": "pi4pc"}, '{"answer": 17}', [4, 17], 1),
        ({"name": "pi4pc"}, '{"answer": 17}', {"gold_answers": [17], "silver_answers": [4], "negative_answers": []}, 1),
        ({"name": "noc4pc"}, '{"code": "102"}', 102, 1),
        ({"name": "json_field", "field": "a", "compare": "set"}, '{"a": ["é", "x"]}', ["x", "é"], 1),
    ],
)
def test_references_that_are_no_text_arrive_as_json_text(
    scorer: dict[str, Any], prediction: str, reference: Any, expected: float, with_scorer: Any, cases: Any,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    assert run(with_scorer(**scorer), cases((prediction, reference)), capsys=capsys)[0]["score"] == expected


def test_context_reaches_the_scorer(with_scorer: Any, cases: Any, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"prediction": "\\boxed{71}", "reference": "70", "context": {"judge_response": "A"}, "note": "ours"}
    file = cases(line, {**line, "context": None, "subtask": None})
    paper = run(with_scorer(name="math"), file, "--protocol", "paper", capsys=capsys)
    assert [one["score"] for one in paper[:2]] == [1, 0]
    assert run(with_scorer(name="math"), file, capsys=capsys)[0] == {
        "score": 0.0, "parsed": True, "metrics": {"judge": 1.0, "rule": 0.0},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 3: value: Invalid JSON"),
        ("[]", "line 3: value: Input should be an object"),
        ('{"prediction": "x"}', "line 3: reference: Field required"),
        ('{"reference": "x"}', "line 3: prediction: Field required"),
        ('{"prediction": 3, "reference": "x"}', "line 3: prediction: Input should be a valid string"),
        ('{"prediction": "x", "reference": null}', "line 3: reference: Value error, expected text, a number, a list"),
        ('{"prediction": "x", "reference": true}', "line 3: reference: Value error, expected text, a number, a list"),
        ('{"prediction": "x", "reference": "x", "subtask": 3}', "line 3: subtask: Input should be a valid string"),
        ('{"prediction": "x", "reference": "x", "context": []}', "line 3: context: Input should be an object"),
    ],
)
def test_malformed_lines_are_named(
    line: str, message: str, with_scorer: Any, cases: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    file = cases(("G", "G"), "", line)
    assert main(["--task", with_scorer(name="par4pc"), "--in", str(file)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"{file}, {message}")


def test_missing_files_and_unknown_tasks_are_wrong_input(
    tmp_path: Path, cases: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--task", "finance_starter", "--in", str(tmp_path / "none.jsonl")]) == 2
    assert "none.jsonl: No such file" in capsys.readouterr().err
    assert main(["--task", "poetry", "--in", str(cases())]) == 2
    assert "unknown task 'poetry'" in capsys.readouterr().err


def test_an_empty_file_has_an_aggregate_of_nothing(cases: Any, capsys: pytest.CaptureFixture[str]) -> None:
    expected = {"n": 0, "unparsed": None, "mean": None, "by_subtask": {}}
    assert run("finance_starter", cases(), capsys=capsys) == [{"aggregate": expected}]


def test_the_command_as_a_person_calls_it(with_scorer: Any, cases: Any, tmp_path: Path) -> None:
    task, file, out = with_scorer(name="letter"), cases(("答案是: B", "B")), tmp_path / "deep" / "scores.jsonl"
    line = [sys.executable, "-m", "eval.score", "--task", task, "--in", str(file)]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(CHECKOUT)}
    printed = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    written = subprocess.run(
        [*line, "--out", str(out)], capture_output=True, text=True, cwd=tmp_path, env=environment, check=True
    )
    assert json.loads(printed.stdout.splitlines()[0]) == {"score": 1.0, "parsed": True, "metrics": {}}
    assert (written.stdout, out.read_text()) == ("", printed.stdout)


def test_many_answers_at_once(cases: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scorer with `score_all` gets the whole file."""
    from tasks.scoring.choice import Choice

    seen: list[tuple[list[str], list[str]]] = []

    def score_all(self: Choice, predictions: list[str], samples: list[Any]) -> list[ItemScore]:
        seen.append((predictions, [sample.id for sample in samples]))
        if "" in predictions:
            raise ValueError("sample 3 has no table")
        return [ItemScore(score=1, parsed=True) for _ in samples]

    monkeypatch.setattr(Choice, "score_all", score_all, raising=False)
    task = find_task("finance_starter")
    lines = score_file(task, "honest", cases(("x", "y"), "", ("z", "y")))
    assert seen == [(["x", "z"], ["1", "3"])]
    assert lines[-1]["aggregate"]["mean"] == 1
    assert score_file(task, "honest", cases(("", "y")))[-1]["aggregate"]["errors"] == 1  # one by one, to see which


# --- the aggregate


def item(score: float, **other: Any) -> ItemScore:
    return ItemScore(score=score, parsed=True, **other)


def test_means_go_by_subtask_and_errors_apart() -> None:
    scores = [item(2, lower_is_better=True), item(1, lower_is_better=True), item(1), item(0), item(1)]
    found = aggregate(scores, ["fg_count", "fg_count", "equivalence", "equivalence", None])
    assert found == {
        "n": 5,
        "unparsed": 0,
        "mean": pytest.approx(2 / 3),
        "mae": 1.5,
        "by_subtask": {"equivalence": {"mean": 0.5}, "fg_count": {"mae": 1.5}},
    }
    assert aggregate(scores[:2], [None, None]) == {"n": 2, "unparsed": 0, "mae": 1.5, "by_subtask": {}}


def test_items_without_counts_leave_the_denominator_where_others_have_counts() -> None:
    scores = [item(1, metrics={"tp.102": 1}), ItemScore(score=0, parsed=False)]
    assert aggregate(scores, ["a", "b"]) == {
        "n": 2, "unparsed": 0.5, "mean": 1, "by_subtask": {"a": {"mean": 1}}, "f1": 1,
    }  # fmt: skip
    assert aggregate(scores[1:], ["b"])["mean"] == 0


# --- F1


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([], None),
        ([{}, {"custom": 0.5, "tp": 1}], None),
        ([{"tp.all": 1, "fp.all": 1}, {"tp.all": 1, "fn.all": 2, "custom": 1}], 4 / 7),
        ([{"tp.102": 1}, {"fn.103": 1, "fp.102": 1}, {"tp.ALLOW": 0}], (2 / 3) / 3),
        ([{"tp.x": 0.5, "fn.x": 0.5}], 2 / 3),
        ([{"tp.a.b": 1}], 1),
    ],
)
def test_f1(items: list[dict[str, float]], expected: float | None) -> None:
    assert f1_of_counts(items) == (None if expected is None else pytest.approx(expected))


def test_which_metrics_are_counts() -> None:
    assert [is_counted({name: 1}) for name in ("tp.A", "fp.all", "fn.102", "tp", "tps.A", "A.tp", "mean")] == (
        [True] * 3 + [False] * 4
    )
