"""Every step of a verification on a chain in memory: which claim fails, and the verdict then."""

from __future__ import annotations

import pkgutil
import re
from collections.abc import Callable
from dataclasses import replace
from itertools import groupby
from typing import Any

import pytest

import provenance.verify
from provenance.digest import sha256
from provenance.errors import RejectedError, UnavailableError
from provenance.ids import NO_ADDRESS, Address
from provenance.judgement.facts import BlockRef, ChainIdentity, ClaimFacts, Contract
from provenance.judgement.policy import CLAIMS, DEFAULT_REQUIRED, Policy
from provenance.judgement.verdict import Status
from provenance.log.record import Record
from provenance.verify.protocols import BatchCount
from tests.support.memory_chain import IDENTITY, MemoryChain, MemorySnapshot
from tests.support.memory_run import DATASET, MODEL, OWNER, TIME, MemoryRun
from tests.support.spine import failing

Records = list[Record]


def edited(index: int, **fields: Any) -> Callable[[Records], Records]:
    return lambda log: [
        *log[:index],
        replace(log[index], fields=dict(log[index].fields) | fields),
        *log[index + 1 :],
    ]


def test_an_honest_run_is_verified() -> None:
    run = MemoryRun()
    verdict = run.judge()
    assert (verdict.status, failing(verdict), verdict.exit_code) == (Status.VERIFIED, [], 0)
    assert len(run.believer.epochs) == len(run.believer.registrations) == 1


def test_the_prover_is_given_what_was_recomputed() -> None:
    run = MemoryRun()
    run.judge()
    (evidence,) = run.believer.epochs
    assert (evidence.run_id, evidence.seed, evidence.number, evidence.words) == (
        run.run_id,
        run.seed,
        0,
        b"epoch words",
    )
    assert len(evidence.leaves) == len(evidence.order) == 12


def test_every_default_claim_is_made_by_a_step() -> None:
    made = {c.id for c in MemoryRun().judge().claims}
    assert DEFAULT_REQUIRED <= made <= set(CLAIMS)


def test_there_are_ten_steps_and_claims_are_made_in_their_order() -> None:
    """Claims are numbered by what they are about (docs/formats/verdict.md), steps by their turn."""
    names = [module.name for module in pkgutil.iter_modules(provenance.verify.__path__)]
    turns = [int(name[1:3]) for name in sorted(names) if re.match(r"s\d\d_", name)]
    assert turns == list(range(1, 11))
    subjects = [step for step, _ in groupby(c.step for c in MemoryRun().judge().claims)]
    assert subjects == [1, 4, 2, 3, 4, 5, 8, 6, 7, 9]


# log[0] is the seed, 1..3 the batches, 4 the checkpoint, 5 the epoch, 6 the merge, 7 the
# quantization, 8 the release.
LOG_EDITS: dict[str, tuple[Callable[[Records], Records], str]] = {
    "no seed": (lambda log: log[1:], "run.preregistered"),
    "local seed": (edited(0, source="local"), "run.preregistered"),
    "another seed": (edited(0, seed="0x" + "00" * 32), "run.preregistered"),
    "batch before the seed": (lambda log: [log[1], log[0], *log[2:]], "run.preregistered"),
    "two seeds": (lambda log: [log[0], *log], "lineage.complete"),
    "no checkpoint": (lambda log: [*log[:4], *log[5:]], "lineage.complete"),
    "no merge": (lambda log: [*log[:6], *log[7:]], "lineage.complete"),
    "no quantize": (lambda log: [*log[:7], *log[8:]], "lineage.complete"),
    "merge after quantize": (lambda log: [*log[:6], log[7], log[6], log[8]], "lineage.complete"),
    "checkpoint after merge": (
        lambda log: [*log[:4], log[5], log[6], log[4], *log[7:]],
        "lineage.complete",
    ),
    "checkpoint before the batches": (
        lambda log: [log[0], log[4], *log[1:4], *log[5:]],
        "lineage.complete",
    ),
    "checkpoint consumed less": (edited(4, consumed=11), "lineage.complete"),
    "checkpoint of another epoch": (edited(4, epoch=1), "lineage.complete"),
    "unmatched tensors": (edited(2, unmatched=1), "lineage.complete"),
    "abandons the future": (
        lambda log: [log[0], Record.make("resume", TIME, from_=0, abandons=[9], step=0), *log[1:]],
        "lineage.complete",
    ),
    "abandons a batch": (
        lambda log: [
            *log[:5],
            Record.make("resume", TIME, from_=0, abandons=[3], step=0),
            *log[5:],
        ],
        "lineage.complete",
    ),
    "batches exchanged": (lambda log: [log[0], log[2], log[1], *log[3:]], "epoch.proven"),
    "position twice": (edited(2, positions=[3, 5, 6, 7]), "epoch.proven"),
    "positions exchanged": (edited(2, positions=[5, 4, 6, 7]), "epoch.proven"),
    "position beyond": (edited(3, positions=[8, 9, 10, 12]), "epoch.proven"),
    "huge position": (edited(3, positions=[8, 9, 10, 2**53 - 1]), "epoch.proven"),
    "fewer leaves": (edited(3, leaves=["0x" + "00" * 32]), "epoch.proven"),
    "another epoch": (
        lambda log: [
            replace(r, fields=dict(r.fields) | {"epoch": 3}) if "epoch" in r.fields else r
            for r in log
        ],
        "epoch.proven",
    ),
    "remainder invented": (edited(5, remainder=["0x" + "00" * 32]), "epoch.proven"),
    "consumed less": (edited(5, consumed=11), "epoch.proven"),
    "another anchoring": (edited(5, number=1), "epoch.proven"),
    "huge anchoring": (edited(5, number=2**53 - 1), "epoch.proven"),
    "no points": (
        lambda log: [
            *log[:5],
            Record("epoch", TIME, {k: v for k, v in log[5].fields.items() if k != "u_hash"}),
            *log[6:],
        ],
        "epoch.proven",
    ),
    "a batch of an unproven epoch": (
        lambda log: [
            *log[:5],
            replace(log[1], fields=dict(log[1].fields) | {"epoch": 1}),
            *log[5:],
        ],
        "",
    ),
}


@pytest.mark.parametrize(("change", "claim"), LOG_EDITS.values(), ids=LOG_EDITS.keys())
def test_a_log_that_contradicts_itself_fails_at_its_claim(
    change: Callable[[Records], Records], claim: str
) -> None:
    verdict = MemoryRun(change).judge()
    if not claim:
        assert verdict.status is Status.INDETERMINATE
        return
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


@pytest.mark.parametrize(
    ("opening", "claim"),
    [
        ({"dataset": {}}, "dataset.registered"),
        ({"dataset": {"root": 7}}, "dataset.registered"),
        ({"base": {}}, "lineage.complete"),
        ({"base": {"content": None, "name": ["x"]}}, "lineage.complete"),
        ({"signer": "0x" + "00" * 20}, "head.signed"),
    ],
    ids=str,
)
def test_an_opening_without_what_is_needed_fails(opening: dict[str, Any], claim: str) -> None:
    verdict = MemoryRun(opening=opening).judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, [claim])


def test_an_unproven_run_is_undetermined() -> None:
    verdict = MemoryRun(number=None).judge()
    assert (verdict.status, failing(verdict)) == (Status.INDETERMINATE, [])


def test_an_anchoring_that_is_not_accepted_fails() -> None:
    run = MemoryRun()
    run.chain.anchored[0] = (
        *run.chain.anchored[0][:2],
        replace(run.chain.anchored[0][2], accepted=False),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


def test_an_anchoring_from_before_the_batches_fails() -> None:
    run = MemoryRun()
    run.chain.anchored[0] = (
        *run.chain.anchored[0][:2],
        replace(run.chain.anchored[0][2], log_size=3),
    )
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["epoch.proven"])


@pytest.mark.parametrize(
    "registered",
    [
        None,
        {},
        {"points": 5},
        {"points": [[1, 2]]},
        {"points": [["0x1"]]},
        {"points": [["x", "y"]]},
    ],
    ids=str,
)
def test_a_malformed_registration_fails(registered: Any) -> None:
    run = MemoryRun()
    run.evidence.registered = registered
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_a_missing_key_fails() -> None:
    run = MemoryRun()
    run.evidence.keys.clear()
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


def test_a_registration_that_is_not_finished_fails() -> None:
    run = MemoryRun()
    block, name, facts = run.chain.datasets[0]
    run.chain.datasets[0] = (block, name, replace(facts, finished=False))
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["dataset.registered"])


# Chain


def test_a_chain_that_goes_down_at_any_question_is_undetermined() -> None:
    """Whatever the verifier asks first, .. n-th: silence is never `verified` nor `failed`."""
    asked = count_questions(MemoryRun())
    assert asked > 10
    for n in range(asked):
        run = MemoryRun()
        silence_after(run.chain, n)
        assert run.judge().status is Status.INDETERMINATE, n


def test_a_verdict_stands_without_its_dates() -> None:
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
    """The honest chain, but for what it says of one contract."""
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


@pytest.mark.parametrize("name", ["audits", "models"])
def test_statement_contracts_are_compared_where_they_are_pinned(name: str) -> None:
    """Another code, another address or none is not the pinned chain.

    What is not pinned is not compared.
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
    run.chain.revoke(OWNER, run.run_id, 9, "backdoor")
    run.evidence.log.append(
        replace(run.evidence.log[9], fields=dict(run.evidence.log[9].fields) | {"name": "again"})
    )
    run.release()
    run.chain.mine(3)
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.REVOKED, ["not.revoked"])
    assert "backdoor" in verdict.reason


def test_a_revocation_that_is_not_final_does_not_count_yet() -> None:
    run = MemoryRun()
    run.chain.revoke(OWNER, run.run_id, 9, "backdoor")
    assert run.judge().status is Status.VERIFIED
    run.chain.mine(2)
    assert run.judge().status is Status.REVOKED


@pytest.mark.parametrize("index", [0, 5, 7, 8, 9])
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
    run.chain.revoke(OWNER, run.run_id, 9, "why")
    run.chain.mine(3)
    assert run.judge().status is Status.REVOKED


def test_a_wrong_claim_of_a_run_fails_rather_than_waits() -> None:
    """A final release by another run is not `pending`, however long one waits."""
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


# Batches


class Counted:
    """A `DataChecker` with a given answer."""

    def __init__(self, recomputed: int, undetermined: int) -> None:
        self._count = BatchCount(recomputed, undetermined)

    def check_batches(self, records: object) -> BatchCount:
        return self._count


def test_undetermined_batches_are_not_checked_and_never_failed() -> None:
    required = Policy(require=DEFAULT_REQUIRED | {"batches.recomputed"})
    assert MemoryRun().judge(required, data=Counted(3, 0)).status is Status.VERIFIED
    verdict = MemoryRun().judge(data=Counted(2, 1))
    assert verdict.status is Status.VERIFIED
    (claim,) = (c for c in verdict.not_checked if c.id == "batches.recomputed")
    assert "2 batches recomputed" in str(claim.needs)
    assert "1 undetermined" in str(claim.needs)
    assert MemoryRun().judge(required, data=Counted(2, 1)).status is Status.INDETERMINATE


# Policy


@pytest.mark.parametrize("claim", sorted(DEFAULT_REQUIRED))
def test_a_required_claim_that_did_not_come_about_is_never_verified(claim: str) -> None:
    """Whatever keeps a claim from being made, its absence shows."""
    run = MemoryRun(number=None)
    verdict = run.judge(Policy(require=frozenset({claim, "training.replayed"})))
    assert verdict.status is Status.INDETERMINATE
    assert "training.replayed" in verdict.reason


# The fake itself keeps the contract's rules


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


def test_a_seed_that_was_never_drawn_is_not_matched_by_zeros() -> None:
    """A contract answers zeros for a run without a seed; anybody could know their order."""
    run = MemoryRun(edited(0, seed="0x" + "00" * 32))
    run.chain.seeds.clear()
    verdict = run.judge()
    assert (verdict.status, failing(verdict)) == (Status.FAILED, ["run.preregistered"])
    assert "never drawn" in verdict.reason
