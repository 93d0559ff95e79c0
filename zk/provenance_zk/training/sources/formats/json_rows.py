"""Rows of JSON files: an object a line, or a list of objects."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from provenance.encoding import parse_json
from provenance.errors import InputError
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.row_source import Rows
from provenance_zk.training.sources.streams import CARRIAGE_RETURNS, SourceFile, lines, whole_text
from provenance_zk.training.sources.values import listed, repeated

MAX_LIST_BYTES = 1 << 30

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
_LIST = re.compile(r'\[\s*\{\s*("|$)')
_PYTHON_KEY = re.compile(r"\s*\[?\s*\{\s*'")


def read_json_lines(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
    """One JSON object a line; blank lines are skipped and counted."""
    del wanted
    with lines(file) as numbered:
        for number, line in numbered:
            if not line.strip():
                reading.blank_lines += 1
                continue
            where = f"line {number}"
            yield where, _row(_parse(line.rstrip("\r\n"), where), where)


def read_json(file: SourceFile, reading: Reading, wanted: str | None) -> Rows:
    """A list of JSON objects; JSON Lines under the same name are read as such, and said."""
    if _is_json_lines(file):
        reading.note("JSON Lines under the name of JSON, read as that", file.shown)
        yield from read_json_lines(file, reading, wanted)
        return
    text = whole_text(file, MAX_LIST_BYTES)
    if not text.strip():
        return
    value = _parse(text, "file")
    if not isinstance(value, list):
        raise InputError(
            "not a list of JSON objects", actual=_form(value), hint=_way_out(value, file)
        )
    for i, item in enumerate(value):
        yield f"row {i + 1}", _row(item, f"row {i + 1}")


def json_in_text(lines_of_text: Iterator[str]) -> str | None:
    """The end of the name that a file of text should have, if it is JSON; None if it is text.

    JSON Lines: an object of its own on the first line, and on the second if there is one. A list:
    `[`, and the beginning of an object behind it.

    Args:
        lines_of_text: Those of the file, blank or not. Attacker-controlled.
    """
    full = (line.strip().removeprefix("\ufeff") for line in lines_of_text if line.strip())
    first, second = next(full, ""), next(full, "")
    if all(line.startswith("{") and _is_object(line) for line in (first, second) if line):
        return ".jsonl" if first else None
    is_list = first.startswith("[") and _LIST.match(f"{first}\n{second}") is not None
    return ".json" if is_list else None


def _is_object(line: str) -> bool:
    try:
        return isinstance(parse_json(line.encode("utf-8", "replace")), dict)
    except ValueError:
        return False


def _is_json_lines(file: SourceFile) -> bool:
    """Whether the first line is an object of its own and another object follows."""
    with lines(file) as numbered:
        full = (line for _, line in numbered if line.strip())
        first = next(full, "")
        if not first.lstrip().startswith("{"):
            return False
        try:
            _parse(first, "line 1")
        except InputError:
            return False
        return next(full, "").lstrip().startswith("{")


def _form(value: Any) -> str:
    """What a JSON value is, in JSON's words."""
    if isinstance(value, dict):
        return "an object" if value else "an empty object"
    forms = {list: "a list", str: "a string", bool: "true or false", type(None): "null"}
    return forms.get(type(value), "a number")


def _way_out(value: Any, file: SourceFile) -> str:
    """What to do with JSON that is no list of rows."""
    if isinstance(value, dict):
        lists = [name for name, item in value.items() if isinstance(item, list)]
        if len(lists) == 1 and lists[0].isidentifier():
            name = shlex.quote(str(file.path))
            return f"take the list out: jq -c '.{lists[0]}[]' {name} > data.jsonl"
        if value and all(isinstance(item, dict) for item in value.values()):
            return (
                "columns under each other: write rows, "
                "as pandas does with to_json(orient='records', lines=True)"
            )
    return "write [{..}, {..}], or one object a line in a file that ends in .jsonl"


def _parse(text: str, where: str) -> Any:
    """The value of JSON text; `where` is its line, or `file`."""
    try:
        value = parse_json(text.encode("utf-8"), _unique, parse_constant=float)
        if _SURROGATE.search(text):
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            "text has half of a character (a lone surrogate)",
            where=where,
            actual=repr(error.object[error.start])[1:-1],
            hint="remove it, or write the whole character",
        ) from error
    except json.JSONDecodeError as error:
        # Of a line, the column; of a whole file, its own line too. Never a line within a line.
        raise InputError(
            "not valid JSON",
            where=f"line {error.lineno}" if where == "file" else where,
            actual=f"{error.msg} at column {error.colno}",
            hint=_hint_for(text, error),
        ) from error
    except ValueError as error:
        raise InputError("not valid JSON", where=where, actual=error) from error
    return value


def _hint_for(text: str, fault: json.JSONDecodeError) -> str | None:
    if _PYTHON_KEY.match(text):
        return "this is how Python shows a value: write it with json.dumps"
    if fault.msg == "Extra data":
        if "\n" not in text and "\r" in text[: fault.pos + 1]:
            return CARRIAGE_RETURNS
        return "write one list, [{..}, {..}], or one object a line in a file that ends in .jsonl"
    if fault.pos >= len(text.rstrip()) or fault.msg.startswith("Unterminated string"):
        return "its end is missing: was the file cut off?"
    return None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        twice = repeated(name for name, _ in pairs)
        raise ValueError(f"an object names a field twice: {listed(twice)}")
    return value


def _row(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict) or not value:
        raise InputError(
            "row is not a JSON object with columns",
            where=where,
            actual=_form(value),
            hint="a list of objects is a file that ends in .json"
            if isinstance(value, list)
            else None,
        )
    return value
