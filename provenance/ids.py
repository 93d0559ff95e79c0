"""Identifiers of 32 or 20 bytes, each with a type of its own, and the one place where `0x` is
written and read.

An identifier is bytes inside the program and `0x` with lower-case hexadecimal digits outside it: in
records, files, messages and on the chain. Laws: `T.parse(str(x)) == x`; `str(T.parse(text)) ==
text.lower()`.
"""

from __future__ import annotations

import re
from typing import Self

from provenance.errors import InputError

_DIGITS = re.compile(r"0x([0-9a-fA-F]{2})*")


def to_hex(data: bytes) -> str:
    """`0x` and two lower-case digits for each byte."""
    return f"0x{data.hex()}"


def from_hex(text: object, size: int | None = None, *, where: str | None = None) -> bytes:
    """The bytes that `0x..` stands for; `text` is attacker-controlled.

    Args:
        size: number of bytes that it must have; None for any number.
        where: what is being read, for the message.

    Raises:
        InputError: not a string of `0x` and whole bytes, or of another size.
    """
    expected = "0x and hexadecimal digits" if size is None else f"0x and {2 * size} digits"
    if not isinstance(text, str) or _DIGITS.fullmatch(text) is None:
        raise InputError("not hexadecimal", where=where, expected=expected, actual=repr(text)[:80])
    if size is not None and len(text) != 2 + 2 * size:
        raise InputError("wrong number of bytes", where=where, expected=expected, actual=text[:80])
    return bytes.fromhex(text[2:])


class Word(bytes):
    """32 bytes. Prints as `0x` and 64 digits."""

    SIZE = 32

    def __new__(cls, value: bytes) -> Self:
        if len(value) != cls.SIZE:
            raise InputError(
                f"a {cls.__name__} has {cls.SIZE} bytes", expected=cls.SIZE, actual=len(value)
            )
        return super().__new__(cls, value)

    def __str__(self) -> str:
        return to_hex(self)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self})"

    @classmethod
    def parse(cls, text: object, *, where: str | None = None) -> Self:
        """Read `0x..` (attacker-controlled).

        Raises:
            InputError: not `0x` and as many digits as this identifier has.
        """
        return cls(from_hex(text, cls.SIZE, where=where))


class RunId(Word):
    """Names a run: given by the registry when the run is opened (docs/formats/bytes.md)."""


class DatasetId(Word):
    """Names a registration of a dataset under one pair of keys (docs/formats/bytes.md)."""


class KeyId(Word):
    """Names a verifying key: the Keccak-256 of its words (docs/formats/proofs.md)."""


class Address(Word):
    """An account or a contract: 20 bytes. Prints in lower case, without the checksum of EIP-55."""

    SIZE = 20
