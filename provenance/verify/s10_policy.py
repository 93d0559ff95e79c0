"""Step 10: the policy judges the claims. A required claim that nobody checked never verifies."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from provenance.errors import VerificationError
from provenance.judgement.policy import Policy
from provenance.judgement.verdict import Grade, Status
from provenance.text.counted import counted, percent
from provenance.text.shown import sentence
from provenance.verify.case import Case
from provenance.verify.claims import Notes, Report

_ELSEWHERE = "derived_from"  # a release stands behind no step of its own run
_LOCAL = (
    "local chain: its operator makes every block, so dates and draws prove nothing to outsiders"
)


@dataclass(frozen=True)
class Outcome:
    """The outcome of a verification, and the reason in one sentence."""

    status: Status
    reason: str


def decide(case: Case, report: Report) -> Outcome:
    """Judge what the steps noted: failing claims, then missing ones, then what policy forbids."""
    notes, policy = case.notes, case.verifier.policy
    outcome = _contradicted(report) or _incomplete(notes, report, policy)
    if outcome is not None:
        return outcome
    if case.verifier.trust.environment == "local":
        notes.develops(_LOCAL)
    denials = [
        *_development(case, report),
        *_weak_samples(notes, report, policy),
        *_weak_edges(notes, report, policy),
        *_little_replayed(notes, report, policy),
    ]
    if denials and policy.mode == "enforce":
        return Outcome(Status.POLICY_DENIED, f"policy does not allow: {denials[0]}")
    if denials:
        return Outcome(
            Status.VERIFIED, f"mode is warn, else the policy would deny it: {'; '.join(denials)}"
        )
    required = counted(len(policy.require), "required claim holds", "required claims hold")
    notes.holds("policy.satisfied", required)
    return Outcome(Status.VERIFIED, "every claim required by the policy holds")


def _contradicted(report: Report) -> Outcome | None:
    """`revoked` if only `not.revoked` fails, `failed` if another claim fails, None if none does."""
    failed = [c for c in report.claims if c.holds is False]
    if not failed:
        return None
    if all(c.id == "not.revoked" for c in failed):
        return Outcome(Status.REVOKED, failed[0].text)
    # The place of a difference in the file tells a reader more than a missing release.
    first = next((c for c in failed if c.id == "file.recomputed"), failed[0])
    said = sentence(first.text, where=first.where, expected=first.expected, actual=first.actual)
    return Outcome(Status.FAILED, said)


def _incomplete(notes: Notes, report: Report, policy: Policy) -> Outcome | None:
    """`indeterminate` if a required claim was not checked, or any for want of evidence; else None.

    A required claim that no step made is added to the report as not checked. Whether evidence that
    log or chain speak of must be there is not for a policy to say: else whoever takes away
    what fails a claim would have the file let through.
    """
    holding = {c.id for c in report.claims if c.holds}
    missing = sorted(policy.require - holding - {"policy.satisfied"})
    made = {c.id for c in report.claims}
    for id_ in missing:
        if id_ not in made:
            notes.unchecked(id_, "required by the policy", "an earlier step")
    if report.lacking:
        first = next(c for c in report.claims if c.id == report.lacking[0] and c.holds is None)
        ids = ", ".join(dict.fromkeys(report.lacking))
        return Outcome(Status.INDETERMINATE, f"not checked: {ids}: {first.text}, {first.needs}")
    if not missing:
        return None
    return Outcome(Status.INDETERMINATE, f"required but not checked: {', '.join(missing)}")


def _development(case: Case, report: Report) -> list[str]:
    """Development keys or a local chain, where the policy does not allow them."""
    verifier = case.verifier
    if not report.development or verifier.policy.allows_development(verifier.trust.environment):
        return []
    first = report.development[0]
    case.notes.fails(
        "policy.satisfied",
        VerificationError(
            "development keys or a local chain outside environment local", actual=first
        ),
    )
    return [first]


def _weak_samples(notes: Notes, report: Report, policy: Policy) -> list[str]:
    """Sampled claims that detect less than the policy demands."""
    bar, denials = policy.samples, []
    if bar is None:
        return []
    share = f"{bar.fraction:.2%} of each tensor's blocks"
    wanted = f"tampering with {share} caught with {bar.confidence:.4%}"
    if not report.samplings:
        return [_denied(notes, "samples", wanted, "no sampled claim holds")]
    for id_, sampling in report.samplings:
        caught = bar.caught(sampling.draws, sampling.anchorings)
        if caught < bar.confidence:
            actual = f"{caught:.4%}: {sampling.draws} draws, "
            actual += counted(sampling.anchorings, "anchoring")
            denials.append(_denied(notes, id_, wanted, actual))
    return denials


def _weak_edges(notes: Notes, report: Report, policy: Policy) -> list[str]:
    """Edges that are known less well than the policy demands, and kinds that have no edge.

    A demand is about the run in question: evidence of other runs neither denies what is let through
    without it, nor lets through what is denied. Only `derived_from` is about other runs alone.
    """
    denials = []
    for kind, least in policy.edges.items():
        own = [edge.grade for edge in report.edges if edge.kind == kind]
        elsewhere = report.ancestors if kind == _ELSEWHERE else ()
        grades = own or [edge.grade for edge in elsewhere if edge.kind == kind]
        worst = Grade.least(*grades) if grades else None
        if worst is None or worst.rank < least.rank:
            actual = "no such edge" if worst is None else worst.value
            denials.append(_denied(notes, f"edge {kind}", f"{least.value} or better", actual))
    return denials


def _little_replayed(notes: Notes, report: Report, policy: Policy) -> list[str]:
    """Whether less of the training was done again than the policy demands, in optimizer steps."""
    if policy.replayed is None:
        return []
    exact, steps = report.replayed or (0, 1)
    # As the policy writes it in decimal: a tenth of ten is one.
    if exact >= Fraction(repr(policy.replayed)) * steps:
        return []
    wanted = f"{percent(policy.replayed)} of the run's training done again, bit for bit"
    actual = "none" if report.replayed is None else f"{exact} of {steps} steps"
    return [_denied(notes, "training.replayed", wanted, actual)]


def _denied(notes: Notes, where: str, expected: str, actual: str) -> str:
    """Make `policy.satisfied` fail; returns the reason in one line."""
    notes.fails(
        "policy.satisfied",
        VerificationError(
            "the verdict shows less than the policy demands",
            where=where,
            expected=expected,
            actual=actual,
        ),
    )
    return f"{where}: expected {expected}, actual {actual}"
