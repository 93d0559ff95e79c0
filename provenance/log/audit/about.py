"""Whether an attestation is about a run's log, and whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import VerificationError
from provenance.ids import RunId, to_hex
from provenance.log.audit.attestation import Attestation, Audit
from provenance.log.audit.draw import drawn
from provenance.log.graph.segments import Segment, end_of
from provenance.log.history import History
from provenance.log.record import Record
from provenance.merkle import Tree
from provenance.signing import Domain


@dataclass(frozen=True)
class AuditedLog:
    """The log of one run, whose training has ended, as attestations are compared with it.

    tree: over its records. size: of them up to and with `run.close`: what comes after the training
        is not an auditor's subject.
    domain: where signatures about it count.
    """

    run_id: RunId
    tree: Tree
    size: int
    segments: Sequence[Segment]
    domain: Domain

    @classmethod
    def of(
        cls,
        run_id: RunId,
        records: Sequence[Record],
        history: History,
        segments: Sequence[Segment],
        domain: Domain,
    ) -> AuditedLog:
        """Of a run's records, their history and its segments."""
        tree = Tree([record.entry for record in records])
        return cls(run_id, tree, end_of(history) + 1, segments, domain)

    def require_about(self, attestation: Attestation) -> None:
        """Check that an attestation (attacker-controlled) is about this log and signed.

        It must be about all segments that its nonce drew, so that nobody shows the good ones alone.

        Raises:
            VerificationError: about another run, log or checkpoint, not whole, or not signed by the
                key that it names.
        """
        self._require_size(attestation.audit)
        attestation.require_signed(self.domain)
        self._require_whole(attestation.audit)

    def require_line(self, attestation: Attestation) -> None:
        """Check a line to be kept: as `require_about`, unless nothing is signed in it.

        A contract cannot sign: that it sent the digest to the chain makes such a line its word.

        Raises:
            VerificationError: as `require_about`.
        """
        if attestation.signature:
            self.require_about(attestation)
        else:
            self.require_said(attestation.audit)

    def require_said(self, audit: Audit) -> None:
        """Check the same of what an account is known to have said in another way than by a key.

        Raises:
            VerificationError: as `require_about`.
        """
        self._require_size(audit)
        self._require_whole(audit)

    def _require_size(self, audit: Audit) -> None:
        """What costs nothing, however much is planted."""
        self._require_log(audit.run_id, audit.size, audit.root)
        numbers, count = [one.number for one in audit.replayed], len(self.segments)
        if audit.segments != count or len(numbers) > count:
            raise VerificationError(
                "attestation is about another number of segments",
                expected=count,
                actual=audit.segments,
            )

    def _require_whole(self, audit: Audit) -> None:
        numbers, count = [one.number for one in audit.replayed], len(self.segments)
        expected = drawn(count, len(numbers), audit.nonce)
        if numbers != expected:
            raise VerificationError(
                "attestation is about other segments than its nonce drew",
                expected=expected,
                actual=numbers,
            )
        for one in audit.replayed:
            if not one.is_of(self.segments[one.number]):
                raise VerificationError(
                    "attestation is about other checkpoints", where=f"segment {one.number}"
                )

    def _require_log(self, run_id: RunId, size: int, root: bytes) -> None:
        if run_id != self.run_id:
            raise VerificationError(
                "attestation is about another run", expected=self.run_id, actual=run_id
            )
        expected = self.tree.root(self.size)
        if (size, root) != (self.size, expected):
            raise VerificationError(
                "attestation is about another log",
                expected=f"root {to_hex(expected)} of {self.size} records",
                actual=f"root {to_hex(root)} of {size} records",
            )
