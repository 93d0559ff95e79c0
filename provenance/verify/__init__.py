"""Verification: one function that command line, gate and API share.

    verifier = Verifier(trust=trust, reader=reader, source=source, prover=prover)
    verdict = verify("model.gguf", verifier)

`steps.py` lists the steps. Each step adds claims. The verdict is `verified` only if every required
claim holds and no claim fails; if chain or evidence cannot be reached it is `indeterminate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from provenance.artifacts.once import reading_once
from provenance.digest import Digest
from provenance.errors import UnavailableError
from provenance.ids import to_hex
from provenance.judgement.verdict import Status, Verdict
from provenance.verify.asked_once import AskedOnce
from provenance.verify.case import MAX_ATTEMPTS, Artifact, Case, Options, Verifier
from provenance.verify.claims import Notes, Report
from provenance.verify.s01_artifact import identify
from provenance.verify.s10_policy import Outcome
from provenance.verify.steps import judge

__all__ = ["LIMITS", "Artifact", "Options", "Verifier", "verify", "verify_artifact"]

# Printed in every report: what no verdict of this project says (docs/security-model.md).
LIMITS = (
    "that gradients were computed honestly",
    "that no data outside the recorded batches was used",
    "that a sparse edit before the merge did not happen where base or adapter was not recomputed",
)


_SHOWN = (Status.VERIFIED, Status.POLICY_DENIED)  # nothing that was tried speaks against it
# From the verdict that shows most to the one that shows least.
_ORDER = (
    Status.VERIFIED,
    Status.POLICY_DENIED,
    Status.REVOKED,
    Status.PENDING,
    Status.INDETERMINATE,
    Status.FAILED,
    Status.NOT_FOUND,
)


def verify(subject: str, verifier: Verifier, options: Options | None = None) -> Verdict:
    """Judge a file or a digest, which `subject` names (attacker-controlled).

    Raises:
        InputError: `subject` is neither a readable file nor a digest, or a malformed model file.
    """
    with reading_once():
        return verify_artifact(identify(subject, verifier.inspector), verifier, options)


def verify_artifact(
    artifact: Artifact, verifier: Verifier, options: Options | None = None
) -> Verdict:
    """`verify` for an artifact that is identified already.

    Several folders may hold the run's log and differ in the rest, since anybody can copy what is
    public. Each is tried, at most `MAX_ATTEMPTS`: evidence that is merely bad hides none that is
    good, and missing weights hide no contradiction. So what the logged weights contradict counts
    first, then the verdict that shows most. Where there are more, none of them verifies: one that
    was not tried may contradict it.
    """
    found: list[_Attempt] = []
    verifier = replace(verifier, reader=AskedOnce(verifier.reader))
    with reading_once():
        for attempt in range(MAX_ATTEMPTS):
            report = Report()
            case = Case(artifact, verifier, options or Options(), Notes(report), attempt)
            found.append(_Attempt(case, report, judge(case, report)))
            if attempt + 1 >= report.logs:
                break
    best = min(found, key=lambda attempt: attempt.rank)
    if best.report.logs > MAX_ATTEMPTS and best.outcome.status in _SHOWN:
        why = f"{best.report.logs} folders hold the run's log, and {MAX_ATTEMPTS} were tried: name "
        why += "the one that counts (--evidence FOLDER)"
        best = replace(best, outcome=Outcome(Status.INDETERMINATE, why))
    return _verdict(best)


@dataclass(frozen=True)
class _Attempt:
    """A verification with one of the folders that hold the run's log."""

    case: Case
    report: Report
    outcome: Outcome

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Smallest for the attempt that counts."""
        holding = sum(claim.holds is True for claim in self.report.claims)
        return not self.report.contradicted, _ORDER.index(self.outcome.status), -holding


def _verdict(attempt: _Attempt) -> Verdict:
    case, report, outcome = attempt.case, attempt.report, attempt.outcome
    artifact = case.artifact
    return Verdict(
        status=outcome.status,
        reason=outcome.reason,
        subject={
            "name": artifact.name,
            "digest": str(artifact.digest),
            "file_seen": artifact.path is not None,
        },
        claims=tuple(report.claims),
        edges=tuple(report.edges + report.ancestors),
        development=tuple(dict.fromkeys(report.development)),
        siblings=tuple(report.siblings),
        release=_release(case, report),
        interval=_interval(case, report),
        trust=str(case.verifier.trust.digest),
        limits=LIMITS,
    )


def _release(case: Case, report: Report) -> dict[str, Any] | None:
    """The release on chain that the verification followed; None if it found none."""
    claim, name = report.release, report.name
    if claim is None:
        return None
    value: dict[str, Any] = {
        "run_id": to_hex(claim.run_id),
        "owner": claim.owner,
        "index": claim.index,
        "seq": claim.seq,
        "block": claim.block_number,
        "manifest": str(Digest(claim.manifest)),
        "record": str(Digest(claim.record)),
    }
    publisher = case.verifier.trust.publisher(claim.owner, claim.block_number)
    if publisher is not None:
        value["publisher"] = publisher.name
    return value if name is None else value | {"name": name}


def _interval(case: Case, report: Report) -> dict[str, Any] | None:
    """Not before: the block that drew the seed. Not later than: the block of the release's head."""
    head, draw_block = report.head, report.draw_block
    if head is None or draw_block is None:
        return None
    try:
        earliest = case.verifier.reader.block(draw_block)
    except UnavailableError:
        return None  # the verdict stands without its dates
    return {
        "not_before": {"block": earliest.number, "time": earliest.timestamp},
        "not_later_than": {"block": head.block_number, "time": head.timestamp},
    }
