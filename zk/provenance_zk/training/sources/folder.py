"""Which files of a folder are the data: those of one split, without what only lies beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from provenance.errors import InputError
from provenance_zk.training.sources.readers import (
    FileReader,
    read_whole_text,
    readable_names,
    reader_of,
)
from provenance_zk.training.sources.splits import canonical_split, known_splits, splits_of
from provenance_zk.training.sources.streams import SourceFile, exists
from provenance_zk.training.sources.values import listed

MAX_FOLDERS = 100_000
MAX_DEPTH = 64

# What lies beside data in repositories: by its name, and by the end of its name.
_JSON_COMPANIONS = frozenset(
    {"dataset_info", "dataset_infos", "dataset_dict", "config", "croissant"}
)
_TEXT_COMPANIONS = frozenset(
    {
        *("readme", "license", "licence", "copying", "notice", "citation", "changelog"),
        *("contributing", "authors", "requirements", "makefile", "dockerfile"),
        *("_success", "sha256sums", "md5sums"),
    }
)
_COMPANION_ENDS = frozenset(
    {
        *(".md", ".rst", ".py", ".ipynb", ".sh", ".yaml", ".yml", ".toml", ".ini", ".cfg"),
        *(".lock", ".cff", ".bib", ".crc", ".md5", ".sha256", ".dvc"),
        *(".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".pdf", ".html", ".css", ".js"),
    }
)


@dataclass(frozen=True)
class Chosen:
    """The data of a folder.

    files: those read, in the order of their paths' bytes.
    reader: reads each of them.
    split: of which they are; None where no name says one.
    left_out: paths of data of other splits, or of none.
    ignored: paths of what is no data.
    """

    files: tuple[SourceFile, ...]
    reader: FileReader
    split: str | None
    left_out: tuple[str, ...]
    ignored: tuple[str, ...]


def choose(folder: Path, split: str | None) -> Chosen:
    """The files of a folder that are read.

    Args:
        split: the one wanted; None for the only one there is.

    Raises:
        InputError: no data, no such split, several where one is expected, a file that nobody can
            read, or one name in two forms.
    """
    walk = _Walk()
    walk.enter(folder, PurePosixPath(), frozenset())
    files, ignored = walk.data(), walk.ignored
    if not files:
        raise InputError(
            "folder holds no files with data",
            where=str(folder),
            expected=readable_names(),
            actual=f"only {listed(ignored)}" if ignored else "nothing",
        )
    splits = known_splits(file.shown for file in files)
    if not splits:
        return _of_one_split(folder, split, files, ignored)
    wanted = _require_split(folder, split, splits)
    read = [file for file in files if wanted in splits_of(file.shown)]
    for file in read:
        if len(said := splits_of(file.shown)) > 1:
            raise InputError(
                "name says several splits",
                where=file.shown,
                actual=", ".join(sorted(said)),
                hint="rename it, or name the file itself instead of its folder",
            )
    left_out = tuple(file.shown for file in files if wanted not in splits_of(file.shown))
    reader = _one_reader(folder, read)
    return Chosen(tuple(read), reader, wanted, left_out, tuple(ignored))


def _of_one_split(
    folder: Path, split: str | None, files: list[SourceFile], ignored: list[str]
) -> Chosen:
    if split is not None and canonical_split(split) != "train":
        raise InputError(
            "no such split",
            where=str(folder),
            expected="train: no name says another split",
            actual=split,
            hint="name the file itself, or files and folders after their splits",
        )
    reader = _one_reader(folder, files)
    return Chosen(tuple(files), reader, None, (), tuple(ignored))


def _require_split(folder: Path, split: str | None, splits: Sequence[str]) -> str:
    if split is None:
        if len(splits) > 1:
            raise InputError(
                "folder holds several splits",
                where=str(folder),
                actual=", ".join(splits),
                hint="name the files of one instead",
            )
        return splits[0]
    wanted = canonical_split(split)
    if wanted not in splits:
        raise InputError(
            "no such split",
            where=str(folder),
            expected=", ".join(splits),
            actual=split,
            hint=f"choose one, as in --split {splits[0]}, or name a file",
        )
    return wanted


def _one_reader(folder: Path, files: Sequence[SourceFile]) -> FileReader:
    """The reader of files that are of one kind, and each there once."""
    readers: set[FileReader] = set()
    for file in files:
        if (reader := reader_of(file)) is None:
            raise InputError(
                "folder holds a file of a kind that is not read",
                where=str(folder),
                expected=readable_names(),
                actual=file.shown,
                hint="move it away, or name the file or folder with the data",
            )
        readers.add(reader)
    if len(readers) > 1:
        raise InputError(
            "folder mixes kinds of files",
            where=str(folder),
            actual=", ".join(sorted({file.suffixes[0] for file in files})),
            hint="name the file or folder with the data",
        )
    _require_once(folder, files)
    # A folder of text files is a record a file.
    return read_whole_text if files[0].suffixes[0] == ".txt" else readers.pop()


def _require_once(folder: Path, files: Sequence[SourceFile]) -> None:
    seen: dict[str, str] = {}
    for file in files:
        stem = file.shown.lower().removesuffix(file.suffixes[1]).removesuffix(file.suffixes[0])
        if stem in seen:
            raise InputError(
                "folder holds a file in two forms",
                where=str(folder),
                actual=f"{seen[stem]}, {file.shown}",
                hint="keep one of them",
            )
        seen[stem] = file.shown


class _Walk:
    """Finds files; links are followed, hidden names are not."""

    def __init__(self) -> None:
        self.ignored: list[str] = []
        self._found: list[SourceFile] = []
        self._entered = 0

    def enter(self, folder: Path, below: PurePosixPath, above: frozenset[tuple[int, int]]) -> None:
        """Look at a folder (attacker-controlled).

        Args:
            below: its path from the source's folder.
            above: device and inode of the folders on the way.
        """
        try:
            status = os.stat(folder)
            names = sorted(os.listdir(folder))
        except OSError as error:
            raise InputError(
                "cannot read folder", where=str(folder), actual=error.strerror
            ) from error
        here = (status.st_dev, status.st_ino)
        if here in above:
            raise InputError("link leads back to a folder above it", where=str(folder))
        self._entered += 1
        if len(above) >= MAX_DEPTH or self._entered > MAX_FOLDERS:
            raise InputError(
                "too many folders within each other",
                where=str(folder),
                expected=f"<= {MAX_DEPTH} deep, <= {MAX_FOLDERS} in all",
            )
        for name in names:
            path, shown = folder / name, below / name
            if name.startswith((".", "__")) or _is_companion(name):
                self.ignored.append(str(shown))
            elif exists(path) and path.is_dir():
                self.enter(path, shown, above | {here})
            else:
                self._found.append(SourceFile(path, str(shown)))

    def data(self) -> list[SourceFile]:
        """The files found, in the order of their paths' bytes."""
        return sorted(self._found, key=lambda file: os.fsencode(file.shown))


def _is_companion(name: str) -> bool:
    name = name.lower()
    stem, _, end = name.partition(".")
    return (
        (stem in _JSON_COMPANIONS and end == "json")
        or (stem in _TEXT_COMPANIONS and end in ("", "txt"))
        or Path(name).suffix in _COMPANION_ENDS
    )
