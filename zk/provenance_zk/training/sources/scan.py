"""The first look at every row: which columns there are, and whether all of it can be committed."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

from provenance.errors import InputError
from provenance_zk.training.sources.reading import Reading
from provenance_zk.training.sources.values import conversions, is_plain, listed, shown

MAX_COLUMNS = 1024
MAX_NAME_CHARACTERS = 1000
_MOST_ROWS = 2**40  # beyond any file of rows: larger numbers are ids

# The name that pandas gives to an index without one. Indexes of several levels are no row numbers.
_PANDAS_INDEX = "__index_level_0__"
_SECOND_LEVEL = "__index_level_1__"


def require_text(value: Any, where: str) -> str:
    """The text of a record (attacker-controlled).

    Raises:
        InputError: no text, or none but white space.
    """
    if not isinstance(value, str):
        raise InputError(
            "text column holds no text",
            where=where,
            expected="a string",
            actual="null, or the row lacks it" if value is None else type(value).__name__,
            hint="remove the row, or put text there",
        )
    if not value.strip():
        raise InputError(
            "text is empty", where=where, hint="remove the row: an empty record trains nothing"
        )
    return value


class Scan:
    """Looks at rows one after another; memory grows with the columns, not with the rows."""

    def __init__(self, source: str, text_column: str | None, reading: Reading) -> None:
        """`text_column`: commit this column alone."""
        self._source = source
        self._text_column = text_column
        self._reading = reading
        self._rows_with: dict[str, int] = {}
        self._columns: tuple[str, ...] = ()  # those that are committed, unless one is the text
        self._has_text = False
        self._fault: InputError | None = None  # of the column that may turn out to be the text

    def add(self, where: str, row: Mapping[str, Any]) -> None:
        """Look at a row (attacker-controlled). Raises InputError where `where` is wrong."""
        self._reading.records += 1
        for name in row:
            if name in self._rows_with:
                self._rows_with[name] += 1
            else:
                self._add_column(where, name)
        if self._text_column is not None:
            self._look_at_text(where, row, self._text_column)
            return
        self._look_at_index(row)
        for name, value in row.items():
            if not is_plain(value) and name in self._columns:
                place = f"{where} {shown(name)}"
                self._reading.converted.update((name, kind) for kind in conversions(value, place))
        if len(self._columns) == 1:
            self._look_at_text(where, row, self._columns[0])

    def _add_column(self, where: str, name: str) -> None:
        _check_name(where, name)
        self._rows_with[name] = 1
        if name != _PANDAS_INDEX:
            self._columns += (name,)
        if len(self._rows_with) > MAX_COLUMNS:
            raise InputError(
                "source has too many columns",
                where=where,
                expected=f"<= {MAX_COLUMNS}",
                hint="put what differs from row to row into one column",
            )

    def _look_at_index(self, row: Mapping[str, Any]) -> None:
        """Make the index of pandas a column as soon as it holds anything but row numbers."""
        if _PANDAS_INDEX in self._columns or _PANDAS_INDEX not in self._rows_with:
            return
        value = row.get(_PANDAS_INDEX)
        if not _is_row_number(value) or _SECOND_LEVEL in self._rows_with:
            self._columns += (_PANDAS_INDEX,)

    def _look_at_text(self, where: str, row: Mapping[str, Any], column: str) -> None:
        """Check a text; a fault counts once it is known that the column is the text."""
        text = row.get(column)
        if isinstance(text, str):
            self._has_text = True
            self._reading.normalised += not unicodedata.is_normalized("NFC", text)
        if self._fault is None:
            try:
                require_text(text, f"{where} {shown(column)}")
            except InputError as error:
                self._fault = error

    def end(self) -> tuple[tuple[str, ...], str | None]:
        """(columns to commit, the text column or None), once every row was added.

        Raises:
            InputError: no such column, no column at all, or a row without text.
        """
        if self._text_column is not None:
            return self._text_end(self._text_column)
        columns, reading = self._columns, self._reading
        if not columns:
            raise InputError(
                "source has no column but row numbers of pandas",
                where=self._source,
                actual=listed(self._rows_with),
            )
        reading.dropped |= dict.fromkeys(c for c in self._rows_with if c not in columns)
        if len(columns) == 1 and self._has_text:
            return self._text_end(columns[0])
        reading.normalised = 0  # whole rows are committed as they are
        for name in columns:
            if missing := reading.records - self._rows_with[name]:
                reading.filled[name] = missing
        return columns, None

    def _text_end(self, column: str) -> tuple[tuple[str, ...], str]:
        if column not in self._rows_with:
            raise InputError(
                "no such column",
                where=self._source,
                expected=shown(column),
                actual=listed(self._rows_with),
                hint="name one of the columns with --text-column",
            )
        if self._fault is not None:
            raise self._fault
        self._reading.converted.clear()
        if self._text_column is not None:
            self._reading.others |= dict.fromkeys(c for c in self._rows_with if c != column)
        return (column,), column


def _is_row_number(value: Any) -> bool:
    """Whether pandas may have numbered a row so; a row that lacks the index has null."""
    return value is None or (type(value) is int and 0 <= value <= _MOST_ROWS)


def _check_name(where: str, name: str) -> None:
    try:
        name.encode("utf-8")
    except UnicodeEncodeError as error:
        raise InputError(
            "column name is not Unicode text", where=where, actual=repr(name)[:80]
        ) from error
    if len(name) > MAX_NAME_CHARACTERS:
        raise InputError(
            "column name is too long",
            where=where,
            expected=f"<= {MAX_NAME_CHARACTERS} characters",
            actual=shown(name),
        )
