"""Step 4: the run's log, under the head that the release lies in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from provenance.errors import ProvenanceError, UnavailableError, VerificationError
from provenance.ids import to_hex
from provenance.judgement.facts import ClaimFacts, HeadFacts, RunFacts
from provenance.log.anchoring import SignedHead
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
    """Evidence whose records are under the anchored head; tree: over all of them."""

    evidence: Evidence
    records: Sequence[Record]
    head: HeadFacts
    tree: Tree


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
        report.holds("head.signed", _check_heads(case, claim, found, candidates))
    return Log(claim, _check_final(case, chain, claim, found.head), found.evidence, found.records)


def _choose(case: Case, chain: Chain, claim: ClaimFacts, candidates: Sequence[Evidence]) -> _Found:
    """The candidate of this attempt among those that are the log under the anchored head.

    If none is, what the first one lacks is reported.
    """
    faults: list[ProvenanceError] = []
    logs: list[_Found] = []
    for evidence in candidates:
        try:
            logs.append(_read(case, chain, claim, evidence))
        except UnavailableError:
            raise
        except ProvenanceError as error:
            faults.append(error)  # another candidate may be the right log
    if not logs:
        case.report.fails("release.logged", faults[0])
        raise Stopped
    case.report.logs = len(logs)
    found = logs[min(case.attempt, len(logs) - 1)]  # a folder may vanish between attempts
    case.report.holds(
        "release.logged",
        f"all {found.head.size} records are the log under head {claim.seq}; "
        f"the release is record {claim.index}",
    )
    return found


def _read(case: Case, chain: Chain, claim: ClaimFacts, evidence: Evidence) -> _Found:
    head = chain.snapshot.head(claim.run_id, claim.seq)
    if head is None:
        raise VerificationError(
            "registry has no such head", where=f"run {to_hex(claim.run_id)} seq {claim.seq}"
        )
    records = evidence.records(head.size)
    if len(records) < head.size:
        raise VerificationError(
            "records are missing",
            where="journal",
            expected=f"{head.size} records",
            actual=len(records),
        )
    records = records[: head.size]
    found = _Found(evidence, records, head, Tree(record.entry for record in records))
    _check_root(claim, found)
    _check_released(case, claim, found)
    return found


def _check_root(claim: ClaimFacts, found: _Found) -> None:
    """The records are the leaves under the head, and the release is one of them."""
    tree, head = found.tree, found.head
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


def _check_heads(
    case: Case, claim: ClaimFacts, found: _Found, candidates: Sequence[Evidence]
) -> str:
    """Every head at hand that the key of `run.open` signed is a prefix of the log.

    Whoever keeps the evidence can add lines that this key did not sign; they accuse nobody. A
    signed one counts wherever it lies, also beside a log that is not this one. Nor does a prefix
    accuse anybody, whoever signed it: of those only the release's own signature is checked.
    """
    opening, tree = found.records[0], found.tree
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
    prefixes, is_signed = 0, False
    for each in _heads(candidates):
        if each.head.run_id != claim.run_id or each.head.size > len(found.records):
            continue
        if each.head.root == tree.root(each.head.size):
            prefixes += 1
            is_signed = is_signed or (each.head == released and _is_signed(each, domain, signer))
        elif _is_signed(each, domain, signer):
            require_prefix(each.head, claim.run_id, tree)
    if not is_signed:
        raise VerificationError(
            "the release's head is not signed by the run's key",
            where=f"head {claim.seq}",
            expected=signer,
        )
    return f"signed by {signer}; {prefixes} heads at hand are prefixes of the log"


def _heads(candidates: Sequence[Evidence]) -> Iterator[SignedHead]:
    """The heads of all candidates, each once; a list that cannot be read adds none."""
    seen: set[tuple[Head, bytes]] = set()
    for evidence in candidates:
        with suppress(ProvenanceError):
            for each in evidence.heads():
                key = (each.head, each.signature)
                if key not in seen:
                    seen.add(key)
                    yield each


def _is_signed(each: SignedHead, domain: Domain, signer: str) -> bool:
    try:
        verify_head(each.head, domain, each.signature, signer)
    except VerificationError:
        return False
    return True


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
