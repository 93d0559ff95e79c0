"""One record as a file: the text of the committed column, or a JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provenance.dataset.committed import CommittedDataset


def record_of(opened: CommittedDataset, file: Path) -> dict[str, Any]:
    """`parse_record` with the text column of an open dataset."""
    return parse_record(file, opened.text_column)


def parse_record(file: Path, text_column: str | None) -> dict[str, Any]:
    """The record in a file (attacker-controlled).

    Args:
        text_column: if given, the whole file is this column's text, and every byte counts, a
            newline at the end too. If None, the file is a JSON object.

    Raises:
        InputError: there is no such file, or it holds no such record.
    """
    from provenance.digest import open_regular
    from provenance.encoding import parse_json
    from provenance.errors import InputError

    with open_regular(file) as stream:
        data = stream.read()
    try:
        row = {text_column: data.decode("utf-8")} if text_column is not None else parse_json(data)
    except ValueError as error:
        raise InputError(
            "file holds no record of this form",
            where=str(file),
            expected="UTF-8 text" if text_column is not None else "a JSON object",
            actual=error,
        ) from error
    if not isinstance(row, dict):
        raise InputError("file holds no record", where=str(file), expected="a JSON object")
    return row
