"""Rows of CSV and TSV files under a header line; every value is text."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator

from provenance.errors import InputError
from provenance_zk.training.sources.formats.json_rows import json_in_text
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import Row, Rows
from provenance_zk.training.sources.streams import MAX_LINE_BYTES, SourceFile, lines
from provenance_zk.training.sources.values import listed, repeated

UNNAMED = "(the first, without a name)"

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_ROW_NUMBER = re.compile(r"[0-9]{1,12}")


def delimited(delimiter: str) -> Callable[[SourceFile, Reading, str | None], Rows]:
    """A reader of rows with this delimiter; quotes as RFC 4180 has them."""

    def read(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
        del wanted
        # The limit is the process's: csv has no other place for it.
        csv.field_size_limit(MAX_LINE_BYTES)
        with lines(file) as numbered:
            if json_in_text(line for _, line in numbered) == ".jsonl":
                raise InputError(
                    "file is JSON Lines, not a table", hint="let its name end in .jsonl"
                )
        with lines(file) as numbered:
            table = csv.reader((line for _, line in numbered), delimiter=delimiter, strict=True)
            try:
                header = _header(table, delimiter)
                for values in table:
                    if values:
                        yield _row(header, values, f"line {table.line_num}", reading)
                    else:
                        reading.blank_lines += 1
            except csv.Error as error:
                raise InputError(
                    "not valid CSV",
                    where=f"line {table.line_num}",
                    actual=str(error).partition(" - do you")[0],
                    hint="double a quote within quotes, and end lines with a line feed",
                ) from error

    return read


def _header(table: Iterator[list[str]], delimiter: str) -> list[str]:
    header = next((row for row in table if row), [])
    if len(header) == 1:
        _require_delimiter(header[0], delimiter)
    twice = repeated(header)
    # pandas writes its row numbers into a first column without a name.
    if twice or not all(header[1:]) or header[:1] == [""] == header:
        raise InputError(
            "header has an empty or repeated column",
            where="line 1",
            actual=listed(twice or header),
            hint="give each column a name of its own",
        )
    return header


def _require_delimiter(header: str, delimiter: str) -> None:
    for other, name in _SEPARATORS.items():
        if other != delimiter and other in header:
            raise InputError(
                f"columns are separated by {name}",
                where="line 1",
                expected=_SEPARATORS[delimiter],
                actual=header[:80],
                hint="save it with commas as .csv, or with tabs as .tsv",
            )


def _row(header: list[str], values: list[str], where: str, reading: Reading) -> Row:
    if len(values) != len(header):
        raise InputError(
            "row has another number of columns than the header",
            where=where,
            expected=len(header),
            actual=len(values),
            hint="quote values that hold the separator",
        )
    if header[0]:
        return where, dict(zip(header, values, strict=True))
    if not _ROW_NUMBER.fullmatch(values[0]):
        raise InputError(
            "first column has no name, and does not hold the row numbers of pandas",
            where=where,
            actual=values[0][:80],
            hint="name it in the header, or leave it out (pandas: index=False)",
        )
    reading.dropped[UNNAMED] = None
    return where, dict(zip(header[1:], values[1:], strict=True))
