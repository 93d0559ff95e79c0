"""Ed25519 cosignatures of witnesses, version 1, and the keys they are checked with.

Source: c2sp.org/tlog-cosignature (message and key id), c2sp.org/signed-note (verifier keys),
RFC 8032 (Ed25519).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from provenance.errors import InputError
from provenance.log.witness.note import SignatureLine, from_base64, is_name, key_id_of

COSIGNATURE_TYPE = b"\x04"
MAX_TIME = 2**63 - 1
MAX_AHEAD_S = 300
"""By how much a witness's clock may be ahead of the clock of who reads its time."""
KEY_BYTES, SIGNATURE_BYTES, TIME_BYTES = 32, 64, 8
_PRIME = 2**255 - 19
# y of the points of order 1, 2, 4 and 8: anyone can make signatures under such a key.
_ORDER_8 = 55188659117513257062467267217118295137698188065244968500265048394206261417927
_SMALL_ORDER = frozenset({0, 1, _PRIME - 1, _ORDER_8, _PRIME - _ORDER_8})


@dataclass(frozen=True)
class WitnessKey:
    """A witness as verifiers name it: its name, and its Ed25519 public key (32 bytes).

    Raises:
        InputError: no name of a key, not 32 bytes, or a key under which anyone can sign. A second
            form of a key's bytes is refused too, so that no key passes for two witnesses.
    """

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        """Check name and key."""
        if not is_name(self.name):
            raise InputError(
                "no name of a witness",
                expected="1 to 255 bytes, printable, without spaces and +",
                actual=repr(self.name[:80]),
            )
        if len(self.public_key) != KEY_BYTES:
            raise InputError(
                "not an Ed25519 public key",
                where=self.name,
                expected=f"{KEY_BYTES} bytes",
                actual=len(self.public_key),
            )
        y = int.from_bytes(self.public_key, "little") & (2**255 - 1)
        if y >= _PRIME or y in _SMALL_ORDER:
            raise InputError(
                "this Ed25519 public key is no witness's: anyone can sign under it, or it is the "
                "second form of another",
                where=self.name,
                hint="ask the witness for its key",
            )

    @property
    def _material(self) -> bytes:
        return COSIGNATURE_TYPE + self.public_key

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand before its signatures."""
        return key_id_of(self.name, self._material)

    def __str__(self) -> str:
        """Its verifier key (vkey): name, id in hex, type and key in base64, with + between."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self._material).decode()}"

    @classmethod
    def parse(cls, text: str) -> WitnessKey:
        """Read a verifier key. Law: `str(WitnessKey.parse(text)) == text`.

        Raises:
            InputError: malformed, of another type than Ed25519 cosignatures, or its id is not that
                of name and key.
        """
        name, *rest = text.split("+", 2)
        material = from_base64(rest[1]) if len(rest) == 2 else b""
        if len(rest) != 2 or material[:1] != COSIGNATURE_TYPE:
            raise InputError(
                "not the key of a witness",
                expected="name+8 hex digits+base64 of type 0x04 and 32 bytes (Ed25519)",
                actual=repr(text[:120]),
            )
        key = cls(name, material[1:])
        if key.key_id.hex() != rest[0]:
            raise InputError(
                "id of a witness's key is not that of name and key",
                where=name,
                expected=key.key_id.hex(),
                actual=repr(rest[0][:20]),
            )
        return key


@dataclass(frozen=True)
class Cosignature:
    """A witness's word that a text was the newest that it had seen, at a time by its own clock.

    time: seconds since the epoch, 1 to 2^63 - 1; not checked against any clock.
    """

    witness: WitnessKey
    time: int
    signature: bytes

    @property
    def line(self) -> SignatureLine:
        """Its line in a note. Law: `Cosignature.read(c.line, c.witness) == c`."""
        payload = self.time.to_bytes(TIME_BYTES, "big") + self.signature
        return SignatureLine(self.witness.name, self.witness.key_id, payload)

    @classmethod
    def read(cls, line: SignatureLine, witness: WitnessKey) -> Cosignature | None:
        """The cosignature of a line (attacker-controlled); None if it is another key's.

        Raises:
            InputError: it has the key's name and id, and is not a cosignature.
        """
        if (line.name, line.key_id) != (witness.name, witness.key_id):
            return None
        time = int.from_bytes(line.signature[:TIME_BYTES], "big")
        if len(line.signature) != TIME_BYTES + SIGNATURE_BYTES or not 1 <= time <= MAX_TIME:
            raise InputError(
                "not a cosignature",
                where=line.name,
                expected="8 bytes of time, from 1 to 2^63 - 1, and 64 of signature",
                actual=line.signature.hex()[:32],
            )
        return cls(witness, time, line.signature[TIME_BYTES:])

    def is_of(self, text: str) -> bool:
        """Whether its witness signed a checkpoint's text (without signature lines) at its time."""
        key = Ed25519PublicKey.from_public_bytes(self.witness.public_key)
        try:
            key.verify(self.signature, message(text, self.time))
        except InvalidSignature:
            return False
        return True


def message(text: str, time: int) -> bytes:
    """The bytes that a witness signs: two lines, and the checkpoint's text."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()
