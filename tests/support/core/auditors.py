"""Auditors with keys of their own, and runs of three segments for them to sign."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from eth_account import Account
from eth_account.signers.local import LocalAccount

from provenance.ids import Address, RunId, Word
from provenance.judgement.third_parties import Auditor, Auditors
from provenance.judgement.trust import Trust
from provenance.log.audit.agreement import Agreement
from provenance.log.audit.attestation import Attestation, Audit, words_of
from provenance.log.audit.draw import drawn
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.record import Record
from provenance.merkle import Tree
from provenance.signing import Domain, sign_digest
from tests.support.memory_run import DOMAIN, MemoryRun

NONCE = Word(b"\x07" * 32)
STACK = {"torch": "2.15.0", "threads": 2}


@dataclass(frozen=True)
class MadeAuditor:
    """An auditor of the tests."""

    name: str
    account: LocalAccount

    @classmethod
    def make(cls, name: str) -> MadeAuditor:
        return cls(name, Account.create())

    @property
    def address(self) -> Address:
        return Address(self.account.address)

    def sign(self, audit: Audit, domain: Domain = DOMAIN) -> Attestation:
        signature = sign_digest(self.account, audit.digest(domain))
        return Attestation(audit, self.address, signature)


def trusting(trust: Trust, needed: int, *auditors: MadeAuditor, **window: int) -> Trust:
    """The trust file with these auditors."""
    named = tuple(Auditor(a.address, a.name, **window) for a in auditors)
    return replace(trust, auditors=Auditors(named, needed))


class ThreeSegments(MemoryRun):
    """A released run with a checkpoint after each of its three steps; its opening names a stack."""

    def __init__(self, **options: Any) -> None:
        super().__init__(opening={"environment": {"stack": STACK}}, **options)

    def _training(self) -> list[Record]:
        seed, first, second, third, end, last, close = super()._training()

        def checkpoint(step: int, last_batch: int, **more: int) -> Record:
            fields = dict(last.fields) | {"last_batch": last_batch, "consumed": 4 * step} | more
            path = f"checkpoint-{step}"
            return Record.make("checkpoint", last.time, **fields | {"step": step, "path": path})

        saved = checkpoint(1, 2), checkpoint(2, 4, previous=3)
        shipped = replace(last, fields=dict(last.fields) | {"last_batch": 6, "previous": 5})
        return [seed, first, saved[0], second, saved[1], third, end, shipped, close]

    def _later(self) -> list[Record]:
        merge, *rest = super()._later()
        index = [r.type for r in self.evidence.log].index("run.close") - 1
        return [replace(merge, fields=dict(merge.fields) | {"checkpoint": index}), *rest]


def audit_of(
    run: MemoryRun,
    *,
    wanted: int = 3,
    nonce: Word = NONCE,
    outcomes: Mapping[int, str] | None = None,
) -> Audit:
    """What an honest auditor finds of a run, in a block that is final."""
    log = run.evidence.log
    segments = segments_of(read_history(log))
    numbers = drawn(len(segments), wanted, nonce)
    block = run.chain.final().block
    size = [record.type for record in log].index("run.close") + 1
    return Audit(
        RunId(run.run_id),
        size,
        Tree([record.entry for record in log[:size]]).root(),
        len(segments),
        nonce,
        words_of(segments, {n: Agreement((outcomes or {}).get(n, "exact")) for n in numbers}),
        STACK,
        block.number,
        block.hash,
    )
