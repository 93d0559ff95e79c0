"""Held-out records come through the reader of training records, whatever their kind."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.errors import ConfigError, InputError
from provenance_trainer.config import TrainConfig
from provenance_trainer.run.evaluation import counted_of_training
from provenance_trainer.run.held_out import read_held_out

ROWS: list[dict[str, Any]] = [
    {"q": f"what is {i}?", "a": f"it is {i}", "id": 2**60 + i} for i in range(5)
]
AS_COMMITTED = tuple({**row, "id": str(row["id"])} for row in ROWS)
LINES = "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "e.json").write_text(json.dumps(ROWS))
    (tmp_path / "e.jsonl").write_text("\ufeff" + LINES + "\n\n")
    (tmp_path / "e.jsonl.gz").write_bytes(gzip.compress(LINES.encode()))
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "e.parquet")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "test.jsonl").write_text(LINES)
    return tmp_path


@pytest.mark.parametrize("name", ["e.json", "e.jsonl", "e.jsonl.gz", "e.parquet", "f"])
def test_every_kind_gives_rows_as_a_dataset_has_them(files: Path, name: str) -> None:
    held = read_held_out(str(files / name), 3)
    assert (tuple(row for _, row in held.rows), held.total) == (AS_COMMITTED[:3], 5)
    assert str(held) == f"3 of 5 held-out records of {files / name}"
    every = read_held_out(str(files / name), 64).rows
    assert tuple(row for _, row in every) == AS_COMMITTED


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("nothere.txt", None),
        ("latin1.txt", "é".encode("latin-1")),
        ("late.jsonl", LINES.encode() + b"{"),
        ("e.bin", b"x"),
        ("empty.jsonl", b""),
    ],
)
def test_a_wrong_file_is_refused_under_its_key(
    tmp_path: Path, name: str, data: bytes | None
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    with pytest.raises(InputError) as caught:
        read_held_out(str(tmp_path / name), 1)
    assert caught.value.exit_code == 2
    assert str(caught.value.where).startswith("eval_dataset_name ")
    assert name in str(caught.value)
    assert isinstance(caught.value, ConfigError) is (data is None)


def test_no_split_is_chosen_in_silence(files: Path) -> None:
    (files / "f" / "train.jsonl").write_text(LINES)
    with pytest.raises(InputError, match="several splits"):
        read_held_out(str(files / "f"), 1)


def test_what_is_evaluated_is_counted(files: Path) -> None:
    held = read_held_out(str(files / "e.json"), 4)
    assert str(held) == f"4 of 5 held-out records of {files / 'e.json'}"
    assert (
        counted_of_training(TrainConfig("d", "o", eval_samples=4), 9) == "4 of 9 training records"
    )
    assert counted_of_training(TrainConfig("d", "o"), 9) == "9 of 9 training records"


def test_columns_are_judged_over_the_whole_source(tmp_path: Path) -> None:
    file = tmp_path / "e.jsonl"
    file.write_text('{"a": null, "b": "x"}\n{"a": "y", "b": "z"}\n')
    assert read_held_out(str(file), 1).kinds.holds("a", ["text"])
