"""Every kind of source, and every malformed row named by file and line."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.digest import sha256
from provenance.encoding import dataset_record_bytes
from provenance.errors import InputError, NotFound, UnavailableError
from provenance_zk.training.sources import RowSource, open_source


def write(path: Path, data: str | bytes) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def test_jsonl_rows_are_read_with_columns_and_places(tmp_path: Path) -> None:
    name = write(tmp_path / "d.jsonl", '{"text": "one", "n": 1}\r\n{"n": 2, "text": "two"}')
    rows = open_source(name)
    assert list(rows) == [{"text": "one", "n": 1}, {"n": 2, "text": "two"}]
    assert (rows.text_column, rows.columns, rows.where) == (None, ("text", "n"), "d.jsonl line 2")
    assert rows.files == [
        {"path": "d.jsonl", "size": 48, "sha256": str(sha256((tmp_path / "d.jsonl").read_bytes()))}
    ]
    assert list(open_source(name, text_column="text")) == [{"text": "one"}, {"text": "two"}]


def test_one_text_column_needs_no_option(tmp_path: Path) -> None:
    rows = open_source(write(tmp_path / "d.jsonl", '{"story": "one"}\n{"story": "two"}\n'))
    assert (rows.text_column, list(rows)) == ("story", [{"story": "one"}, {"story": "two"}])
    assert open_source(write(tmp_path / "e.jsonl", '{"messages": [1]}\n')).text_column is None


def test_a_json_list_of_objects_is_read(tmp_path: Path) -> None:
    rows = open_source(write(tmp_path / "d.json", '\ufeff[{"text": "one"}, {"text": "two"}]'))
    assert list(rows) == [{"text": "one"}, {"text": "two"}]


def test_csv_and_tsv_rows_are_read(tmp_path: Path) -> None:
    rows = open_source(
        write(tmp_path / "d.csv", 'id,text\n1,"two\nlines, ""quoted"""\n2,plain\n'),
        text_column="text",
    )
    assert list(rows) == [{"text": 'two\nlines, "quoted"'}, {"text": "plain"}]
    assert list(open_source(write(tmp_path / "d.tsv", "a\tb\nx,y\tz\n"))) == [
        {"a": "x,y", "b": "z"}
    ]


def test_text_is_read_by_line_from_a_file_and_whole_from_a_folder(tmp_path: Path) -> None:
    rows = open_source(write(tmp_path / "d.txt", "one\n\n  \ntwo\r\nthree"))
    assert list(rows) == [{"text": "one"}, {"text": "two"}, {"text": "three"}]
    assert rows.where == "d.txt line 5"
    assert rows.curation == ["blank lines of text files are not records"]
    write(tmp_path / "many" / "b.txt", "second\n\nrecord\n")
    write(tmp_path / "many" / "a" / "z.txt", "first")
    many = open_source(str(tmp_path / "many"))
    assert list(many) == [{"text": "first"}, {"text": "second\n\nrecord\n"}]
    assert [entry["path"] for entry in many.files] == ["a/z.txt", "b.txt"]


def test_a_folder_is_read_if_its_files_are_of_one_kind(tmp_path: Path) -> None:
    write(tmp_path / "d" / "2.jsonl", '{"text": "b"}\n')
    write(tmp_path / "d" / "1.jsonl", '{"text": "a"}\n')
    write(tmp_path / "d" / ".hidden", "x")
    assert [row["text"] for row in open_source(str(tmp_path / "d"))] == ["a", "b"]
    write(tmp_path / "d" / "README.md", "x")
    with pytest.raises(InputError, match=r"mixes"):
        open_source(str(tmp_path / "d"))


def test_parquet_bytes_and_timestamps_have_canonical_rows(tmp_path: Path) -> None:
    when = datetime.datetime(2026, 1, 2, 3, 4, 5, 60, tzinfo=datetime.UTC)
    table = pa.table(
        {
            "id": pa.array([1, 2], pa.int64()),
            "blob": pa.array([b"\x00\xff", None], pa.binary()),
            "at": pa.array([when, None], pa.timestamp("us", tz="UTC")),
            "day": pa.array([when.date(), None], pa.date32()),
            "score": pa.array([0.5, 1e21], pa.float64()),
            "tags": pa.array([["a"], []], pa.list_(pa.string())),
        }
    )
    pq.write_table(table, tmp_path / "d.parquet")
    rows = list(open_source(str(tmp_path / "d.parquet")))
    assert dataset_record_bytes(rows[0]) == (
        b'{"at":"2026-01-02T03:04:05.000060Z","blob":"AP8=","day":"2026-01-02","id":1,"score":0.5,"tags":["a"]}'
    )
    assert (
        dataset_record_bytes(rows[1])
        == b'{"at":null,"blob":null,"day":null,"id":2,"score":1e+21,"tags":[]}'
    )


def test_a_folder_saved_by_datasets_is_read(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    made = datasets.Dataset.from_dict({"text": ["one", "two"], "n": [1, 2]})
    made.save_to_disk(str(tmp_path / "plain"))
    datasets.DatasetDict({"train": made, "test": made.select([1])}).save_to_disk(
        str(tmp_path / "splits")
    )
    rows = open_source(str(tmp_path / "plain"), text_column="text")
    assert list(rows) == [{"text": "one"}, {"text": "two"}]
    assert any(entry["path"].endswith(".arrow") for entry in rows.files)
    assert list(open_source(str(tmp_path / "splits"), split="test")) == [{"text": "two", "n": 2}]
    with pytest.raises(InputError, match="split"):
        open_source(str(tmp_path / "splits"), split="validation")
    write(tmp_path / "broken" / "state.json", "{}")
    with pytest.raises(InputError, match="datasets folder"):
        open_source(str(tmp_path / "broken"))


def test_the_demo_source_is_clean_and_always_the_same() -> None:
    rows = list(open_source("attack-stix"))
    assert len(rows) >= 512
    assert len({row["text"] for row in rows}) == len(rows)
    assert min(len(row["text"]) for row in rows) >= 60
    assert rows == list(open_source("attack-stix"))
    assert not any("Citation:" in row["text"] or "](http" in row["text"] for row in rows)
    assert open_source("attack-stix").licence


# malformed rows


def bad(rows: RowSource | Iterator[Any]) -> InputError:
    with pytest.raises(InputError) as caught:
        list(rows)
    return caught.value


GOOD = '{"text": "one"}\n'


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"text": "two"', "not valid JSON"),
        ("", "not valid JSON"),
        ("null", "not a JSON object"),
        ("{}", "not a JSON object"),
        ('{"other": "two"}', "lacks a column"),
        ('{"text": 2}', "holds no text"),
        ('{"text": null}', "holds no text"),
        ('{"text": ""}', "empty"),
        ('{"text": " \\n "}', "empty"),
        ('{"text": "a", "text": "b"}', "twice"),
        ('{"text": NaN}', "not valid JSON"),
        ("[" * 100_000, "not valid JSON"),
    ],
)
def test_a_malformed_line_is_named(tmp_path: Path, line: str, what: str) -> None:
    error = bad(open_source(write(tmp_path / "d.jsonl", GOOD + line + "\n" + GOOD)))
    assert error.where is not None
    assert error.where.startswith("d.jsonl line 2")
    assert what in str(error)


def test_a_line_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    for name in ("d.jsonl", "d.txt"):
        error = bad(
            open_source(
                write(tmp_path / name, (GOOD.encode() if "json" in name else b"one\n") + b"\xff\n")
            )
        )
        assert error.where == f"{name} line 2"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("a,b\n1,2\n3\n", "d.csv line 3"),
        ("a,b\n1,2,3\n", "d.csv line 2"),
        ('a,b\n1,"2\n', "d.csv line 2"),
        ("a,a\n1,2\n", "d.csv line 1"),
        ("a,\n1,2\n", "d.csv line 1"),
    ],
)
def test_a_malformed_csv_row_is_named(tmp_path: Path, text: str, where: str) -> None:
    with pytest.raises(InputError) as caught:
        list(open_source(write(tmp_path / "d.csv", text)))
    assert caught.value.where == where


def test_rows_of_other_columns_are_named(tmp_path: Path) -> None:
    two = '{"a": 1, "b": 2}\n'
    assert "line 2" in str(bad(open_source(write(tmp_path / "d.jsonl", two + '{"a": 1}\n'))))
    assert "line 2" in str(
        bad(open_source(write(tmp_path / "d.jsonl", two + '{"a": 1, "b": 2, "c": 3}\n')))
    )


def test_a_missing_text_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such column.*body.*a, b"):
        open_source(write(tmp_path / "d.jsonl", '{"a": 1, "b": 2}\n'), text_column="body")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d.jsonl", b""),
        ("d.json", b"[]"),
        ("d.txt", b"\n \n"),
        ("d.csv", b"a,b\n"),
        ("d.csv", b""),
        ("d.json", b"{}"),
        ("d.json", b"[1]"),
        ("d.parquet", b"PAR1 but not really PAR1"),
        ("d.bin", b"x"),
        ("d", b"x"),
        ("d.gguf", b"x"),
    ],
)
def test_sources_without_records_are_refused(tmp_path: Path, name: str, data: bytes) -> None:
    with pytest.raises(InputError):
        open_source(write(tmp_path / name, data))


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        open_source(str(tmp_path))


@pytest.mark.parametrize(
    "name", ["missing.jsonl", "some/where/else.parquet", "/no/such/folder", "a b", "../up", ""]
)
def test_what_is_nowhere_is_not_found(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError if name == "" else NotFound):
        open_source(name)


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    name = write(tmp_path / "d.jsonl", GOOD * 3)
    rows = iter(open_source(name))
    next(rows)
    with Path(name).open("a") as stream:
        stream.write('{"text": "late"}\n')
    assert "changed" in str(bad(rows))


def test_hub_names_are_loaded_and_their_failures_told_apart(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    made = datasets.Dataset.from_dict({"text": ["one"]})
    monkeypatch.setattr(datasets, "load_dataset", lambda name, split: made)
    rows = open_source("org/name-1.0", split="test")
    assert (rows.source, list(rows)) == ("hub:org/name-1.0:test", [{"text": "one"}])

    def offline(name: str, split: str) -> None:
        raise ConnectionError("no route")

    def unknown(name: str, split: str) -> None:
        raise datasets.exceptions.DatasetNotFoundError("no")

    monkeypatch.setattr(datasets, "load_dataset", offline)
    with pytest.raises(UnavailableError, match="local path"):
        open_source("org/name")
    monkeypatch.setattr(datasets, "load_dataset", unknown)
    with pytest.raises(NotFound):
        open_source("org/name")


def test_json_values_are_read_unchanged(tmp_path: Path) -> None:
    row = {"a": 1.5, "b": [1, {"c": None}], "d": "ü"}
    assert list(open_source(write(tmp_path / "d.jsonl", json.dumps(row)))) == [row]
