"""Altering a committed dataset in its folder, as somebody with write access would."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from provenance.encoding import dataset_record_digest


def alter_record(folder: Path, index: int, canonical: bytes, *, digest: bool = True) -> None:
    """Put other bytes in the place of a record, and with `digest` their digest beside them."""
    values = (canonical, dataset_record_digest(canonical), index)
    statement = "UPDATE record SET canonical = ?, digest = ? WHERE leaf_index = ?"
    if not digest:
        values, statement = values[::2], "UPDATE record SET canonical = ? WHERE leaf_index = ?"
    with sqlite3.connect(folder / "private" / "records.sqlite") as connection:
        connection.execute(statement, values)
    connection.close()
