"""A witness's Ed25519 key: a file that only its owner can read, and signing with it.

The file has one line in the form of Go's `golang.org/x/mod/sumdb/note`: `PRIVATE+KEY`, name, id,
and type 0x04 with the 32 bytes of the seed in base64, with `+` between.
"""

from __future__ import annotations

import base64
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance.causes import cause_of
from provenance.digest import open_regular
from provenance.durable import write_new_secret
from provenance.errors import AuthError, Conflict, InputError, OutputError
from provenance.log.witness.cosignature import COSIGNATURE_TYPE, Cosignature, WitnessKey, message
from provenance.log.witness.note import from_base64

_PREFIX = "PRIVATE+KEY+"
_MAX_BYTES = 1024


@dataclass(frozen=True)
class WitnessSigner:
    """Signs as a witness. Its texts show the public key alone."""

    key: WitnessKey
    _private: Ed25519PrivateKey = field(repr=False)

    def sign(self, text: str, time: int) -> Cosignature:
        """The cosignature of a checkpoint's text at a time (seconds since the epoch)."""
        return Cosignature(self.key, time, self._private.sign(message(text, time)))


def create_witness_key(path: Path, name: str) -> WitnessKey:
    """Make a fresh key in a new 0600 file; returns its public half.

    Raises:
        InputError: no name of a witness.
        Conflict: the file exists; a key is never replaced.
        OutputError: it cannot be written.
    """
    private = Ed25519PrivateKey.generate()
    key = WitnessKey(name, private.public_key().public_bytes_raw())
    seed = base64.b64encode(COSIGNATURE_TYPE + private.private_bytes_raw()).decode()
    line = f"{_PREFIX}{name}+{key.key_id.hex()}+{seed}\n"
    try:
        write_new_secret(path, line.encode())
    except FileExistsError as error:
        raise Conflict("witness has a key already", where=str(path)) from error
    except OSError as error:
        raise OutputError(
            "cannot write the witness's key", where=str(path), actual=cause_of(error, path)
        ) from error
    return key


def load_witness_key(path: Path) -> WitnessSigner:
    """Read a key that `create_witness_key` wrote. No error quotes the file.

    Raises:
        InputError: missing, no regular file, or malformed.
        AuthError: others can read it.
    """
    with open_regular(path) as stream:
        mode = stat.S_IMODE(os.fstat(stream.fileno()).st_mode)
        if mode & 0o077:
            raise AuthError(
                "the witness's key can be read by others",
                where=str(path),
                expected="mode 0600",
                actual=oct(mode),
                hint=f"chmod 600 {path}",
            )
        data = stream.read(_MAX_BYTES)
    try:
        line = data.decode().removesuffix("\n")
        name, id_, material = line.removeprefix(_PREFIX).split("+", 2)
        seed = from_base64(material)
        private = Ed25519PrivateKey.from_private_bytes(seed[1:])
        key = WitnessKey(name, private.public_key().public_bytes_raw())
        if not line.startswith(_PREFIX) or seed[:1] != COSIGNATURE_TYPE or key.key_id.hex() != id_:
            raise ValueError("another key than it says")
    except (ValueError, InputError):
        # Without its cause, which may quote the line.
        raise InputError(
            "not a witness's key", where=str(path), hint="restore it from your copy"
        ) from None
    return WitnessSigner(key, private)
