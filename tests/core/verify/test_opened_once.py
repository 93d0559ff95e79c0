"""What is compared is what was hashed, whoever can write beside the file in between."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from provenance.digest import HeldFile, hash_file, open_regular, sha256
from provenance.errors import UnavailableError
from provenance.verify.s01_artifact import identify, require_unchanged

HONEST, FORGED = b"honest weights" * 10, b"forged weights" * 10


def by_rename(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(FORGED)
    os.replace(other, path)


def by_link(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(FORGED)
    path.unlink()
    path.symlink_to(other)


def by_folder(path: Path) -> None:
    """The folder on the way there is a link, which its owner turns."""
    second = path.parent.parent / "second"
    second.mkdir()
    (second / path.name).write_bytes(FORGED)
    path.parent.rename(path.parent.with_name("first"))
    path.parent.symlink_to(second)


@pytest.mark.parametrize("exchange", [by_rename, by_link, by_folder])
def test_a_file_exchanged_after_it_was_hashed_is_not_what_is_read(
    tmp_path: Path, exchange: Callable[[Path], None]
) -> None:
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "model.bin"
    path.write_bytes(HONEST)
    artifact = identify(str(path), None)
    exchange(path)
    assert path.read_bytes() == FORGED
    assert artifact.path is not None
    with open_regular(artifact.path) as stream:
        assert stream.read() == HONEST
    assert (artifact.digest, hash_file(artifact.path)) == (sha256(HONEST), sha256(HONEST))


def test_a_file_written_to_after_it_was_hashed_has_no_verdict(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(HONEST)
    artifact = identify(str(path), None)
    require_unchanged(artifact)
    with path.open("r+b") as stream:
        stream.write(FORGED)
    with pytest.raises(UnavailableError, match="changed while it was judged"):
        require_unchanged(artifact)


def test_readers_of_a_held_file_do_not_move_each_other(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(HONEST)
    held = HeldFile.open(path)
    with open_regular(held) as one, open_regular(held) as two:
        one.seek(5)
        assert two.read() == HONEST
    assert held.parent.descriptor is None  # type: ignore[attr-defined]  # a HeldFile, too
