"""The numbered steps of a verification (docs/formats/verdict.md lists them with their claims).

Each step takes the context, adds its claims and returns whether the next one may run. Nothing here talks to a chain or a
disk but through what the context holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from provenance.errors import NotFound, ProvenanceError, UnavailableError, VerificationError
from provenance.ids import RunId
from provenance.judgement.facts import ClaimFacts
from provenance.judgement.trust import Trust
from provenance.judgement.verdict import Edge, Grade
from provenance.log.tree import Head
from provenance.merkle import Tree, verify_inclusion
from provenance.signing import Domain, verify_head
from provenance.verify.context import Context, need
from provenance.verify.lineage import check_consumed, walk
from provenance.verify.proofs import step_6_proofs, step_7_recompute
from provenance.verify.protocols import Evidence

__all__ = ["STEPS", "Pending"]


class Pending(Exception):
    """The release is on the chain but not final yet."""


def step_1_identify(ctx: Context) -> bool:
    """1. The artifact's SHA-256 is known (hashed from the file, or given)."""
    how = "hashed from the file" if ctx.artifact.path else "as given; the file itself was not seen"
    ctx.holds(
        "artifact.identified", f"{ctx.artifact.digest}, {how}", digest=str(ctx.artifact.digest)
    )
    return True


def step_4_chain(ctx: Context) -> bool:
    """4a. The endpoint is the pinned chain with the pinned code. Runs first, since every later fact is read from it."""
    identity = ctx.reader.identity()
    ctx.identity = identity
    difference = ctx.trust.first_difference(identity)
    if difference is not None:
        what, expected, actual = difference
        ctx.fails(
            "chain.pinned",
            f"the chain is not the pinned one: {what} differs",
            expected=expected,
            actual=actual,
        )
        return False
    ctx.holds(
        "chain.pinned",
        f"chain {identity.chain_id}, genesis and the contracts' code as pinned",
        genesis=identity.genesis,
        registry=identity.contracts["registry"].address,
        ledger=identity.contracts["ledger"].address,
    )
    ctx.snapshot = ctx.reader.final()
    return True


def _trusted(claims: list[ClaimFacts], trust: Trust) -> list[ClaimFacts]:
    return [c for c in claims if trust.publisher(c.owner, c.block_number) is not None]


def step_2_release(ctx: Context) -> bool:
    """2. A trusted publisher's final release names exactly this digest; a run claimed by caller or file must be that one."""
    snapshot, digest = need(ctx.snapshot), ctx.artifact.digest
    wanted = ctx.options.release or ctx.artifact.claimed_run
    trusted = _trusted(snapshot.claims(digest), ctx.trust)
    matching = [c for c in trusted if wanted is None or c.run_id == wanted]
    if matching:
        revoked = [c for c in trusted if c.revoked_block]
        ctx.claim = (revoked or matching)[0]
        publisher = need(ctx.trust.publisher(ctx.claim.owner, ctx.claim.block_number))
        ctx.holds(
            "release.named",
            f"released by {publisher.name} ({ctx.claim.owner}) in block {ctx.claim.block_number}",
            run="0x" + ctx.claim.run_id.hex(),
            index=str(ctx.claim.index),
        )
        return not _is_revoked(
            ctx, ctx.claim.run_id, ctx.claim.index, "release"
        )  # one revoked trusted claim revokes the digest
    pending = _trusted(ctx.reader.latest().claims(digest), ctx.trust)
    if any(wanted is None or c.run_id == wanted for c in pending):
        raise Pending
    stranger = next((c for c in snapshot.claims(digest) if c.run_id == wanted), None)
    if stranger is not None:
        raise NotFound(
            "released, but not by a publisher whom the trust file names for that block",
            where=str(digest),
            expected="a trusted publisher",
            actual=f"{stranger.owner} in block {stranger.block_number}",
        )
    if wanted is not None:
        return _claimed_but_different(ctx, wanted, trusted)
    raise NotFound(
        "no release by a trusted publisher names this artifact",
        where=str(digest),
        hint="check the file, the trust file's publishers, and the chain",
    )


def _is_revoked(ctx: Context, run_id: RunId, index: int, what: str) -> bool:
    """Whether a record was revoked; if so the claim says when and why."""
    revoked = need(ctx.snapshot).revocation(run_id, index)
    if revoked is not None:
        ctx.fails(
            "not.revoked",
            f"record {index} ({what}) was revoked in block {revoked.block_number}: {revoked.reason}",
            where=f"run 0x{run_id.hex()}",
        )
    return revoked is not None


def _claimed_but_different(ctx: Context, wanted: bytes, trusted: list[ClaimFacts]) -> bool:
    """The file (or caller) names a run that did not release this digest: find what that run did release, and compare."""
    ctx.evidence = next(iter(ctx.source.candidates(wanted)), None)
    released = None
    if ctx.evidence is not None:
        released = next(
            (r.fields["model"] for r in reversed(ctx.evidence.records()) if r.type == "release"),
            None,
        )
    origin = "the caller names" if ctx.options.release else "the file's own metadata names"
    if trusted:
        released = "another run: " + ", ".join("0x" + c.run_id.hex() for c in trusted)
    ctx.fails(
        "release.named",
        f"{origin} run 0x{wanted.hex()}, which released no such file",
        where=ctx.artifact.name,
        expected=released or "a release by a trusted publisher",
        actual=str(ctx.artifact.digest),
    )
    _locate_differences(ctx)
    return False


def _locate_differences(ctx: Context) -> None:
    """Say where a file differs from what its run quantized, if the merged weights are at hand."""
    merged = ctx.evidence.merged() if ctx.evidence else None
    if ctx.inspector is None or ctx.artifact.path is None or merged is None:
        return
    for difference in ctx.inspector.compare_quantized(merged, ctx.artifact.path)[:10]:
        ctx.fails(
            "file.recomputed",
            "file is not the quantization of the merged weights",
            where=difference.where,
            expected=difference.expected,
            actual=difference.actual,
        )


def step_3_records(ctx: Context) -> bool:
    """3. The run's records are at hand, the release is one of them, and they are exactly the log under its head."""
    claim = need(ctx.claim)
    candidates = ctx.source.candidates(claim.run_id)
    if not candidates:
        ctx.unchecked(
            "release.logged",
            "records of the run are under the anchored head",
            f"the evidence of run 0x{claim.run_id.hex()} (--evidence FOLDER)",
        )
        return False
    if not _choose_evidence(ctx, claim, candidates):
        return False
    return ctx.guarded("head.signed", lambda: _check_heads(ctx))


def _choose_evidence(ctx: Context, claim: ClaimFacts, candidates: Sequence[Evidence]) -> bool:
    """Take the first candidate whose records are under the anchored head; if none is, say what is wrong with the first."""
    errors: list[ProvenanceError] = []
    for evidence in candidates:
        ctx.evidence = evidence
        try:
            ctx.holds("release.logged", _check_log(ctx, claim))
        except UnavailableError:
            raise
        except ProvenanceError as error:
            errors.append(error)
            continue
        return True
    first, ctx.evidence = errors[0], candidates[0]
    ctx.fails(
        "release.logged",
        first.what,
        where=first.where,
        expected=first.expected,
        actual=first.actual,
    )
    return False


def _check_log(ctx: Context, claim: ClaimFacts) -> str:
    records = need(ctx.evidence).records()
    head = need(ctx.snapshot).head(claim.run_id, claim.seq)
    if head is None:
        raise VerificationError(
            "registry has no such head", where=f"run 0x{claim.run_id.hex()} seq {claim.seq}"
        )
    if len(records) < head.size:
        raise VerificationError(
            "records are missing",
            where="journal",
            expected=f"{head.size} records",
            actual=len(records),
        )
    tree = Tree(r.entry for r in records[: head.size])
    if tree.root() != head.root:
        raise VerificationError(
            "records are not those under the anchored head",
            where=f"head {claim.seq}",
            expected="0x" + head.root.hex(),
            actual="0x" + tree.root().hex(),
        )
    if claim.index >= head.size:
        raise VerificationError(
            "release lies outside its head",
            where=f"head {claim.seq}",
            expected=f"< {head.size}",
            actual=claim.index,
        )
    release = records[claim.index]
    verify_inclusion(
        release.entry, claim.index, head.size, tree.inclusion_proof(claim.index), head.root
    )
    if release.digest != claim.record or release.fields.get("model") != str(ctx.artifact.digest):
        raise VerificationError(
            "logged release names another file",
            where=f"record {claim.index}",
            expected=ctx.artifact.digest,
            actual=release.fields.get("model"),
        )
    ctx.records = records[: head.size]
    return f"all {head.size} records are the log under head {claim.seq}; the release is record {claim.index}"


def _check_heads(ctx: Context) -> str:
    """Every signed head at hand is by the key that run.open names and is a prefix of the log."""
    claim, records = need(ctx.claim), ctx.records
    opening = records[0]
    if opening.type != "run.open":
        raise VerificationError(
            "log does not begin with the run's opening",
            where="record 0",
            expected="run.open",
            actual=opening.type,
        )
    tree = Tree(r.entry for r in records)
    domain = Domain(ctx.trust.chain_id, ctx.trust.contracts["registry"].address)
    final = need(need(ctx.snapshot).head(claim.run_id, claim.seq))
    covered = False
    heads = [
        h
        for h in need(ctx.evidence).heads()
        if h.head.run_id == claim.run_id and h.head.size <= len(records)
    ]
    for signed in heads:
        expected = Head(claim.run_id, signed.head.size, tree.root(signed.head.size))
        if signed.head != expected:
            raise VerificationError(
                "signed head is not a prefix of the log: the writer signed two histories",
                where=f"head of {signed.head.size} records",
                expected=expected.digest,
                actual=signed.head.digest,
            )
        verify_head(signed.head, domain, signed.signature, opening.fields["signer"])
        covered = covered or (signed.head.size == final.size and signed.head.root == final.root)
    if not covered:
        raise VerificationError(
            "the release's head is not signed by the run's key",
            where=f"head {claim.seq}",
            expected=opening.fields["signer"],
        )
    return f"{len(heads)} heads signed by {opening.fields['signer']}"


def step_4_final(ctx: Context) -> bool:
    """4b. The head is the contract's in a final block, and the run still extends it."""
    claim, snapshot = need(ctx.claim), need(ctx.snapshot)
    run, head = snapshot.run(claim.run_id), snapshot.head(claim.run_id, claim.seq)
    if run is None or head is None:
        ctx.fails("head.final", "registry does not know the run", where="0x" + claim.run_id.hex())
        return False
    ctx.run = run
    ctx.holds(
        "head.final",
        f"head {claim.seq} was committed in block {head.block_number}, final at block {snapshot.block.number}",
        root="0x" + head.root.hex(),
        size=str(head.size),
    )
    return True


def step_5_edges(ctx: Context) -> bool:
    """5. The run was registered before it began, its seed is the chain's, and digests link data to deployed file."""
    if not ctx.guarded("run.preregistered", lambda: _check_opening(ctx)):
        return False
    return ctx.guarded("lineage.complete", lambda: _check_lineage(ctx))


def _check_opening(ctx: Context) -> str:
    run, opening = need(ctx.run), ctx.records[0]
    if opening.digest != run.preregistration:
        raise VerificationError(
            "run was registered with another opening record",
            where="record 0",
            expected="0x" + run.preregistration.hex(),
            actual=opening.digest.hex0x,
        )
    if run.owner != need(ctx.claim).owner:
        raise VerificationError(
            "release is not by the run's owner", expected=run.owner, actual=need(ctx.claim).owner
        )
    seed = next((r for r in ctx.records if r.type == "seed"), None)
    if not any(run.seed):
        raise VerificationError(
            "the run's seed was never drawn",
            where="0x" + run.run_id.hex(),
            expected="a seed",
            actual="none",
        )
    if (
        seed is None
        or seed.fields["source"] != "chain"
        or seed.fields["seed"] != "0x" + run.seed.hex()
    ):
        raise VerificationError(
            "seed in the log is not the one drawn on chain",
            where="seed record",
            expected="0x" + run.seed.hex(),
            actual=seed.fields["seed"] if seed else "none",
        )
    first_batch = next(
        (i for i, r in enumerate(ctx.records) if r.type == "batch"), len(ctx.records)
    )
    if ctx.records.index(seed) > first_batch:
        raise VerificationError(
            "batches were logged before the seed", where=f"record {first_batch}"
        )
    ctx.siblings = ["0x" + r.hex() for r in _siblings(ctx)]
    return f"opened before training, seed drawn from block {run.draw_block}; {len(ctx.siblings)} sibling runs on this dataset"


def _siblings(ctx: Context) -> list[RunId]:
    """Other runs of the owner on the same dataset: whoever opens many keeps the seed that suits."""
    run, snapshot = need(ctx.run), need(ctx.snapshot)
    result = []
    for run_id in snapshot.runs_of(run.owner):
        other = snapshot.run(run_id)
        if run_id != run.run_id and other is not None and other.dataset_id == run.dataset_id:
            result.append(run_id)
    return result


def _check_lineage(ctx: Context) -> str:
    lineage = walk(ctx.records, need(ctx.claim).index)
    check_consumed(ctx.records, lineage)
    ctx.lineage = lineage
    opening, merge, quantize = lineage.opening.fields, lineage.merge.fields, lineage.quantize.fields
    dataset = f"dataset {opening['dataset'].get('root')}"
    ctx.edges += [
        Edge("trained_on", dataset, merge["adapter"], Grade.ANCHORED),
        Edge(
            "finetuned_from",
            merge["base"],
            merge["adapter"],
            Grade.ANCHORED,
            opening["base"].get("name"),
        ),
        Edge("merged_from", merge["adapter"], merge["merged"], Grade.DECLARED),
        Edge("merged_from", merge["base"], merge["merged"], Grade.DECLARED),
        Edge(
            "quantized_from",
            merge["merged"],
            quantize["file"],
            Grade.DECLARED,
            quantize["quantization"],
        ),
    ]
    notes = f", {lineage.resumes} resumes" if lineage.resumes else ""
    if lineage.unmatched:
        raise VerificationError(
            "tensors were fed that match no listed records",
            where="batch records",
            expected=0,
            actual=lineage.unmatched,
        )
    return f"dataset, checkpoint (record {lineage.checkpoint_index}), adapter, merged weights and file are linked by digest{notes}"


def step_8_revocation(ctx: Context) -> bool:
    """8. Neither the release nor any record it descends from, nor the dataset, was revoked."""
    snapshot, run, lineage = need(ctx.snapshot), need(ctx.run), need(ctx.lineage)
    for index in sorted(_ancestors(ctx)):
        if _is_revoked(ctx, run.run_id, index, ctx.records[index].type):
            return False
    dataset = snapshot.dataset(run.dataset_id)
    for owner in sorted(
        {run.owner}
        | {p.address for p in ctx.trust.publishers}
        | ({dataset.owner} if dataset else set())
    ):
        revoked = snapshot.dataset_revocation(run.dataset_id, owner)
        if revoked is not None:
            ctx.fails(
                "not.revoked",
                f"the dataset was revoked in block {revoked.block_number}: {revoked.reason}",
                where="0x" + run.dataset_id.hex(),
            )
            return False
    ctx.holds(
        "not.revoked",
        f"nothing on the way to record {lineage.release_index} is revoked at block {snapshot.block.number}",
    )
    return True


def _ancestors(ctx: Context) -> set[int]:
    """Log indices whose revocation revokes the release: opening, checkpoint, merge, quantize, release."""
    lineage = need(ctx.lineage)
    wanted = (lineage.opening, lineage.checkpoint, lineage.merge, lineage.quantize, lineage.release)
    return {i for i, r in enumerate(ctx.records) if any(r is w for w in wanted)}


STEPS = (
    step_1_identify,
    step_4_chain,
    step_2_release,
    step_3_records,
    step_4_final,
    step_5_edges,
    step_8_revocation,
    step_6_proofs,
    step_7_recompute,
)
