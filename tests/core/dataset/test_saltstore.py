"""Salts at rest: secrecy, binding to their place, deletion, durability and modes."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.dataset.saltstore import SaltStore, load_key, load_or_create_key
from provenance.errors import (
    AuthError,
    Conflict,
    InputError,
    NotFound,
    UnavailableError,
    VerificationError,
)

SECRET = b"\x5a\xa5marker of a secret value\xa5\x5a"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "private" / "salts.sqlite"


def test_values_come_back_before_and_after_they_are_durable(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("record", 1, b"one")
        store.put("record", "1", b"text id")
        store.put("batch", 1, b"other kind")
        assert store.get("record", 1) == b"one"
        store.sync()
        assert (store.get("record", 1), store.get("record", "1"), store.get("batch", 1)) == (
            b"one",
            b"text id",
            b"other kind",
        )
    with SaltStore.open(path, key) as store:
        assert store.get_many("record", [1, "1"]) == [b"one", b"text id"]
        assert store.ids("record") == [1, "1"]


def test_a_missing_value_is_not_found(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store, pytest.raises(NotFound, match="record/7"):
        store.get("record", 7)


def test_only_synced_values_survive_a_crash(path: Path, key: bytes) -> None:
    store = SaltStore.open(path, key)
    store.put("record", 1, b"synced")
    store.sync()
    store.put("record", 2, b"not synced")
    with SaltStore.open(path, key, create=False) as after_crash:  # the first store was never closed
        assert after_crash.get("record", 1) == b"synced"
        with pytest.raises(NotFound):
            after_crash.get("record", 2)
    store.close()


def test_another_value_under_the_same_id_is_a_conflict(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("batch", "0:1:0", b"first")
        store.put("batch", "0:1:0", b"first")
        with pytest.raises(Conflict):
            store.put("batch", "0:1:0", b"second")
        store.sync()
        with pytest.raises(Conflict):
            store.put("batch", "0:1:0", b"second")
        store.put("batch", "0:1:0", b"second", replace=True)
        assert store.get("batch", "0:1:0") == b"second"


def test_bulk_values_are_stored_together_or_not_at_all(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put_many("record", ((i, b"%d" % i) for i in range(100)))
        with pytest.raises(Conflict):
            store.put_many("record", [(100, b"new"), (5, b"again")])
        assert store.get("record", 99) == b"99"
        with pytest.raises(NotFound):
            store.get("record", 100)


def test_a_wrong_key_is_refused(path: Path, key: bytes) -> None:
    SaltStore.open(path, key).close()
    with pytest.raises(AuthError, match="wrong key"):
        SaltStore.open(path, b"\1" * 32)
    with pytest.raises(InputError):
        SaltStore.open(path, b"short")


def alter(path: Path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(statement, values)
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE value SET box = zeroblob(length(box)) WHERE id = 1",
        "UPDATE value SET nonce = zeroblob(12) WHERE id = 1",
        "UPDATE value SET nonce = x'00' WHERE id = 1",
        "UPDATE value SET box = 'text' WHERE id = 1",
        # moved
        "UPDATE value SET (nonce, box) = (SELECT nonce, box FROM value WHERE id = 2) WHERE id = 1",
        "UPDATE value SET id = 1 WHERE id = 2",  # renamed (row 1 was deleted first)
        "UPDATE value SET kind = 'record' WHERE kind = 'batch'",
    ],
)
def test_an_altered_or_moved_row_is_named(path: Path, key: bytes, statement: str) -> None:
    with SaltStore.open(path, key) as store:
        store.put_many("record", [(1, b"one"), (2, b"two")])
        store.put("batch", 3, b"three")
    if "SET id" in statement:
        alter(path, "DELETE FROM value WHERE id = 1")
    alter(path, statement)
    place = 3 if "SET kind" in statement else 1
    with (
        SaltStore.open(path, key) as store,
        pytest.raises(VerificationError, match=f"record/{place}"),
    ):
        store.get("record", place)


def test_a_row_of_another_store_is_refused(tmp_path: Path, key: bytes) -> None:
    first, second = tmp_path / "a" / "s", tmp_path / "b" / "s"
    for path in (first, second):
        with SaltStore.open(path, key) as store:
            store.put("record", 1, bytes(path.parent))
    alter(first, f"ATTACH '{second}' AS other")  # only shows that attaching works
    with sqlite3.connect(first) as connection:
        connection.execute(f"ATTACH '{second}' AS other")
        connection.execute("REPLACE INTO value SELECT * FROM other.value")
    connection.close()
    with SaltStore.open(first, key) as store, pytest.raises(VerificationError):
        store.get("record", 1)


def test_a_file_that_is_no_store_is_refused(path: Path, key: bytes) -> None:
    path.parent.mkdir(mode=0o700)
    path.write_bytes(b"not a database at all" * 100)
    path.chmod(0o600)
    with pytest.raises(VerificationError):
        SaltStore.open(path, key)
    with pytest.raises(NotFound):
        SaltStore.open(path.with_name("missing"), key, create=False)


def everything(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


def test_neither_values_nor_keys_lie_in_the_files(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("record", 1, SECRET)
        store.sync()
        data = everything(path.parent)
    assert SECRET not in data
    assert key not in data


def test_a_deleted_row_leaves_no_bytes_behind(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put_many("record", ((i, b"%d" % i) for i in range(50)))
        box = store._connection.execute("SELECT box FROM value WHERE id = 30").fetchone()[0]
        assert box in everything(path.parent)
        assert store.delete("record", 30)
        assert box not in everything(path.parent)
        assert path.with_name(path.name + "-wal").stat().st_size == 0
        assert not store.delete("record", 30)
        with pytest.raises(NotFound):
            store.get("record", 30)
        assert store.get("record", 31) == b"31"


def test_a_value_that_is_not_durable_yet_can_be_deleted(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("record", 1, b"one")
        assert store.delete_many("record", [1, 2]) == 1
        store.sync()
        with pytest.raises(NotFound):
            store.get("record", 1)


def test_a_reader_that_keeps_old_pages_makes_deletion_fail(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("record", 1, SECRET)
        store.sync()
        reader = sqlite3.connect(path, isolation_level=None)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM value").fetchall()
        store._connection.execute("PRAGMA busy_timeout = 50")
        with pytest.raises(UnavailableError, match="write-ahead log"):
            store.delete("record", 1)
        reader.close()
        store.delete("record", 1)
        assert path.with_name(path.name + "-wal").stat().st_size == 0


def test_the_store_and_its_folder_are_closed_to_others(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:
        store.put("record", 1, b"one")
        store.sync()
        for file in path.parent.iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("loose", "mode"), [("file", 0o640), ("file", 0o604), ("folder", 0o750), ("folder", 0o711)]
)
def test_files_open_to_others_are_refused(path: Path, key: bytes, loose: str, mode: int) -> None:
    SaltStore.open(path, key).close()
    (path if loose == "file" else path.parent).chmod(mode)
    with pytest.raises(AuthError, match="chmod"):
        SaltStore.open(path, key)


def test_threads_share_a_store(path: Path, key: bytes) -> None:
    with SaltStore.open(path, key) as store:

        def work(start: int) -> None:
            for i in range(start, start + 50):
                store.put("record", i, b"%d" % i)
                if i % 10 == 0:
                    store.sync()

        threads = [threading.Thread(target=work, args=(1000 * n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.sync()
        assert len(store.ids("record")) == 200
        assert store.get("record", 3049) == b"3049"


def test_a_closed_store_refuses_to_read(path: Path, key: bytes) -> None:
    store = SaltStore.open(path, key)
    store.close()
    with pytest.raises(InputError, match="closed"):
        store.get("record", 1)


@settings(max_examples=25, deadline=None)
@given(
    values=st.dictionaries(
        st.one_of(st.integers(0, 2**40), st.text(max_size=8)), st.binary(max_size=64), max_size=8
    )
)
def test_what_is_put_is_what_is_got(
    tmp_path_factory: pytest.TempPathFactory, values: dict[int | str, bytes]
) -> None:
    path = tmp_path_factory.mktemp("store") / "private" / "s"
    with SaltStore.open(path, b"k" * 32) as store:
        for id, value in values.items():
            store.put("record", id, value)
    with SaltStore.open(path, b"k" * 32) as store:
        assert {id: store.get("record", id) for id in values} == values


def test_a_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "home" / "salts.key"
    key = load_or_create_key(path)
    assert (len(key), stat.S_IMODE(path.stat().st_mode)) == (32, 0o600)
    assert load_or_create_key(path) == load_key(path) == key


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "salts.key"
    load_or_create_key(path)
    path.chmod(mode)
    with pytest.raises(AuthError, match="chmod 600"):
        load_or_create_key(path)


def test_short_linked_and_missing_key_files_are_refused(tmp_path: Path) -> None:
    short, link = tmp_path / "short", tmp_path / "link"
    short.write_bytes(b"x" * 31)
    short.chmod(0o600)
    with pytest.raises(InputError, match="length"):
        load_key(short)
    os.symlink(short, link)
    with pytest.raises(InputError):
        load_or_create_key(link)
    with pytest.raises(InputError):
        load_key(tmp_path / "missing")
