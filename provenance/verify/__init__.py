"""Verification: one function that command line, gate and API share.

    verifier = Verifier(trust=trust, reader=reader, source=source, prover=prover)
    verdict = verify("model.gguf", verifier)

`steps.py` lists the steps. Each step adds claims. The verdict is `verified` only if every required
claim holds and no claim fails; if chain or evidence cannot be reached it is `indeterminate`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provenance.artifacts.once import reading_once
from provenance.digest import Digest
from provenance.errors import UnavailableError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ClaimFacts
from provenance.judgement.trust import Publisher
from provenance.judgement.verdict import Grade, Status, Verdict
from provenance.text.counted import counted
from provenance.verify.asked_once import AskedOnce
from provenance.verify.case import MAX_ATTEMPTS, MAX_RUNS, Artifact, Case, Options, Verifier
from provenance.verify.claims import Notes, Report
from provenance.verify.s01_artifact import identify
from provenance.verify.s10_policy import Outcome
from provenance.verify.steps import judge

__all__ = ["LIMITS", "Artifact", "Options", "Verifier", "verify", "verify_artifact"]

# Printed in every report: what a verdict does not say (docs/security-model.md).
NOT_REPLAYED = (
    "that gradients were computed honestly",
    "that no data outside the recorded batches was used",
)
"""Left out where the whole training was done again."""
AUDITORS_WORD = "that the auditors trained as they signed"
"""Stands in their place where auditors did it."""
LIMITS = (
    *NOT_REPLAYED,
    "that a sparse edit before the merge did not happen where base or adapter was not recomputed",
    "that the data was not chosen to mislead, or that the base knew nothing before",
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

    Several runs of trusted publishers may have released the artifact. Each is judged by its own
    log and evidence, at most `MAX_RUNS` of a publisher. The verdict that shows most counts, and its
    `limits` name the others: nobody is denied by somebody else's release, nor has a share in it.
    """
    verifier = replace(verifier, reader=AskedOnce(verifier.reader))
    first = Case(artifact, verifier, options or Options(), Notes(Report()))
    with reading_once():
        judged = [_judge_run(first)]
        claimants = judged[0].report.claimants
        judged += [_judge_run(replace(first, followed=run)) for run in _further(claimants)]
    best = min(judged, key=lambda attempt: attempt.shows)
    return _verdict(best, [attempt for attempt in judged if attempt is not best])


def _further(claimants: Sequence[tuple[ClaimFacts, Publisher]]) -> Iterator[RunId]:
    """The runs to judge behind the first one, as many of each publisher as are judged."""
    counts = Counter[str]()
    for number, (claim, publisher) in enumerate(claimants):
        counts[publisher.name] += 1
        if number and counts[publisher.name] <= MAX_RUNS:
            yield claim.run_id


def _judge_run(asked: Case) -> _Attempt:
    """Judge one run that released the artifact, with each of the folders that hold its log."""
    found: list[_Attempt] = []
    for attempt in range(MAX_ATTEMPTS):
        report = Report()
        case = replace(asked, notes=Notes(report), attempt=attempt)
        found.append(_Attempt(case, report, judge(case, report)))
        if attempt + 1 >= report.logs:
            break
    best = min(found, key=lambda attempt: attempt.rank)
    if best.report.logs > MAX_ATTEMPTS and best.outcome.status in _SHOWN:
        why = f"{best.report.logs} folders hold the run's log, and {MAX_ATTEMPTS} were tried: name "
        why += "the one that counts (--evidence FOLDER)"
        best = replace(best, outcome=Outcome(Status.INDETERMINATE, why))
    return best


@dataclass(frozen=True)
class _Attempt:
    """A verification with one of the folders that hold the run's log."""

    case: Case
    report: Report
    outcome: Outcome

    @property
    def rank(self) -> tuple[bool, int, int]:
        """Smallest for the attempt that counts."""
        return not self.report.contradicted, *self.shows

    @property
    def shows(self) -> tuple[int, int]:
        """Smallest for the attempt that shows most."""
        holding = sum(claim.holds is True for claim in self.report.claims)
        return _ORDER.index(self.outcome.status), -holding


def _verdict(attempt: _Attempt, others: Sequence[_Attempt]) -> Verdict:
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
        training=report.training,
        trust=str(case.verifier.trust.digest),
        limits=(*_limits(report), *_rivals(attempt, others)),
    )


def _limits(report: Report) -> tuple[str, ...]:
    grades = {e.grade for e in report.edges if e.kind == "adapter_from"}
    if not grades & {Grade.RECOMPUTED, Grade.AUDITED}:
        return LIMITS
    rest = LIMITS[len(NOT_REPLAYED) :]
    return (AUDITORS_WORD, *rest) if Grade.AUDITED in grades else rest


def _rivals(attempt: _Attempt, others: Sequence[_Attempt]) -> Iterator[str]:
    """That the artifact is from other runs is not ruled out; their texts are not repeated here."""
    judged = {o.report.release.run_id: o.outcome.status for o in others if o.report.release}
    followed = attempt.report.release.run_id if attempt.report.release else None
    unjudged = Counter[str]()
    for claim, publisher in attempt.report.claimants:
        run = to_hex(claim.run_id)
        if claim.run_id in judged:
            status = judged[claim.run_id].value.replace("_", " ")
            yield f"that no other run made it: {publisher.name} released it in run {run} ({status})"
        elif claim.run_id != followed:
            unjudged[publisher.name] += 1
    for name, count in unjudged.items():
        runs = counted(count, "more run")
        yield f"that no other run made it: {name} released it in {runs}, which nobody judged"


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
