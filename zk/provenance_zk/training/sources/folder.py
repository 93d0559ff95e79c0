"""Which files of a folder are the data: those of one split, without what only lies beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import InputError
from provenance_zk.training.sources.card import read_card
from provenance_zk.training.sources.formats.readers import (
    FileReader,
    read_whole_text,
    readable_names,
    reader_of,
)
from provenance_zk.training.sources.splits import canonical_split, in_order, splits_of
from provenance_zk.training.sources.streams import SourceFile
from provenance_zk.training.sources.values import listed
from provenance_zk.training.sources.walk import Walk


@dataclass(frozen=True)
class Chosen:
    """The data of a folder.

    files: those read, in the order of their paths' bytes.
    reader: reads each of them.
    split: of which they are; None where no name says one.
    left_out: paths of data of other splits, or of none.
    ignored: paths of what is no data.
    configuration: of the repository's card, None where it names none.
    """

    files: tuple[SourceFile, ...]
    reader: FileReader
    split: str | None
    left_out: tuple[str, ...]
    ignored: tuple[str, ...]
    configuration: str | None


def choose(folder: Path, split: str | None) -> Chosen:
    """The files of a folder that are read.

    Args:
        split: the one wanted; None for the only one there is.

    Raises:
        InputError: no data, no such split, several where one is expected, a file that nobody can
            read, or one name in two forms.
    """
    walk, card = Walk(folder), read_card(folder)
    inside = card.folder if card is not None else ""
    files = [file for file in walk.data if file.shown.startswith(inside)]
    if not files:
        raise InputError(
            "folder holds no files with data",
            where=str(folder / inside),
            expected=readable_names(),
            actual=f"only {listed(walk.ignored)}" if walk.ignored else "nothing",
        )
    splits_of_file = card.splits_of if card is not None and card.patterns else splits_of
    said = {file: splits_of_file(file.shown) for file in files}
    splits = in_order(split for found in said.values() for split in found)
    wanted = _require_split(folder, split, splits) if splits else _require_train(folder, split)
    read = [file for file in files if not splits or wanted in said[file]]
    for file in read:
        if len(said[file]) > 1:
            raise InputError(
                "name says several splits",
                where=file.shown,
                actual=", ".join(sorted(said[file])),
                hint="rename it, or name the file itself instead of its folder",
            )
    chosen = set(read)
    return Chosen(
        tuple(read),
        _one_reader(folder, read),
        wanted if splits else None,
        tuple(file.shown for file in walk.data if file not in chosen),
        tuple(walk.ignored),
        None if card is None else card.name,
    )


def _require_train(folder: Path, split: str | None) -> str:
    if split is not None and canonical_split(split) != "train":
        raise InputError(
            "no such split",
            where=str(folder),
            expected="train: no name says another split",
            actual=split,
            hint="name the file itself, or files and folders after their splits",
        )
    return "train"


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
    is_text = files[0].suffixes[0] == ".txt"
    # A folder of text files is a record a file; but `train.txt` holds all records of its split.
    is_whole = is_text and not all(splits_of(file.path.name) for file in files)
    return read_whole_text if is_whole else readers.pop()


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
