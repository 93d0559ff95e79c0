"""What auditors of the trust file sent to the chain about a run, and which lines at hand it is.

The chain says who sent a digest and when, and how many there are. So nobody who stole a key can say
that something was attested earlier, and no line can be left out without this being seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from provenance.errors import NotFound, VerificationError
from provenance.ids import Address
from provenance.judgement.facts import MAX_ATTESTED, ChainSnapshot
from provenance.judgement.segment_draw import closing_head
from provenance.judgement.third_parties import Auditor, Auditors
from provenance.log.audit.about import AuditedLog
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.attestation import Attestation
from provenance.text.counted import counted
from provenance.text.shown import quoted


@dataclass(frozen=True)
class Sent:
    """What auditors sent about a run in final blocks of their windows.

    What they sent outside it says nothing: whoever stole a key later cannot take back with it what
    the auditor had said.

    blocks: of each auditor and digest, the block in which it was sent.
    unread: of each auditor who sent more than is read, how many digests in all.
    """

    blocks: Mapping[tuple[Address, bytes], int]
    unread: Mapping[Address, int]

    @classmethod
    def of(cls, snapshot: ChainSnapshot, about: AuditedLog, auditors: Auditors) -> Sent:
        """Of each auditor, by one question to the contract.

        Raises:
            UnavailableError: the chain does not answer, or says what cannot be.
        """
        blocks, unread = dict[tuple[Address, bytes], int](), dict[Address, int]()
        for auditor in auditors.named:
            found = snapshot.attested(about.run_id, auditor.address)
            numbers = [entry.block_number for entry in found.entries]
            # The rest was sent no earlier than the last one that was read.
            if found.total > len(numbers) and not _is_over(auditor, max(numbers, default=0)):
                unread[auditor.address] = found.total
            for entry in found.entries:
                if auditor.covers(entry.block_number):
                    blocks[auditor.address, entry.digest] = entry.block_number
        return cls(blocks, unread)

    def at_hand(
        self, lines: Iterable[Attestation], about: AuditedLog
    ) -> dict[tuple[Address, bytes], Attestation]:
        """The lines (attacker-controlled) that were sent, by auditor and digest.

        A signature is not asked for: who sent the digest said what the line says. Once all of them
        are found, no more lines are read: anybody can add more.
        """
        found = dict[tuple[Address, bytes], Attestation]()
        left, senders = set(self.blocks), {auditor for auditor, _ in self.blocks}
        unread = iter(lines)
        while left and (line := next(unread, None)) is not None:
            if line.auditor in senders:
                key = line.auditor, line.audit.digest(about.domain)
                if key in left:
                    left.remove(key)
                    found[key] = line
        return found

    def counting(
        self,
        snapshot: ChainSnapshot,
        at_hand: Mapping[tuple[Address, bytes], Attestation],
        about: AuditedLog,
    ) -> list[Attestation]:
        """Those that are about this log, and were sent after its training had ended on chain.

        One that says `different` counts whenever it was sent, for it names the log with its end.

        Raises:
            UnavailableError: the chain does not answer.
        """
        found, closed = list[Attestation](), snapshot.block.number
        with suppress(NotFound):  # the training has not ended on chain
            closed = closing_head(snapshot, about.run_id, about.size - 1).block_number
        for key, line in at_hand.items():
            with suppress(VerificationError):
                about.require_said(line.audit)
                if self.blocks[key] > closed or line.audit.worst() is Agreement.DIFFERENT:
                    found.append(line)
        return found

    def missing(
        self, at_hand: Mapping[tuple[Address, bytes], Attestation], auditors: Auditors
    ) -> dict[Address, str]:
        """Of each auditor who sent what is not at hand, how much that is, in words."""
        count = Counter(
            auditor for auditor, digest in self.blocks if (auditor, digest) not in at_hand
        )
        found = dict[Address, str]()
        for auditor in auditors.named:
            name, lacking = quoted(auditor.name), count[auditor.address]
            if (total := self.unread.get(auditor.address)) is not None:
                found[auditor.address] = (
                    f"{name} sent {total} attestations about this run, more than the "
                    f"{MAX_ATTESTED} that are read"
                )
            elif lacking:
                verb = "is" if lacking == 1 else "are"
                found[auditor.address] = (
                    f"{counted(lacking, 'attestation')} that {name} sent to the chain {verb} not "
                    "at hand"
                )
        return found


def _is_over(auditor: Auditor, block: int) -> bool:
    return auditor.to_block is not None and block > auditor.to_block
