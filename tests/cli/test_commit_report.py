"""`dataset commit` says what it read; people, programs and the manifest are told the same."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import Result
from typer.testing import CliRunner

from provenance_cli.dataset.app import dataset


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVENANCE_HOME", str(tmp_path / "home"))


def call(*args: object) -> Result:
    result = CliRunner().invoke(dataset, [str(arg) for arg in args])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository of two splits: row 2 lacks a column, one line is blank, one id is long."""
    rows: list[dict[str, object]] = [
        {"id": 2**60, "q": "a", "why": "b"},
        {"id": 2, "q": "c"},
        {"id": 3, "q": "d", "why": "e"},
    ]
    lines = [json.dumps(row) for row in rows]
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "train.jsonl").write_text("\n\n".join([*lines, lines[1]][:2]) + "\n")
    with (tmp_path / "in" / "train.jsonl").open("a") as stream:
        stream.write(f"{lines[2]}\n{lines[1]}\n")
    (tmp_path / "in" / "test.jsonl").write_text(lines[0])
    (tmp_path / "in" / "README.md").write_text("about")
    return tmp_path / "in"


CURATION = [
    "split train: train.jsonl",
    "files of other splits left out: test.jsonl",
    "blank lines skipped: 1",
    "column why: null in 2 of 4 records, which lack it",
    "column id: 1 integers beyond 2^53-1 as decimal text",
]


def test_people_are_told(folder: Path, tmp_path: Path) -> None:
    said = call("commit", folder, "--out", tmp_path / "out", "--dedupe").stderr.splitlines()
    assert said[1:-1] == [
        "read 4 records of split train; columns: id, q, why",
        "from 1 file: train.jsonl",
        "beside the data, and not read: README.md",
        *CURATION,
        "dropped 1 exact duplicates",
    ]


def test_programs_and_the_manifest_are_told(folder: Path, tmp_path: Path) -> None:
    made = json.loads(
        call("commit", folder, "--out", tmp_path / "out", "--dedupe", "--json").stdout
    )
    assert {name: made[name] for name in made if name not in ("root", "depth", "out")} == {
        "format": "provenance-commit/1",
        "count": 3,
        "duplicates_removed": 1,
        "columns": ["id", "q", "why"],
        "text_column": None,
        "split": "train",
        "files": ["train.jsonl"],
        "ignored": ["README.md"],
        "curation": CURATION,
        "records_read": 4,
        "blank_lines_skipped": 1,
        "filled": {"why": 2},
        "converted": [
            {"column": "id", "kind": "integers beyond 2^53-1 as decimal text", "count": 1}
        ],
        "normalised": 0,
        "dropped": [],
        "columns_left_out": [],
    }
    manifest = json.loads((tmp_path / "out" / "dataset.json").read_text())
    assert (manifest["curation"], manifest["columns"]) == (CURATION, ["id", "q", "why"])
    assert [entry["path"] for entry in manifest["files"]] == ["train.jsonl"]


@pytest.mark.parametrize("ending", ["jsonl", "parquet"])
def test_columns_that_were_not_asked_for_are_named(tmp_path: Path, ending: str) -> None:
    table = pa.table({"text": ["a", "b"], "id": [1, 2], "note": ["c", None]})
    source = tmp_path / f"d.{ending}"
    if ending == "parquet":
        pq.write_table(table, source)
    else:
        source.write_text("".join(json.dumps(row) + "\n" for row in table.to_pylist()))
    made = call("commit", source, "--out", tmp_path / "out", "--text-column", "text", "--json")
    assert "columns left out by --text-column: id, note" in made.stderr
    assert json.loads(made.stdout)["columns_left_out"] == ["id", "note"]
    assert json.loads(made.stdout)["curation"] == []


def test_rows_are_found_as_the_source_has_them(folder: Path, tmp_path: Path) -> None:
    call("commit", folder, "--out", tmp_path / "out", "--dedupe")
    row = tmp_path / "row.json"
    for text in ('{"q": "c", "id": 2}', f'{{"id": {2**60}, "q": "a", "why": "b"}}'):
        row.write_text(text)
        assert call("contains", tmp_path / "out", "--file", row).exit_code == 0
    row.write_text('{"q": "c", "id": 2, "__index_level_0__": 1}')
    answer = call("contains", tmp_path / "out", "--file", row)
    assert answer.exit_code == 4
    assert "the dataset has no column __index_level_0__; its columns: id, q, why" in answer.stderr


def test_nfc_is_said_where_texts_are_committed_and_looked_for(tmp_path: Path) -> None:
    (tmp_path / "d.txt").write_text("cafe\u0301\n")
    said = call("commit", tmp_path / "d.txt", "--out", tmp_path / "out").stderr
    assert "texts changed by Unicode NFC: 1" in said
    for text, is_said in (("cafe\u0301", True), ("caf\u00e9", False)):
        (tmp_path / "r.txt").write_text(text)
        answer = call("contains", tmp_path / "out", "--file", tmp_path / "r.txt")
        assert answer.exit_code == 0
        assert ("looked for in Unicode NFC" in answer.stderr) is is_said
        assert ("looked for in Unicode NFC" in call("digest", tmp_path / "r.txt").stderr) is is_said
