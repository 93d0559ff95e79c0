"""Columns and values: what is filled, converted, left out or refused, and that it is counted."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.encoding import dataset_record_bytes
from provenance.errors import InputError
from provenance_zk.training.sources import as_committed, open_source
from provenance_zk.training.sources.scan import MAX_COLUMNS


def jsonl(path: Path, *rows: Any) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def parquet(path: Path, **columns: pa.Array) -> str:
    pq.write_table(pa.table(columns), path)
    return str(path)


# columns


@pytest.mark.parametrize("first", [True, False])
def test_a_column_that_rows_lack_is_null_there_and_counted(tmp_path: Path, first: bool) -> None:
    full, short = {"q": "a", "a": "b", "why": "c"}, [{"q": "d", "a": "e"}, {"q": "f", "a": "g"}]
    rows = open_source(jsonl(tmp_path / "d.jsonl", *([full, *short] if first else [*short, full])))
    assert [row["why"] for row in rows] == (["c", None, None] if first else [None, None, "c"])
    assert rows.columns == ("q", "a", "why")
    assert rows.curation == ["column why: null in 2 of 3 records, which lack it"]
    assert rows.reading.to_json()["filled"] == {"why": 2}


def test_columns_differ_between_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    parquet(tmp_path / "d" / "1.parquet", a=pa.array(["x"]), b=pa.array([1]))
    parquet(tmp_path / "d" / "2.parquet", a=pa.array(["y"]))
    rows = open_source(str(tmp_path / "d"))
    assert list(rows) == [{"a": "x", "b": 1}, {"a": "y", "b": None}]
    assert rows.reading.filled == {"b": 1}


def test_the_limit_holds_for_columns_too(tmp_path: Path) -> None:
    name = jsonl(tmp_path / "d.jsonl", {"a": "1"}, {"a": "2"}, {"a": "3", "b": 4})
    rows = open_source(name, limit=2)
    assert (rows.text_column, list(rows), rows.reading.records) == (
        "a",
        [{"a": "1"}, {"a": "2"}],
        2,
    )


def test_a_column_of_text_and_other_values_is_refused_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no text") as caught:
        open_source(jsonl(tmp_path / "d.jsonl", {"a": 1}, {"a": "x"}))
    assert caught.value.where == "d.jsonl line 1 a"


def test_row_numbers_of_pandas_are_left_out_and_said(tmp_path: Path) -> None:
    name = parquet(
        tmp_path / "d.parquet", text=pa.array(["x", "y"]), __index_level_0__=pa.array([7, 9])
    )
    rows = open_source(name)
    assert (rows.text_column, list(rows)) == ("text", [{"text": "x"}, {"text": "y"}])
    assert rows.curation == ["column __index_level_0__ left out: row numbers of pandas"]
    (tmp_path / "d.csv").write_text(",q,a\n0,x,y\n7,z,w\n")
    csv = open_source(str(tmp_path / "d.csv"))
    assert list(csv) == [{"q": "x", "a": "y"}, {"q": "z", "a": "w"}]
    assert "row numbers of pandas" in csv.curation[0]
    (tmp_path / "d.csv").write_text(",q\n0,x\nkey,z\n")
    with pytest.raises(InputError, match=r"has no name.*name it in the header") as caught:
        open_source(str(tmp_path / "d.csv"))
    assert caught.value.where == "d.csv line 3"


@pytest.mark.parametrize(
    "keys",
    [["key a", "key b"], [-1, 2], [2**62, 5], [0.5, 1.5], [b"a", b"b"], [True, False]],
    ids=str,
)
def test_an_index_of_pandas_that_holds_no_row_numbers_is_a_column(
    tmp_path: Path, keys: list[Any]
) -> None:
    name = "__index_level_0__"
    file = parquet(tmp_path / "d.parquet", text=pa.array(["x", "y"]), **{name: pa.array(keys)})
    rows = open_source(file)
    assert (sorted(rows.columns), rows.text_column) == ([name, "text"], None)
    assert [row[name] for row in rows] == keys
    assert not any("left out" in sentence for sentence in rows.curation)


def test_an_index_of_several_levels_is_columns(tmp_path: Path) -> None:
    levels = {f"__index_level_{i}__": pa.array([2020 + i, 2021]) for i in range(2)}
    rows = open_source(parquet(tmp_path / "d.parquet", text=pa.array(["x", "y"]), **levels))
    assert sorted(rows.columns) == [*levels, "text"]


def test_a_key_that_comes_after_row_numbers_is_kept_with_them(tmp_path: Path) -> None:
    name = "__index_level_0__"
    rows = open_source(
        jsonl(tmp_path / "d.jsonl", {"t": "x", name: 0}, {"t": "y"}, {"t": "z", name: "key"})
    )
    assert [row[name] for row in rows] == [0, None, "key"]
    assert rows.reading.filled == {name: 1}


def test_no_more_columns_than_a_table_has(tmp_path: Path) -> None:
    rows = [{f"key {i}": 1} for i in range(MAX_COLUMNS)]
    assert len(open_source(jsonl(tmp_path / "d.jsonl", *rows)).columns) == MAX_COLUMNS
    with pytest.raises(InputError, match="too many columns") as caught:
        open_source(jsonl(tmp_path / "d.jsonl", *rows, {"one more": 1}))
    assert caught.value.where == f"d.jsonl line {MAX_COLUMNS + 1}"


def test_names_differing_in_case_only_are_two_columns(tmp_path: Path) -> None:
    assert open_source(jsonl(tmp_path / "d.jsonl", {"Text": "a", "text": "b"})).columns == (
        "Text",
        "text",
    )


# values


def test_integers_beyond_doubles_are_exact(tmp_path: Path) -> None:
    ids = [2**53 - 1, 2**53, -(2**53), 2**63 - 1]
    expected = [ids[0], "9007199254740992", "-9007199254740992", "9223372036854775807"]
    texts = pa.array(["a", "b", "c", "d"])
    for name in (
        parquet(tmp_path / "d.parquet", id=pa.array(ids, pa.int64()), t=texts),
        jsonl(tmp_path / "d.jsonl", *({"id": i, "t": t} for i, t in zip(ids, "abcd", strict=True))),
    ):
        rows = open_source(name)
        assert [row["id"] for _, row in rows.records()] == expected
        assert rows.curation == ["column id: 3 integers beyond 2^53-1 as decimal text"]
    big = parquet(tmp_path / "u.parquet", id=pa.array([2**64 - 1], pa.uint64()))
    assert [row for _, row in open_source(big).records()] == [{"id": "18446744073709551615"}]


def test_each_kind_of_parquet_value_has_one_exact_form(tmp_path: Path) -> None:
    noon = datetime.datetime(2026, 1, 2, 12, tzinfo=datetime.UTC)
    name = parquet(
        tmp_path / "d.parquet",
        price=pa.array([Decimal("1.10"), None], pa.decimal128(6, 2)),
        wide=pa.array([Decimal("0.00000000000000000001"), None], pa.decimal256(60, 20)),
        zero=pa.array([Decimal("1E+3"), None], pa.decimal128(5, 0)),
        blob=pa.array([b"\x00\xff", None], pa.large_binary()),
        at=pa.array([noon, None], pa.timestamp("ms")),
        nano=pa.array([1, None], pa.timestamp("ns")),
        day=pa.array([noon.date(), None], pa.date64()),
        time=pa.array([datetime.time(1, 2, 3, 4), None], pa.time64("ns")),
        half=pa.array([0.5, None], pa.float16()),
        nested=pa.array([{"ids": [2**60]}, None], pa.struct({"ids": pa.list_(pa.int64())})),
        pairs=pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
        word=pa.array(["a", None]).dictionary_encode(),
        flag=pa.array([True, None]),
    )
    rows = open_source(name)
    assert next(row for _, row in rows.records()) == {
        "price": "1.10",
        "wide": "0.00000000000000000001",
        "zero": "1000",
        "blob": "AP8=",
        "at": "2026-01-02T12:00:00Z",
        "nano": "1970-01-01T00:00:00.000000001Z",
        "day": "2026-01-02",
        "time": "01:02:03.000004",
        "half": 0.5,
        "nested": {"ids": [str(2**60)]},
        "pairs": [["k", 1]],
        "word": "a",
        "flag": True,
    }
    assert "column price: 1 decimals as decimal text" in rows.curation
    assert "column time: 1 times of day as ISO 8601 text" in rows.curation
    assert {key for key, _ in rows.reading.converted} == {
        *("price", "wide", "zero", "blob", "at", "nano", "day", "time", "nested"),
    }


@pytest.mark.parametrize(
    ("column", "what"),
    [
        (pa.array([1, None], pa.duration("s")), "timedelta"),
        (pa.array([1, 1001], pa.time64("ns")), "more than microseconds"),
        (pa.array([[1001]], pa.list_(pa.time64("ns"))), "more than microseconds"),
        (pa.array([2**62], pa.timestamp("us")), "out of range"),
        (pa.array([0.5, float("nan")]), "not a finite number"),
        (pa.array([[float("inf")]], pa.list_(pa.float32())), "not a finite number"),
    ],
    ids=str,
)
def test_what_has_no_exact_form_is_refused_by_column(
    tmp_path: Path, column: pa.Array, what: str
) -> None:
    name = parquet(tmp_path / "d.parquet", text=pa.array(["a"] * len(column)), odd=column)
    with pytest.raises(InputError, match=what) as caught:
        open_source(name)
    assert caught.value.where is not None
    assert caught.value.where.startswith("d.parquet row ")
    assert " odd" in caught.value.where
    assert "--text-column" in str(caught.value.hint)
    assert len(list(open_source(name, text_column="text"))) == len(column)


@pytest.mark.parametrize("ending", ["jsonl", "json"])
@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_named_by_place(tmp_path: Path, ending: str, number: str) -> None:
    rows = '{"a": "x", "b": 1}', f'{{"a": "y", "b": {{"c": [{number}]}}}}'
    text = f"[{', '.join(rows)}]" if ending == "json" else "\n".join(rows)
    (tmp_path / f"d.{ending}").write_text(text)
    with pytest.raises(InputError, match="not a finite number") as caught:
        open_source(str(tmp_path / f"d.{ending}"))
    place = "row 2" if ending == "json" else "line 2"
    assert caught.value.where == f"d.{ending} {place} b['c'][0]"


def test_nfc_is_counted_where_it_changes_a_text(tmp_path: Path) -> None:
    rows = open_source(jsonl(tmp_path / "d.jsonl", {"text": "e\u0301"}, {"text": "\u00e8"}))
    assert rows.curation == ["texts changed by Unicode NFC: 1"]
    whole = open_source(jsonl(tmp_path / "d.jsonl", {"a": "e\u0301", "b": 1}))
    assert whole.curation == []
    assert [row for _, row in whole.records()] == [{"a": "e\u0301", "b": 1}]


PLAIN = st.none() | st.booleans() | st.text(st.characters(codec="utf-8")) | st.integers()
NESTED = st.recursive(
    PLAIN,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=3), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from("abc"), NESTED, min_size=2))
def test_a_committed_row_commits_to_itself(row: dict[str, Any]) -> None:
    """Law: `as_committed` changes no canonical bytes, and a second time changes nothing."""
    once = as_committed(row, None)
    assert dataset_record_bytes(once) == dataset_record_bytes(row)
    assert as_committed(once, None) == once
