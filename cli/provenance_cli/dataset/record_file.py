"""One record as a file: the text of the committed column, or a JSON object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import is_normalized

from provenance_cli.output import note

if TYPE_CHECKING:
    from provenance.dataset.committed import CommittedDataset


def record_of(opened: CommittedDataset, file: Path) -> dict[str, Any]:
    """`parse_record` for an open dataset: a column that the row lacks is null, as in the dataset.

    People are told of a column that the dataset lacks: no record has it.
    """
    from provenance_zk.training.sources import listed

    row = parse_record(file, opened.text_column)
    if opened.text_column is not None:
        return row
    columns = [str(name) for name in opened.manifest["columns"]]
    if extra := [name for name in row if name not in columns]:
        note(f"{file}: the dataset has no column {listed(extra)}; its columns: {listed(columns)}")
    return dict.fromkeys(columns) | row


def parse_record(file: Path, text_column: str | None) -> dict[str, Any]:
    """The record in a file (attacker-controlled).

    Args:
        text_column: if given, the whole file is this column's text, in Unicode NFC, and people are
            told where that changes it; everything else counts, a newline at the end too. If None,
            the file is a JSON object.

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
    if text_column is not None and not is_normalized("NFC", row[text_column]):
        note(f"{file}: looked for in Unicode NFC, which differs from its bytes")
    return row
