"""The dataset folder: written whole or not at all, every byte checked, records erased."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import stat
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from provenance.dataset import committed, writer
from provenance.dataset.committed import CommittedDataset, LeafFunction, Recomputation
from provenance.dataset.manifest import DatasetRoot, depth_for, load_manifest
from provenance.dataset.saltstore import SaltStore
from provenance.dataset.writer import CommittedRecord, ManifestFacts, write_dataset
from provenance.digest import Digest, sha256
from provenance.encoding import dataset_record_digest
from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    UnavailableError,
    VerificationError,
)
from provenance.statements import MAX_RECORDS
from tests.support.core.altered import alter_record

ROWS = [{"text": f"record {i}"} for i in range(20)]
Make = Callable[..., Path]


def test_a_dataset_reads_back(make_dataset: Make, key: bytes, leaf_function: object) -> None:
    with CommittedDataset.open(make_dataset(ROWS), key) as dataset:
        assert (dataset.root, len(dataset), dataset.text_column) == (
            DatasetRoot(7, 5, 20),
            20,
            "text",
        )
        assert dataset.leaves.shape == (20, 32)
        assert dataset.leaves.dtype == np.uint8
        assert sorted((dataset.row(i)["text"], dataset.source_row(i)) for i in range(20)) == sorted(
            (row["text"], i) for i, row in enumerate(ROWS)
        )
        digests = [dataset.digest(i) for i in range(20)]
        assert digests == sorted(digests)
        assert [dataset.find(digest) for digest in digests] == list(range(20))
        assert dataset.find(sha256(b"absent")) is None
        assert len(dataset.salt(3)) == 31
        # type: ignore[operator]
        assert leaf_function([dataset.digest(3)], [dataset.salt(3)]) == [dataset.leaf(3)]
        report = dataset.check(leaf_function)  # type: ignore[arg-type]
        assert (report.records, report.erased, report.leaves, report.root) == (20, 0, True, False)


@pytest.mark.parametrize(
    ("place", "fault"),
    [
        ("_create_tables", sqlite3.OperationalError("disk I/O error")),
        ("_fill", OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_is_named_and_what_to_do(
    make_dataset: Make, monkeypatch: pytest.MonkeyPatch, place: str, fault: Exception
) -> None:
    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr(writer, place, fail)
    with pytest.raises(UnavailableError, match=r"cannot write dataset.*make room"):
        make_dataset(ROWS)


def test_whole_rows_read_back(make_dataset: Make, key: bytes) -> None:
    rows = [{"q": f"why {i}?", "n": i, "x": 0.5} for i in range(5)]
    with CommittedDataset.open(make_dataset(rows, text_column=None), key) as dataset:
        assert dataset.text_column is None
        assert dataset.manifest["columns"] == ["q", "n", "x"]
        assert sorted((dataset.row(i) for i in range(5)), key=lambda row: row["n"]) == rows


def test_the_public_part_alone_shows_root_and_leaves(make_dataset: Make, key: bytes) -> None:
    folder = make_dataset(ROWS)
    for file in (folder / "private").iterdir():
        file.unlink()
    (folder / "private").rmdir()
    with CommittedDataset.open(folder) as dataset:
        assert dataset.leaves.shape == (20, 32)
        with pytest.raises(NotFound):
            dataset.row(0)
    with pytest.raises(NotFound):
        CommittedDataset.open(folder, key)


def test_without_the_key_no_salt_is_read(make_dataset: Make) -> None:
    with CommittedDataset.open(make_dataset(ROWS)) as dataset:
        assert dataset.row(0)
        with pytest.raises(AuthError):
            dataset.salt(0)
        assert dataset.check(lambda d, s: []).leaves is False


def test_a_wrong_key_is_refused(make_dataset: Make) -> None:
    with pytest.raises(AuthError):
        CommittedDataset.open(make_dataset(ROWS), b"\7" * 32)


@pytest.mark.parametrize("index", [-1, 20])
def test_an_index_outside_the_dataset_is_refused(
    make_dataset: Make, key: bytes, index: int
) -> None:
    with CommittedDataset.open(make_dataset(ROWS), key) as dataset:
        for read in (dataset.row, dataset.salt, dataset.digest, dataset.leaf):
            with pytest.raises(InputError, match=r"0\.\.19"):
                read(index)


def test_the_private_folder_is_closed_to_others(make_dataset: Make) -> None:
    folder = make_dataset(ROWS)
    assert stat.S_IMODE((folder / "private").stat().st_mode) == 0o700
    assert {stat.S_IMODE(f.stat().st_mode) for f in (folder / "private").iterdir()} == {0o600}


def test_salts_are_not_readable_in_the_files(make_dataset: Make, key: bytes) -> None:
    folder = make_dataset(ROWS)
    with CommittedDataset.open(folder, key) as dataset:
        salts = [dataset.salt(i) for i in range(20)]
    data = b"".join(f.read_bytes() for f in folder.rglob("*") if f.is_file())
    assert not any(salt in data for salt in salts)


# written whole or not at all


def record(i: int) -> CommittedRecord:
    return CommittedRecord(Digest(i.to_bytes(32, "big")), b"x", bytes(31), bytes(32), i)


def test_an_existing_folder_is_a_conflict(make_dataset: Make, tmp_path: Path, key: bytes) -> None:
    folder = make_dataset(ROWS)
    before = sorted(f.read_bytes() for f in folder.rglob("*") if f.is_file())
    with pytest.raises(Conflict):
        make_dataset(ROWS)
    assert sorted(f.read_bytes() for f in folder.rglob("*") if f.is_file()) == before
    (tmp_path / "empty").mkdir()
    (tmp_path / "dangling").symlink_to("nowhere")
    for name in ("empty", "dangling"):
        with pytest.raises(Conflict):
            make_dataset(ROWS, name)
    assert not [p.name for p in tmp_path.iterdir() if "partial" in p.name]


@pytest.mark.parametrize(
    "records",
    [
        [record(1)],  # one too few
        [record(1), record(2), record(3)],  # one too many
        [record(2), record(1)],  # out of order
        [record(1), record(1)],  # repeated
    ],
)
def test_a_failed_write_leaves_nothing(
    tmp_path: Path, key: bytes, records: list[CommittedRecord]
) -> None:
    with pytest.raises(InputError):
        write_dataset(
            tmp_path / "out", DatasetRoot(1, 5, 2), ManifestFacts("s", "l", "text"), records, key
        )
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_breaks_off_leaves_nothing(tmp_path: Path, key: bytes) -> None:
    def records() -> object:
        yield record(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dataset(
            tmp_path / "out", DatasetRoot(1, 5, 2), ManifestFacts("s", "l", "text"), records(), key
        )  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_a_live_one_is_not(
    make_dataset: Make, tmp_path: Path
) -> None:
    import fcntl

    dead, alive, other = (
        tmp_path / name for name in (".data.partial-dead", ".data.partial-alive", ".dat.partial-x")
    )
    for folder in (dead, alive, other):
        (folder / "private").mkdir(parents=True)
        (folder / "private" / "records.sqlite").write_text("a record")
    fd = os.open(alive, os.O_RDONLY)
    fcntl.flock(fd, fcntl.LOCK_EX)
    make_dataset(ROWS)
    os.close(fd)
    assert (dead.exists(), alive.exists(), other.exists()) == (False, True, True)


# tampering


def alter(folder: Path, statement: str) -> None:
    with sqlite3.connect(folder / "private" / "records.sqlite") as connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "bad"),
    [
        ("UPDATE record SET canonical = 'edited' WHERE leaf_index = 4", 4),
        ("UPDATE record SET canonical = x'' WHERE leaf_index = 0", 0),
        ("UPDATE record SET digest = zeroblob(32) WHERE leaf_index = 9", 9),
        ("DELETE FROM record WHERE leaf_index = 11", 11),
        (
            "UPDATE record SET canonical = (SELECT canonical FROM record WHERE leaf_index = 2), "
            "digest = (SELECT digest FROM record WHERE leaf_index = 2) WHERE leaf_index = 3",
            3,
        ),
    ],
)
def test_an_edited_record_is_named(
    make_dataset: Make, key: bytes, leaf_function: object, statement: str, bad: int
) -> None:
    folder = make_dataset(ROWS)
    alter(folder, statement)
    with CommittedDataset.open(folder, key) as dataset, pytest.raises(VerificationError) as caught:
        dataset.check(leaf_function)  # type: ignore[arg-type]
    assert caught.value.where == f"{folder} record {bad}"


def test_a_record_with_a_matching_digest_still_does_not_open_its_leaf(
    make_dataset: Make, key: bytes, leaf_function: object
) -> None:
    folder = make_dataset(ROWS)
    from provenance.encoding import dataset_record_digest

    with CommittedDataset.open(folder) as dataset:
        first, second = dataset.digest(0), dataset.digest(1)
    forged, n = b"", 0
    while not first < dataset_record_digest(forged) < second:
        forged, n = b"forged %d" % n, n + 1
    alter(
        folder,
        f"UPDATE record SET canonical = x'{forged.hex()}', digest = "
        f"x'{dataset_record_digest(forged).hex()}' "
        "WHERE leaf_index = 1",
    )
    with CommittedDataset.open(folder, key) as dataset:
        assert not dataset.check().leaves  # without a leaf function the folder is consistent
        with pytest.raises(VerificationError, match="do not open its leaf"):
            dataset.check(leaf_function)  # type: ignore[arg-type]


def test_a_tampered_leaf_is_named(make_dataset: Make, key: bytes, leaf_function: object) -> None:
    folder = make_dataset(ROWS)
    data = bytearray((folder / "leaves.bin").read_bytes())
    data[32 * 13 + 5] ^= 1
    (folder / "leaves.bin").write_bytes(data)
    with CommittedDataset.open(folder, key) as dataset, pytest.raises(VerificationError) as caught:
        dataset.check(leaf_function)  # type: ignore[arg-type]
    assert caught.value.where == f"{folder} record 13"


def test_a_root_that_is_not_that_of_the_leaves_is_refused(make_dataset: Make) -> None:
    with CommittedDataset.open(make_dataset(ROWS)) as dataset:
        assert dataset.check(root_function=lambda leaves, depth: 7).root
        with pytest.raises(VerificationError, match="committed root"):
            dataset.check(root_function=lambda leaves, depth: 8)


@pytest.mark.parametrize("size", [0, 639, 641, 672])
def test_leaves_of_another_size_are_refused(make_dataset: Make, size: int) -> None:
    folder = make_dataset(ROWS)
    (folder / "leaves.bin").write_bytes(bytes(size))
    with pytest.raises(VerificationError, match="640 bytes"):
        CommittedDataset.open(folder)


def test_a_record_is_handed_out_only_with_its_digest(make_dataset: Make) -> None:
    folder = make_dataset(ROWS)
    alter_record(folder, 4, b"edited", digest=False)
    with CommittedDataset.open(folder) as dataset:
        assert dataset.row(3)
        for read in (dataset.row, dataset.canonical, dataset.digest, dataset.source_row):
            with pytest.raises(VerificationError, match=r"record 4.*dataset check"):
                read(4)


@pytest.mark.parametrize("what", ["record", "salt", "no salt", "leaf", "all three"])
def test_a_reader_with_the_key_hands_out_only_what_was_committed(
    make_dataset: Make, key: bytes, leaf_function: LeafFunction, what: str
) -> None:
    folder = make_dataset(ROWS)
    honest = (folder / "leaves.bin").read_bytes()

    def root(leaves: np.ndarray, depth: int) -> int:
        return 7 if leaves.tobytes() == honest else 8

    again = Recomputation(leaf_function, root)
    with CommittedDataset.open(folder, key, again) as dataset:
        assert len({str(dataset.row(i)) for i in range(20)}) == 20
    with CommittedDataset.open(folder) as dataset:
        forged = dataset.canonical(4)
    if what in ("record", "all three"):
        forged = between(folder, 4)
        alter_record(folder, 4, forged)
    salts = SaltStore.open(folder / "private" / "salts.sqlite", key)
    if what in ("salt", "all three"):
        salts.put("record", 4, b"s" * 31, replace=True)
    if what == "no salt":
        salts.delete("record", 4)
    salts.close()
    data = bytearray(honest)
    if what == "leaf":
        data[32 * 4] ^= 1
    if what == "all three":
        data[32 * 4 : 32 * 5] = leaf_function([dataset_record_digest(forged)], [b"s" * 31])[0]
    (folder / "leaves.bin").write_bytes(data)
    with (
        CommittedDataset.open(folder, key, again) as dataset,
        pytest.raises(VerificationError, match="commit the source again"),
    ):
        dataset.row(4)


def test_a_record_that_is_altered_while_it_is_read_is_refused(
    make_dataset: Make, key: bytes, leaf_function: LeafFunction, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(committed, "CHUNK_ROWS", 8)
    calls: list[int] = []

    def counted(digests: Sequence[Digest], salts: Sequence[bytes]) -> Sequence[bytes]:
        calls.append(len(digests))
        return leaf_function(digests, salts)

    folder = make_dataset(ROWS)
    with CommittedDataset.open(folder, key, Recomputation(counted, lambda *_: 7)) as dataset:
        for _ in range(2):
            assert [dataset.row(i) for i in range(20)]
        assert calls == [8, 8, 4]  # each leaf is computed once
        forged = between(folder, 5)
        dataset.erase(6)
        with pytest.raises(NotFound):
            dataset.row(6)
        alter_record(folder, 5, forged)
        with pytest.raises(VerificationError, match=r"record 5: .*while it was read"):
            dataset.row(5)


def between(folder: Path, index: int) -> bytes:
    """Bytes whose digest keeps its place in the order, so that only the leaf tells them."""
    with CommittedDataset.open(folder) as dataset:
        below, above = dataset.digests()[index - 1], dataset.digests()[index]
    forged, n = b"", 0
    while not below < dataset_record_digest(forged) < above:
        forged, n = b"forged %d" % n, n + 1
    return forged


def edit_manifest(folder: Path, **changes: object) -> None:
    manifest = json.loads((folder / "dataset.json").read_bytes())
    for name, value in changes.items():
        if value is ...:
            del manifest[name]
        else:
            manifest[name] = value
    (folder / "dataset.json").write_text(json.dumps(manifest))


ROOT = {"root": "0x" + "00" * 31 + "07", "depth": 5, "count": 20}


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "provenance-dataset/2"},
        {"format": ...},
        {"root": ...},
        {"source": 3},
        {"files": {}},
        {"unknown": 1},
        {"columns": ["text"]},
        {"text_column": ...},
        {"duplicates_removed": "0"},
        {"root": {**ROOT, "root": "0x7"}},
        {"root": {**ROOT, "root": "0x" + "FF" * 32}},
        {"root": {**ROOT, "depth": 4}},
        {"root": {**ROOT, "depth": True}},
        {"root": {**ROOT, "count": 0}},
        {"root": {**ROOT, "count": 16**5 + 1}},
        {"root": {**ROOT, "count": "20"}},
        {"root": {**ROOT, "more": 1}},
        {"root": {**ROOT, "root": "0x" + "ff" * 32}},
    ],
)
def test_a_malformed_manifest_is_refused(make_dataset: Make, changes: dict[str, object]) -> None:
    folder = make_dataset(ROWS)
    edit_manifest(folder, root=ROOT)
    CommittedDataset.open(folder).close()  # unedited, it is accepted
    edit_manifest(folder, **changes)
    with pytest.raises(InputError):
        CommittedDataset.open(folder)


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"[" * 100_000, b"\xff"])
def test_a_manifest_that_is_no_object_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "dataset.json").write_bytes(text)
    with pytest.raises(InputError):
        load_manifest(tmp_path / "dataset.json")
    with pytest.raises(InputError):
        load_manifest(tmp_path / "missing.json")


# erasure


def test_erasing_a_record_leaves_its_leaf_and_nothing_else(
    make_dataset: Make, key: bytes, leaf_function: object
) -> None:
    folder = make_dataset([{"text": f"the text of person number {i}"} for i in range(20)])
    with CommittedDataset.open(folder, key) as dataset:
        text, leaf, digest = dataset.canonical(6), dataset.leaf(6), dataset.digest(6)
        assert any(text in file.read_bytes() for file in (folder / "private").iterdir())
        assert dataset.erase(6) == leaf
        assert dataset.erase(6) == leaf  # again, as after a crash
        for read in (dataset.row, dataset.salt, dataset.digest):
            with pytest.raises(NotFound):
                read(6)
        assert (dataset.leaf(6), dataset.erased(), dataset.find(digest)) == (leaf, [6], None)
        assert dataset.find(dataset.digest(7)) == 7
        report = dataset.check(leaf_function)  # type: ignore[arg-type]
        assert (report.records, report.erased) == (19, 1)
        files = list((folder / "private").iterdir())
        assert not any(text in file.read_bytes() or digest in file.read_bytes() for file in files)


def test_erasing_needs_the_key(make_dataset: Make) -> None:
    with CommittedDataset.open(make_dataset(ROWS)) as dataset, pytest.raises(AuthError):
        dataset.erase(0)


# values


def test_depth_follows_count() -> None:
    assert [depth_for(n) for n in (1, 16**5, 16**5 + 1, MAX_RECORDS)] == [5, 5, 6, 6]
    for count in (0, MAX_RECORDS + 1):
        with pytest.raises(InputError):
            depth_for(count)


@pytest.mark.parametrize("root", [DatasetRoot(0, 5, 1), DatasetRoot(2**200, 6, 16**6)])
def test_roots_survive_json(root: DatasetRoot) -> None:
    assert DatasetRoot.from_json(root.to_json()) == root


def test_a_forked_reader_opens_its_own_connection(make_dataset: Make) -> None:
    with CommittedDataset.open(make_dataset(ROWS)) as dataset:
        expected = dataset.row(3)
        reading, writing = os.pipe()
        if (child := os.fork()) == 0:
            os.write(writing, json.dumps(dataset.row(3)).encode())
            os._exit(0)
        os.waitpid(child, 0)
        assert json.loads(os.read(reading, 1000)) == expected
        os.close(reading)
        os.close(writing)
