"""Files of one kind as a source."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path, PurePosixPath

from provenance.errors import InputError, ProvenanceError
from provenance_zk.training.sources.folder import choose
from provenance_zk.training.sources.formats.readers import (
    FileReader,
    readable_names,
    reader_of,
)
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import RowReader, Rows, RowSource
from provenance_zk.training.sources.splits import canonical_split, splits_of
from provenance_zk.training.sources.streams import SourceFile
from provenance_zk.training.sources.values import listed
from provenance_zk.training.sources.walk import is_committed_dataset


def file_source(name: str, split: str | None) -> RowSource:
    """One file.

    Args:
        split: `train`, None, or the split that the file's name says.

    Raises:
        InputError: another split, a kind that is not read, or an unreadable file.
    """
    file = SourceFile(Path(name), Path(name).name)
    said = splits_of(file.shown)
    if split is not None and canonical_split(split) not in {"train", *said}:
        raise InputError(
            "a single file has no such split",
            where=name,
            expected=", ".join(sorted(said)) or "train",
            actual=split,
            hint="leave --split away, or name the file of that split",
        )
    reader = reader_of(file)
    if reader is None:
        raise InputError(
            "this kind of file cannot be read",
            where=name,
            expected=readable_names(),
            actual="".join(file.suffixes) or "a name without an end",
            hint=_way_out(file),
        )
    return RowSource(name, "", [file.entry()], _reader([file], reader))


def _way_out(file: SourceFile) -> str | None:
    """How a kind of file that is not read becomes one that is; None where it is not known."""
    end, new = file.suffixes[0], f"{file.path.stem}.parquet"
    if end == ".feather":
        return (
            'python -c "import pyarrow.feather as f, pyarrow.parquet as p; '
            f"p.write_table(f.read_table('{file.shown}'), '{new}')\""
        )
    if end == ".arrow":
        read = f"datasets.Dataset.from_file('{file.shown}')"
        return f"python -c \"import datasets; {read}.to_parquet('{new}')\""
    return None


def folder_source(path: Path, split: str | None) -> RowSource:
    """The files of one split of a folder.

    Args:
        split: the one wanted; None for the only one there is.

    Raises:
        InputError: as `choose`, or an unreadable file.
    """
    if is_committed_dataset(path):
        raise InputError(
            "folder is a committed dataset already",
            where=str(path),
            hint="use it as it is: its records are in no need of another commitment",
        )
    chosen = choose(path, split)
    remarks = []
    if chosen.split is not None:
        remarks.append(f"split {chosen.split}: {listed(file.shown for file in chosen.files)}")
    if chosen.configuration is not None:
        remarks.append(f"configuration {chosen.configuration} of the repository's README.md")
    if folders := {part for file in chosen.files for part in _parts_of_hive(file.shown)}:
        remarks.append(f"names of folders are no columns: {listed(sorted(folders))}")
    if chosen.left_out:
        remarks.append(f"files of other splits left out: {listed(chosen.left_out)}")
    return RowSource(
        str(path),
        "",
        [file.entry() for file in chosen.files],
        _reader(chosen.files, chosen.reader),
        remarks,
        chosen.split,
        list(chosen.ignored),
    )


def _parts_of_hive(path: str) -> list[str]:
    """The folders of a path that hold a column in their name, such as `year=2024`."""
    return [part for part in PurePosixPath(path).parts[:-1] if "=" in part]


def _reader(files: Sequence[SourceFile], read: FileReader) -> RowReader:
    stamps = {file: file.stamp() for file in files}

    def rows(reading: Reading, wanted: str | None) -> Rows:
        for file in files:
            is_empty = True
            with closing(_named(read(file, reading, wanted), file.shown)) as named:
                for row in named:
                    is_empty = False
                    yield row
            if is_empty:
                reading.note("files without records", file.shown)
            if file.stamp() != stamps[file]:
                raise InputError(
                    "file changed while it was read",
                    where=file.shown,
                    hint="run again when nobody writes to it",
                )

    return rows


def _named(rows: Rows, file: str) -> Rows:
    """Put the file's name before each place, in rows and in errors."""
    try:
        for where, row in rows:
            yield f"{file} {where}", row
    except ProvenanceError as error:
        error.where = f"{file} {error.where}" if error.where else file
        raise
