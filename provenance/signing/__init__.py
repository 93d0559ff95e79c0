"""Signed heads and tombstones: their EIP-712 digests, and who signed them.

Source: EIP-712 (typed data); SEC 1, 4.1.6 (recovery of the public key), through eth-keys.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from eth_keys.datatypes import Signature
from eth_utils.crypto import keccak

from provenance.encoding import u64
from provenance.errors import VerificationError
from provenance.ids import NO_ADDRESS, Address, from_hex
from provenance.log.record import Record
from provenance.log.records import Tombstone
from provenance.log.tree import Head

if TYPE_CHECKING:
    from eth_account.signers.local import LocalAccount

_DOMAIN_TYPE = b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
_HEAD_TYPE = b"Head(bytes32 runId,uint64 size,bytes32 root)"
_TOMBSTONE_TYPE = b"Tombstone(bytes32 dataset,bytes32 leaf,bytes32 record)"
_WORD = 32
_V = 27  # what Ethereum adds to the recovery id 0 or 1


@dataclass(frozen=True)
class Domain:
    """EIP-712 domain: where the signature counts.

    `registry` is the zero address, and `chain_id` 0, for signatures that belong to no chain.
    """

    chain_id: int
    registry: Address

    def digest(self, struct: bytes, *words: bytes) -> bytes:
        """The 32 bytes that are signed of a struct with this type and these members.

        Raises:
            ValueError: a member is no word of 32 bytes.
        """
        if any(len(word) != _WORD for word in words):
            raise ValueError("a member has not 32 bytes")
        domain = (
            _keccak(_DOMAIN_TYPE),
            _keccak(b"provenance"),
            _keccak(b"1"),
            self.chain_id.to_bytes(_WORD, "big"),
            from_hex(str(self.registry), 20).rjust(_WORD, b"\0"),
        )
        members = (_keccak(struct), *words)
        return _keccak(b"\x19\x01" + _keccak(b"".join(domain)) + _keccak(b"".join(members)))


NO_CHAIN = Domain(0, NO_ADDRESS)


def _keccak(data: bytes) -> bytes:
    return bytes(keccak(data))


def sign_digest(account: LocalAccount, digest: bytes) -> bytes:
    """65-byte signature r || s || v of a digest of 32 bytes, as `Domain.digest` makes it."""
    return bytes(account.unsafe_sign_hash(digest).signature)  # type: ignore[arg-type]


def sign_head(account: LocalAccount, head: Head, domain: Domain) -> bytes:
    """65-byte signature r || s || v."""
    return sign_digest(account, head_digest(head, domain))


def head_digest(head: Head, domain: Domain) -> bytes:
    """What a signature of a head is about: the 32-byte digest of EIP-712.

    Raises:
        OverflowError: the size is no uint64.
        ValueError: run id or root has not 32 bytes.
    """
    size = u64(head.size).rjust(_WORD, b"\0")
    return domain.digest(_HEAD_TYPE, head.run_id, size, head.root)


def verify_head(head: Head, domain: Domain, signature: bytes, signer: str) -> None:
    """Check a head's signature (all arguments but `signer` and `domain` are attacker-controlled).

    Raises:
        VerificationError: malformed, or made by another key.
    """
    require_signer("head", lambda: head_digest(head, domain), signature, signer)


def require_signer(what: str, digest: Callable[[], bytes], signature: bytes, signer: str) -> None:
    """Check who signed something (all arguments but `what` and `signer` are attacker-controlled).

    Args:
        what: names it in errors.
        digest: makes the 32 bytes that were signed; what it raises makes the signature malformed.

    Raises:
        VerificationError: malformed, or made by another key.
    """
    try:
        actual = _signer_of(digest(), signature)
    except Exception as error:  # eth-keys raises several unrelated types on hostile signatures
        raise VerificationError(
            f"{what} signature is malformed", actual=type(error).__name__
        ) from error
    if actual != signer.lower():
        raise VerificationError(
            f"{what} is signed by another key", expected=signer.lower(), actual=actual
        )


@lru_cache(maxsize=4096)
def _signer_of(digest: bytes, signature: bytes) -> Address:
    """Who signed a digest; remembered, since it takes milliseconds.

    `v` may be 27 or 28, or the bare recovery id 0 or 1.
    """
    v = signature[-1]
    standard = bytes([v - _V if v in (_V, _V + 1) else v])
    key = Signature(signature_bytes=signature[:-1] + standard)
    return Address(key.recover_public_key_from_msg_hash(digest).to_address())


def _tombstone_digest(record: Record) -> bytes:
    body = record.body(Tombstone)
    return NO_CHAIN.digest(_TOMBSTONE_TYPE, body.dataset, body.leaf, bytes(record.digest))


def sign_tombstone(account: LocalAccount, record: Record) -> bytes:
    """65-byte signature r || s || v over a `tombstone` record.

    It counts on every chain: a dataset belongs to none.
    """
    return sign_digest(account, _tombstone_digest(record))


def verify_tombstone(record: Record, signature: bytes, signer: str) -> None:
    """Check a tombstone's signature; raises as `verify_head` does."""
    require_signer("tombstone", lambda: _tombstone_digest(record), signature, signer)
