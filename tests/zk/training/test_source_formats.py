"""Kinds of files: archives, encodings, and files that are not what their name says."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.errors import InputError
from provenance_zk.training.sources import archives, open_source

ROWS = [{"text": "one"}, {"text": "two ü"}]
KINDS = {
    "jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "ndjson": "".join(json.dumps(row) + "\n" for row in ROWS),
    "json": json.dumps(ROWS),
    "csv": "text\none\ntwo ü\n",
    "tsv": "text\none\ntwo ü\n",
    "txt": "one\ntwo ü\n",
}


def write(path: Path, data: bytes | str) -> str:
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return str(path)


def refused(name: str) -> InputError:
    with pytest.raises(InputError) as caught:
        open_source(name)
    assert caught.value.where is not None
    assert Path(name).name in caught.value.where
    return caught.value


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    packed: bytes = sink.getvalue().to_pybytes()
    return packed


# archives

TRAILING = {
    "gz": "something stands behind the end of the gzip archive",
    "zst": "not a readable zstd archive",
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("end", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_every_kind_of_text_is_unpacked(tmp_path: Path, kind: str, end: str, pack: object) -> None:
    data = ("\ufeff" + KINDS[kind]).encode()
    half = len(data) // 2
    packed = pack(data[:half]) + pack(data[half:])  # type: ignore[operator]  # two members
    assert list(open_source(write(tmp_path / f"D.{kind.upper()}.{end}", packed))) == ROWS


@pytest.mark.parametrize(("end", "pack"), [("gz", gzip.compress), ("zst", zstd)])
def test_archives_that_are_damaged_are_named(tmp_path: Path, end: str, pack: object) -> None:
    packed = pack(KINDS["jsonl"].encode() * 50)  # type: ignore[operator]
    name = write(tmp_path / f"d.jsonl.{end}", packed[:-6])
    assert "archive is cut off" in refused(name).what
    damaged = packed[:-12] + bytes(x ^ 255 for x in packed[-12:-8]) + packed[-8:]
    assert "not a readable" in refused(write(tmp_path / f"d.jsonl.{end}", damaged)).what
    error = refused(write(tmp_path / f"d.jsonl.{end}", packed + b"xyz"))
    assert error.what == TRAILING[end]
    plain = refused(write(tmp_path / f"d.jsonl.{end}", KINDS["jsonl"]))
    assert plain.what.endswith(f"though its name ends in .{end}")
    assert f"leave .{end} out of its name" in str(plain.hint)


@pytest.mark.parametrize("end", ["gz", "zst"])
@pytest.mark.parametrize(("kind", "pack"), [("gzip", gzip.compress), ("zstd", zstd)])
def test_a_file_that_is_packed_twice_is_named(
    tmp_path: Path, end: str, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    outer = gzip.compress if end == "gz" else zstd
    twice = outer(pack(KINDS["jsonl"].encode()))
    error = refused(write(tmp_path / f"d.jsonl.{end}", twice))
    assert error.what == f"archive holds a {kind} archive: it is packed twice"


def test_a_small_archive_may_not_become_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archives, "MIN_EXPANDED_BYTES", 1 << 16)
    name = write(tmp_path / "d.jsonl.gz", gzip.compress(b"\n" * (1 << 20)))
    error = refused(name)
    assert (error.where, error.what) == ("d.jsonl.gz", "archive expands too far")
    assert error.hint is not None


def test_parquet_is_not_packed_again(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "d.parquet")
    packed = gzip.compress((tmp_path / "d.parquet").read_bytes())
    assert "this kind of file" in refused(write(tmp_path / "d.parquet.gz", packed)).what


# encodings


@pytest.mark.parametrize("kind", KINDS)
def test_a_byte_order_mark_is_no_text(tmp_path: Path, kind: str) -> None:
    assert list(open_source(write(tmp_path / f"d.{kind}", "\ufeff" + KINDS[kind]))) == ROWS


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"])
def test_other_encodings_are_named_with_the_way_out(
    tmp_path: Path, kind: str, encoding: str
) -> None:
    text = KINDS[kind].replace("\\u00fc", "ü")
    error = refused(write(tmp_path / f"d.{kind}", text.encode(encoding)))
    wide = encoding.upper().replace("-LE", "LE").replace("-BE", "BE")
    assert f"iconv -f {'WINDOWS-1252' if encoding == 'cp1252' else wide} -t UTF-8" in str(error)
    if encoding == "cp1252":
        assert error.where is not None
        assert "line" in error.where


# not what the name says


@pytest.mark.parametrize("kind", [*KINDS, "parquet"])
def test_a_git_lfs_pointer_is_named(tmp_path: Path, kind: str) -> None:
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n"
    assert "git lfs pull" in str(refused(write(tmp_path / f"d.{kind}", pointer)))


@pytest.mark.parametrize("kind", ["jsonl", "json", "csv", "tsv", "parquet"])
@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html>\n<p>", "\n <html lang=en>", "<?xml version='1'?>"]
)
def test_a_web_page_is_named(tmp_path: Path, kind: str, page: str) -> None:
    assert "raw file" in str(refused(write(tmp_path / f"d.{kind}", page)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("data", "what"),
    [
        (gzip.compress(b"x", mtime=0), "gzip"),
        (zstd(b"x"), "zstd"),
        (b"PAR1\x15\x04", "Parquet"),
        (b"PK\x03\x04\x14", "Excel"),
        (b"SQLite format 3\0", "SQLite"),
    ],
)
def test_another_format_is_named(tmp_path: Path, kind: str, data: bytes, what: str) -> None:
    assert what in refused(write(tmp_path / f"d.{kind}", data)).what


@pytest.mark.parametrize("name", ["d.xlsx", "d.gz", "d.tar.gz", "d.jsonl.bz2", "d"])
def test_kinds_that_are_not_read_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"this kind of file.*\.jsonl.*\.zst"):
        open_source(write(tmp_path / name, "x"))


# JSON


def test_json_lines_under_the_name_of_json(tmp_path: Path) -> None:
    for text in (KINDS["jsonl"], "\n" + KINDS["jsonl"]):
        rows = open_source(write(tmp_path / "d.json", text))
        assert list(rows) == ROWS
        assert rows.curation[0] == "JSON Lines under the name of JSON, read as that: d.json"


@pytest.mark.parametrize(
    ("name", "text", "hint"),
    [
        ("d.json", '{"data": [{"text": "a"}]}', "jq -c '.data[]' /"),
        ("d.json", '{"version": 1,\n "rows": [{"text": "a"}]}', "jq -c '.rows[]'"),
        ("d.json", '{"text": {"0": "a", "1": "b"}}', "orient='records'"),
        ("d.json", '{"text": "a"}', "one object a line"),
        ("d.json", "[{'text': 'a'}]", "json.dumps"),
        ("d.jsonl", "{'text': 'a'}\n", "json.dumps"),
        ("d.jsonl", '[{"text": "a"}]\n', "ends in .json"),
        ("d.json", '{\n"text": "a"\n}\n{\n"text": "b"\n}\n', "one list"),
        ("d.jsonl", '{"text": "a \\ud800"}\n', "whole character"),
        ("d.jsonl", '{"a": ["\\udc00"], "b": 1}\n', "whole character"),
        ("d.csv", 'text\n"he said "hi""\n', "double a quote"),
        ("d.csv", "text\ra\r", "line feed"),
    ],
)
def test_another_form_is_refused_with_a_hint(
    tmp_path: Path, name: str, text: str, hint: str
) -> None:
    assert hint in str(refused(write(tmp_path / name, text)).hint)


def test_whole_characters_beyond_the_basic_plane_are_read(tmp_path: Path) -> None:
    name = write(tmp_path / "d.jsonl", '{"text": "\\ud83d\\ude00"}\n')
    assert list(open_source(name)) == [{"text": "\U0001f600"}]


def test_blank_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    lines = KINDS["jsonl"].splitlines()
    rows = open_source(write(tmp_path / "d.jsonl", f"{lines[0]}\n\n  \n{lines[1]}\n\n\n"))
    assert (list(rows), rows.curation) == (ROWS, ["blank lines skipped: 4"])
    csv = open_source(write(tmp_path / "d.csv", "\na,b\n\n1,2\n\n"))
    assert (list(csv), csv.curation) == ([{"a": "1", "b": "2"}], ["blank lines skipped: 2"])


# tables


@pytest.mark.parametrize(
    ("name", "header", "what"),
    [
        ("d.csv", "id;text", "semicolons"),
        ("d.csv", "sep=;", "semicolons"),
        ("d.csv", "id\ttext", "tabs"),
        ("d.tsv", "id,text", "commas"),
    ],
)
def test_another_separator_is_named(tmp_path: Path, name: str, header: str, what: str) -> None:
    error = refused(write(tmp_path / name, f"{header}\n1\n"))
    assert error.what == f"columns are separated by {what}"


def test_a_long_cell_is_read(tmp_path: Path) -> None:
    text = "x\n" * 100_000
    assert list(open_source(write(tmp_path / "d.csv", f'text\n"{text}"\n'))) == [{"text": text}]


def test_a_column_that_stands_twice_is_refused_in_every_format(tmp_path: Path) -> None:
    table = pa.table([pa.array(["a"]), pa.array(["b"])], names=["t", "t"])
    pq.write_table(table, tmp_path / "d.parquet")
    names = [
        str(tmp_path / "d.parquet"),
        write(tmp_path / "d.csv", "t,t\na,b\n"),
        write(tmp_path / "d.jsonl", '{"t": "a", "t": "b"}\n'),
    ]
    for name in names:
        assert str(refused(name)).count(" t") >= 1
    inner = pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["t", "t"])
    pq.write_table(pa.table({"s": inner, "text": ["a"]}), tmp_path / "n.parquet")
    assert "duplicate field names" in str(refused(str(tmp_path / "n.parquet")))


# anything


@pytest.mark.parametrize("kind", [*KINDS, "parquet", "jsonl.gz", "csv.zst"])
@given(data=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused_by_name(
    tmp_path_factory: pytest.TempPathFactory, kind: str, data: bytes
) -> None:
    name = write(tmp_path_factory.getbasetemp() / f"any.{kind}", data)
    error = None
    try:
        for _ in open_source(name).records():
            pass
    except InputError as caught:
        error = caught
    assert error is None or f"any.{kind}" in str(error.where)
    assert "\n" not in str(error)


# text that is something else


@pytest.mark.parametrize(
    ("name", "data", "end"),
    [
        ("d.txt", KINDS["jsonl"], ".jsonl"),
        ("d.txt", "\n\n" + '{"text": "only one"}', ".jsonl"),
        ("d.txt.gz", gzip.compress(KINDS["jsonl"].encode(), mtime=0), ".jsonl"),
        ("d.txt", "\ufeff" + KINDS["json"], ".json"),
        ("d.txt", json.dumps(ROWS, indent=1), ".json"),
        ("d.csv", KINDS["jsonl"], ".jsonl"),
        ("d.tsv", '{"a": "b"}\t\n{"a": "c"}\n', ".jsonl"),
        ("txt", KINDS["jsonl"], ".jsonl"),
        ("txt", json.dumps(ROWS, indent=1), ".json"),
    ],
)
def test_json_under_another_name_is_never_taken_for_text(
    tmp_path: Path, name: str, data: bytes | str, end: str
) -> None:
    if name == "txt":  # a folder, whose files are one record each
        (tmp_path / name).mkdir()
        write(tmp_path / name / "a.txt", data)
        name = str(tmp_path / name)
    else:
        name = write(tmp_path / name, data)
    assert f"let its name end in {end}" in str(refused(name).hint)


@pytest.mark.parametrize("line", ["{curly words}", "[1] a note", "{", '{"half": ', "[x](y)", "[]"])
def test_text_that_only_begins_like_json_is_text(tmp_path: Path, line: str) -> None:
    name = write(tmp_path / "d.txt", f"{line}\nmore\n")
    assert [row["text"] for row in open_source(name)] == [line, "more"]


@pytest.mark.parametrize("name", ["d.jsonl", "d.json", "d.txt"])
def test_lines_that_end_in_carriage_returns_alone_are_named(tmp_path: Path, name: str) -> None:
    rows = [json.dumps(row) if name != "d.txt" else row["text"] for row in ROWS]
    error = refused(write(tmp_path / name, "\r".join(rows)))
    assert "tr '\\r' '\\n'" in str(error.hint)
    assert list(open_source(write(tmp_path / "e.txt", "one\rhalf\ntwo ü\r\n"))) == [
        {"text": "one\rhalf"},
        {"text": "two ü"},
    ]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_last_line_that_is_cut_off_is_named_by_the_files_line(tmp_path: Path, end: str) -> None:
    error = refused(write(tmp_path / "d.jsonl", '{"text": "a"}\n{"text": "b"' + end))
    assert error.where == "d.jsonl line 2"
    assert str(error.actual) == "Expecting ',' delimiter at column 13"
    assert error.hint == "its end is missing: was the file cut off?"
    error = refused(write(tmp_path / "d.json", '[{"text": "a"},\n {"text": b}]'))
    assert (error.where, error.actual) == ("d.json line 2", "Expecting value at column 11")
    assert error.hint is None
    error = refused(write(tmp_path / "d.json", '[{"text": "a"},\n {"text": "b'))
    assert error.where == "d.json line 2"
    assert "cut off" in str(error.hint)


def test_an_integer_of_many_digits_is_refused_in_plain_words(tmp_path: Path) -> None:
    error = refused(write(tmp_path / "d.jsonl", '{"text": "a", "id": ' + "9" * 5000 + "}"))
    assert error.where == "d.jsonl line 1"
    assert error.actual == "an integer has more than 4300 digits"
