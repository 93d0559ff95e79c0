"""Strict reading of a mapping, such as a trust file's."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from provenance.errors import ConfigError, InputError
from provenance.ids import from_hex, to_hex


class Fields:
    """Reads fields of one mapping (attacker-controlled, or its writer's slip) strictly.

    A missing, extra or ill-typed key is a ConfigError that names its path.
    """

    def __init__(self, value: Any, path: str, where: str) -> None:
        if not isinstance(value, Mapping):
            raise ConfigError("not a mapping", where=f"{where} {path}", actual=type(value).__name__)
        self._value, self._path, self._where = value, path, where
        self._seen: set[str] = set()

    def get(self, name: str, kind: type, default: Any = ...) -> Any:
        """A value of a type; `default` stands for a missing one, `...` refuses that."""
        self._seen.add(name)
        if name not in self._value:
            if default is ...:
                raise ConfigError(
                    "trust file lacks a key",
                    where=f"{self._where} {self._path}{name}",
                    expected=kind.__name__,
                )
            return default
        value = self._value[name]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigError(
                "trust file key has the wrong type",
                where=f"{self._where} {self._path}{name}",
                expected=kind.__name__,
                actual=type(value).__name__,
                hint="write hex values in quotes" if kind is str else None,
            )
        return value

    def hexadecimal(self, name: str, size_bytes: int) -> str:
        """So many bytes as `0x` and digits, in lower case."""
        text: str = self.get(name, str).lower()
        try:
            return to_hex(from_hex(text, size_bytes))
        except InputError as error:
            raise ConfigError(
                "not a hex value",
                where=f"{self._where} {self._path}{name}",
                expected=error.expected,
                actual=text[:80],
            ) from error

    def text(self, name: str) -> str:
        """A text that is not blank."""
        found: str = self.get(name, str)
        if not found.strip():
            raise ConfigError(
                "text is empty",
                where=f"{self._where} {self._path}{name}",
                expected="at least one letter",
                actual=repr(found[:80]),
            )
        return found

    def at_least(self, name: str, least: int, default: Any = ...) -> Any:
        """A number from `least` on. `default` stands for a missing one; `...` refuses that."""
        number: int | None = self.get(name, int, default)
        if number is not None and number < least:
            raise ConfigError(
                "number is too small",
                where=f"{self._where} {self._path}{name}",
                expected=f">= {least}",
                actual=number,
            )
        return number

    def moment(self, name: str) -> datetime.datetime | None:
        """A time in UTC, as `2027-01-01T00:00:00Z`; YAML may have read it already."""
        if name not in self._value:
            return None
        self._seen.add(name)
        found = self._value[name]
        try:
            value = datetime.datetime.fromisoformat(found) if isinstance(found, str) else found
            if isinstance(value, datetime.datetime) and value.tzinfo is not None:
                value = value.astimezone(datetime.UTC)
        except (ValueError, OverflowError):  # of a year that UTC does not have
            value = None
        if not isinstance(value, datetime.datetime) or value.tzinfo is None:
            raise ConfigError(
                "not a time with its zone",
                where=f"{self._where} {self._path}{name}",
                expected="such as 2027-01-01T00:00:00Z",
                actual=str(found)[:40],
            )
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """One of these words."""
        text: str = self.get(name, str)
        if text not in choices:
            raise ConfigError(
                "no such value",
                where=f"{self._where} {self._path}{name}",
                expected=" | ".join(choices),
                actual=text,
            )
        return text

    def has(self, name: str) -> bool:
        """Whether there is such a key."""
        return name in self._value

    def part(self, name: str) -> Fields:
        """A mapping in this one."""
        return Fields(self.get(name, dict), f"{self._path}{name}.", self._where)

    def parts(self, name: str) -> list[Fields]:
        """A list of mappings."""
        return [
            Fields(v, f"{self._path}{name}[{i}].", self._where)
            for i, v in enumerate(self.get(name, list))
        ]

    def done(self) -> None:
        """Refuse a key that nobody asked for."""
        extra = set(self._value) - self._seen
        if extra:
            raise ConfigError(
                "trust file has an unknown key",
                where=f"{self._where} {self._path}{min(map(str, extra))}",
                expected=", ".join(sorted(self._seen)),
            )
