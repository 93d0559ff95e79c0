"""`provenance dataset`: results on stdout, words for people on stderr, typed errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    UnavailableError,
    VerificationError,
)
from provenance_cli.dataset.app import dataset

ROWS = "".join(json.dumps({"text": f"record {i}", "id": i}) + "\n" for i in range(12))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVENANCE_HOME", str(tmp_path / "home"))
    (tmp_path / "d.jsonl").write_text(ROWS)
    return tmp_path / "home"


def call(*args: object) -> Result:
    return CliRunner().invoke(dataset, [str(arg) for arg in args])


def run(*args: object) -> Any:
    result = call(*args, "--json")
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout)


def test_a_committed_dataset_is_shown_checked_and_searched(tmp_path: Path, home: Path) -> None:
    out = tmp_path / "out"
    made = run(
        "commit",
        tmp_path / "d.jsonl",
        "--out",
        out,
        "--text-column",
        "text",
        "--licence",
        "MIT",
        "--limit",
        10,
    )
    assert (made["format"], made["count"], made["depth"]) == ("provenance-commit/1", 10, 5)
    assert (home / "salts.key").stat().st_mode & 0o777 == 0o600
    shown = run("info", out)
    assert (shown["root"], shown["licence"], shown["text_column"], shown["erased"]) == (
        made["root"],
        "MIT",
        "text",
        0,
    )
    assert shown["curation"] == ["first 10 records"]
    checked = run("check", out)
    assert (checked["records"], checked["leaves_checked"], checked["root_checked"]) == (
        10,
        True,
        True,
    )
    assert run("check", out, "--slow") == checked
    (tmp_path / "r.txt").write_text("record 3")
    assert run("contains", out, "--file", tmp_path / "r.txt")["source_row"] == 3
    (tmp_path / "r.txt").write_text("record 3\n")
    absent = call("contains", out, "--file", tmp_path / "r.txt", "--json")
    assert (absent.exit_code, json.loads(absent.stdout)["answer"]) == (4, "absent")


def test_whole_rows_are_found_by_their_json(tmp_path: Path) -> None:
    run("commit", tmp_path / "d.jsonl", "--out", tmp_path / "out")
    (tmp_path / "r.json").write_text('{"id": 5, "text": "record 5"}')
    assert run("contains", tmp_path / "out", "--file", tmp_path / "r.json")["source_row"] == 5
    (tmp_path / "r.json").write_text("[5]")
    with pytest.raises(InputError):
        run("contains", tmp_path / "out", "--file", tmp_path / "r.json")


def test_stdout_holds_the_result_only(tmp_path: Path) -> None:
    result = call(
        "commit", tmp_path / "d.jsonl", "--out", tmp_path / "out", "--text-column", "text"
    )
    assert result.exit_code == 0
    assert result.stdout.startswith("root ")
    assert result.stderr.endswith(" s, 12 records\n")
    assert "no licence" in result.stderr
    assert "records" not in result.stdout


def test_duplicates_are_refused_or_dropped_on_request(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(ROWS + ROWS)
    with pytest.raises(InputError, match="12 exact duplicates"):
        run("commit", tmp_path / "d.jsonl", "--out", tmp_path / "out")
    assert (
        run("commit", tmp_path / "d.jsonl", "--out", tmp_path / "out", "--dedupe")[
            "duplicates_removed"
        ]
        == 12
    )


def test_each_failure_has_its_error_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(NotFound):
        run("commit", tmp_path / "missing.jsonl", "--out", out)
    (tmp_path / "d.jsonl").write_text(ROWS + "{")
    with pytest.raises(InputError, match=r"d\.jsonl line 13"):
        run("commit", tmp_path / "d.jsonl", "--out", out)
    assert not out.exists()
    (tmp_path / "d.jsonl").write_text(ROWS)
    run("commit", tmp_path / "d.jsonl", "--out", out)
    with pytest.raises(Conflict):
        run("commit", tmp_path / "d.jsonl", "--out", out)
    with pytest.raises(InputError):
        run("info", tmp_path)
    data = bytearray((out / "leaves.bin").read_bytes())
    data[0] ^= 1
    (out / "leaves.bin").write_bytes(data)
    with pytest.raises(VerificationError, match="record 0"):
        run("check", out)
    (home / "salts.key").write_bytes(b"x" * 32)
    with pytest.raises(AuthError):
        run("check", out)
    (home / "salts.key").unlink()
    with pytest.raises(InputError):  # a lost key is never replaced by a new one
        run("check", out)
    monkeypatch.setenv("PROVENANCE_ZKPROVER", str(tmp_path / "nothing"))
    with pytest.raises(UnavailableError, match="make setup"):
        run("commit", tmp_path / "d.jsonl", "--out", tmp_path / "other")
