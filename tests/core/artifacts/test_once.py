"""A file is read once in a verification, and again whenever anybody may have written to it."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from provenance.artifacts import once as once_module
from provenance.artifacts.content import content_digest, tensor_digests
from provenance.artifacts.once import once, reading_once
from provenance.digest import open_regular, sha256
from provenance_trainer.model.weights import SafetensorsWriter


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(once_module, "_YOUNG_NS", 0)
    path = tmp_path / "file"
    path.write_bytes(b"first")
    return path


def contents(path: Path, log: list[str], what: str = "bytes") -> bytes:
    def compute() -> bytes:
        log.append(what)
        return path.read_bytes()

    with open_regular(path) as stream:
        return once(stream, what, compute)


def test_it_is_computed_once_for_a_file_and_a_function(file: Path) -> None:
    log: list[str] = []
    with reading_once():
        for _ in range(3):
            assert contents(file, log) == b"first"
        contents(file, log, "other")
        with reading_once():
            contents(file, log)
        contents(file, log)
    assert log == ["bytes", "other"]


def test_nothing_outlives_a_verification(file: Path) -> None:
    log: list[str] = []
    for _ in range(2):
        with reading_once():
            contents(file, log)
    contents(file, log)
    contents(file, log)
    assert len(log) == 4


def test_a_file_that_was_written_to_is_read_again(file: Path) -> None:
    """Its time is put back, too: only the change time tells, which nobody can set."""
    before, log = file.stat(), list[str]()
    with reading_once():
        assert contents(file, log) == b"first"
        with file.open("r+b") as stream:
            stream.write(b"other")
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        assert contents(file, log) == b"other"


def test_a_file_exchanged_for_another_is_read_again(file: Path, tmp_path: Path) -> None:
    log: list[str] = []
    (tmp_path / "new").write_bytes(b"other")
    with reading_once():
        assert contents(file, log) == b"first"
        (tmp_path / "new").rename(file)
        assert contents(file, log) == b"other"


@pytest.mark.parametrize("field", [1, 2, 6], ids=["inode", "device", "size"])
def test_two_files_of_the_same_times_are_two(file: Path, field: int) -> None:
    status = file.stat()
    fields = [*status]
    fields[field] += 1
    times = {"st_mtime_ns": status.st_mtime_ns, "st_ctime_ns": status.st_ctime_ns}
    other = once_module._state(os.stat_result(fields, times))
    assert other is not None
    assert other != once_module._state(status)


def test_a_young_file_is_read_each_time(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write within one step of the clock changes no time."""
    monkeypatch.setattr(once_module, "_YOUNG_NS", 3600 * 10**9)
    log: list[str] = []
    with reading_once():
        contents(file, log)
        contents(file, log)
    assert len(log) == 2


def test_weights_changed_within_a_verification_have_another_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(once_module, "_YOUNG_NS", 0)
    path = tmp_path / "model.safetensors"
    with SafetensorsWriter(path, {"w": ("BF16", (4, 8))}) as writer:
        writer.write("w", bytes(64))
    with reading_once():
        before = content_digest(path)
        assert content_digest(path) == before
        with path.open("r+b") as stream:
            stream.seek(-1, os.SEEK_END)
            stream.write(b"\1")
        assert content_digest(path) != before


def test_large_weights_have_the_same_digests_from_every_core(tmp_path: Path) -> None:
    values = {f"w{n}": np.full((n + 1, 1 << 18), n, dtype="<u2").tobytes() for n in range(6)}
    shapes = {name: ("BF16", (len(data) >> 19, 1 << 18)) for name, data in values.items()}
    with SafetensorsWriter(tmp_path / "model.safetensors", shapes) as writer:
        for name, data in values.items():
            writer.write(name, data)
    found = tensor_digests(tmp_path)
    assert {name: item.sha256 for name, item in found.items()} == {
        name: sha256(data) for name, data in values.items()
    }
