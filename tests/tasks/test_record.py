"""Records are immutable and strict, rest on disk whole or not at all, and come back with errors that name the place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.failure import MESSAGE_LIMIT, Failure, FailureKind, StageError
from tasks.record import (
    InputError,
    Record,
    digest,
    explain,
    file_digest,
    read_jsonl,
    read_record,
    write_jsonl,
    write_record,
    write_text,
)


class Leaf(Record):
    """A record in a record."""

    n: int
    path: Path | None = None


class Tree(Record):
    """A record that holds records."""

    name: str
    leaves: tuple[Leaf, ...] = ()


TREE = Tree(name="Baum “1” 债", leaves=(Leaf(n=1, path=Path("/a")), Leaf(n=2)))


def test_a_record_cannot_change_and_takes_no_unknown_field() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        TREE.name = "b"  # type: ignore[misc]
    with pytest.raises(ValidationError, match="nmae"):
        Tree.model_validate({"name": "a", "nmae": "b"})


def test_a_record_comes_back_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "tree.json"
    write_record(path, TREE)
    assert read_record(path, Tree) == TREE
    assert "Baum “1” 债" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"name": "a", "leaves": [{"n": 1}, {"n": "x"}]}', "leaves.1.n: "),
        ('{"name": "a", "leafs": []}', "leafs: Extra inputs"),
        ("{}", "name: Field required"),
        ('{"name": ', "value: Invalid JSON"),
        ("", "value: Invalid JSON"),
    ],
)
def test_a_bad_record_names_the_file_and_the_field(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "tree.json").write_text(content, encoding="utf-8")
    with pytest.raises(InputError) as error:
        read_record(tmp_path / "tree.json", Tree)
    assert f"{tmp_path / 'tree.json'} is not a valid Tree: " in str(error.value)
    assert expected in str(error.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"tree\.json does not exist"):
        read_record(tmp_path / "tree.json", Tree)
    with pytest.raises(InputError, match=r"rows\.jsonl does not exist"):
        list(read_jsonl(tmp_path / "rows.jsonl"))


def test_every_wrong_field_is_explained_on_one_line() -> None:
    with pytest.raises(ValidationError) as error:
        Tree.model_validate({"leaves": [{"n": "x"}], "b": 1})
    text = explain(error.value)
    assert text.count(";") == 2
    assert all(part in text for part in ("name: ", "leaves.0.n: ", "b: "))
    assert "\n" not in text


def test_rows_come_back_from_disk(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    rows: list[dict[str, Any]] = [{"q": "Zeile\nzwei\u2028", "n": None, "f": 0.1}, {"leaf": Leaf(n=1, path=Path("/a"))}]
    write_jsonl(path, [*rows, TREE])
    assert path.read_bytes().count(b"\n") == 3
    assert list(read_jsonl(path)) == [rows[0], {"leaf": {"n": 1, "path": "/a"}}, TREE.model_dump(mode="json")]


def failing(rows: list[dict[str, int]]) -> Iterator[dict[str, int]]:
    yield from rows
    raise OSError("the disk is full")


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_jsonl(path, [{"n": 1}])
    with pytest.raises(OSError, match="disk is full"):
        write_jsonl(path, failing([{"n": 2}]))
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "a\ud800")
    assert list(read_jsonl(path)) == [{"n": 1}]
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_never_sees_half_of_a_file(tmp_path: Path) -> None:
    """The old file stays open to whoever reads it, because the new one takes its place in one step."""
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with path.open(encoding="utf-8") as reader:
        write_text(path, "new and longer")
        assert reader.read() == "old"
    assert path.read_text(encoding="utf-8") == "new and longer"


def test_the_digest_is_of_the_value_not_of_its_form() -> None:
    assert digest({"a": 1, "b": [Leaf(n=1)]}) == digest({"b": ({"n": 1, "path": None},), "a": 1})
    assert digest(Path("/a")) == digest("/a")
    assert digest({"a": 1}) == "015abd7f5cc57a2d"  # SHA-256 of {"a":1}
    values: list[Any] = ["1", 1, 1.5, True, None, [1], [[1]], {"a": 1}, {"a": "1"}, [1, 2], [2, 1], "é"]
    assert len({digest(value) for value in values}) == len(values)


def test_the_file_digest_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b'{"a":1}')
    assert file_digest(tmp_path / "a") == digest({"a": 1})


def test_a_stage_error_carries_a_record_with_the_end_of_the_message() -> None:
    error = StageError("train", FailureKind.OOM, "x" * 5000 + " the cause")
    assert error.failure.kind is FailureKind.OOM
    assert len(error.failure.message) == MESSAGE_LIMIT
    assert error.failure.message.endswith(" the cause")
    assert str(error).startswith("train: OOM: x")
    assert Failure.model_validate_json(error.failure.model_dump_json()) == error.failure
    assert json.loads(error.failure.model_dump_json())["kind"] == "OOM"
