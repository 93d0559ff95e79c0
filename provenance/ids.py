"""Identifiers, each with a type of its own, and the one place where `0x` is written and read.

Outside the program an identifier is `0x` and lower-case hexadecimal digits: in records, files and
messages. Inside it is 32 bytes, or the text itself for an address, which every library of the chain
takes as text. Laws: `T.parse(str(x)) == x`; `str(T.parse(text)) == text.lower()`.

What a SHA-256 names (a model file, a manifest) has the type `provenance.digest.Digest`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Self

from provenance.errors import InputError

HEX_PREFIX = "0x"
_DIGITS = re.compile(r"0x([0-9a-fA-F]{2})*")
_CANONICAL_WORD = re.compile(r"0x[0-9a-f]{64}")
_CANONICAL_WORDS = re.compile(r"(?:0x[0-9a-f]{64})*")
_WORD_DIGITS = 66  # with `0x`


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


def bare_digits(text: str) -> str:
    """`text` without `0x`, which other programs and people may leave out; the rest is unchecked."""
    return text.removeprefix(HEX_PREFIX)


def to_word(value: int) -> str:
    """`0x` and 64 lower-case digits of an integer below 2^256."""
    return f"0x{value:064x}"


def parse_word(text: object, where: str = "word") -> int:
    """Read what `to_word` writes, and no other form (attacker-controlled).

    Raises:
        InputError: anything but `0x` and 64 lower-case hex digits.
    """
    if not isinstance(text, str) or _CANONICAL_WORD.fullmatch(text) is None:
        raise InputError(
            "not a canonical word",
            where=where,
            expected="0x and 64 lower-case hex digits",
            actual=repr(text)[:80],
        )
    return int(text, 16)


def words_bytes(words: Sequence[str]) -> bytes:
    """The bytes of many words in their canonical form (attacker-controlled), one after the other.

    Raises:
        InputError: one of them is not `0x` and 64 lower-case digits.
    """
    text = "".join(words)
    # Each has the length of a word, so the words of the joined text are these.
    if any(len(word) != _WORD_DIGITS for word in words) or not _CANONICAL_WORDS.fullmatch(text):
        for word in words:
            parse_word(word)
    return bytes.fromhex(text.replace(HEX_PREFIX, ""))


def lower_pattern(size: int) -> str:
    """Regular expression of `0x` and the lower-case digits of `size` bytes."""
    return f"0x[0-9a-f]{{{2 * size}}}"


class Word(bytes):
    """32 bytes. Prints as `0x` and 64 digits."""

    SIZE = 32

    def __new__(cls, value: bytes) -> Self:
        """Raises InputError if `value` has another number of bytes."""
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
    """Names a run.

    Keccak-256 of `abi.encode(chain id, registry, owner, nonce)`, nonce counting the owner's runs
    (contracts/ProvenanceRegistry.sol).
    """


class DatasetId(Word):
    """Names a registration of a dataset under one pair of keys.

    Keccak-256 of `abi.encode(TAG_DATASET, link seed)`; the link seed binds chain, ledger, owner,
    both keys, root and commitments (docs/formats/proofs.md).
    """


class KeyId(Word):
    """Names a verifying key: the Keccak-256 of its words (docs/formats/proofs.md)."""


class Address(str):
    """An account or a contract: `0x` and 40 lower-case digits, without the checksum of EIP-55."""

    __slots__ = ()
    SIZE = 20

    def __new__(cls, text: str) -> Self:
        """Read `0x..` (attacker-controlled) in either case.

        Raises:
            InputError: not `0x` and 40 digits.
        """
        return cls.parse(text)

    @classmethod
    def parse(cls, text: object, *, where: str | None = None) -> Self:
        """As the constructor; `where` is what is being read, for the message."""
        return super().__new__(cls, to_hex(from_hex(text, cls.SIZE, where=where)))


NO_ADDRESS = Address("0x" + "00" * Address.SIZE)
"""The zero address: stands for a contract or account that does not exist."""
