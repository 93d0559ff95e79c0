"""What a verifier makes of a chain in memory: silence, lies, reorganisations, revocations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from provenance.digest import sha256
from provenance.errors import RejectedError, UnavailableError
from provenance.ids import NO_ADDRESS, Address
from provenance.judgement.facts import BlockRef, ChainIdentity, ClaimFacts, Contract
from provenance.judgement.verdict import Status
from tests.support.memory_chain import IDENTITY, MemoryChain, MemorySnapshot
from tests.support.memory_run import DATASET, MODEL, OWNER, MemoryRun
from tests.support.spine import failing


def test_a_chain_that_goes_down_at_any_question_is_undetermined() -> None:
    """The chain falls silent at the n-th question, for each n: never `verified`, never `failed`."""
    asked = count_questions(MemoryRun())
    assert asked > 10
    for n in range(asked):
        run = MemoryRun()
        silence_after(run.chain, n)
        assert run.judge().status is Status.INDETERMINATE, n


def test_a_verdict_stands_when_its_dates_cannot_be_read() -> None:
    run = MemoryRun()
    interval = run.judge().interval
    assert interval is not None
    drawn, block = interval["not_before"]["block"], run.chain.block

    def silent(number: int) -> BlockRef:
        if number == drawn:
            raise UnavailableError("chain does not answer")
        return block(number)

    run.chain.block = silent  # type: ignore[method-assign]
    verdict = run.judge()
    assert (verdict.status, verdict.interval) == (Status.VERIFIED, None)


QUESTIONS = (
    "run",
    "head",
    "claims",
    "revocation",
    "dataset_revocation",
    "dataset",
    "anchoring",
    "anchoring_count",
    "runs_of",
)


def count_questions(run: MemoryRun) -> int:
    count = silence_after(run.chain, 10**9)
    run.judge()
    return count[0]


def silence_after(chain: MemoryChain, limit: int) -> list[int]:
    """Let a chain answer `limit` questions, then none; the returned list counts them."""
    count = [0]

    class Counting(MemorySnapshot):
        def __getattribute__(self, name: str) -> Any:
            if name in QUESTIONS:
                count[0] += 1
                if count[0] > limit:
                    raise UnavailableError("chain does not answer")
            return super().__getattribute__(name)

    chain.at = lambda number: Counting(chain, chain.block(number))  # type: ignore[method-assign]
    return count


def test_an_endpoint_that_lies_about_a_claims_place_fails_and_does_not_crash() -> None:
    run = MemoryRun()
    model, claim = run.chain.released[0]
    for lie in (
        replace(claim, index=10**6),
        replace(claim, seq=9),
        replace(claim, record=bytes(32)),
        replace(claim, index=0),
    ):
        run.chain.released[0] = (model, lie)
        verdict = run.judge()
        assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.logged"])


def answering(name: str, contract: Contract | None) -> ChainIdentity:
    """The honest identity with another answer for one contract; None leaves it out."""
    others = {n: c for n, c in IDENTITY.contracts.items() if n != name}
    return replace(IDENTITY, contracts=others | ({name: contract} if contract else {}))


@pytest.mark.parametrize(
    "identity",
    [
        replace(IDENTITY, chain_id=5),
        replace(IDENTITY, genesis="0x" + "00" * 32),
        *(
            answering(name, replace(IDENTITY.contracts[name], **change))
            for name in ("registry", "ledger")
            for change in ({"address": NO_ADDRESS}, {"code_hash": "0x" + "00" * 32})
        ),
    ],
    ids=["chain_id", "genesis", "registry", "registry code", "ledger", "ledger code"],
)
def test_a_chain_that_differs_from_the_pinned_one_fails(identity: ChainIdentity) -> None:
    run = MemoryRun()
    run.chain.answering = identity
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])


@pytest.mark.parametrize("name", ["audits", "models", "attestations"])
def test_statement_contracts_are_compared_where_they_are_pinned(name: str) -> None:
    """A pinned contract fails with another code, with another address, or where it is missing.

    A contract that is not pinned is not compared.
    """
    pinned = Contract(Address("0x" + "cc" * 20), "0x" + "44" * 32)
    for other in (
        replace(pinned, code_hash="0x" + "00" * 32),
        replace(pinned, address=NO_ADDRESS),
        None,
    ):
        run = MemoryRun()
        run.chain.answering = answering(name, other)
        assert run.judge().status is Status.VERIFIED
        run.trust = replace(run.trust, contracts={**run.trust.contracts, name: pinned})
        verdict = run.judge()
        assert (verdict.status, failing(verdict)) == (Status.FAILED, ["chain.pinned"])
    run.chain.answering = answering(name, pinned)
    assert run.judge().status is Status.VERIFIED


def test_addresses_are_compared_without_their_checksum_case() -> None:
    run = MemoryRun()
    pinned = IDENTITY.contracts["registry"]
    shouted = Address(pinned.address.upper().replace("0X", "0x"))
    run.chain.answering = answering("registry", replace(pinned, address=shouted))
    assert run.judge().status is Status.VERIFIED


def test_a_reorg_after_verified_takes_the_verdict_back() -> None:
    run = MemoryRun()
    assert run.judge().status is Status.VERIFIED
    run.chain.reorg(3)
    assert run.judge().status is Status.PENDING
    run.chain.reorg(2)
    run.chain.mine(9)
    assert run.judge().status is Status.NOT_FOUND


# Claims


def foreign(run: MemoryRun, **changes: Any) -> ClaimFacts:
    claim = replace(run.chain.released[0][1], **changes)
    run.chain.released.append((MODEL, claim))
    return claim


def test_a_strangers_claim_does_not_count() -> None:
    run = MemoryRun()
    foreign(run, owner="0x" + "99" * 20, run_id=bytes(32))
    assert run.judge().status is Status.VERIFIED
    run.chain.released.pop(0)
    assert run.judge().status is Status.NOT_FOUND


def test_a_revoked_release_revokes_the_digest_however_often_it_is_released() -> None:
    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, 11, "backdoor")
    run.evidence.log.append(
        replace(run.evidence.log[-1], fields=dict(run.evidence.log[-1].fields) | {"name": "again"})
    )
    run.release()
    run.chain.mine(3)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "backdoor" in verdict.reason


def test_a_revocation_that_is_not_final_does_not_count_yet() -> None:
    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, 11, "backdoor")
    assert run.judge().status is Status.VERIFIED
    run.chain.mine(2)
    assert run.judge().status is Status.REVOKED


@pytest.mark.parametrize("index", [0, 1, 5, 6, 8, 9, 10, 11])
def test_a_revoked_ancestor_revokes(index: int) -> None:
    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, index, "why")
    run.chain.mine(3)
    assert run.judge().status is Status.REVOKED


def test_a_dataset_revoked_by_its_owner_revokes_and_by_a_stranger_does_not() -> None:
    run = MemoryRun()
    block, name, facts = run.chain.datasets[0]
    run.chain.datasets[0] = (block, name, replace(facts, owner="0x" + "dd" * 20))
    run.chain.revoke_dataset("0x" + "99" * 20, DATASET, "spite")
    run.chain.mine(3)
    assert run.judge().status is Status.VERIFIED
    run.chain.revoke_dataset("0x" + "dd" * 20, DATASET, "consent withdrawn")
    run.chain.mine(3)
    assert run.judge().status is Status.REVOKED


def test_without_evidence_a_revoked_release_is_revoked_and_another_undetermined() -> None:
    run = MemoryRun()
    run.evidence.run_id = b""
    assert run.judge().status is Status.INDETERMINATE
    run.chain.revoke(OWNER, run.run_id, 11, "why")
    run.chain.mine(3)
    assert run.judge().status is Status.REVOKED


def test_a_release_named_with_another_run_fails_and_is_not_pending() -> None:
    """The release is final, so waiting cannot help."""
    verdict = MemoryRun().judge(release=bytes(32))
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["release.named"])


def test_an_unknown_digest_is_not_found() -> None:
    verdict = MemoryRun().judge(subject=str(sha256(b"unknown")))
    assert (verdict.status, verdict.exit_code) == (Status.NOT_FOUND, 4)


def test_sibling_runs_are_listed() -> None:
    run = MemoryRun()
    sibling = run.chain.open_run(OWNER, b"\x01" * 32, DATASET)
    run.chain.open_run(OWNER, b"\x01" * 32, b"\x02" * 32)
    run.chain.open_run("0x" + "99" * 20, b"\x01" * 32, DATASET)
    run.chain.mine(3)
    assert run.judge().siblings == ("0x" + sibling.hex(),)


# The chain in memory keeps the contract's rules


def test_the_chain_in_memory_refuses_what_the_contract_refuses() -> None:
    run = MemoryRun()
    chain, state = run.chain, run.chain.latest().run(run.run_id)
    assert state is not None
    refusals: list[tuple[str, Callable[[], object]]] = [
        ("NotWriter", lambda: chain.commit("0x00", run.run_id, state.seq + 1, bytes(32), 99, [])),
        ("WrongSequence", lambda: chain.commit(OWNER, run.run_id, state.seq, bytes(32), 99, [])),
        (
            "SizeNotGrown",
            lambda: chain.commit(OWNER, run.run_id, state.seq + 1, state.root, state.size, []),
        ),
        (
            "NotConsistent",
            lambda: chain.commit(OWNER, run.run_id, state.seq + 1, bytes(32), state.size + 1, []),
        ),
        ("AlreadyDrawn", lambda: chain.draw_seed(run.run_id)),
        ("UnknownRun", lambda: chain.draw_seed(bytes(32))),
        ("AlreadyReleased", run.release),
        ("NotOwner", lambda: chain.revoke("0x00", run.run_id, 0, "")),
        ("IndexOutOfRange", lambda: chain.revoke(OWNER, run.run_id, state.size, "")),
    ]
    for error, call in refusals:
        with pytest.raises(RejectedError) as caught:
            call()
        assert caught.value.actual == error
