"""Step 4: the run's log, under the head that the release lies in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from provenance.errors import ProvenanceError, UnavailableError, VerificationError
from provenance.ids import to_hex
from provenance.judgement.facts import ClaimFacts, HeadFacts, RunFacts
from provenance.log.record import Record
from provenance.log.tree import Head, require_prefix
from provenance.merkle import Tree, verify_inclusion
from provenance.signing import Domain, verify_head
from provenance.verify.case import Case
from provenance.verify.claims import Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain


@dataclass(frozen=True)
class Log:
    """The log that a release lies in, and what the registry says of its run.

    records: all records under the head that the release lies in. The head fixes their bytes; what
        they say is the owner's word.
    """

    claim: ClaimFacts
    run: RunFacts
    evidence: Evidence
    records: Sequence[Record]


@dataclass(frozen=True)
class _Found:
    """Evidence whose records are under the anchored head."""

    evidence: Evidence
    records: Sequence[Record]
    head: HeadFacts


def check_log(case: Case, chain: Chain, claim: ClaimFacts) -> Log:
    """The records at hand are exactly the log under its head, which the run's key signed.

    Raises:
        Stopped: no evidence of the run is at hand, or it is not that log.
    """
    report = case.report
    candidates = case.verifier.source.candidates(claim.run_id)
    if not candidates:
        report.unchecked(
            "release.logged",
            "records of the run are under the anchored head",
            f"the evidence of run {to_hex(claim.run_id)} (--evidence FOLDER)",
        )
        raise Stopped
    found = _choose(case, chain, claim, candidates)
    with report.guarded("head.signed"):
        report.holds("head.signed", _check_heads(case, claim, found))
    return Log(claim, _check_final(case, chain, claim, found.head), found.evidence, found.records)


def _choose(case: Case, chain: Chain, claim: ClaimFacts, candidates: Sequence[Evidence]) -> _Found:
    """The first candidate under the anchored head; if none is, report what the first one lacks."""
    faults: list[ProvenanceError] = []
    for evidence in candidates:
        try:
            found = _read(case, chain, claim, evidence)
        except UnavailableError:
            raise
        except ProvenanceError as error:
            faults.append(error)  # another candidate may be the right log
            continue
        case.report.holds(
            "release.logged",
            f"all {found.head.size} records are the log under head {claim.seq}; "
            f"the release is record {claim.index}",
        )
        return found
    case.report.fails("release.logged", faults[0])
    raise Stopped


def _read(case: Case, chain: Chain, claim: ClaimFacts, evidence: Evidence) -> _Found:
    records = evidence.records()
    head = chain.snapshot.head(claim.run_id, claim.seq)
    if head is None:
        raise VerificationError(
            "registry has no such head", where=f"run {to_hex(claim.run_id)} seq {claim.seq}"
        )
    if len(records) < head.size:
        raise VerificationError(
            "records are missing",
            where="journal",
            expected=f"{head.size} records",
            actual=len(records),
        )
    found = _Found(evidence, records[: head.size], head)
    _check_root(claim, found)
    _check_released(case, claim, found)
    return found


def _check_root(claim: ClaimFacts, found: _Found) -> None:
    """The records are the leaves under the head, and the release is one of them."""
    tree, head = Tree(r.entry for r in found.records), found.head
    if tree.root() != head.root:
        raise VerificationError(
            "records are not those under the anchored head",
            where=f"head {claim.seq}",
            expected=to_hex(head.root),
            actual=to_hex(tree.root()),
        )
    if claim.index >= head.size:
        raise VerificationError(
            "release lies outside its head",
            where=f"head {claim.seq}",
            expected=f"< {head.size}",
            actual=claim.index,
        )
    entry, proof = found.records[claim.index].entry, tree.inclusion_proof(claim.index)
    verify_inclusion(entry, claim.index, head.size, proof, head.root)


def _check_released(case: Case, claim: ClaimFacts, found: _Found) -> None:
    release, model = found.records[claim.index], case.artifact.digest
    if release.digest != claim.record or release.fields.get("model") != str(model):
        raise VerificationError(
            "logged release names another file",
            where=f"record {claim.index}",
            expected=model,
            actual=release.fields.get("model"),
        )


def _check_heads(case: Case, claim: ClaimFacts, found: _Found) -> str:
    """Every signed head at hand is a prefix of the log, signed by the key that `run.open` names."""
    opening, tree = found.records[0], Tree(r.entry for r in found.records)
    if opening.type != "run.open":
        raise VerificationError(
            "log does not begin with the record that opens the run",
            where="record 0",
            expected="run.open",
            actual=opening.type,
        )
    trust, signer = case.verifier.trust, opening.fields["signer"]
    domain = Domain(trust.chain_id, trust.contracts["registry"].address)
    released = Head(claim.run_id, found.head.size, found.head.root)
    signed = [
        signed
        for signed in found.evidence.heads()
        if signed.head.run_id == claim.run_id and signed.head.size <= len(found.records)
    ]
    for each in signed:
        require_prefix(each.head, claim.run_id, tree)
        verify_head(each.head, domain, each.signature, signer)
    if all(each.head != released for each in signed):
        raise VerificationError(
            "the release's head is not signed by the run's key",
            where=f"head {claim.seq}",
            expected=signer,
        )
    return f"{len(signed)} heads signed by {signer}"


def _check_final(case: Case, chain: Chain, claim: ClaimFacts, head: HeadFacts) -> RunFacts:
    """The head is the registry's in a final block, and the registry knows the run."""
    run, final = chain.snapshot.run(claim.run_id), chain.snapshot.block.number
    with case.report.guarded("head.final"):
        if run is None:
            raise VerificationError("registry does not know the run", where=to_hex(claim.run_id))
    case.report.draw_block, case.report.head = run.draw_block, head
    case.report.holds(
        "head.final",
        f"head {claim.seq} was committed in block {head.block_number}, final at block {final}",
        root=to_hex(head.root),
        size=str(head.size),
    )
    return run
