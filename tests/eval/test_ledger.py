"""Openings of sealed splits: counted by run, over runs, and from several processes at once."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from eval.ledger import Opening, open_test
from tasks.child import child_environment
from tasks.record import read_jsonl


def entries(root: Path) -> list[Opening]:
    return [Opening.model_validate(row) for row in read_jsonl(root / "openings.jsonl")]


def test_a_run_is_entered_once(tmp_path: Path) -> None:
    root = tmp_path / "cache" / "deeper"
    assert [open_test(root, "t", "h", run) for run in ("a", "a", "b", "a", "b", "c")] == [1, 1, 2, 2, 2, 3]
    assert [entry.run for entry in entries(root)] == ["a", "b", "c"]


def test_tasks_and_benchmarks_are_counted_apart(tmp_path: Path) -> None:
    calls = [("t", "h", "a"), ("t", "h2", "a"), ("t2", "h", "a"), ("t", "h", "b")]
    assert [open_test(tmp_path, *call) for call in calls] == [1, 1, 1, 2]
    assert len(entries(tmp_path)) == 4


def test_the_time_is_utc(tmp_path: Path) -> None:
    open_test(tmp_path, "t", "h", "a")
    (entry,) = entries(tmp_path)
    assert abs(datetime.fromisoformat(entry.time) - datetime.now(UTC)) < timedelta(minutes=1)
    assert entry.time.endswith("+00:00")


def test_processes_that_open_at_once_are_all_counted(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from eval.ledger import open_test\n"
        "print(*[open_test(Path(sys.argv[1]), 't', 'h', f'{sys.argv[2]}-{i}') for i in range(40)])\n"
    )
    commands = [[sys.executable, "-c", code, str(tmp_path), name] for name in "abc"]
    running = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=child_environment()) for command in commands
    ]
    counts = [int(count) for process in running for count in process.communicate()[0].split()]
    assert sorted(counts) == list(range(1, 121))  # no count is given twice
    assert len(entries(tmp_path)) == 120
