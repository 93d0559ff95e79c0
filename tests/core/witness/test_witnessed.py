"""Claim `head.witnessed`: k of n witnesses of the trust file signed the released head, or it is not
checked. Nothing that is planted beside their cosignatures counts, or accuses anybody.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provenance.errors import InputError
from provenance.ids import Address, RunId
from provenance.judgement.policy import ALWAYS_REQUIRED, DEFAULT_REQUIRED, Policy
from provenance.judgement.third_parties import Witnesses
from provenance.judgement.verdict import Claim, Status, Verdict
from provenance.layout import RunFolder
from provenance.log.tree import Head
from provenance.log.witness.cosignature import MAX_AHEAD_S
from provenance.log.witness.kept import CosignedHead, parse_cosigned
from provenance.signing import Domain
from provenance.verify import verify
from provenance.verify.sources.evidence import FolderEvidence
from tests.core.verify.test_planted_evidence import Folders
from tests.support.core.witnesses import MadeWitness, trusting
from tests.support.memory_run import DOMAIN, MODEL, MemoryEvidence, MemoryRun

NOW = 1_800_000_000
A, B, C, STRANGER = (MadeWitness.make(f"witness.example/{name}") for name in "abcs")


def released(run: MemoryRun) -> Head:
    return run.evidence.signed[-1].head


def judged(run: MemoryRun, policy: Policy | None = None) -> Verdict:
    moment = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    return verify(str(MODEL), replace(run.verifier(policy), clock=lambda: moment))


def witnessed(
    needed: int, cosign: Callable[[Head], list[bytes]], *names: MadeWitness
) -> tuple[MemoryRun, Verdict]:
    run = MemoryRun()
    run.trust = trusting(run.trust, needed, *(names or (A, B, C)))
    run.evidence.cosigned = parse_cosigned(b"".join(cosign(released(run))))
    return run, judged(run)


def claim_of(verdict: Verdict) -> Claim:
    (claim,) = [c for c in verdict.claims if c.id == "head.witnessed"]
    return claim


def test_two_of_three_witnesses_are_told_with_the_latest_time() -> None:
    _, verdict = witnessed(
        2,
        lambda head: [
            C.cosigned(head, DOMAIN, NOW - 60),
            A.cosigned(head, DOMAIN, NOW - 90),
            A.cosigned(head, DOMAIN, NOW - 30),
            A.cosigned(head, DOMAIN, NOW - 99),
        ],
    )
    claim = claim_of(verdict)
    assert (verdict.status, claim.holds, claim.step) == (Status.VERIFIED, True, 3)
    assert claim.text.startswith(
        "2 of the 3 witnesses of the trust file (2 needed) signed that head 2, of 12 records, was "
    )
    assert "2027-01-15T07:59:30Z by its clock" in claim.text
    assert "what extends the head that it signed before is its word" in claim.text
    assert claim.evidence == {
        "witnesses": f"{A.name} {C.name}",
        "latest": "2027-01-15T07:59:30Z",
    }


def not_enough(verdict: Verdict) -> bool:
    claim = claim_of(verdict)
    return (
        verdict.status is Status.INDETERMINATE
        and claim.holds is None
        and "cosignatures.jsonl" in str(claim.needs)
    )


OTHER = Domain(DOMAIN.chain_id + 1, DOMAIN.registry)
ELSEWHERE = Domain(DOMAIN.chain_id, Address("0x" + "cd" * 20))


def of(head: Head, **changes: object) -> Head:
    return replace(head, **changes)  # type: ignore[arg-type]


# Each adds to one good cosignature by A; two are needed.
PLANTED: dict[str, Callable[[Head], list[bytes]]] = {
    "none": lambda head: [],
    "a stranger's": lambda head: [STRANGER.cosigned(head, DOMAIN, NOW)],
    "the same witness twice": lambda head: [A.cosigned(head, DOMAIN, NOW - 1)],
    "the same witness under another name": lambda head: [
        MadeWitness("witness.example/b", A.private).cosigned(head, DOMAIN, NOW)
    ],
    "another key under a trusted name": lambda head: [
        MadeWitness(B.name, STRANGER.private).cosigned(head, DOMAIN, NOW)
    ],
    "of another size": lambda head: [
        B.cosigned(of(head, size=head.size - 1), DOMAIN, NOW),
        B.cosigned(of(head, size=head.size - 1), DOMAIN, NOW, head),
    ],
    "of another root": lambda head: [
        B.cosigned(of(head, root=bytes(32)), DOMAIN, NOW),
        B.cosigned(of(head, root=bytes(32)), DOMAIN, NOW, head),
    ],
    "of another run": lambda head: [
        B.cosigned(of(head, run_id=RunId(bytes(32))), DOMAIN, NOW),
        B.cosigned(of(head, run_id=RunId(bytes(32))), DOMAIN, NOW, head),
    ],
    "for another chain": lambda head: [B.cosigned(head, OTHER, NOW)],
    "for another registry": lambda head: [B.cosigned(head, ELSEWHERE, NOW)],
    "from the future": lambda head: [B.cosigned(head, DOMAIN, NOW + MAX_AHEAD_S + 1)],
    "from no time that there is": lambda head: [B.cosigned(head, DOMAIN, 2**63 - 1)],
    "under a time that was not signed": lambda head: [
        CosignedHead(head, replace(B.kept(head, DOMAIN, NOW).cosignature, time=NOW - 1)).to_line()
    ],
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_is_planted_never_counts(planted: Callable[[Head], list[bytes]]) -> None:
    def lines(head: Head) -> list[bytes]:
        return [*planted(head), A.cosigned(head, DOMAIN, NOW - 7), *planted(head)]

    _, verdict = witnessed(2, lines)
    assert not_enough(verdict), verdict.reason
    assert claim_of(verdict).text.startswith("1 of the 3 witnesses of the trust file")
    assert "2 are needed" in claim_of(verdict).text


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED)
def test_what_is_planted_changes_no_honest_verdict(
    planted: Callable[[Head], list[bytes]],
) -> None:
    def lines(head: Head) -> list[bytes]:
        good = [w.cosigned(head, DOMAIN, NOW - 7) for w in (A, B)]
        return [*planted(head), *good, *planted(head)]

    _, verdict = witnessed(2, lines)
    assert verdict.status is Status.VERIFIED, verdict.reason
    assert claim_of(verdict).text.startswith("2 of the 3 witnesses")


def test_a_clock_that_is_a_little_ahead_counts() -> None:
    _, verdict = witnessed(1, lambda head: [A.cosigned(head, DOMAIN, NOW + MAX_AHEAD_S)])
    assert verdict.status is Status.VERIFIED


def test_no_policy_lets_missing_cosignatures_pass() -> None:
    run = MemoryRun()
    run.trust = trusting(run.trust, 1, A)
    for mode in ("enforce", "warn"):
        assert not_enough(judged(run, Policy(require=ALWAYS_REQUIRED, mode=mode)))


def test_without_witnesses_in_the_trust_file_there_is_no_claim() -> None:
    run = MemoryRun()
    run.evidence.cosigned = [A.kept(released(run), DOMAIN, NOW)]
    verdict = judged(run)
    assert verdict.status is Status.VERIFIED
    assert not [c for c in verdict.claims if c.id == "head.witnessed"]


def test_a_policy_may_require_it_of_whoever_writes_the_trust_file() -> None:
    policy = Policy(require=DEFAULT_REQUIRED | {"head.witnessed"})
    run = MemoryRun()
    verdict = judged(run, policy)
    assert (verdict.status, claim_of(verdict).holds) == (Status.INDETERMINATE, None)
    run.trust = trusting(run.trust, 1, A)
    run.evidence.cosigned = [A.kept(released(run), DOMAIN, NOW)]
    assert judged(run, policy).status is Status.VERIFIED


def test_missing_cosignatures_hide_no_revocation() -> None:
    run = MemoryRun()
    run.trust = trusting(run.trust, 1, A)
    run.chain.revoke(run.trust.publishers[0].address, run.run_id, 6, "why")
    run.chain.mine(3)
    assert judged(run).status is Status.REVOKED


def test_cosignatures_of_one_folder_serve_the_log_of_another() -> None:
    run = MemoryRun()
    run.trust = trusting(run.trust, 1, A)
    head = released(run)
    bare = replace(run.evidence, log=[], cosigned=[A.kept(head, DOMAIN, NOW)])
    run.source = Folders(run, [run.evidence, bare])
    assert judged(run).status is Status.VERIFIED


def test_a_damaged_folder_beside_the_good_one_takes_nothing_away() -> None:
    class Damaged(MemoryEvidence):
        def cosignatures(self) -> list[CosignedHead]:
            raise InputError("file is too large")

    run = MemoryRun()
    run.trust = trusting(run.trust, 1, A)
    run.evidence.cosigned = [A.kept(released(run), DOMAIN, NOW)]
    damaged = Damaged(run.evidence.run_id, run.evidence.log, run.evidence.signed)
    for each in ([damaged, run.evidence], [run.evidence, damaged]):
        run.source = Folders(run, each)
        assert judged(run).status is Status.VERIFIED
    run.source = Folders(run, [damaged])
    assert not_enough(judged(run))


# The file in a run folder.


def written(tmp_path: Path, data: bytes) -> FolderEvidence:
    folder = RunFolder(tmp_path / "run")
    folder.evidence.mkdir(parents=True)
    folder.cosignatures.write_bytes(data)
    return FolderEvidence(folder)


HEAD = Head(RunId(b"\x07" * 32), 5, b"\x05" * 32)
GOOD = A.cosigned(HEAD, DOMAIN, NOW)


def test_a_runs_file_is_read_and_may_be_missing(tmp_path: Path) -> None:
    assert written(tmp_path, GOOD).cosignatures() == parse_cosigned(GOOD)
    assert FolderEvidence(RunFolder(tmp_path / "none")).cosignatures() == []


def test_a_file_of_10_mb_is_refused_before_it_is_read(tmp_path: Path) -> None:
    evidence = written(tmp_path, GOOD)
    with evidence.folder.cosignatures.open("ab") as stream:
        stream.write(b"x" * 10_000_000)
    with pytest.raises(InputError, match="too large"):
        evidence.cosignatures()


def test_a_file_that_is_a_link_or_a_folder_is_refused(tmp_path: Path) -> None:
    evidence = written(tmp_path, GOOD)
    path = evidence.folder.cosignatures
    os.rename(path, tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputError):
        evidence.cosignatures()
    path.unlink()
    path.mkdir()
    with pytest.raises(InputError):
        evidence.cosignatures()


# What a trust file may say.


def test_witnesses_that_are_no_quorum_are_refused() -> None:
    same = MadeWitness("witness.example/other", A.private)
    renamed = MadeWitness(A.name, B.private)
    for keys, needed, why in (
        ((), 1, "wrong number"),
        ((A.key,), 0, "cannot be needed"),
        ((A.key, B.key), 3, "cannot be needed"),
        ((A.key, A.key), 1, "stands twice"),
        ((A.key, same.key), 1, "public key of a witness stands twice"),
        ((A.key, renamed.key), 1, "name of a witness stands twice"),
        (tuple(MadeWitness.make(f"w{i}").key for i in range(65)), 1, "wrong number"),
    ):
        with pytest.raises(InputError, match=why):
            Witnesses(keys, needed)
