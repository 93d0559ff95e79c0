"""`dataset erase --check`: what is left of an erased record is found wherever it is."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from provenance.dataset.committed import CommittedDataset
from provenance.dataset.saltstore import SaltStore, load_key
from tests.support.zk.command import Call
from tests.support.zk.erasing import TEXTS, leaf_of, make_run

Commit = Callable[..., Path]


def test_check_finds_the_text_where_it_still_is(
    commit: Commit, call: Call, home: Path, tmp_path: Path
) -> None:
    folder = commit(TEXTS)
    with CommittedDataset.open(folder) as opened:
        text = opened.canonical(6)
    record, cache = tmp_path / "erased.txt", tmp_path / "huggingface" / "datasets" / "x.arrow"
    record.write_bytes(text)
    run = make_run(tmp_path / "run", home, [[leaf_of(folder, 6)]])
    # the run is not named, so its salts stay
    assert call("dataset", "erase", folder, "--index", 6, "--confirm", leaf_of(folder, 6)).code == 0
    cache.parent.mkdir(parents=True)
    cache.write_bytes(bytes(5 << 20) + text + bytes(100))
    (run.evidence / "notes").write_text(json.dumps("é " + text.decode()))
    check = ("dataset", "erase", folder, "--check", "--file", record, "--run", run.root, "--json")
    done = call(*check)
    assert done.code == 1
    assert done.json["found"] == [
        f"salts of 1 batches that used erased record 6 in {run.root}",
        f"text in {tmp_path / 'data.jsonl'}",
        f"text in {run.evidence / 'notes'}",
        f"text in {cache}",
    ]
    (tmp_path / "data.jsonl").unlink()
    cache.unlink()
    (run.evidence / "notes").unlink()
    assert call("dataset", "erase", folder, "--index", 6, "--leaf", leaf_of(folder, 6)).code == 2
    assert (
        call(
            "dataset",
            "erase",
            folder,
            "--leaf",
            leaf_of(folder, 6),
            "--confirm",
            leaf_of(folder, 6),
            "--run",
            run.root,
        ).code
        == 0
    )
    done = call(*check)
    assert (done.code, done.json["found"]) == (0, [])
    assert any(
        "data.jsonl: not where the manifest says" in place for place in done.json["not_searched"]
    )


def test_check_finds_a_record_in_a_compressed_source(
    commit: Commit, call: Call, tmp_path: Path
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = commit(TEXTS)
    manifest = json.loads((folder / "dataset.json").read_text())
    source = tmp_path / "data.parquet"
    pq.write_table(pa.table({"text": TEXTS}), source, compression="zstd", use_dictionary=False)
    assert TEXTS[6].encode() not in source.read_bytes()
    manifest |= {"source": str(source), "files": [{"path": source.name}]}
    (folder / "dataset.json").write_text(json.dumps(manifest))
    with CommittedDataset.open(folder) as opened:
        index = next(i for i in range(20) if opened.canonical(i) == TEXTS[6].encode())
    assert (
        call("dataset", "erase", folder, "--index", index, "--confirm", leaf_of(folder, index)).code
        == 0
    )
    (tmp_path / "erased.txt").write_text(TEXTS[6])
    done = call("dataset", "erase", folder, "--check", "--file", tmp_path / "erased.txt", "--json")
    assert (done.code, done.json["found"]) == (1, [f"text in {source}, as a record"])


def test_check_finds_a_salt_that_came_back(commit: Commit, call: Call, home: Path) -> None:
    folder = commit(TEXTS)
    key = load_key(home / "salts.key")
    assert call("dataset", "erase", folder, "--index", 6, "--confirm", leaf_of(folder, 6)).code == 0
    assert call("dataset", "erase", folder, "--check").code == 0
    with SaltStore.open(folder / "private" / "salts.sqlite", key) as salts:
        salts.put("record", 6, bytes(31))
    done = call("dataset", "erase", folder, "--check")
    assert done.code == 1
    assert "salt of erased record 6" in done.out


def test_check_finds_the_text_in_free_pages_of_a_database(
    commit: Commit, call: Call, tmp_path: Path
) -> None:
    """A database that deletes without overwriting keeps the text in its free pages."""
    import sqlite3

    folder = commit(TEXTS)
    with CommittedDataset.open(folder) as opened:
        text = opened.canonical(6)
    (tmp_path / "erased.txt").write_bytes(text)
    (tmp_path / "data.jsonl").unlink()
    assert call("dataset", "erase", folder, "--index", 6, "--confirm", leaf_of(folder, 6)).code == 0
    other = sqlite3.connect(folder / "private" / "other.sqlite", isolation_level=None)
    other.execute("PRAGMA secure_delete = OFF")
    other.execute("CREATE TABLE t (x)")
    other.execute("INSERT INTO t VALUES (?)", (text,))
    other.execute("DELETE FROM t")
    other.close()
    done = call("dataset", "erase", folder, "--check", "--file", tmp_path / "erased.txt", "--json")
    assert done.json["found"] == [f"text in {folder / 'private' / 'other.sqlite'}"]
