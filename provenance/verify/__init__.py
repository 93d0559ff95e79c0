"""Verification: one function for command line, API, gate and bundle.

    verdict = verify("model.gguf", trust=trust, reader=reader, source=source, prover=prover)

Steps are numbered; each adds claims, and the verdict never exceeds its weakest required claim. It fails closed: what cannot be
reached makes the verdict `indeterminate`, never `verified`.
"""

from __future__ import annotations

from typing import Any

from provenance.errors import NotFound, ProvenanceError, UnavailableError
from provenance.judgement.facts import ChainReader
from provenance.judgement.policy import Policy
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Status, Verdict
from provenance.verify.artifact import Artifact, identify
from provenance.verify.context import Context, Options
from provenance.verify.protocols import EvidenceSource, FormatInspector, ProofVerifier
from provenance.verify.steps import STEPS, Pending

__all__ = ["LIMITS", "Options", "verify", "verify_artifact"]

# Printed in every report: what no verdict of this project says (docs/security-model.md).
LIMITS = (
    "that gradients were computed honestly",
    "that no data outside the recorded batches was used",
    "that a sparse edit before the merge did not happen where base or adapter was not recomputed",
)


def verify(
    subject: str,
    *,
    trust: Trust,
    reader: ChainReader,
    source: EvidenceSource,
    prover: ProofVerifier,
    inspector: FormatInspector | None = None,
    policy: Policy | None = None,
    options: Options | None = None,
) -> Verdict:
    """Judge a file or digest. `subject`, and everything `reader` and `source` return, is attacker-controlled.

    Raises:
        InputError: `subject` is neither a readable file nor a digest, or a malformed model file.
    """
    return verify_artifact(
        identify(subject, inspector),
        trust=trust,
        reader=reader,
        source=source,
        prover=prover,
        inspector=inspector,
        policy=policy,
        options=options,
    )


def verify_artifact(
    artifact: Artifact,
    *,
    trust: Trust,
    reader: ChainReader,
    source: EvidenceSource,
    prover: ProofVerifier,
    inspector: FormatInspector | None = None,
    policy: Policy | None = None,
    options: Options | None = None,
) -> Verdict:
    """`verify` for an artifact that step 1 has identified."""
    ctx = Context(
        artifact, trust, policy or Policy(), reader, source, prover, inspector, options or Options()
    )
    try:
        for step in STEPS:
            if not step(ctx):
                break
    except UnavailableError as error:
        return _verdict(ctx, Status.INDETERMINATE, str(error))
    except NotFound as error:
        return _verdict(ctx, Status.NOT_FOUND, str(error))
    except Pending:
        return _verdict(
            ctx, Status.PENDING, "the release is on the chain but not in a final block yet"
        )
    except ProvenanceError as error:
        return _verdict(ctx, Status.FAILED, str(error))
    return _judge(ctx)


def _judge(ctx: Context) -> Verdict:
    """Step 9: the policy over the claims."""
    failed = [c for c in ctx.claims if c.holds is False]
    revoked = [c for c in failed if c.id == "not.revoked"]
    if revoked and len(revoked) == len(failed):
        return _verdict(ctx, Status.REVOKED, revoked[0].text)
    if failed:
        first = next((c for c in failed if c.id == "file.recomputed"), failed[0])
        facts = [
            f"{k} {v}" for k, v in (("expected", first.expected), ("actual", first.actual)) if v
        ]
        return _verdict(
            ctx,
            Status.FAILED,
            ": ".join([*filter(None, [first.where]), ", ".join([first.text, *facts])]),
        )
    holding = {c.id for c in ctx.claims if c.holds}
    if missing := sorted(ctx.policy.require - holding - {"policy.satisfied"}):
        for id_ in missing:
            if all(c.id != id_ for c in ctx.claims):
                ctx.unchecked(id_, "required by the policy", "an earlier step")
        return _verdict(
            ctx, Status.INDETERMINATE, f"required but not checked: {', '.join(missing)}"
        )
    if ctx.trust.environment == "local":
        ctx.development.append(
            "local chain: its operator makes every block, so dates and draws prove nothing to outsiders"
        )
    denials = _denials(ctx)
    if denials and ctx.policy.mode == "enforce":
        return _verdict(ctx, Status.POLICY_DENIED, f"policy does not allow: {denials[0]}")
    if not denials:
        ctx.holds("policy.satisfied", f"{len(ctx.policy.require)} required claims hold")
    return _verdict(ctx, Status.VERIFIED, "every claim required by the policy holds")


def _denials(ctx: Context) -> list[str]:
    """What the policy forbids although every required claim holds; each becomes a failing `policy.satisfied`."""
    denials = []
    if ctx.development and not ctx.policy.allows_development(ctx.trust.environment):
        ctx.fails(
            "policy.satisfied",
            "development keys or a local chain outside environment local",
            actual=ctx.development[0],
        )
        denials.append(ctx.development[0])
    bar = ctx.policy.samples
    if bar is None:
        return denials
    wanted = f"tampering with {bar.fraction:.2%} of all blocks caught with {bar.confidence:.4%}"
    for id_, sampling in ctx.samplings:
        caught = bar.caught(sampling.draws, sampling.anchorings)
        if caught < bar.confidence:
            actual = f"{caught:.4%}: {sampling.draws} draws, {sampling.anchorings} anchorings"
            ctx.fails(
                "policy.satisfied",
                "samples show less than the policy demands",
                where=id_,
                expected=wanted,
                actual=actual,
            )
            denials.append(f"{id_}: expected {wanted}, actual {actual}")
    return denials


def _verdict(ctx: Context, status: Status, reason: str) -> Verdict:
    return Verdict(
        status=status,
        reason=reason,
        subject={
            "name": ctx.artifact.name,
            "digest": str(ctx.artifact.digest),
            "file_seen": ctx.artifact.path is not None,
        },
        claims=tuple(ctx.claims),
        edges=tuple(ctx.edges),
        development=tuple(dict.fromkeys(ctx.development)),
        siblings=tuple(ctx.siblings),
        release=_release(ctx),
        interval=_interval(ctx),
        trust=str(ctx.trust.digest),
        limits=LIMITS,
    )


def _release(ctx: Context) -> dict[str, Any] | None:
    if ctx.claim is None:
        return None
    value: dict[str, Any] = {
        "run_id": "0x" + ctx.claim.run_id.hex(),
        "owner": ctx.claim.owner,
        "index": ctx.claim.index,
        "seq": ctx.claim.seq,
        "block": ctx.claim.block_number,
        "manifest": "sha256:" + ctx.claim.manifest.hex(),
        "record": "sha256:" + ctx.claim.record.hex(),
    }
    publisher = ctx.trust.publisher(ctx.claim.owner, ctx.claim.block_number)
    if publisher is not None:
        value["publisher"] = publisher.name
    if ctx.lineage is not None:
        value["name"] = ctx.lineage.release.fields["name"]
    return value


def _interval(ctx: Context) -> dict[str, Any] | None:
    """Not before: the block that drew the run's seed. Not later than: the block of the release's head."""
    if ctx.run is None or ctx.claim is None or ctx.snapshot is None:
        return None
    try:
        head = ctx.snapshot.head(ctx.claim.run_id, ctx.claim.seq)
        earliest = ctx.reader.block(ctx.run.draw_block)
    except UnavailableError:
        return None  # the verdict stands without its dates; both blocks were read once already
    return {
        "not_before": {"block": earliest.number, "time": earliest.timestamp},
        "not_later_than": {"block": head.block_number, "time": head.timestamp} if head else None,
    }
