"""Step 4: the run's log, under the head that the release lies in."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from provenance.errors import (
    MissingEvidence,
    ProvenanceError,
    UnavailableError,
    VerificationError,
)
from provenance.ids import to_hex
from provenance.judgement.facts import ClaimFacts, HeadFacts, RunFacts
from provenance.judgement.head_signatures import head_signatures
from provenance.log.anchoring import SignedHead
from provenance.log.record import Record
from provenance.log.tree import Head, require_log, require_prefix
from provenance.merkle import Tree, verify_inclusion
from provenance.text.counted import counted
from provenance.verify.case import Case
from provenance.verify.claims import Lacking, Stopped
from provenance.verify.protocols import Evidence
from provenance.verify.s02_chain import Chain
from provenance.verify.witnessed import check_witnesses

MAX_SIGNATURES = 256  # of heads beside a log that are tried, and of those elsewhere at hand


@dataclass(frozen=True)
class Log:
    """The log that a release lies in, and what the registry says of its run.

    head: the one that the release lies in.
    records: all records under it. The head fixes their bytes; what
        they say is the owner's word.
    """

    claim: ClaimFacts
    head: HeadFacts
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


def check_log(
    case: Case, chain: Chain, claim: ClaimFacts, *, reads_on: type[Stopped] = Lacking
) -> Log:
    """The records at hand are exactly the log under its head, which the run's key signed.

    Where the signature or cosignatures are missing, the claim about them is not checked, and the
    log is read on: what was revoked of it counts.

    Args:
        reads_on: with `Stopped`, the log is read on too where the signature is wrong.

    Raises:
        Stopped: no evidence of the run is at hand, or it is not that log.
    """
    notes = case.notes
    candidates = case.verifier.source.candidates(claim.run_id)
    if not candidates:
        notes.unchecked(
            "release.logged",
            "records of the run are under the anchored head",
            f"the evidence of run {to_hex(claim.run_id)} (--evidence FOLDER)",
        )
        raise Stopped
    found = _choose(case, chain, claim, candidates)
    with suppress(reads_on), notes.guarded("head.signed"):
        notes.holds("head.signed", _check_heads(case, chain, claim, found, candidates))
    with suppress(reads_on):
        check_witnesses(case, claim, found.head, candidates)
    run = _check_final(case, chain, claim, found.head)
    return Log(claim, found.head, run, found.evidence, found.records)


def _choose(case: Case, chain: Chain, claim: ClaimFacts, candidates: Sequence[Evidence]) -> _Found:
    """The candidate of this attempt among those that are the log under the anchored head.

    If none is, the first that is something else is reported; else the first that is cut short.
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
        wrong = (fault for fault in faults if not isinstance(fault, MissingEvidence))
        with case.notes.guarded("release.logged"):
            raise next(wrong, faults[0])
    case.notes.found_logs(len(logs))
    logs.sort(key=lambda found: found.evidence.merged() is None)  # weights may contradict
    found = logs[min(case.attempt, len(logs) - 1)]  # a folder may vanish between attempts
    case.notes.holds(
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
        _require_beginning(chain, claim, records)
    tree = require_log(records, head.size, head.root, f"head {claim.seq}")
    found = _Found(evidence, records[: head.size], head, tree)
    _check_included(claim, found)
    _check_released(case, claim, found)
    return found


def _require_beginning(chain: Chain, claim: ClaimFacts, records: Sequence[Record]) -> None:
    """What is at hand of a journal that is cut short is the beginning of the run's log.

    It begins as the run was opened, and is the log under the last head that it reaches.
    """
    run = chain.snapshot.run(claim.run_id)
    if records and run is not None and records[0].digest != run.preregistration:
        raise VerificationError(
            "journal begins with another record than the run was opened with",
            where="record 0",
            expected=to_hex(run.preregistration),
            actual=records[0].digest.hex0x,
        )

    def size(seq: int) -> int:
        head = chain.snapshot.head(claim.run_id, seq)
        return 0 if head is None else head.size

    seq = bisect_right(range(1, claim.seq), len(records), key=size)
    head = chain.snapshot.head(claim.run_id, seq) if seq else None
    if head is not None:
        require_log(records, head.size, head.root, f"head {seq}")


def _check_included(claim: ClaimFacts, found: _Found) -> None:
    """The release is one of the records under the head."""
    head = found.head
    if claim.index >= head.size:
        raise VerificationError(
            "release lies outside its head",
            where=f"head {claim.seq}",
            expected=f"< {head.size}",
            actual=claim.index,
        )
    entry, proof = found.records[claim.index].entry, found.tree.inclusion_proof(claim.index)
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
    case: Case, chain: Chain, claim: ClaimFacts, found: _Found, candidates: Sequence[Evidence]
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
    signature = head_signatures(trust, chain.snapshot, claim.owner, claim.block_number)
    released = Head(claim.run_id, found.head.size, found.head.root)
    prefixes, is_signed, asked = set[Head](), False, [0, 0]
    for kind, each in _heads_of(claim, found, candidates):
        is_prefix = each.head.root == tree.root(each.head.size)
        prefixes |= {each.head} if is_prefix else set()
        if is_prefix and (is_signed or each.head != released):
            continue  # it says nothing else than the log, whoever signed it
        asked[kind] += 1
        if asked[kind] > MAX_SIGNATURES:
            continue
        if signature.is_of(each.head, each.signature, signer):
            require_prefix(each.head, claim.run_id, tree)
            is_signed = True
    if not is_signed:
        raise _unsigned(claim, candidates)
    _require_few(asked)
    told = "" if signature.contract is None else ", a contract, by its own word at this block"
    heads = counted(len(prefixes), "head at hand is a prefix", "heads at hand are prefixes")
    return f"signed by {signer}{told}; {heads} of the log"


def _require_few(tried: Sequence[int]) -> None:
    """Not so many heads at hand say something else than the log that some were not looked at.

    Of honest evidence none does. Whoever plants more must not cost time without end, and one that
    was not looked at may be a fork that the run's key signed.
    """
    if max(tried) > MAX_SIGNATURES:
        raise MissingEvidence(
            f"{max(tried)} heads at hand are not of this log, and the signatures of "
            f"{MAX_SIGNATURES} were tried",
            where="provenance/heads.jsonl",
            hint="name the publisher's folder alone (--evidence FOLDER)",
        )


def _heads_of(
    claim: ClaimFacts, found: _Found, candidates: Sequence[Evidence]
) -> Iterator[tuple[int, SignedHead]]:
    """The heads of the log, each once: (0, ..) those beside its records, then (1, ..) the rest."""
    seen: set[tuple[Head, bytes]] = set()
    for kind, heads in enumerate((_heads([found.evidence]), _heads(candidates))):
        for each in heads:
            key = (each.head, each.signature)
            is_of_log = each.head.run_id == claim.run_id and each.head.size <= found.head.size
            if is_of_log and key not in seen:
                seen.add(key)
                yield kind, each


def _unsigned(claim: ClaimFacts, candidates: Sequence[Evidence]) -> MissingEvidence:
    """No head at hand is the released one, signed by the run's key.

    Neither heads that another key signed nor files that cannot be read are evidence against the
    owner: whoever can plant one would accuse them.
    """
    damage = ""
    for evidence in candidates:
        try:
            evidence.heads()
        except ProvenanceError as error:
            damage = f" (one that is at hand cannot be read: {error.what})"
    return MissingEvidence(
        f"evidence lacks the signature of head {claim.seq}, under which the release lies, by the "
        f"run's key{damage}",
        where="provenance/heads.jsonl",
    )


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


def _check_final(case: Case, chain: Chain, claim: ClaimFacts, head: HeadFacts) -> RunFacts:
    """The head is the registry's in a final block, and the registry knows the run."""
    run, final = chain.snapshot.run(claim.run_id), chain.snapshot.block.number
    with case.notes.guarded("head.final"):
        if run is None:
            raise VerificationError("registry does not know the run", where=to_hex(claim.run_id))
    case.notes.found_log(head, run.draw_block)
    case.notes.holds(
        "head.final",
        f"head {claim.seq} was committed in block {head.block_number}, final at block {final}",
        root=to_hex(head.root),
        size=str(head.size),
    )
    return run
