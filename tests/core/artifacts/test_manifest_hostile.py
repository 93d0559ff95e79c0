"""A manifest lists its whole directory; anything added, missing or changed gives another one."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from provenance.artifacts.manifest import Manifest, manifest_of
from provenance.errors import InputError, VerificationError
from tests.support import plain


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(b"a")
    (root / "sub" / "b.txt").write_bytes(b"b")
    return root


def test_an_unchanged_directory_has_its_manifest(folder: Path) -> None:
    assert Manifest.parse(manifest_of(folder).to_bytes()) == manifest_of(folder)


@pytest.mark.parametrize(
    ("change", "changed"),
    [
        (lambda d: (d / "c.txt").write_bytes(b""), {"c.txt"}),
        (lambda d: (d / "a.txt").unlink(), {"a.txt"}),
        (lambda d: (d / "a.txt").rename(d / "A.txt"), {"a.txt", "A.txt"}),
        (lambda d: (d / "a.txt").write_bytes(b"x"), {"a.txt"}),
        (lambda d: (d / "sub" / "b.txt").write_bytes(b"bb"), {"sub/b.txt"}),
        (lambda d: (d / "sub" / "b.txt").rename(d / "b.txt"), {"sub/b.txt", "b.txt"}),
        (lambda d: (d / ".hidden").write_bytes(b""), {".hidden"}),
    ],
    ids=["extra", "missing", "renamed", "changed", "grown", "moved", "hidden"],
)
def test_a_changed_directory_has_another_manifest(
    folder: Path, change: Any, changed: set[str]
) -> None:
    before = manifest_of(folder)
    change(folder)
    after = manifest_of(folder)
    assert after.root != before.root
    assert {entry.path for entry in {*before.files} ^ {*after.files}} == changed


@pytest.mark.parametrize(
    "make",
    [
        lambda p: p.symlink_to("a.txt"),
        lambda p: p.symlink_to("/etc/passwd"),
        lambda p: p.symlink_to("sub"),
        os.mkfifo,
    ],
    ids=["symlink", "outside", "folder", "fifo"],
)
def test_what_is_no_regular_file_is_refused(folder: Path, make: Any) -> None:
    make(folder / "odd")
    with pytest.raises(InputError, match="not a regular file"):
        manifest_of(folder)


def test_a_directory_behind_a_symlink_is_refused(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(InputError, match="not a directory"):
        manifest_of(tmp_path / "link")


def test_names_equal_after_nfc_are_refused(folder: Path) -> None:
    (folder / "\u00e9").write_bytes(b"")
    (folder / "e\u0301").write_bytes(b"")
    with pytest.raises(InputError, match="Unicode NFC"):
        manifest_of(folder)


def test_a_name_that_is_not_utf_8_is_refused(folder: Path) -> None:
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_bytes(b"")
    with pytest.raises(InputError, match="not UTF-8"):
        manifest_of(folder)


def test_directories_that_differ_only_in_names_have_different_roots(tmp_path: Path) -> None:
    """An OpenSSF Model Signing root hashes digests without names: the same for both."""
    for name, files in (("one", {"a": b"1", "b": b"2"}), ("two", {"b": b"1", "c": b"2"})):
        (tmp_path / name).mkdir()
        for file, content in files.items():
            (tmp_path / name / file).write_bytes(content)
    assert manifest_of(tmp_path / "one").root != manifest_of(tmp_path / "two").root


def test_each_file_name_gives_another_root(tmp_path: Path) -> None:
    roots = set()
    for name in ("ab", "a", "aa"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"same")
        roots.add(manifest_of(tmp_path / name).root)
    assert len(roots) == 3


def test_a_boundary_between_name_and_content_cannot_move(tmp_path: Path) -> None:
    """Each file's name and content, one after the other, are `abc`."""
    roots = set()
    for name, content in (("a", b"bc"), ("ab", b"c"), ("abc", b"")):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(content)
        roots.add(manifest_of(tmp_path / name).root)
    assert len(roots) == 3


def altered(folder: Path, change: Any) -> bytes:
    value = json.loads(manifest_of(folder).to_bytes())
    change(value)
    return json.dumps(value).encode()


@pytest.mark.parametrize(
    "path",
    [
        "../x",
        "/etc/passwd",
        "a/../b",
        "./a",
        "a//b",
        "a/",
        "",
        "a\\b",
        "a\0b",
        ".",
        "..",
        5,
        None,
        "\ud800",
    ],
)
def test_unsafe_paths_are_refused(folder: Path, path: Any) -> None:
    with pytest.raises(InputError):
        Manifest.parse(altered(folder, lambda v: v["files"][0].update(path=path)))


@pytest.mark.parametrize("size", [-1, 2**53, 2**64, 1.5, True, "1", None, 1e999])
def test_impossible_sizes_are_refused(folder: Path, size: Any) -> None:
    with pytest.raises(InputError, match="not a manifest"):
        Manifest.parse(altered(folder, lambda v: v["files"][0].update(size=size)))


@pytest.mark.parametrize(
    "change",
    [
        lambda v: v.pop("root"),
        lambda v: v.pop("files"),
        lambda v: v.update(format="provenance-manifest/2"),
        lambda v: v.update(files={}),
        lambda v: v.update(files=[1]),
        lambda v: v["files"][0].update(sha256=5),
        lambda v: v["files"][0].update(sha256="x"),
        lambda v: v["files"].reverse(),
        lambda v: v["files"].append(dict(v["files"][0])),
        lambda v: v.update(files=5),
        lambda v: v.update(root=5),
    ],
    ids=[
        "no root",
        "no files",
        "format 2",
        "files an object",
        "file a number",
        "digest a number",
        "digest malformed",
        "unsorted",
        "file twice",
        "files a number",
        "root a number",
    ],
)
def test_malformed_manifests_are_refused(folder: Path, change: Any) -> None:
    with pytest.raises((InputError, VerificationError)):
        Manifest.parse(altered(folder, change))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"1", b"[" * 100_000, b"\xff", b'{"files":[],"root":NaN}']
)
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        Manifest.parse(data)


def test_a_manifest_whose_root_is_not_its_files_is_refused(folder: Path) -> None:
    with pytest.raises(VerificationError, match="root is not that of its files"):
        Manifest.parse(altered(folder, lambda v: v.update(root=plain.D["a"])))


def test_the_interop_form_lists_names_and_digests(folder: Path) -> None:
    assert manifest_of(folder).to_oms()["resources"] == [
        {"name": name, "algorithm": "sha256", "digest": hashlib.sha256(content).hexdigest()}
        for name, content in (("a.txt", b"a"), ("sub/b.txt", b"b"))
    ]
    assert Manifest(()).to_oms()["resources"] == []
