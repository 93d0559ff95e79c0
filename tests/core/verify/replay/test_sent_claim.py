"""The word of auditors on chain: nothing can be left out, backdated, or sent by somebody else.

The trust file names the contract of attestations, so a line counts if its auditor sent its digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.errors import NotFound, UnavailableError
from provenance.ids import Address, RunId, Word
from provenance.judgement.facts import MAX_ATTESTED, Attested, Contract
from provenance.judgement.third_parties import Auditor, Auditors
from provenance.judgement.verdict import Claim, Grade, Status
from provenance.log.audit.attestation import Attestation, Audit
from provenance.signing import Domain
from provenance.verify.s09_recomputation import audited
from tests.core.verify.replay.test_audited_claim import A, B, copy_of, forged, told
from tests.core.verify.replay.test_replayed_claim import Replayer, came_to
from tests.core.verify.test_planted_evidence import Folders
from tests.support.core.auditors import MadeAuditor, ThreeSegments, audit_of, trusting
from tests.support.memory_chain import FINALITY_BLOCKS, IDENTITY, MemorySnapshot
from tests.support.memory_run import DOMAIN

CONTRACTS = {
    **IDENTITY.contracts,
    "attestations": Contract(Address("0x" + "cc" * 20), "0x" + "44" * 32),
}
WALLET = Address("0x" + "dd" * 20)


def run_of_two(needed: int = 2, **window: int) -> ThreeSegments:
    """A run whose verifier wants the word of so many of two auditors, on chain."""
    run = ThreeSegments()
    run.chain.answering = replace(IDENTITY, contracts=CONTRACTS)
    run.trust = replace(trusting(run.trust, needed, A, B, **window), contracts=CONTRACTS)
    return run


def send(run: ThreeSegments, line: Attestation, by: str | None = None) -> int:
    """Its auditor, or somebody else, sends a line's digest; returns the block, which is final."""
    digest = line.audit.digest(DOMAIN)
    block = run.chain.attest(by or line.auditor, RunId(run.run_id), digest)
    run.chain.mine(FINALITY_BLOCKS)
    return block


def both(run: ThreeSegments) -> list[Attestation]:
    lines = [A.sign(audit_of(run)), B.sign(audit_of(run))]
    for line in lines:
        send(run, line)
    return lines


def claim_of(run: ThreeSegments, **how: Any) -> Claim:
    return told(run.judge(**how))[0]


def accusing(run: ThreeSegments) -> Attestation:
    return A.sign(audit_of(run, outcomes={1: "different"}))


def test_what_two_auditors_sent_lifts_the_edge() -> None:
    run = run_of_two()
    run.evidence.attested = both(run)
    verdict = run.judge()
    claim, edge = told(verdict)
    assert (verdict.status, claim.holds, edge.grade) == (Status.VERIFIED, True, Grade.AUDITED)
    assert claim.text == (
        "the whole training (3 segments) was done again, each by at least 2 of the trust file's "
        "auditors, who told the chain that each checkpoint at its end has the logged bits "
        '("Anna" 3, "Bert" 3); all that they told it about this run in their windows is at '
        "hand; nothing was trained here"
    )


def test_a_signature_alone_does_not_count() -> None:
    run = run_of_two()
    run.evidence.attested = [A.sign(audit_of(run)), B.sign(audit_of(run))]
    claim = claim_of(run)
    assert (claim.holds, "provenance audit anchor" in str(claim.needs)) == (None, True)
    send(run, run.evidence.attested[0])
    claim = claim_of(run)
    assert (claim.holds, claim.needs) == (
        None,
        "attestations of 2 auditors about the same segments",
    )


def test_what_is_sent_in_a_block_that_is_not_final_does_not_count() -> None:
    run = run_of_two(1)
    run.evidence.attested = [A.sign(audit_of(run))]
    run.chain.attest(A.address, RunId(run.run_id), run.evidence.attested[0].audit.digest(DOMAIN))
    assert claim_of(run).holds is None
    run.chain.mine(FINALITY_BLOCKS)
    assert claim_of(run).holds is True


# The attacks.


@pytest.mark.parametrize("needed", [1, 2])
def test_a_publisher_who_keeps_back_the_one_that_says_different_is_found_out(needed: int) -> None:
    """Also if others are enough without it: else it would be hidden by leaving it out."""
    run = run_of_two(needed)
    good, bad = both(run), accusing(run)
    send(run, bad)
    run.evidence.attested = good
    verdict = run.judge()
    assert (verdict.status, told(verdict)[0].holds) == (Status.INDETERMINATE, None)
    assert '1 attestation that "Anna" sent to the chain is not at hand' in verdict.reason
    run.evidence.attested = [*good, bad]
    assert run.judge().status is Status.FAILED


def test_who_shows_only_the_one_that_says_different_fails_all_the_same() -> None:
    run = run_of_two(1)
    good, bad = both(run), accusing(run)
    send(run, bad)
    run.evidence.attested = [bad, good[1]]
    verdict = run.judge()
    assert (verdict.status, verdict.training is not None) == (Status.FAILED, True)
    told_of = [dict(s.auditors) for s in verdict.training.segments] if verdict.training else []
    exact = {"Bert": {"exact": 1}}
    assert told_of == [exact, {"Anna": {"different": 1}, **exact}, exact]


@pytest.mark.parametrize("replayer", [came_to(3, ".e."), came_to(3, "eee"), NotFound("no base")])
def test_training_again_here_does_not_make_up_for_what_is_kept_back(replayer: Any) -> None:
    run = run_of_two(1)
    good = both(run)
    send(run, accusing(run))
    for at_hand in (good, []):
        run.evidence.attested = at_hand
        verdict = run.judge(replayer=Replayer(replayer))
        assert verdict.status is Status.INDETERMINATE
        assert '"Anna" sent to the chain' in verdict.reason


def test_a_stolen_key_cannot_backdate_into_the_window() -> None:
    """The line names a block of the window; the chain knows when it was really sent."""
    run = run_of_two(1)
    line = A.sign(audit_of(run))
    last = line.audit.block
    run.trust = replace(trusting(run.trust, 1, A, B, to_block=last), contracts=CONTRACTS)
    run.evidence.attested = [line]
    assert send(run, line) > last
    assert claim_of(run).holds is None
    for window, holds in (({"to_block": 10**6}, True), ({"from_block": 10**6}, None)):
        run.trust = replace(trusting(run.trust, 1, A, B, **window), contracts=CONTRACTS)
        assert claim_of(run).holds is holds


def test_what_a_thief_sends_after_the_window_takes_back_nothing() -> None:
    run = run_of_two(1)
    run.evidence.attested = [line := A.sign(audit_of(run))]
    last = send(run, line)
    run.trust = replace(trusting(run.trust, 1, A, B, to_block=last), contracts=CONTRACTS)
    for number in range(MAX_ATTESTED + 1):
        run.chain.attest(A.address, RunId(run.run_id), bytes([number + 1]) * 32)
    run.chain.mine(FINALITY_BLOCKS)
    assert claim_of(run).holds is True


def test_a_foreign_account_that_sends_an_auditors_digest_counts_for_nobody() -> None:
    run = run_of_two(1)
    run.evidence.attested = [line := A.sign(audit_of(run))]
    send(run, line, by=MadeAuditor.make("Stranger").address)
    assert claim_of(run).holds is None
    send(run, line, by=B.address)  # says the same, in his own name; his line is not at hand
    assert '1 attestation that "Bert" sent to the chain is not at hand' in run.judge().reason


def test_what_was_sent_before_the_training_had_ended_on_chain_does_not_count() -> None:
    """Also in the block of the head with `run.close`: nobody could know the log by it."""
    run = run_of_two(1)
    run.evidence.attested = [line := A.sign(audit_of(run))]
    send(run, line)
    close = [record.type for record in run.evidence.log].index("run.close")
    ended = next(h.block_number for _, _, h in run.chain.heads if h.size > close)
    ((run_id, auditor, entry),) = run.chain.attested
    for block, holds in ((ended - 1, None), (ended, None), (ended + 1, True)):
        run.chain.attested = [(run_id, auditor, replace(entry, block_number=block))]
        assert claim_of(run).holds is holds


def test_what_says_different_counts_though_it_was_sent_too_early() -> None:
    """Whoever names the log with its end knew it. The publisher says when that is on chain."""
    run = run_of_two(1)
    good, bad = both(run), accusing(run)
    send(run, bad)
    run.evidence.attested = [*good, bad]
    digest = bad.audit.digest(DOMAIN)
    run.chain.attested = [
        (run_id, auditor, replace(entry, block_number=1) if entry.digest == digest else entry)
        for run_id, auditor, entry in run.chain.attested
    ]
    assert run.judge().status is Status.FAILED


def test_no_line_is_read_that_cannot_be_one_that_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever adds lines without end costs a verifier nothing once all is found."""
    run, hashed = run_of_two(1), list[Audit]()
    crowd = [replace(forged(run), audit=other(run, nonce=Word(bytes([n]) * 32))) for n in range(9)]
    run.evidence.attested = [A.sign(audit_of(run)), *crowd, *crowd]
    original = Audit.digest

    def digest(self: Audit, domain: Domain) -> bytes:
        hashed.append(self)
        return original(self, domain)

    monkeypatch.setattr(Audit, "digest", digest)
    assert claim_of(run).holds is None
    assert hashed == []
    send(run, run.evidence.attested[0])
    hashed.clear()
    assert claim_of(run).holds is True
    assert [audit.nonce for audit in hashed] == [run.evidence.attested[0].audit.nonce]


def test_what_was_told_outside_the_windows_is_not_said_to_be_at_hand() -> None:
    """Anna found another checkpoint, and said so after her window."""
    run = run_of_two(1)
    run.evidence.attested = [A.sign(audit_of(run)), B.sign(audit_of(run))]
    last = max(send(run, line) for line in run.evidence.attested)
    send(run, accusing(run))
    run.trust = replace(trusting(run.trust, 1, A, B, to_block=last), contracts=CONTRACTS)
    claim = claim_of(run)
    assert claim.holds is True
    assert "all that they told it about this run in their windows is at hand" in claim.text


def other(run: ThreeSegments, **changes: Any) -> Audit:
    return replace(audit_of(run), **changes)


NOT_OF_THIS_LOG: dict[str, Callable[[ThreeSegments], Audit]] = {
    "another run": lambda run: other(run, run_id=RunId(b"\x01" * 32)),
    "another log": lambda run: other(run, root=bytes(32)),
    "another number of segments": lambda run: other(run, segments=4),
    "only what came out": lambda run: other(run, replayed=audit_of(run).replayed[:2]),
}


@pytest.mark.parametrize("name", NOT_OF_THIS_LOG)
def test_a_line_of_another_run_or_log_does_not_count_though_it_was_sent(name: str) -> None:
    run = run_of_two(1)
    run.evidence.attested = [line := A.sign(NOT_OF_THIS_LOG[name](run))]
    send(run, line)
    claim = claim_of(run)
    assert (claim.holds, claim.text) == (
        None,
        "training again from the batches makes the logged checkpoints",
    )


@pytest.mark.parametrize(
    "domain", [Domain(99, DOMAIN.registry), Domain(DOMAIN.chain_id, Address("0x" + "cd" * 20))]
)
def test_the_digest_of_a_line_for_another_chain_or_registry_is_none_at_hand(
    domain: Domain,
) -> None:
    run = run_of_two(1)
    run.evidence.attested = [line := A.sign(audit_of(run), domain)]
    run.chain.attest(A.address, RunId(run.run_id), line.audit.digest(domain))
    run.chain.mine(FINALITY_BLOCKS)
    verdict = run.judge()
    assert verdict.status is Status.INDETERMINATE
    assert '"Anna" sent to the chain is not at hand' in verdict.reason


def test_more_than_is_read_is_an_answer_too() -> None:
    run = run_of_two(1)
    run.evidence.attested = both(run)
    for number in range(MAX_ATTESTED):
        run.chain.attest(A.address, RunId(run.run_id), bytes([number + 1]) * 32)
    run.chain.mine(FINALITY_BLOCKS)
    verdict = run.judge()
    assert (verdict.status, told(verdict)[0].holds) == (Status.INDETERMINATE, None)
    assert '"Anna" sent 65 attestations about this run, more than the 64 that are' in verdict.reason


def test_false_lines_do_not_keep_a_line_that_was_sent_from_being_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(audited, "MAX_ATTESTATIONS", 4)
    run = run_of_two()
    good = both(run)
    crowd = [replace(forged(run), audit=other(run, nonce=Word(bytes([n]) * 32))) for n in range(9)]
    run.source = Folders(run, [copy_of(run, [*crowd, *good]), run.evidence])
    assert claim_of(run).holds is True


def test_a_contract_is_an_auditor_by_what_it_sent() -> None:
    """No key signs for it, and none is asked for: nobody else can send in its name."""
    run = run_of_two(1)
    named = Auditors((Auditor(WALLET, "House"),), 1)
    run.trust = replace(run.trust, auditors=named)
    line = Attestation(audit_of(run), WALLET, b"")
    run.evidence.attested = [line]
    assert claim_of(run).holds is None
    send(run, line)
    assert claim_of(run).holds is True
    run.trust = replace(run.trust, contracts=IDENTITY.contracts)
    assert claim_of(run).holds is None  # by a file without the contract, only a key can sign


def test_each_auditor_is_asked_for_once_at_the_final_block(monkeypatch: pytest.MonkeyPatch) -> None:
    run, asked = run_of_two(), list[tuple[str, int]]()
    run.evidence.attested = both(run)
    run.source = Folders(run, [copy_of(run, both_lines := run.evidence.attested), run.evidence])
    assert len(both_lines) == 2
    answer = MemorySnapshot.attested

    def noted(self: MemorySnapshot, run_id: bytes, auditor: str) -> Attested:
        asked.append((auditor, self.block.number))
        return answer(self, run_id, auditor)

    monkeypatch.setattr(MemorySnapshot, "attested", noted)
    assert claim_of(run).holds is True
    final = run.chain.final().block.number
    assert asked == [(A.address, final), (B.address, final)]


def test_an_endpoint_that_does_not_answer_leaves_the_verdict_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_of_two()
    run.evidence.attested = both(run)

    def silent(self: MemorySnapshot, run_id: bytes, auditor: str) -> Attested:
        raise UnavailableError("endpoint gives other attestations than the contract can have")

    monkeypatch.setattr(MemorySnapshot, "attested", silent)
    verdict = run.judge()
    assert (verdict.status, "other attestations" in verdict.reason) == (Status.INDETERMINATE, True)


def test_without_the_contract_nothing_is_asked_and_the_words_say_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = run_of_two()
    run.evidence.attested = [A.sign(audit_of(run)), B.sign(audit_of(run))]
    run.trust = replace(run.trust, contracts=IDENTITY.contracts)
    monkeypatch.delattr(MemorySnapshot, "attested")
    claim = claim_of(run)
    assert claim.holds is True
    assert "what else they signed is not known, for none of it is on chain" in claim.text
