"""Rows are read whole and as they are, or refused with the file, the row and what was expected."""

import datetime
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow
import pytest
from pyarrow import parquet

from tasks.failure import InputError
from tasks.record import digest
from tasks.rows import Row, load_rows, locate, origin_digest, read_file
from tasks.task import Origin

ROWS: list[Row] = [{"question": f"Wie heißt Nr. {i}?\nZeile, zwei", "answer": f"“{i}”, 债券"} for i in range(40)]


def as_csv(rows: list[Row]) -> str:
    quoted = [",".join('"' + str(value).replace('"', '""') + '"' for value in row.values()) for row in rows]
    return "\r\n".join(["question,answer", *quoted]) + "\r\n"


def as_jsonl(rows: list[Row]) -> str:
    return "\n\n".join(json.dumps(row, ensure_ascii=False) for row in rows)


def as_json(rows: list[Row]) -> str:
    return json.dumps(rows)


@pytest.mark.parametrize(
    ("name", "written"), [("a.csv", as_csv), ("a.jsonl", as_jsonl), ("a.json", as_json)], ids=["csv", "jsonl", "json"]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
def test_text_formats_give_the_same_rows(
    tmp_path: Path, name: str, written: Callable[[list[Row]], str], mark: str
) -> None:
    (tmp_path / name).write_text(mark + written(ROWS), encoding="utf-8", newline="")
    assert read_file(tmp_path / name) == ROWS


def test_parquet_gives_json_values(tmp_path: Path) -> None:
    """Dates and decimals become text, so that rows can be hashed and written as JSON Lines."""
    row = {"q": "a", "n": 3, "options": ["x", "y"], "day": datetime.date(2024, 5, 6), "price": Decimal("1.50")}
    parquet.write_table(pyarrow.Table.from_pylist([row]), tmp_path / "a.parquet")
    expected = {"q": "a", "n": 3, "options": ["x", "y"], "day": "2024-05-06", "price": "1.50"}
    assert read_file(tmp_path / "a.parquet") == [expected]
    assert load_rows(Origin(path="a.parquet", fold="1/1"), str(tmp_path), None) == [expected]


CORRUPT: dict[str, tuple[str, bytes, list[str]]] = {
    "jsonl half a row": ("a.jsonl", b'{"q": 1}\n{"q": 2', ["row 2", "not valid JSON", "one JSON object a line"]),
    "jsonl list": ("a.jsonl", b'{"q": 1}\n\n[1]\n', ["row 3", "expected a JSON object", "list"]),
    "jsonl not UTF-8": ("a.jsonl", b'{"q": 1}\n{"q": "\xff"}\n', ["row 2", "utf-8"]),
    "jsonl half a character": ("a.jsonl", b'{"q": 1}\n{"q": "\\uD800"}\n', ["row 2", "surrogates not allowed"]),
    "csv too many columns": ("a.csv", b"q,a\n1,2\n1,2,3\n", ["row 2 (line 3)", "expected 2 columns"]),
    "csv too few columns": ("a.csv", b'q,a\n"1\n",2\n1\n', ["row 2 (line 4)", "expected 2 columns"]),
    "csv open quote": ("a.csv", b'q,a\n1,2\n1,"2\n', ["row 2 (line 3)", "not valid csv"]),
    "csv text after a quote": ("a.csv", b'q,a\n"1"x,2\n', ["row 1 (line 2)", "not valid csv"]),
    "csv not UTF-8": ("a.csv", b"q,a\n1,2\ncaf\xe9,2\n", ["line 3", "not valid UTF-8"]),
    "csv column twice": ("a.csv", b"q,q\n1,2\n", ["header", "q, q"]),
    "json not a list": ("a.json", b'{"q": 1}', ["expected a JSON list of objects", "dict"]),
    "json list of texts": ("a.json", b'[{"q": 1}, "x"]', ["row 2", "expected an object", "str"]),
    "json half": ("a.json", b'[{"q": 1},\n {"q"', ["not valid JSON", "line 2"]),
    "json not UTF-8": ("a.json", b'[\n"\xff"]', ["line 2", "not valid UTF-8"]),
    "parquet": ("a.parquet", b"PAR1 something", ["not a valid parquet file"]),
    "parquet empty": ("a.parquet", b"", ["not a valid parquet file"]),
    "unknown type": ("a.xlsx", b"PK", ["unknown file type '.xlsx'", ".csv, .jsonl, .json, .parquet"]),
    "no rows": ("a.jsonl", b"\n", ["no rows in it"]),
    "csv with a header only": ("a.csv", b"q,a\n", ["no rows in it"]),
    "csv without a byte": ("a.csv", b"", ["no rows in it"]),
}


@pytest.mark.parametrize("case", CORRUPT)
def test_a_corrupt_file_is_named_with_the_row(tmp_path: Path, case: str) -> None:
    name, content, expected = CORRUPT[case]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError) as error:
        load_rows(Origin(path=name), str(tmp_path), None)
    assert str(tmp_path / name) in str(error.value)
    for part in expected:
        assert part in str(error.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `rows.jsonl`: 200 rows over four values of `kind`."""
    rows = [{"n": i, "kind": f"k{i % 4}"} for i in range(200)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return tmp_path


def load(folder: Path, **settings: Any) -> list[int]:
    return [row["n"] for row in load_rows(Origin(path="rows.jsonl", **settings), str(folder), None)]


WRONG: dict[str, tuple[dict[str, Any], list[str]]] = {
    "where field": ({"where": {"year": 1}}, ["row 1", "no field 'year'", "`where`", "n, kind"]),
    "where value": ({"where": {"kind": "k9"}}, ["no rows pass `where`"]),
    "fold words": ({"fold": "half"}, ["fold", "'1,2/4'", "'half'"]),
    "fold parts": ({"fold": "a,b/4"}, ["'1,2/4'", "'a,b/4'"]),
    "fold too high": ({"fold": "3/2"}, ["'3/2'", "outside 1 to 2"]),
    "fold zero": ({"fold": "0/2"}, ["'0/2'", "outside 1 to 2"]),
    "fold of none": ({"fold": "1/0"}, ["'1/0'", "outside"]),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_settings_name_the_file_and_the_setting(folder: Path, case: str) -> None:
    settings, expected = WRONG[case]
    with pytest.raises(InputError) as error:
        load(folder, **settings)
    for part in [str(folder / "rows.jsonl"), *expected]:
        assert part in str(error.value)


def test_where_takes_a_value_or_a_list_in_file_order(folder: Path) -> None:
    assert load(folder, where={"kind": "k1"}) == list(range(1, 200, 4))
    assert load(folder, where={"kind": ["k1", "k0"], "n": [1, 2, 4]}) == [1, 4]


def test_folds_divide_the_rows_and_do_not_depend_on_their_order(folder: Path) -> None:
    parts = [load(folder, fold=f"{part}/4") for part in (1, 2, 3, 4)]
    assert sorted(n for part in parts for n in part) == list(range(200))
    assert all(30 <= len(part) <= 70 for part in parts)
    assert load(folder, fold="4, 1/4") == sorted(parts[0] + parts[3])
    lines = (folder / "rows.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "rows.jsonl").write_text("".join(reversed(lines)), encoding="utf-8")
    assert load(folder, fold="1/4") == parts[0][::-1]


def test_limit_chooses_by_hash_not_by_position(folder: Path) -> None:
    chosen = load(folder, limit=30)
    assert len(chosen) == 30
    assert chosen == sorted(chosen)
    assert max(chosen) > 100
    assert set(load(folder, limit=20)) < set(chosen)
    assert load(folder, limit=900) == list(range(200))


def test_a_file_lies_beside_the_task_or_under_the_data_root(tmp_path: Path) -> None:
    base, root = tmp_path / "base", tmp_path / "root"
    for place in (base, root):
        place.mkdir()
    (root / "a.csv").touch()
    assert locate("a.csv", str(base), root) == root / "a.csv"
    (base / "a.csv").touch()
    assert locate("a.csv", str(base), root) == base / "a.csv"
    assert locate(str(root / "a.csv"), str(base), None) == root / "a.csv"


def test_a_missing_file_lists_the_places_tried(tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        locate("a.csv", str(tmp_path / "base"), None)
    assert f"no file {tmp_path / 'base' / 'a.csv'}; --data-root names another" in str(error.value)
    with pytest.raises(InputError, match=r"base/a\.csv or .*root/a\.csv$"):
        locate("a.csv", str(tmp_path / "base"), tmp_path / "root")
    with pytest.raises(InputError, match=r"no file /nowhere/a\.csv"):
        locate("/nowhere/a.csv", str(tmp_path), tmp_path)
    with pytest.raises(InputError, match="no file"):
        locate(".", str(tmp_path), None)


def test_an_origin_without_a_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"`path` .* or `hub`"):
        load_rows(Origin(), str(tmp_path), None)


def test_a_hub_data_set_out_of_reach_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot load nobody/nothing from the hub: .*local file by `path`"):
        load_rows(Origin(hub="nobody/nothing"), str(tmp_path), None)


def test_the_digest_follows_the_bytes_and_the_settings(folder: Path) -> None:
    origin = Origin(path="rows.jsonl")
    first = origin_digest(origin, str(folder), None)
    assert first == origin_digest(origin, str(folder), None)
    assert first != origin_digest(Origin(path="rows.jsonl", limit=3), str(folder), None)
    with (folder / "rows.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert first != origin_digest(origin, str(folder), None)
    assert origin_digest(Origin(hub="a/b"), "", None) == digest([Origin(hub="a/b"), "a/b"])
