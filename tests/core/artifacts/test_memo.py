"""Kept results: what is used, and each way in which somebody could have put a false one there."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts import memo as memo_module
from provenance.artifacts.memo import MAX_ENTRY_BYTES, Function, Memo
from provenance.digest import sha256

DOUBLE = Function("double", 1)
INPUTS = {"sha256": str(sha256(b"bytes")), "depth": 3}
VALUE = {"root": "0x02"}


class Lab:
    """A memo's folder, and what was said about it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.said = folder, list[str]()

    def open(self, *, fresh: bool = False) -> Memo:
        """The memo as another process would open it."""
        return Memo(self.folder, self.said.append, fresh=fresh)

    def get(self, function: Function = DOUBLE, inputs: dict[str, Any] = INPUTS) -> Any:
        kept = self.open().get(function, inputs)
        return None if kept is None else kept.value

    @property
    def entry(self) -> Path:
        (path,) = self.folder.iterdir()
        return path


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A memo with one entry."""
    lab = Lab(tmp_path / "state" / "memo")
    lab.open().put(DOUBLE, INPUTS, VALUE)
    assert lab.get() == VALUE
    return lab


def test_folder_and_entries_are_private(lab: Lab) -> None:
    assert lab.folder.stat().st_mode & 0o777 == 0o700
    assert lab.entry.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("function", "inputs"),
    [
        (Function("double", 2), INPUTS),
        (Function("triple", 1), INPUTS),
        (DOUBLE, INPUTS | {"sha256": str(sha256(b"other bytes"))}),
        (DOUBLE, INPUTS | {"depth": 4}),
        (DOUBLE, {"sha256": INPUTS["sha256"]}),
    ],
    ids=["later version", "other function", "other bytes", "other argument", "argument left out"],
)
def test_an_entry_is_for_one_function_version_and_input(
    lab: Lab, function: Function, inputs: dict[str, Any]
) -> None:
    assert lab.get(function, inputs) is None
    lab.open().put(function, inputs, {"root": "0x04"})
    assert lab.get() == VALUE


@pytest.mark.parametrize(
    "other",
    [(Function("double", 2), INPUTS), (DOUBLE, INPUTS | {"depth": 4})],
    ids=["version", "input"],
)
def test_an_entry_under_another_ones_name_is_not_used(
    lab: Lab, other: tuple[Function, dict[str, Any]]
) -> None:
    """What an older version of the function made is copied to where the newer one looks."""
    older = lab.entry
    lab.open().put(*other, {"root": "0x04"})
    (newer,) = set(lab.folder.iterdir()) - {older}
    newer.write_bytes(older.read_bytes())
    assert lab.get(*other) is None
    assert "about something else" in lab.said[-1]
    assert str(newer) in lab.said[-1]


@pytest.mark.parametrize("mode", [0o770, 0o702, 0o777, 0o720])
def test_a_folder_that_others_may_write_to_is_not_used(lab: Lab, mode: int) -> None:
    """Whoever may write to it plants a root: nothing is read from there, nothing is kept."""
    lab.folder.chmod(mode)
    assert lab.get() is None
    assert "others may write to it" in lab.said[-1]
    lab.open().put(DOUBLE, INPUTS | {"depth": 9}, VALUE)
    assert len(list(lab.folder.iterdir())) == 1


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_to_is_not_used(lab: Lab, mode: int) -> None:
    lab.entry.chmod(mode)
    assert lab.get() is None
    assert "others may write to it" in lab.said[-1]


@pytest.mark.parametrize("what", ["folder", "entry"])
def test_what_another_user_owns_is_not_used(
    lab: Lab, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, path = os.fstat, lab.folder if what == "folder" else lab.entry
    inode = path.stat().st_ino

    def planted(fd: int) -> os.stat_result:
        """As if somebody else had made it: only root can make that true."""
        found = real(fd)
        fields = list(found)
        fields[4] += found.st_ino == inode
        return os.stat_result(fields)

    monkeypatch.setattr(memo_module.os, "fstat", planted)
    assert lab.get() is None
    assert "it belongs to user" in lab.said[-1]


def test_a_link_is_not_followed(lab: Lab, tmp_path: Path) -> None:
    data = lab.entry.read_bytes()
    (tmp_path / "planted").write_bytes(data)
    entry = lab.entry
    entry.unlink()
    entry.symlink_to(tmp_path / "planted")
    assert lab.get() is None
    entry.unlink()
    os.link(tmp_path / "planted", entry)  # another name of it may lie where others can write
    assert lab.get() is None
    entry.unlink()
    os.mkfifo(entry)
    assert lab.get() is None
    assert len(lab.said) == 3


def test_a_link_in_the_folders_place_is_not_followed(lab: Lab, tmp_path: Path) -> None:
    lab.folder.rename(tmp_path / "elsewhere")
    lab.folder.symlink_to(tmp_path / "elsewhere")
    assert lab.get() is None
    assert "results are not kept" in lab.said[-1]


def test_damaged_entries_are_not_used_and_made_again(lab: Lab) -> None:
    entry, data = lab.entry, lab.entry.read_bytes()
    damaged = [data[:n] for n in range(0, len(data), 7)]
    damaged += [data + b"\0", data + bytes(MAX_ENTRY_BYTES)]
    damaged += [data[:i] + bytes([data[i] ^ 1]) + data[i + 1 :] for i in range(0, len(data), 5)]
    for wrong in damaged:
        entry.write_bytes(wrong)
        assert lab.get() is None
    assert len(lab.said) == len(damaged)
    lab.open().put(DOUBLE, INPUTS, VALUE)
    assert lab.get() == VALUE


@pytest.mark.parametrize(
    "change",
    [{"day": "yesterday"}, {"day": 5}, {"value": [1]}, {"format": "provenance-memo/2"}, {"x": 1}],
    ids=["day", "day's type", "value", "format", "unknown field"],
)
def test_a_whole_entry_of_another_form_is_not_used(lab: Lab, change: dict[str, Any]) -> None:
    body = json.dumps(json.loads(lab.entry.read_bytes()[:-32]) | change).encode()
    lab.entry.write_bytes(body + sha256(body))
    assert lab.get() is None


def test_fresh_uses_nothing_and_says_what_differs(lab: Lab) -> None:
    fresh = lab.open(fresh=True)
    assert fresh.get(DOUBLE, INPUTS) is None
    fresh.put(DOUBLE, INPUTS, VALUE)
    assert lab.said == []
    fresh.put(DOUBLE, INPUTS, {"root": "0x03"})
    assert "is not what was computed now" in lab.said[-1]
    assert lab.get() == {"root": "0x03"}


def test_the_entries_unused_for_longest_go_first(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memo_module, "MAX_ENTRIES", 8)
    old = lab.entry
    memo = lab.open()
    for depth in range(10, 18):
        memo.put(DOUBLE, INPUTS | {"depth": depth}, VALUE)
    for age, path in enumerate(sorted(lab.folder.iterdir()), 100):
        os.utime(path, (10_000 + age, 10_000 + age))
    os.utime(old, (1, 1))
    assert memo.get(DOUBLE, INPUTS) is not None  # it is used, so it is the youngest
    stale, young = lab.folder / ".new-00", lab.folder / ".new-01"
    stale.touch()
    young.touch()
    os.utime(stale, (1, 1))
    memo.trim()
    left = set(lab.folder.iterdir())
    assert old in left
    assert (stale in left, young in left, len(left)) == (False, True, 6 + 1)


def test_many_verifiers_share_a_folder(lab: Lab) -> None:
    def work(offset: int) -> None:
        memo = lab.open()
        for depth in range(60):
            inputs = INPUTS | {"depth": (depth + offset) % 60}
            found = memo.get(DOUBLE, inputs)
            if found is None:
                memo.put(DOUBLE, inputs, {"root": inputs["depth"]})
            elif found.value not in (VALUE, {"root": inputs["depth"]}):
                wrong.append(inputs)
            memo.trim()

    wrong: list[Any] = []
    threads = [threading.Thread(target=work, args=(7 * n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (wrong, lab.said) == ([], [])
    assert len(list(lab.folder.iterdir())) == 60


def test_an_entry_that_is_replaced_while_it_is_read_counts(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The race of two verifiers that compute the same."""
    memo, original = lab.open(), os.fdopen
    memo.put(DOUBLE, INPUTS, VALUE)

    def replaced(fd: int, mode: str) -> Any:
        if mode == "rb":
            monkeypatch.setattr(os, "fdopen", original)
            memo.put(DOUBLE, INPUTS, VALUE)
        return original(fd, mode)

    monkeypatch.setattr(os, "fdopen", replaced)
    found = memo.get(DOUBLE, INPUTS)
    assert found is not None
    assert (found.value, lab.said) == (VALUE, [])


def test_a_disk_that_refuses_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    lab = Lab(tmp_path / "file" / "memo")
    lab.open().put(DOUBLE, INPUTS, VALUE)
    assert lab.get() is None
    assert all("results are not kept" in said for said in lab.said)


def test_what_would_not_be_read_again_is_not_kept(tmp_path: Path) -> None:
    lab, long = Lab(tmp_path / "memo"), {"shape": [1] * MAX_ENTRY_BYTES}
    lab.open().put(DOUBLE, INPUTS | long, VALUE)
    assert list(lab.folder.iterdir()) == []
    assert (lab.get(DOUBLE, INPUTS | long), lab.said) == (None, [])
