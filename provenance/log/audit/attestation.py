"""An auditor's signed word about segments of a run that were trained again.

Source: EIP-712 (typed data, arrays of structs).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_utils.crypto import keccak

from provenance.digest import sha256
from provenance.encoding import canonical_json, u64
from provenance.errors import InputError, ProvenanceError
from provenance.ids import Address, RunId, Word, from_hex, to_hex
from provenance.log.audit.agreement import Agreement
from provenance.log.graph.segments import Segment
from provenance.signing import Domain, require_signer

_SEGMENT_TYPE = b"Segment(uint64 number,bytes32 start,bytes32 end,string class)"
_AUDIT_TYPE = (
    b"Audit(bytes32 runId,uint64 size,bytes32 root,uint64 segments,bytes32 nonce,"
    b"Segment[] replayed,bytes32 stack,uint64 block,bytes32 blockHash)" + _SEGMENT_TYPE
)
_WORD, _SIGNATURE = 32, 65
SEED = Word(bytes(_WORD))
"""Stands for the start of the first segment, which is the run's seed and no record."""


@dataclass(frozen=True)
class SegmentWord:
    """What an auditor says of one segment.

    number: from 0. start, end: digests of the records of the checkpoints between which it lies.
    outcome: its `Agreement`.
    """

    number: int
    start: Word
    end: Word
    outcome: Agreement

    @classmethod
    def of(cls, segment: Segment, outcome: Agreement) -> SegmentWord:
        """Of a segment as a log has it."""
        start = SEED if segment.start is None else Word(segment.start.record.digest)
        return cls(segment.number, start, Word(segment.ends[-1].record.digest), outcome)

    def is_of(self, segment: Segment) -> bool:
        """Whether a log has a segment of this number between these two checkpoints."""
        return self == SegmentWord.of(segment, self.outcome)

    def to_json(self) -> dict[str, Any]:
        """The form in attestations."""
        return {
            "segment": self.number,
            "start": str(self.start),
            "end": str(self.end),
            "class": self.outcome,
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> SegmentWord:
        """Read what `to_json` writes (attacker-controlled).

        Raises:
            InputError, KeyError, TypeError, ValueError: it is something else.
        """
        start, end = Word.parse(value["start"]), Word.parse(value["end"])
        return cls(_number(value["segment"]), start, end, Agreement(value["class"]))

    @property
    def _struct(self) -> bytes:
        outcome = keccak(self.outcome.encode())
        return bytes(
            keccak(keccak(_SEGMENT_TYPE) + _word(self.number) + self.start + self.end + outcome)
        )


@dataclass(frozen=True)
class Audit:
    """What is signed: one replay, with each segment that its nonce drew.

    One signature is about all of them, so that nobody can show the good ones alone.

    size, root: of the log that was trained again, up to and with `run.close`.
    segments: how many the run has. nonce: drew `replayed`, as many as these are.
    stack: of the auditor's machine, as `run.open` has that of the run's.
    block, block_hash: a block that was final when this was signed.
    """

    run_id: RunId
    size: int
    root: bytes
    segments: int
    nonce: Word
    replayed: tuple[SegmentWord, ...]
    stack: Mapping[str, Any]
    block: int
    block_hash: bytes

    @property
    def stack_digest(self) -> bytes:
        """SHA-256 of the stack's canonical JSON."""
        return sha256(canonical_json(self.stack))

    def digest(self, domain: Domain) -> bytes:
        """The 32 bytes that an auditor signs (EIP-712).

        Raises:
            InputError: a stack that canonical JSON cannot have.
            OverflowError: a number is no uint64.
            ValueError: a root or hash has not 32 bytes.
        """
        # Typed data has an array as the hash of its members' hashes.
        replayed = bytes(keccak(b"".join(one._struct for one in self.replayed)))
        return domain.digest(
            _AUDIT_TYPE,
            self.run_id,
            _word(self.size),
            self.root,
            _word(self.segments),
            self.nonce,
            replayed,
            self.stack_digest,
            _word(self.block),
            self.block_hash,
        )

    def to_json(self) -> dict[str, Any]:
        """The form in attestations."""
        return {
            "run_id": str(self.run_id),
            "size": self.size,
            "root": to_hex(self.root),
            "segments": self.segments,
            "nonce": str(self.nonce),
            "replayed": [one.to_json() for one in self.replayed],
            "stack": dict(self.stack),
            "block": self.block,
            "block_hash": to_hex(self.block_hash),
        }

    @classmethod
    def read(cls, value: Mapping[str, Any]) -> Audit:
        """Read what `to_json` writes (attacker-controlled); raises as `SegmentWord.read`."""
        if not isinstance(value["stack"], dict) or not isinstance(value["replayed"], list):
            raise ValueError("no stack, or nothing replayed")
        return cls(
            RunId.parse(value["run_id"]),
            _number(value["size"]),
            from_hex(value["root"], _WORD),
            _number(value["segments"]),
            Word.parse(value["nonce"]),
            tuple(map(SegmentWord.read, value["replayed"])),
            value["stack"],
            _number(value["block"]),
            from_hex(value["block_hash"], _WORD),
        )

    def worst(self) -> Agreement:
        """The worst class of any of its segments, at least one."""
        return Agreement.worst(one.outcome for one in self.replayed)


@dataclass(frozen=True)
class Attestation:
    """An audit, who is said to have signed it, and the signature.

    signature: 65 bytes; empty where no key signed, but a contract sends the digest.
    """

    audit: Audit
    auditor: Address
    signature: bytes

    def require_signed(self, domain: Domain) -> None:
        """Check that the auditor's own key signed this, for this chain and registry.

        Raises:
            VerificationError: another key, or a malformed signature.
        """
        require_signer(
            "attestation", lambda: self.audit.digest(domain), self.signature, self.auditor
        )

    def to_json(self) -> dict[str, Any]:
        """The form in files, docs/formats/attestations.md.

        Law: `Attestation.read(a.to_json()) == a`.
        """
        return {
            "format": FORMAT,
            **self.audit.to_json(),
            "auditor": str(self.auditor),
            "signature": to_hex(self.signature),
        }

    @classmethod
    def read(cls, value: object) -> Attestation:
        """Read a parsed line (attacker-controlled).

        Raises:
            InputError: malformed.
        """
        try:
            if not isinstance(value, dict) or value.keys() != _FIELDS or value["format"] != FORMAT:
                raise ValueError(f"not {FORMAT}")
            auditor = Address(to_hex(from_hex(value["auditor"], 20)))
            signature = from_hex(value["signature"])
            if len(signature) not in (0, _SIGNATURE):
                raise ValueError(f"a signature of {len(signature)} bytes")
            found = cls(Audit.read(value), auditor, signature)
            canonical_json(found.audit.stack)  # one that cannot be signed is refused here
        except (ValueError, KeyError, TypeError, AttributeError, ProvenanceError) as error:
            raise InputError("not an attestation", actual=str(error)[:80]) from error
        if not found.audit.replayed:
            raise InputError("not an attestation", actual="nothing was replayed")
        return found


FORMAT = "provenance-audit/1"
_FIELDS = {
    "format",
    "run_id",
    "size",
    "root",
    "segments",
    "nonce",
    "replayed",
    "stack",
    "block",
    "block_hash",
    "auditor",
    "signature",
}


def words_of(
    segments: Sequence[Segment], outcomes: Mapping[int, Agreement]
) -> tuple[SegmentWord, ...]:
    """What is said of each segment, by its number."""
    return tuple(SegmentWord.of(segments[n], outcomes[n]) for n in sorted(outcomes))


def _word(number: int) -> bytes:
    return u64(number).rjust(_WORD, b"\0")


def _number(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**63:
        raise ValueError("not a number")
    return value
