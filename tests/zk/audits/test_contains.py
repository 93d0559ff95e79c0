"""`dataset contains`: present, absent, or undetermined beside an erased record."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.dataset.committed import CommittedDataset, Place
from provenance.digest import Digest, sha256
from provenance.encoding import dataset_record_digest
from provenance.errors import InputError
from tests.support.zk.command import Call

TEXTS = [f"record number {i}" for i in range(20)]
Commit = Callable[..., Path]


def between(low: Digest, high: Digest) -> Digest:
    return Digest(
        ((int.from_bytes(low, "big") + int.from_bytes(high, "big")) // 2).to_bytes(32, "big")
    )


def digests(folder: Path) -> list[Digest]:
    with CommittedDataset.open(folder) as opened:
        return [opened.digest(i) for i in range(len(opened))]


def erase(call: Call, folder: Path, *indices: int) -> None:
    for index in indices:
        with CommittedDataset.open(folder) as opened:
            leaf = opened.leaf(index).hex()
        assert call("dataset", "erase", folder, "--index", index, "--confirm", leaf).code == 0


def test_records_are_present_and_another_digest_is_absent(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    for text in TEXTS:
        done = call(
            "dataset",
            "contains",
            folder,
            "--digest",
            dataset_record_digest(text.encode()),
            "--json",
        )
        assert (done.code, done.json["answer"], TEXTS[done.json["source_row"]]) == (
            0,
            "present",
            text,
        )
    done = call("dataset", "contains", folder, "--digest", sha256(b"x"), "--json")
    assert (done.code, done.json) == (
        4,
        {"format": "provenance-contains/1", "answer": "absent", "digest": str(sha256(b"x"))},
    )


def test_only_gaps_beside_erased_records_are_undetermined(commit: Commit, call: Call) -> None:
    """With 0, 7, 8 and 19 erased: all other gaps answer absent, all other records present."""
    folder = commit(TEXTS)
    known = [Digest(bytes(32)), *digests(folder), Digest(b"\xff" * 32)]
    erased = {0, 7, 8, 19}
    erase(call, folder, *erased)
    with CommittedDataset.open(folder) as opened:
        for gap in range(21):
            answer = opened.place(between(known[gap], known[gap + 1])).answer
            assert answer == ("undetermined" if {gap - 1, gap} & erased else "absent"), gap
        for index in range(20):
            assert opened.place(known[index + 1]).answer == (
                "undetermined" if index in erased else "present"
            ), index
        assert opened.place(known[9]) == Place(None, 6, 9)
        assert opened.place(known[11]).index == 10


def test_an_erased_record_is_undetermined_and_never_absent(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    digest = digests(folder)[6]
    erase(call, folder, 6)
    done = call("dataset", "contains", folder, "--digest", digest, "--json")
    assert (done.code, done.json["answer"]) == (3, "undetermined")


def test_the_next_version_of_the_dataset_answers_absent(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    with CommittedDataset.open(folder) as opened:
        digest, text = opened.digest(6), opened.canonical(6).decode()
    erase(call, folder, 6)
    new = commit([t for t in TEXTS if t != text], "next")
    assert call("dataset", "contains", folder, "--digest", digest).code == 3
    assert call("dataset", "contains", new, "--digest", digest).code == 4


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--digest", "x"],
        ["--digest", "sha256:" + "0" * 63],
        ["--digest", "sha256:" + "0" * 64, "--file", "f"],
        ["--file", "nowhere"],
        ["--blocklist", "nowhere"],
        ["--blocklist", "nowhere", "--digest", "sha256:" + "0" * 64],
    ],
)
def test_bad_options_are_usage_errors(commit: Commit, call: Call, args: list[str]) -> None:
    done = call("dataset", "contains", commit(TEXTS), *args)
    assert isinstance(done.error, InputError)
    assert done.code == 2


def test_a_damaged_record_store_is_no_answer(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    (folder / "private" / "records.sqlite").write_bytes(b"not a store" * 1000)
    assert call("dataset", "contains", folder, "--digest", sha256(b"x")).code == 1


def test_a_row_missing_without_tombstone_is_never_called_absent(commit: Commit, call: Call) -> None:
    folder = commit(TEXTS)
    digest = digests(folder)[6]
    with sqlite3.connect(folder / "private" / "records.sqlite") as connection:
        connection.execute("DELETE FROM record WHERE leaf_index = 6")
    connection.close()
    assert call("dataset", "contains", folder, "--digest", digest).code == 3


def test_anybody_can_compute_a_records_digest(call: Call, tmp_path: Path) -> None:
    (tmp_path / "r.txt").write_text("record")
    (tmp_path / "r.json").write_text('{"b": 1, "a": "x"}')
    assert call("dataset", "digest", tmp_path / "r.txt").out.strip() == str(
        dataset_record_digest(b"record")
    )
    done = call("dataset", "digest", tmp_path / "r.json", "--row", "--json")
    assert done.json == {
        "format": "provenance-record-digest/1",
        "digest": str(dataset_record_digest(b'{"a":"x","b":1}')),
    }
    for args in ((tmp_path / "r.txt", "--row"), (tmp_path / "nowhere",), (tmp_path,)):
        assert isinstance(call("dataset", "digest", *args).error, InputError)


# blocklists


def write_list(tmp_path: Path, *entries: object) -> Path:
    path = tmp_path / "blocklist"
    path.write_text(
        "# personal data we were told of\n\n" + "".join(f"{entry}\n" for entry in entries)
    )
    return path


def test_a_blocklist_is_answered_at_once(commit: Commit, call: Call, tmp_path: Path) -> None:
    folder = commit(TEXTS)
    known = digests(folder)
    erase(call, folder, 3)
    absent = [
        sha256(bytes([i])) for i in range(60) if not known[2] < sha256(bytes([i])) < known[4]
    ][:5]
    blocklist = write_list(tmp_path, *absent)
    done = call("dataset", "contains", folder, "--blocklist", blocklist, "--json")
    assert (done.code, done.json["counts"]) == (0, {"present": 0, "absent": 5, "undetermined": 0})
    assert [entry["digest"] for entry in done.json["entries"]] == [str(d) for d in absent]
    done = call(
        "dataset",
        "contains",
        folder,
        "--blocklist",
        write_list(tmp_path, *absent, known[3]),
        "--json",
    )
    assert (done.code, done.json["counts"]) == (3, {"present": 0, "absent": 5, "undetermined": 1})
    blocklist = write_list(tmp_path, known[3], f"{known[5].hex()}  # bare hex", *absent)
    done = call("dataset", "contains", folder, "--blocklist", blocklist, "--json")
    assert (done.code, done.json["counts"]) == (1, {"present": 1, "absent": 5, "undetermined": 1})
    assert [e["entry"] for e in done.json["entries"] if e["answer"] == "present"] == ["line 4"]


def test_a_folder_of_records_is_a_blocklist(commit: Commit, call: Call, tmp_path: Path) -> None:
    folder = commit(TEXTS)
    (tmp_path / "list").mkdir()
    (tmp_path / "list" / "a.txt").write_text("somebody else's record")
    assert call("dataset", "contains", folder, "--blocklist", tmp_path / "list").code == 0
    (tmp_path / "list" / "b.txt").write_text(TEXTS[4])
    done = call("dataset", "contains", folder, "--blocklist", tmp_path / "list")
    assert done.code == 1
    assert f"present       {dataset_record_digest(TEXTS[4].encode())}  b.txt" in done.out
    assert done.out.endswith("1 present, 1 absent, 0 undetermined\n")


@pytest.mark.parametrize(
    "text", ["", "# nothing\n", "sha256:12\n", "\xff\n", "sha256:" + "0" * 64 + " x\n"]
)
def test_a_malformed_blocklist_names_the_line(
    commit: Commit, call: Call, tmp_path: Path, text: str
) -> None:
    path = tmp_path / "blocklist"
    path.write_bytes(text.encode("latin-1"))
    done = call("dataset", "contains", commit(TEXTS), "--blocklist", path)
    assert isinstance(done.error, InputError)
    assert str(path) in str(done.error)


def test_an_empty_folder_is_no_blocklist(commit: Commit, call: Call, tmp_path: Path) -> None:
    (tmp_path / "list").mkdir()
    assert call("dataset", "contains", commit(TEXTS), "--blocklist", tmp_path / "list").code == 2


def test_a_row_dataset_is_asked_with_a_json_row(commit: Commit, call: Call, tmp_path: Path) -> None:
    folder = commit(TEXTS)
    (tmp_path / "row.json").write_text(json.dumps({"text": TEXTS[0]}))
    # the record's bytes are those of its text, not of the object
    assert call("dataset", "contains", folder, "--file", tmp_path / "row.json").code == 4
