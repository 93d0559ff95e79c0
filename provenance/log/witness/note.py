"""Signed notes: a text, an empty line, and signature lines (c2sp.org/signed-note)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from provenance.errors import InputError

MAX_NOTE_BYTES = 32 << 10
MAX_SIGNATURES = 64
"""Lines of one note; the source asks for at least 16. One of the largest takes nearly 5 kB."""
MAX_NAME_BYTES = 255
KEY_ID_BYTES = 4
_MARK = "\u2014 "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


@dataclass(frozen=True)
class SignatureLine:
    """One signature: name and id (4 bytes) of the key, and the bytes behind the id.

    Name and id together name a key; the id alone is short enough to be forged.
    """

    name: str
    key_id: bytes
    signature: bytes

    def __str__(self) -> str:
        """The line without its newline. Law: `SignatureLine.parse(str(x)) == x`."""
        return f"{_MARK}{self.name} {base64.b64encode(self.key_id + self.signature).decode()}"

    @classmethod
    def parse(cls, line: str) -> SignatureLine:
        """Read one line (attacker-controlled), without its newline.

        Raises:
            InputError: malformed.
        """
        parts = line.removeprefix(_MARK).split(" ")
        if not line.startswith(_MARK) or len(parts) != 2 or not is_name(parts[0]):
            raise InputError("not a signature line of a note", actual=repr(line[:80]))
        data = from_base64(parts[1])
        if len(data) <= KEY_ID_BYTES:
            raise InputError("signature of a note is too short", actual=repr(line[:80]))
        return cls(parts[0], data[:KEY_ID_BYTES], data[KEY_ID_BYTES:])


@dataclass(frozen=True)
class Note:
    """A text, which ends with a newline, and the signatures under it."""

    text: str
    signatures: tuple[SignatureLine, ...]

    def __str__(self) -> str:
        """The whole note."""
        return "\n".join([self.text, *map(str, self.signatures), ""])

    @classmethod
    def parse(cls, data: bytes) -> Note:
        """Read a note (attacker-controlled).

        Raises:
            InputError: too large, not UTF-8, with control characters, no text, no signature or
                too many, or a malformed signature line.
        """
        if len(data) > MAX_NOTE_BYTES:
            raise InputError("note is too large", expected=f"<= {MAX_NOTE_BYTES} bytes")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InputError("note is not UTF-8 text", actual=f"byte {error.start}") from error
        if _CONTROL.search(whole):
            raise InputError("note has a control character", expected="newlines alone")
        text, empty, lines = whole.rpartition("\n\n")
        if not empty or not text or not lines.endswith("\n"):
            raise InputError(
                "note has no signatures", expected="a text, an empty line, signature lines"
            )
        found = lines[:-1].split("\n")
        if len(found) > MAX_SIGNATURES:
            raise InputError(
                "note has too many signatures", expected=f"<= {MAX_SIGNATURES}", actual=len(found)
            )
        return cls(f"{text}\n", tuple(SignatureLine.parse(line) for line in found))


def is_name(text: str) -> bool:
    """Whether a text (attacker-controlled) may name a key: printable, no space, no plus."""
    return (
        bool(text)
        and text.isprintable()
        and "+" not in text
        and not any(c.isspace() for c in text)
        and len(text.encode("utf-8", "replace")) <= MAX_NAME_BYTES
    )


def key_id_of(name: str, material: bytes) -> bytes:
    """The 4 bytes that name a key beside its name.

    Args:
        material: the type of its signatures, and the public key.
    """
    return hashlib.sha256(name.encode() + b"\n" + material).digest()[:KEY_ID_BYTES]


def from_base64(text: str) -> bytes:
    """The bytes that standard base64 (RFC 4648, section 4) stands for, in its one form.

    Args:
        text: attacker-controlled.

    Raises:
        InputError: another alphabet, wrong padding, or bits left over.
    """
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError("not base64", actual=repr(text[:80])) from error
    if base64.b64encode(data).decode() != text:
        raise InputError("not the one form of base64", actual=repr(text[:80]))
    return data
