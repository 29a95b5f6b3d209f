"""A scorer of the user's own: what it may return, what it may not do, and how it is loaded."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tasks import scoring
from tasks.benchmark import load_benchmark
from tasks.check import main as check
from tasks.failure import InputError
from tasks.scoring.python_file import PythonFile
from tasks.task import Sample
from tasks.task_file import load_task_file

DATES = """
import re


def parses(prediction):
    return bool(re.search(r"\\d{4}-\\d\\d-\\d\\d", prediction))


def score(prediction, reference, item):
    year, month, day = re.search(r"(\\d{4})-(\\d\\d)-(\\d\\d)", prediction).groups()
    right = [year, month, day] == reference.split("-")
    same_year = reference.startswith(year)
    return {"score": float(right), "extracted": f"{year}-{month}-{day}", "metrics": {"year": float(same_year)}}
"""
TASK = """
name: dates
domain: history
description: Dates of events. The answer is a date such as 1969-07-20.
sources: [{name: rows, path: rows.jsonl}]
benchmark: {path: rows.jsonl}
prompt: "When was {{ event }}?"
answer: "{{ date }}"
scorer: {name: python_file, path: dates.py, description: A date such as 1969-07-20., example: "1969-07-20"}
"""


def scorer(code: str, **settings: Any) -> PythonFile:
    return PythonFile(code=code, description="anything", example="x", **settings)


def item(answer: str = "x", **fields: Any) -> Sample:
    return Sample(id="7", prompt="?", answer=answer, **fields)


def folder(place: Path, code: str, **changes: str) -> Path:
    (place / "dates.py").write_text(code, encoding="utf-8")
    rows = [{"event": f"landing {day}", "date": f"1969-07-{day:02}"} for day in range(1, 29)]
    (place / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    text = TASK
    for old, new in changes.items():
        text = text.replace(old, new)
    (place / "task.yaml").write_text(text, encoding="utf-8")
    return place / "task.yaml"


def test_a_file_beside_the_task_file_scores(tmp_path: Path) -> None:
    task = load_task_file(folder(tmp_path, DATES))
    benchmark = load_benchmark(task, None)
    one = next(iter(benchmark.samples.values()))
    texts = [f"On {one.answer}.", "On 1969-01-01", "On 1970-01-01", "long ago"]
    right, year, wrong, unread = scoring.score_all(benchmark.scorer, [(text, one) for text in texts])
    assert (right.score, right.extracted, right.metrics) == (1, one.answer, {"year": 1})
    assert (year.score, year.metrics) == (0, {"year": 1})
    assert (wrong.score, wrong.parsed, wrong.metrics) == (0, True, {"year": 0})
    assert (unread.score, unread.parsed, unread.metrics) == (0, False, {})
    assert scoring.parses_all(benchmark.scorer, [("1969-07-20", ()), ("July", ())]) == [True, False]


def test_the_code_travels_with_the_task(tmp_path: Path) -> None:
    task = load_task_file(folder(tmp_path, DATES))
    (tmp_path / "dates.py").write_text("raise SystemExit", encoding="utf-8")
    assert scoring.load(task.scorer).score("1969-07-20", item("1969-07-20")).score == 1


def test_it_sees_what_the_task_names_and_no_more() -> None:
    code = "def score(p, reference, item): return float(reference == '3' and item['context'] == {'unit': 'kg'}\
    and item['options'] == ['a'] and item['group'] == 'g' and sorted(item) == ['context', 'group', 'id', 'options'])"
    assert scorer(code).score("x", item("3", options=("a",), group="g", context={"unit": "kg"})).score == 1


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("def score(p, r, i): return 2", "less than or equal to 1"),
        ("def score(p, r, i): return float('nan')", "finite"),
        ("def score(p, r, i): return {'parsed': True}", "score: Field required"),
        ("def score(p, r, i): return 'good'", "valid number"),
        ("def score(p, r, i): return {'score': 1, 'metrics': {'a': 'b'}}", "metrics.a"),
        ("def score(p, r, i): return {1, 2}", "not JSON serializable"),
        ("def score(p, r, i): return {'score': 1, 'extracted': 'y' * 10**6}", "too long"),
        ("def score(p, r, i): raise KeyError('unit')", "KeyError: 'unit'"),
        ("def scores(p, r, i): return 1", "has no attribute 'score'"),
        ("import os\ndef score(p, r, i): os._exit(0)", "ended the process"),
        ("def score(p, r, i): return score(p, r, i)", "RecursionError"),
    ],
)
def test_an_answer_on_which_it_fails_scores_0_and_says_so(code: str, said: str) -> None:
    result = scorer(code).score("x", item())
    assert (result.score, result.parsed, result.metrics) == (0, False, {scoring.FAILED: 1})
    assert said in str(result.extracted)


def test_an_answer_that_takes_too_long_does_not_spoil_the_others() -> None:
    code = (
        "import re\ndef score(p, r, i):\n    return 1.0 if p != 'slow' else float(bool(re.match('(a+)+b', 'a' * 60)))"
    )
    started = time.monotonic()
    scores = scorer(code, seconds=0.5).score_all(["a", "slow", "b", "slow", "c"], [item()] * 5)
    assert [score.score for score in scores] == [1, 0, 1, 0, 1]
    assert [scoring.FAILED in score.metrics for score in scores] == [False, True, False, True, False]
    assert time.monotonic() - started < 30


def test_it_runs_in_the_sandbox() -> None:
    code = f"""
import os, socket
def score(p, r, i):
    for tried in (
        lambda: open({str(Path(__file__))!r}),
        lambda: socket.create_connection(("127.0.0.1", 9), timeout=1),
        lambda: os.environ["FT_DOJO_SECRET"],
    ):
        try:
            tried()
        except (OSError, KeyError):
            continue
        return 0.0
    return 1.0
"""
    assert scorer(code).score("x", item()).score == 1


def test_many_answers_are_scored_in_few_processes() -> None:
    started = time.monotonic()
    scores = scorer("def score(p, r, i): return float(p == r)").score_all(["x"] * 2000, [item()] * 2000)
    assert [score.score for score in scores] == [1.0] * 2000
    assert time.monotonic() - started < 20


@pytest.mark.parametrize(
    ("code", "changes", "said"),
    [
        ("def score(:", {}, "SyntaxError"),
        ("import no_such_package", {}, "No module named 'no_such_package'"),
        (DATES, {"path: dates.py": "path: other.py"}, "other.py"),
        (DATES, {'example: "1969-07-20"': "example: yesterday"}, "cannot read its own example"),
        (DATES.replace("float(right)", "0.0"), {}, "row 1: the reference '1969-07-01' does not score 1"),
        (DATES.replace("float(right)", "1 / 0"), {}, "ZeroDivisionError"),
        (DATES, {"description: A date such as 1969-07-20., ": ""}, "description"),
        (DATES, {"path: dates.py": "path: dates.py, tolerance: 2"}, "tolerance"),
    ],
)
def test_a_wrong_scorer_stops_before_anything_runs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: str, changes: dict[str, str], said: str
) -> None:
    assert check([str(folder(tmp_path, code, **changes))]) == 2
    assert said in capsys.readouterr().err


def test_a_file_that_cannot_be_loaded_is_an_input_error() -> None:
    with pytest.raises(InputError, match=r"scorer scorer\.py cannot be loaded"):
        scorer("raise RuntimeError").score("x", item())
