"""Readers of files, by suffix. All that they read is attacker-controlled."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance_zk.training.sources.row_source import Row

_MAX_LINE_BYTES = 64 << 20


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """(`line N`, text without its end) of a UTF-8 file; N counts from 1."""
    with path.open("rb") as stream:
        number = 0
        while line := stream.readline(_MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise InputError(
                    "line is too long",
                    where=f"line {number}",
                    expected=f"<= {_MAX_LINE_BYTES} bytes",
                )
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            except UnicodeDecodeError as error:
                raise InputError(
                    "line is not UTF-8", where=f"line {number}", actual=error
                ) from error
            yield f"line {number}", text.rstrip("\r\n")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("an object names a field twice")
    return value


def _json(text: str, where: str) -> Any:
    try:
        return parse_json(text.encode(), _unique)
    except ValueError as error:
        raise InputError("not valid JSON", where=where, actual=error) from error


def _json_row(value: Any, where: str) -> Row:
    if not isinstance(value, dict) or not value:
        raise InputError(
            "row is not a JSON object with columns", where=where, actual=type(value).__name__
        )
    return where, value


def _jsonl(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        yield _json_row(_json(line, where), where)


def _json_list(path: Path) -> Iterator[Row]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("file is not UTF-8", actual=error) from error
    value = _json(text, "file")
    if not isinstance(value, list):
        raise InputError(
            "not a list of JSON objects",
            actual=type(value).__name__,
            hint="one object a line is .jsonl",
        )
    for i, item in enumerate(value):
        yield _json_row(item, f"row {i + 1}")


def _text_lines(path: Path) -> Iterator[Row]:
    for where, line in _lines(path):
        if line.strip():
            yield where, {"text": line}


def read_whole_text(path: Path) -> Iterator[Row]:
    """A whole UTF-8 file as one record.

    Raises:
        InputError: not UTF-8.
    """
    try:
        yield "(whole file)", {"text": path.read_bytes().decode("utf-8-sig")}
    except UnicodeDecodeError as error:
        raise InputError("file is not UTF-8", actual=error) from error


def _delimited(delimiter: str) -> Callable[[Path], Iterator[Row]]:
    def read(path: Path) -> Iterator[Row]:
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InputError("file is not UTF-8", actual=error) from error
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        try:
            header = next(reader, [])
            if len(set(header)) != len(header) or not all(header):
                raise InputError(
                    "header has an empty or repeated column",
                    where="line 1",
                    actual=", ".join(header)[:200],
                )
            for values in reader:
                where = f"line {reader.line_num}"
                if len(values) != len(header):
                    raise InputError(
                        "row has another number of columns than the header",
                        where=where,
                        expected=len(header),
                        actual=len(values),
                    )
                yield where, dict(zip(header, values, strict=True))
        except csv.Error as error:
            raise InputError(
                "not valid CSV", where=f"line {reader.line_num}", actual=error
            ) from error

    return read


def _parquet(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=4096):
                for row in batch.to_pylist():
                    number += 1
                    yield f"row {number}", row
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(
            "not a readable Parquet file", where=f"row {number + 1}", actual=error
        ) from error


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    ".jsonl": _jsonl,
    ".ndjson": _jsonl,
    ".json": _json_list,
    ".parquet": _parquet,
    ".csv": _delimited(","),
    ".tsv": _delimited("\t"),
    ".txt": _text_lines,
}
