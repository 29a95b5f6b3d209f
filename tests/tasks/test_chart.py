"""Chart programs: what each protocol sees of them, in the real sandbox, and what they may try there."""

import json
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

import tasks.chart_code
from tasks import scoring
from tasks.chart_code import Drawing, Series, draw, extract_code
from tasks.chart_values import literal_reference, read_reference, same_calls, same_chart, same_values
from tasks.failure import FailureKind, InputError, StageError
from tasks.sandbox import Mounts, available
from tasks.scoring.chart import Chart
from tasks.supervise import Finished
from tasks.task import Protocol, Sample

DATA = os.environ.get("FT_DOJO_DATA")
TABLE: dict[str, Any] = {
    "columns": ["month", "bread", "cake", "share"],
    "data": [["Jan", 12, 3, "12.5%"], ["Feb", 9, 4, "37.5%"], ["Mar", 15, 8, "50%"]],
}
BREAD, BOTH = "y_references = [[12, 9, 15]]", "y_references = [[12, 9, 15], [3, 4, 8]]"
PROTOCOLS: tuple[Protocol, Protocol] = ("paper", "honest")

pytest.importorskip("matplotlib", reason="needs ft-dojo[table]")
pytest.importorskip("pandas", reason="needs ft-dojo[table]")
needs_sandbox = pytest.mark.skipif(available() is not None, reason=f"needs the sandbox: {available()}")


def sample(answer: str = BREAD, chart_type: str = "bar", table: Any = TABLE) -> Sample:
    return Sample(id="c1", prompt="?", answer=answer, context={"table": table, "chart_type": chart_type})


def answer_of(code: str) -> str:
    """An answer as the prompt asks for it."""
    start = "import pandas as pd\nimport matplotlib.pyplot as plt\ndf = pd.read_csv('table.csv')\n"
    return f"I group by month.\n```python\n{start}{textwrap.dedent(code).strip()}\nplt.show()\n```\n"


# --- what each protocol sees: code, reference, chart type, score under `paper`, score under `honest`

SEEN: dict[str, tuple[str, str, str, int, int]] = {
    "bar": ("plt.bar(df.month, df.bread)", BREAD, "bar", 1, 1),
    "bar, a list": ("plt.bar(df.month, df.bread.tolist())", BREAD, "bar", 1, 1),
    "bar, floats of numpy": ("plt.bar(df.month, df.bread.astype(float).values)", BREAD, "bar", 1, 1),
    "bar, one number": ("plt.bar('Jan', 12)", "y_references = [[12]]", "bar", 1, 1),
    "bar, within the tolerance": ("plt.bar(df.month, df.bread + 0.009)", BREAD, "bar", 1, 1),
    "bar, beyond the tolerance": ("plt.bar(df.month, df.bread + 0.02)", BREAD, "bar", 0, 0),
    "bar, one value wrong": ("plt.bar(df.month, [12, 9, 16])", BREAD, "bar", 0, 0),
    "bar, one value too many": ("plt.bar('abcd', [12, 9, 15, 0])", BREAD, "bar", 0, 0),
    "bar, another column": ("plt.bar(df.month, df.cake)", BREAD, "bar", 0, 0),
    "stacked": ("plt.bar(df.month, df.bread)\nplt.bar(df.month, df.cake, bottom=df.bread)", BOTH, "bar", 1, 1),
    "grouped": ("x = np.arange(3)\nplt.bar(x, df.bread, .4)\nplt.bar(x + .4, df.cake, .4)", BOTH, "bar", 1, 1),
    "line": ("plt.plot(df.month, df.bread, 'o-')", BREAD, "line", 1, 1),
    "lines in one call": ("plt.plot(df.month, df.bread, df.month, df.cake)", BOTH, "line", 1, 1),
    "scatter": ("plt.scatter(df.bread, df.cake)", "y_references = [[3, 4, 8]]", "scatter", 1, 1),
    "text": ("plt.plot(df.month, df.share)", "y_references = [['12.5%', '37.5%', '50%']]", "line", 1, 1),
    "text as a number": ("plt.plot(df.month, ['12', '9', '15'])", BREAD, "line", 1, 1),
    "the kind is not judged": ("plt.plot(df.month, df.bread)", BREAD, "bar", 1, 1),
    "two figures": ("plt.bar(df.month, df.bread)\nplt.figure()\nplt.bar(df.month, df.cake)", BOTH, "bar", 1, 1),
    "closed and shown": (
        "plt.bar(df.month, df.bread)\nplt.savefig('a.png')\nplt.show()\nplt.close()",
        BREAD,
        "bar",
        1,
        1,
    ),
    "main guard": ("if __name__ == '__main__':\n    plt.bar(df.month, df.bread)", BREAD, "bar", 1, 1),
    "table overwritten": ("df.to_csv('table.csv')\nplt.bar(df.month, df.bread)", BREAD, "bar", 1, 1),
    # programs that fail
    "exception after drawing": ("plt.bar(df.month, df.bread)\n1 / 0", BREAD, "bar", 0, 0),
    "sys.exit after drawing": ("plt.bar(df.month, df.bread)\nsys.exit(0)", BREAD, "bar", 0, 0),
    "unknown column": ("plt.bar(df.month, df['pie'])", BREAD, "bar", 0, 0),
    "a package that is absent": ("import no_such_package\nplt.bar(df.month, df.bread)", BREAD, "bar", 0, 0),
    "syntax error": ("plt.bar(df.month, df.bread", BREAD, "bar", 0, 0),
    "nothing drawn": ("print(df)", BREAD, "bar", 0, 0),
    # seen by `honest` only
    "integers of numpy": ("plt.bar(df.month.values, df.bread.values)", BREAD, "bar", 0, 1),
    "by keyword": ("plt.bar(x=df.month, height=df.bread)", BREAD, "bar", 0, 1),
    "without x": ("plt.plot(df.bread)", BREAD, "line", 0, 1),
    "barh": ("plt.barh(df.month, df.bread)", BREAD, "hbar", 0, 1),
    "stacked barh": ("plt.barh(df.month, df.bread)\nplt.barh(df.month, df.cake, left=df.bread)", BOTH, "hbar", 0, 1),
    "pie": ("plt.pie(df.bread, labels=df.month, autopct='%1.1f%%', explode=[0, .1, 0])", BREAD, "pie", 0, 1),
    "pie of shares": ("plt.pie([33.33, 25, 41.67])", BREAD, "pie", 0, 1),
    "pie, one slice wrong": ("plt.pie([12, 9, 17])", BREAD, "pie", 0, 0),
    "pie in place of bars": ("plt.pie(df.bread)", BREAD, "bar", 0, 0),
    "stackplot": ("plt.stackplot(df.month, df.bread, df.cake)", BOTH, "area", 0, 1),
    "fill between": ("plt.fill_between(range(3), df.bread)\nplt.fill_between(range(3), df.cake)", BOTH, "area", 0, 1),
    "radar": (
        "at, y = [0, 2.09, 4.19, 0], [12, 9, 15, 12]\nax = plt.subplot(polar=True)\nax.plot(at, y)\nax.fill(at, y)",
        BREAD,
        "radar",
        0,
        1,
    ),
    "axes": ("fig, ax = plt.subplots()\nax.bar(df.month, df.bread)", BREAD, "bar", 0, 1),
    "two axes": (
        "fig, (a, b) = plt.subplots(2)\na.bar(df.month, df.bread)\nb.bar(df.month, df.cake)",
        BOTH,
        "bar",
        0,
        1,
    ),
    "bars and a line": (
        "fig, ax = plt.subplots()\nax.bar(df.month, df.bread)\nax.twinx().plot(df.month, df.cake)",
        BOTH,
        "bar",
        0,
        1,
    ),
    "current axes alone": (
        "fig, (a, b) = plt.subplots(2)\na.bar(df.month, df.cake)\nplt.sca(b)\nb.bar(df.month, df.bread)",
        BREAD,
        "bar",
        0,
        1,
    ),
    "df.plot": ("df.plot(x='month', y='bread')", BREAD, "line", 0, 1),
    "df.plot bar": ("df.plot(x='month', y='bread', kind='bar')", BREAD, "bar", 0, 1),
    "df.plot stacked": ("df.plot.bar(x='month', stacked=True)", BOTH, "bar", 0, 1),
    "df.plot barh": ("df.plot.barh(x='month')", BOTH, "hbar", 0, 1),
    "df.plot area": ("df.plot.area(x='month')", BOTH, "area", 0, 1),
    "df.plot pie": ("df.set_index('month').bread.plot.pie()", BREAD, "pie", 0, 1),
    "df.plot scatter": ("df.plot.scatter(x='bread', y='cake')", "y_references = [[3, 4, 8]]", "scatter", 0, 1),
    "a bar at a time": ("for m, b in zip(df.month, df.bread):\n    plt.bar(m, b)", BREAD, "bar", 0, 1),
    "another order of series": ("plt.bar(df.month, df.cake)\nplt.bar(df.month, df.bread)", BOTH, "bar", 0, 1),
    "another order of positions": (
        "df = df.sort_values('bread')\nplt.bar(df.month, df.bread)\nplt.bar(df.month, df.cake)",
        BOTH,
        "bar",
        0,
        1,
    ),
    "a series for each row": (
        "for i in range(3):\n    plt.bar([i, i + 9], [df.bread[i], df.cake[i]])",
        BOTH,
        "bar",
        0,
        1,
    ),
    "values at other positions": (
        "plt.bar(df.month, df.bread)\nplt.bar(df.month, sorted(df.cake, reverse=True))",
        BOTH,
        "bar",
        0,
        0,
    ),
    "a mean over the bars": ("plt.bar(df.month, df.bread)\nplt.plot([0, 2], [12, 12])", BREAD, "bar", 0, 1),
    "a line across": ("plt.plot(df.month, df.bread)\nplt.axhline(12)", BREAD, "line", 1, 1),
    "error bars": ("plt.errorbar(df.month, df.bread, yerr=1, capsize=3)", BREAD, "line", 0, 1),
    "invisible bars below": (
        "plt.bar(df.month, df.cake, alpha=0)\nplt.bar(df.month, df.bread, bottom=df.cake)",
        BREAD,
        "bar",
        0,
        1,
    ),
    "a missing value": ("plt.bar(df.month, [12, 9, 15])", "y_references = [[12, 9, 15, np.nan]]", "bar", 0, 0),
    "a missing value, drawn": (
        "plt.bar('abcd', [12, 9, 15, np.nan])",
        "y_references = [[12, 9, 15, np.nan]]",
        "bar",
        0,
        1,
    ),
    # quirks that `honest` does not share
    "format as a series": ("plt.plot(df.bread, 'o')", BREAD, "line", 0, 1),
    "nan equals all": ("plt.bar(df.month, [12.0, np.nan, 15.0])", BREAD, "bar", 1, 0),
    "one row alone": ("plt.bar(df.month, df.bread)", "y_references = [12, 9, 15]", "bar", 0, 1),
    "one row alone, as many calls": (
        "for m in df.month:\n    plt.bar(m, 1)",
        "y_references = [12, 9, 15]",
        "bar",
        1,
        0,
    ),
    "calls that draw nothing": ("plt.bar(df.month, df.bread)\nplt.clf()", BREAD, "bar", 1, 0),
    "text on the bars' axis": ("plt.bar(df.month, ['12', '9', '15'])", BREAD, "bar", 1, 1),
    "indented text": (
        'import io\nd = pd.read_csv(io.StringIO("""\nm,b\nJan,12\nFeb,9\nMar,15\n"""))\nplt.bar(d["m"], d["b"])',
        BREAD,
        "bar",
        0,
        1,
    ),
}


PRELOADED = """
import json, os, sys
import matplotlib.pyplot, numpy, pandas
from pathlib import Path
from tasks import chart_runner

for line in sys.stdin:
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.dup2(writer, 1)
        os.chdir(Path(line.strip()).parent)
        sys.argv = ["chart_runner.py", line.strip()]
        chart_runner.main()
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([said, status if status >= 0 else 128 - status]), flush=True)
"""
"""Runs requests in forks of one process that has the libraries: no sandbox, and twenty times as fast."""


@pytest.fixture(scope="module")
def scores() -> dict[tuple[str, str], Any]:
    """The scores of all cases under both protocols, without the sandbox: our own programs do not need it."""
    command = [sys.executable, "-c", PRELOADED]
    environment = {**os.environ, "MPLBACKEND": "Agg", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    with (
        pytest.MonkeyPatch.context() as patch,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as server,
    ):
        tube, back = server.stdin, server.stdout
        assert tube is not None
        assert back is not None

        def run(argv: list[str], mounts: Mounts, *_: Any, **__: Any) -> Finished:
            tube.write(f"{mounts.readonly[Path(argv[-1])]}\n")
            tube.flush()
            stdout, code = json.loads(back.readline())
            return Finished(returncode=code, seconds=0, stdout=stdout, stderr="", stopped=None, isolated=False)

        patch.setattr(tasks.chart_code, "run", run)
        return {
            (name, protocol): Chart(protocol=protocol).score(answer_of(code), sample(answer, chart_type))
            for name, (code, answer, chart_type, *_) in SEEN.items()
            for protocol in PROTOCOLS
        }


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen(name: str, scores: dict[tuple[str, str], Any]) -> None:
    *_, paper, honest = SEEN[name]
    assert scores[name, "paper"].score == paper, scores[name, "paper"]
    assert scores[name, "honest"].score == honest, scores[name, "honest"]
    assert scores[name, "honest"].parsed
    assert scores[name, "paper"].parsed


def test_metrics_and_extracted_tell_what_happened(scores: dict[tuple[str, str], Any]) -> None:
    fine, failed = scores["bar", "honest"], scores["unknown column", "honest"]
    assert (fine.metrics, fine.extracted) == ({"executed": 1}, '[["bar", 12.0, 9.0, 15.0]]')
    assert (failed.metrics, failed.extracted) == ({"executed": 0}, "failed: KeyError: 'pie'")
    assert scores["bar", "paper"].extracted == "[[12, 9, 15]]"
    assert "int64" in scores["integers of numpy", "paper"].extracted


@needs_sandbox
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_sandbox_gives_the_same(protocol: Protocol, scores: dict[tuple[str, str], Any]) -> None:
    names = ("stacked", "lines in one call", "text", "unknown column", "integers of numpy", "df.plot area")
    cases = [SEEN[name] for name in names]
    predictions = [answer_of(code) for code, *_ in cases]
    samples = [sample(answer, chart_type) for _, answer, chart_type, *_ in cases]
    assert Chart(protocol=protocol).score_all(predictions, samples) == [scores[name, protocol] for name in names]


@needs_sandbox
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_code_without_a_fence_and_without_imports_runs(protocol: Protocol) -> None:
    assert Chart(protocol=protocol).score("plt.bar(['a', 'b'], [1, 2])", sample("y_references = [[1, 2]]")).score == 1


@needs_sandbox
def test_tables() -> None:
    text = answer_of("plt.bar(df.month, df.bread)")
    without = "plt.bar(['a', 'b', 'c'], [12, 9, 15])"
    for protocol in PROTOCOLS:
        scorer = Chart(protocol=protocol)
        assert scorer.score(text, sample(table=json.dumps(TABLE))).score == (protocol == "honest")
        assert scorer.score(without, sample(table=None)).score == 1
        assert scorer.score(without, sample(table={"columns": ["a"], "data": [[1, 2]]})).score == 0
    assert Chart(protocol="paper").score(without, sample(table=[["a", 1]])).score == 0


# --- attacks

TO_EVERY_FILE = "import os\nfor n in range(3, 20):\n    try: os.write(n, {!r})\n    except OSError: pass\n"
HERE = Path(__file__).resolve()
ATTACKS: dict[str, str] = {
    "endless loop": "while True: pass",
    "memory": "keep = []\nwhile True: keep.append(bytearray(1 << 26))",
    "deep recursion": "def f(): return f()\nf()",
    "kill": "import os\nos.kill(os.getpid(), 9)",
    "output flood": "while True: print('x' * 1_000_000)",
    "flood on every file": TO_EVERY_FILE.replace("{!r}", "b'[' * 70_000_000"),
    "a result of its own": TO_EVERY_FILE.format(b'\n{"executed": true, "calls": 7, "axes": 7}') + "os._exit(0)",
    "nested result": TO_EVERY_FILE.replace("{!r}", "b'\\n' + b'[' * 10_000") + "os._exit(0)",
    "patched json": "import json\njson.dumps = lambda *a, **k: 'no json'\nplt.bar([1], [2])",
    "very many values": "plt.plot(list(range(100_000)), list(range(100_000)))",
    "huge number": "plt.bar(['a'], [10 ** 4_000])",
    "no text": "class E(Exception):\n    def __str__(self): raise self\nraise E",
    "patched pyplot": "plt.gca = plt.get_fignums = None",
    "null": "x = '\x00'",
    "surrogate": "raise ValueError('\\ud800')",
    "network": "import socket\nsocket.create_connection(('127.0.0.1', 80), 1)",
    "reading files": (
        "found = [p for p in ('/request.json', '/etc/passwd', '/root/.ssh', "
        f"{str(HERE)!r}, {str(HERE.parents[2] / 'tasks')!r}) if Path(p).exists()]\n"
        "assert 'y_ref' + 'erences' not in Path('/request.json').read_text()\nraise ValueError(found)"
    ),
}


@needs_sandbox
def test_attacks_score_zero_and_end() -> None:
    samples = [sample("y_references = [[77]]")] * len(ATTACKS)
    started = time.monotonic()
    answers = [f"```python\n{code}\n```" for code in ATTACKS.values()]
    results = Chart(seconds=2).score_all(answers, samples, workers=4)
    assert time.monotonic() - started < 90
    for name, result in zip(ATTACKS, results, strict=True):
        assert (result.score, result.parsed) == (0, True), name
    said = dict(zip(ATTACKS, (result.extracted for result in results), strict=True))
    assert said["endless loop"] == "failed: out of time"
    assert said["reading files"] == "failed: ValueError: ['/request.json']"
    assert said["a result of its own"] == "failed: it left no result"


@needs_sandbox
@pytest.mark.parametrize("start", ["", "import signal\nsignal.signal(signal.SIGALRM, signal.SIG_IGN)\n"])
def test_time_ends(start: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.chart_code, "START_SECONDS", 5)
    assert draw(f"{start}import time\ntime.sleep(99)", None, "honest", 0.5).error == "out of time"


@pytest.mark.parametrize(
    "stdout",
    [
        *("", "x", "[]", "[" * 16_000, "9" * 5_000, '{"executed": 1e400}', '{"executed": true, "more": 1}'),
        f'{{"executed": true, "calls": [[{"[" * 960}1{"]" * 960}]]}}',
        *('{"executed": true, "calls": [7]}', '{"executed": true, "axes": [[{"kind": "table", "values": []}]]}'),
    ],
    ids=lambda text: text[-14:],
)
def test_a_result_of_another_form_is_a_failure(stdout: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one of the right form that cannot be compared: lists nested as deep as Python can go."""

    def run(*_: Any, **__: Any) -> Finished:
        return Finished(returncode=0, seconds=1, stdout=stdout, stderr="", stopped=None, isolated=True)

    monkeypatch.setattr(tasks.chart_code, "run", run)
    assert draw("pass", None, "honest", 1) == Drawing(executed=False, error="it left no result")
    assert Chart(protocol="paper").score("plt.bar(1, 2)", sample()).score == 0


# --- parts


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("```python\na = 1\n```", "a = 1"),
        ("```python a = 1```", "a = 1"),
        ("```python\na = 1\n```\nBetter:\n```python\nb = 2\n```\nDone.", "b = 2"),
        ("```python\na = 1\n```\n```python\nb = 2", "a = 1"),
        ("```\nplt.bar()\n```", "```\nplt.bar()\n```"),
        ("```Python\nplt.bar()\n```", "```Python\nplt.bar()\n```"),
        ("```python\n\n```", None),
        ("an important note", "an important note"),
        (" plt.bar(1, 2)\n", "plt.bar(1, 2)"),
        ("I cannot draw", None),
        ("", None),
        ("y_references = [[1, 2]]", None),
    ],
)
def test_extract_code(text: str, code: str | None) -> None:
    assert extract_code(text, "paper") == code
    assert extract_code(text, "honest") == code


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("text", ["```python" * 11_000, "```" * 33_000, "`" * 100_000, "\n" * 100_000])
def test_extract_code_is_quick(text: str, protocol: Protocol) -> None:
    started = time.process_time()
    extract_code(text, protocol)
    assert time.process_time() - started < 1


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_unparsed_needs_no_sandbox_and_no_reference(protocol: Protocol) -> None:
    for text in ("", " ", "%%% ~~", "\x00", "I cannot draw"):
        result = Chart(protocol=protocol).score(text, sample(""))
        assert (result.score, result.parsed, result.extracted, result.metrics) == (0, False, None, {})
        assert not Chart(protocol=protocol).parses(text)
    assert Chart(protocol=protocol).parses("```python\nno code\n```")


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    "answer", ["", "12, 9, 15 bars", "y_references = 7", "y_references = [[1, 2]", "y_references ="]
)
def test_broken_reference_raises(answer: str, protocol: Protocol) -> None:
    with pytest.raises(ValueError, match="of sample c1 is not"):
        Chart(protocol=protocol).score("plt.bar(1, 2)", sample(answer))
    with pytest.raises(ValueError, match="of sample c1 is not"):
        Chart(protocol=protocol).check_reference(sample(answer))


@pytest.mark.parametrize(
    ("text", "rows", "literal"),
    [
        ("y_references = [[1, 2.5], [-3, 0]]", [[1, 2.5], [-3, 0]], [[1, 2.5], [-3, 0]]),
        ("y_references = [1, 2]", [[1, 2]], [1, 2]),
        ("[[1, 2]]", [[1, 2]], [[1, 2]]),
        ("y_references = [[1, np.nan, None]]", [[1, 0, 0]], None),
        ("[[1, null]]", [[1, 0]], None),
        ("y_references = [['$1,200', '30%', 'Oslo']]", [[1200, 30, "oslo"]], [["$1,200", "30%", "Oslo"]]),
        ("y_references = []", None, []),
        ("y_references = [[1], 2]", None, [[1], 2]),
        ("y_references = [[__import__('os')]]", None, None),
        ("y_references = (1, 2)", [[1, 2]], None),
        ("[" * 5_000, None, None),
    ],
)
def test_references(text: str, rows: Any, literal: Any) -> None:
    assert read_reference(text) == rows
    assert literal_reference(text) == literal


@pytest.mark.parametrize(
    ("drawn", "reference", "same"),
    [
        ([[1, 2]], [[2, 1]], True),
        ([[1], [2]], [[2, 1]], True),
        ([[1, 2]], [[1, 2, 2]], False),
        ([[1.004, 2]], [[1, 2]], True),
        ([[1, 2, 3], [4, 5, 6]], [[6, 5, 4], [3, 2, 1]], True),
        ([[1, 2, 3], [4, 5, 6]], [[1, 2, 3], [4, 6, 5]], False),
        ([[1, 4], [3, 6], [2, 5]], [[1, 2, 3], [4, 5, 6]], True),
        ([[1, 4], [3, 5], [2, 6]], [[1, 2, 3], [4, 5, 6]], False),
        ([[1, 2, 3, 4, 5, 6]], [[1, 2, 3], [6, 5, 4]], True),
        ([[1, 2], [3, 4]], [[1, 3], [2, 4]], True),
        ([[1, 0], [0, 1]], [[0, 1], [1, 0]], True),
        ([["a", 1]], [[1, "a"]], True),
        ([["a", 1]], [[1, "b"]], False),
        ([[0.0, 0.01, 0.02], [1, 2, 3]], [[0.02, 0.01, 0.0], [3, 2, 1]], True),
    ],
)
def test_same_values(drawn: Any, reference: Any, same: bool) -> None:
    assert same_values(drawn, reference) is same


def test_same_values_is_quick_where_many_orders_fit() -> None:
    rows: Any = [[float((i + j) % 11) for i in range(11)] for j in range(11)]
    started = time.process_time()
    assert not same_values([row[::-1] for row in rows[:9]] + rows[9:], [[*rows[0]], *rows[1:]])
    assert time.process_time() - started < 5


def test_a_current_axes_that_does_not_exist_is_no_axes() -> None:
    series = Series(kind="bar", values=(1, 2))
    for current in (-1, 5, None):
        assert not same_chart(Drawing(executed=True, axes=((series,), (series,)), current=current), "bar", [[1, 2]])
    assert same_chart(Drawing(executed=True, axes=((series,), (series,)), current=1), "bar", [[1, 2]])
    assert not same_chart(Drawing(executed=True), "bar", [[1, 2]])


@pytest.mark.parametrize(
    ("calls", "reference", "same"),
    [
        ([[1, 2]], [[1.005, 2]], True),
        ([[1, 2]], [[1.02, 2]], False),
        ([[1, 2], [3]], [[1, 2]], False),
        ([[3], [1, 2]], [[1, 2], [3]], False),
        ([[2, 1]], [[1, 2]], False),
        ([], [], False),
        ([["1", True, None]], [[1, 1, "None"]], True),
        ([["a", [1]]], [["a", "[1]"]], True),
        ([["A"]], [["a"]], False),
        ([[float("nan")]], [[5]], True),
        ([[1], [2]], [7, 8], True),
        ([[10**400]], [[1]], False),
        ([[1]], [(1,)], True),
    ],
)
def test_same_calls(calls: list[Any], reference: list[Any], same: bool) -> None:
    assert same_calls(calls, reference) is same


def test_score_all_keeps_the_order_and_wants_a_sample_each() -> None:
    scorer = scoring.load("chart")
    assert isinstance(scorer, Chart)
    assert [result.parsed for result in scorer.score_all(["", "no"], [sample(), sample()])] == [False, False]
    with pytest.raises(ValueError, match="1 predictions for 2 samples"):
        scorer.score_all([""], [sample(), sample()])


def test_missing_package_gives_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks.chart_code.importlib.util, "find_spec", lambda name: None if name == "pandas" else name)
    with pytest.raises(InputError, match=r"charts need pandas: pip install 'ft-dojo\[table\]'"):
        Chart().score("plt.bar(1, 2)", sample())


def test_missing_sandbox_is_an_error_not_a_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Finished:
        raise StageError("evaluate", FailureKind.SANDBOX, "there is no sandbox")

    monkeypatch.setattr(tasks.chart_code, "run", refuse)
    with pytest.raises(StageError, match="no sandbox"):
        Chart().score("plt.bar(1, 2)", sample())


# --- the real references


def program(chart_type: str, rows: list[list[Any]]) -> str:
    """The plain solution of a chart type for given values."""
    place = "x = list(range(len(row)))"
    lines = {
        "bar": "plt.bar(x, row)",
        "hbar": "plt.barh(x, row)",
        "waterfall": "plt.bar(x, row, bottom=np.concatenate([[0], np.cumsum(row)[:-1]]))",
        "line": "plt.plot(x, row)",
        "scatter": "plt.scatter(x, row)",
        "pie": "plt.pie(row)",
        "area": "plt.fill_between(x, row)",
        "radar": "plt.polar(np.linspace(0, 2 * np.pi, len(row) + 1), [*row, row[0]])",
    }
    return f"```python\nfor row in {rows!r}:\n    {place}\n    {lines[chart_type]}\nplt.show()\n```"


@pytest.mark.skipif(not DATA, reason="needs FT_DOJO_DATA: the folder with the benchmark files")
@needs_sandbox
def test_every_real_reference_is_reached_by_a_plain_solution() -> None:
    lines = Path(DATA or "", "tablebench", "TableBench_PoT.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["qtype"] == "Visualization"]
    assert len(rows) == 50
    predictions = [program(row["chart_type"], read_reference(row["answer"]) or []) for row in rows]
    samples = [sample(row["answer"], row["chart_type"], row["table"]) for row in rows]
    results = Chart().score_all(predictions, samples)
    assert [row["id"] for row, result in zip(rows, results, strict=True) if result.score < 1] == []
