"""Directory manifests: the complete list of a directory's files, all of them regular.

Each file is bound by name, size and SHA-256 (docs/formats/bytes.md).
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from provenance.digest import Digest, hash_stream, open_regular, tagged
from provenance.encoding import MAX_INTEGER, canonical_json, parse_json, sized, u64
from provenance.errors import InputError, VerificationError
from provenance.merkle import Tree

FORMAT = "provenance-manifest/1"


@dataclass(frozen=True, order=True)
class FileEntry:
    """One file: POSIX path relative to the directory, size in bytes, SHA-256."""

    path: str
    size: int
    sha256: Digest

    @property
    def leaf(self) -> Digest:
        """The file's leaf in the manifest's tree."""
        return tagged("manifest-leaf", sized(self.path) + u64(self.size) + self.sha256)


@dataclass(frozen=True)
class Manifest:
    """Files in the order of their path's UTF-8 bytes. Law: `Manifest.parse(m.to_bytes()) == m`."""

    files: tuple[FileEntry, ...]

    @property
    def root(self) -> Digest:
        """The manifest root: binds the number of files and each of them."""
        leaves = [file.leaf for file in self.files]
        return tagged("manifest", u64(len(leaves)) + Tree(leaves).root())

    def to_json(self) -> dict[str, Any]:
        """The manifest file as an object."""
        files = [{"path": f.path, "size": f.size, "sha256": str(f.sha256)} for f in self.files]
        return {"format": FORMAT, "root": str(self.root), "files": files}

    def to_bytes(self) -> bytes:
        """The manifest file, RFC 8785."""
        return canonical_json(self.to_json())

    def to_oms(self) -> dict[str, Any]:
        """The same files as an OpenSSF Model Signing v1 resource list, for other tools.

        The root of such a list does not bind names, so it is never anchored.
        """
        resources = [
            {"name": f.path, "algorithm": "sha256", "digest": f.sha256.hex()} for f in self.files
        ]
        return {
            "serialization": {
                "method": "files",
                "hash_type": "sha256",
                "allow_symlinks": False,
                "ignore_paths": [],
            },
            "resources": resources,
        }

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        """Read a manifest file (attacker-controlled).

        Raises:
            InputError: not a manifest, unsafe or duplicate paths, or files out of order.
            VerificationError: its root is not that of its files.
        """
        try:
            value = parse_json(data)
            files = _entries(value)
            root = Digest.parse(value["root"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError("not a manifest", expected=FORMAT, actual=error) from error
        if value.get("format") != FORMAT:
            raise InputError(
                "manifest has another format", expected=FORMAT, actual=value.get("format")
            )
        check_distinct([f.path for f in files])
        manifest = cls(files)
        if files != _in_order(files):
            raise InputError("manifest files are not in the order of their path bytes")
        if manifest.root != root:
            raise VerificationError(
                "manifest root is not that of its files", expected=manifest.root, actual=root
            )
        return manifest

    @classmethod
    def listed(cls, data: bytes) -> Manifest:
        """The manifest of files that somebody lists in any order (JSON, attacker-controlled).

        The list is `{"files": [{"path", "size", "sha256"}, ..]}`; other keys are ignored, so a
        manifest file is one, too.

        Raises:
            InputError: no such list, no file, or unsafe or duplicate paths.
        """
        try:
            files = _entries(parse_json(data))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise InputError(
                "not a list of files", expected="files: path, size and sha256 of each", actual=error
            ) from error
        if not files:
            raise InputError("list of files is empty", expected="every file of the folder")
        check_distinct([f.path for f in files])
        return cls(_in_order(files))


def _entries(value: Any) -> tuple[FileEntry, ...]:
    return tuple(
        FileEntry(safe_path(f["path"]), _size(f["size"]), Digest.parse(f["sha256"]))
        for f in value["files"]
    )


def _in_order(files: Iterable[FileEntry]) -> tuple[FileEntry, ...]:
    return tuple(sorted(files, key=lambda f: f.path.encode()))


def _size(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_INTEGER:
        raise ValueError(f"not a file size: {value!r:.40}")
    return value


def safe_path(path: str) -> str:
    """The relative path of a file (attacker-controlled), as it is.

    Raises:
        InputError: no plain relative path of UTF-8 with `/`.
    """
    pure = PurePosixPath(path)
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError("file name is not UTF-8", where=repr(path)[:200]) from error
    if (
        not pure.parts
        or path != str(pure)
        or pure.is_absolute()
        or ".." in pure.parts
        or "\\" in path
        or "\0" in path
    ):
        raise InputError("manifest names an unsafe path", where=repr(path)[:200])
    return path


def check_distinct(paths: list[str]) -> None:
    """No two of these paths are the same after Unicode NFC; raises InputError."""
    seen: dict[str, str] = {}
    for path in paths:
        key = unicodedata.normalize("NFC", path)
        if key in seen:
            raise InputError(
                "two names are the same after Unicode NFC",
                where=repr(path)[:200],
                actual=repr(seen[key])[:200],
            )
        seen[key] = path


def _walk(root: Path, prefix: str = "") -> Iterator[tuple[str, Path]]:
    for item in sorted(os.scandir(root), key=lambda e: e.name):
        name = f"{prefix}{item.name}"
        mode = item.stat(follow_symlinks=False).st_mode
        if stat.S_ISDIR(mode):
            yield from _walk(Path(item.path), f"{name}/")
        elif stat.S_ISREG(mode):
            yield safe_path(name), Path(item.path)
        else:
            raise InputError(
                "not a regular file or directory",
                where=item.path,
                hint="remove symlinks, FIFOs and devices",
            )


def manifest_of(directory: Path) -> Manifest:
    """Hash every file below `directory`.

    Raises:
        InputError: a symlink, FIFO or device; an unsafe name; two names equal after NFC; not a
            directory.
    """
    if directory.is_symlink() or not directory.is_dir():
        raise InputError("not a directory", where=str(directory))
    found = list(_walk(directory))
    check_distinct([name for name, _ in found])
    entries = []
    for name, path in found:
        with open_regular(path) as stream:
            digest, size = hash_stream(stream)
        entries.append(FileEntry(name, size, digest))
    return Manifest(_in_order(entries))
