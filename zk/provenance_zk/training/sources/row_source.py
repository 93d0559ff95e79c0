"""Records of one source, with the places where they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provenance.errors import InputError

Row = tuple[str, Mapping[str, Any]]
"""(the place of the row, for messages; the row)."""


@dataclass
class RowSource:
    """Records of one source, to be read once.

    Attributes:
        columns: names of the columns that are committed.
        text_column: name of the only column, if records are texts; else None.
        files: {path, size, sha256} of the files read.
        rows: reads the records.
        curation: sentences on what was left out or changed.
        where: place of the row that was read last.
    """

    source: str
    licence: str
    columns: tuple[str, ...]
    text_column: str | None
    files: list[dict[str, Any]]
    rows: Callable[[], Iterator[Row]]
    curation: list[str] = field(default_factory=list)
    where: str = ""

    def __iter__(self) -> Iterator[dict[str, Any]]:
        for where, row in self.rows():
            self.where = where
            yield self._select(row)

    def _select(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if missing := [name for name in self.columns if name not in row]:
            raise InputError(
                "row lacks a column",
                where=self.where,
                expected=", ".join(missing),
                actual=", ".join(map(str, row))[:200],
            )
        if self.text_column is None:
            if extra := [str(name) for name in row if name not in self.columns]:
                raise InputError(
                    "row has a column that the first row lacks",
                    where=self.where,
                    actual=", ".join(extra)[:200],
                )
            return dict(row)
        text = row[self.text_column]
        if not isinstance(text, str):
            raise InputError(
                "text column holds no text",
                where=f"{self.where} {self.text_column}",
                expected="a string",
                actual=type(text).__name__,
            )
        if not text.strip():
            raise InputError(
                "text is empty",
                where=f"{self.where} {self.text_column}",
                hint="remove the row: an empty record trains nothing",
            )
        return {self.text_column: text}
