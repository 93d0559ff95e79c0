"""Readers of files by the ends of their names; all that they read is attacker-controlled."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from provenance.errors import InputError
from provenance_zk.training.sources.archives import ARCHIVES
from provenance_zk.training.sources.formats.delimited import delimited
from provenance_zk.training.sources.formats.json_rows import (
    json_in_text,
    read_json,
    read_json_lines,
)
from provenance_zk.training.sources.formats.parquet import read_parquet
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import Rows
from provenance_zk.training.sources.streams import (
    CARRIAGE_RETURNS,
    MAX_LINE_BYTES,
    SourceFile,
    lines,
    whole_text,
)

FileReader = Callable[[SourceFile, Reading, str | None], Rows]
"""Reads one file. Takes what counts, and the only column that is wanted, None for all."""


def _read_text_lines(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
    del wanted
    reading.note("blank lines of text files are not records")
    with lines(file, markup=True) as numbered:
        _require_text(line for _, line in numbered)
    with lines(file, markup=True) as numbered:
        for number, line in numbered:
            if number == 1 and "\r" in line.rstrip("\r\n") and not line.endswith("\n"):
                raise InputError("file is one line", where="line 1", hint=CARRIAGE_RETURNS)
            if line.strip():
                yield f"line {number}", {"text": line.rstrip("\r\n")}


def _require_text(lines_of_text: Iterator[str]) -> None:
    """Refuse JSON under the name of text, whose braces and keys would be learned."""
    if (end := json_in_text(lines_of_text)) is not None:
        raise InputError(
            f"file is JSON{' Lines' if end == '.jsonl' else ''}, not text",
            hint=f"let its name end in {end}; to train on JSON as text, put it into a column",
        )


def read_whole_text(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
    """A file as one record.

    Raises:
        InputError: not UTF-8, or longer than a line may be.
    """
    del reading, wanted
    text = whole_text(file, MAX_LINE_BYTES, markup=True)
    _require_text(io.StringIO(text))
    yield "(whole file)", {"text": text}


READERS: dict[str, FileReader] = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".parquet": read_parquet,
    ".csv": delimited(","),
    ".tsv": delimited("\t"),
    ".txt": _read_text_lines,
}


def reader_of(file: SourceFile) -> FileReader | None:
    """The reader of a file by its name; None where there is none."""
    suffix, archive = file.suffixes
    if archive and suffix == ".parquet":
        return None  # Parquet is packed in itself, and is read from its end
    return READERS.get(suffix)


def readable_names() -> str:
    """The ends of names that are read, for messages."""
    return f"{', '.join(READERS)}; all but Parquet also as {' or '.join(ARCHIVES)}"
