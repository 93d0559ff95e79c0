"""Witnesses made for tests. Their cosignatures are put together here, without the product's code
for notes and keys.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provenance.judgement.third_parties import Witnesses
from provenance.judgement.trust import Trust
from provenance.log.tree import Head
from provenance.log.witness.cosignature import WitnessKey
from provenance.log.witness.kept import CosignedHead
from provenance.signing import Domain


@dataclass(frozen=True)
class MadeWitness:
    """A witness with a key of its own."""

    name: str
    private: Ed25519PrivateKey

    @classmethod
    def make(cls, name: str) -> MadeWitness:
        seed = hashlib.sha256(name.encode()).digest()
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()

    @property
    def key_id(self) -> bytes:
        hashed = hashlib.sha256(self.name.encode() + b"\n\x04" + self.public)
        return hashed.digest()[:4]

    @property
    def vkey(self) -> str:
        material = base64.b64encode(b"\x04" + self.public).decode()
        return f"{self.name}+{self.key_id.hex()}+{material}"

    @property
    def key(self) -> WitnessKey:
        return WitnessKey(self.name, self.public)

    def line(self, text: str, time: int) -> str:
        """The signature line of a checkpoint's text."""
        message = b"cosignature/v1\ntime " + str(time).encode() + b"\n" + text.encode()
        data = self.key_id + time.to_bytes(8, "big") + self.private.sign(message)
        return f"\u2014 {self.name} {base64.b64encode(data).decode()}"

    def cosigned(self, head: Head, domain: Domain, time: int, stands: Head | None = None) -> bytes:
        """A line of cosignatures.jsonl. stands: the head that it is said to be of."""
        shown = stands or head
        fields = (
            ("run_id", '"0x' + shown.run_id.hex() + '"'),
            ("size", str(shown.size)),
            ("root", '"0x' + shown.root.hex() + '"'),
            ("witness", f'"{self.vkey}"'),
            ("cosignature", f'"{self.line(text_of(head, domain), time)}"'),
        )
        inner = ",".join(f'"{name}":{value}' for name, value in fields)
        return ("{" + inner + "}\n").encode()

    def kept(self, head: Head, domain: Domain, time: int) -> CosignedHead:
        return CosignedHead.parse(self.cosigned(head, domain, time))


def text_of(head: Head, domain: Domain) -> str:
    """The text of a head's checkpoint."""
    root = base64.b64encode(head.root).decode()
    log = f"model-provenance/eip155:{domain.chain_id}/{domain.registry}/0x{head.run_id.hex()}"
    return f"{log}\n{head.size}\n{root}\n"


def trusting(trust: Trust, needed: int, *witnesses: MadeWitness) -> Trust:
    """A trust file's content that names these witnesses too."""
    return replace(trust, witnesses=Witnesses(tuple(w.key for w in witnesses), needed))
