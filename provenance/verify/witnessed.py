"""Which witnesses of the trust file signed a released head, by the cosignatures at hand.

A cosignature says who made it, so it counts wherever it lies. Those of strangers, of other heads,
and whatever else is planted beside them say nothing, and accuse nobody.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from contextlib import suppress

from provenance.errors import MissingEvidence, ProvenanceError
from provenance.judgement.facts import ClaimFacts, HeadFacts
from provenance.judgement.head_signatures import domain_of
from provenance.judgement.third_parties import Witnesses
from provenance.judgement.trust import show_time
from provenance.log.c2sp import checkpoint
from provenance.log.tree import Head
from provenance.log.witness.cosignature import MAX_AHEAD_S, WitnessKey
from provenance.verify.case import Case
from provenance.verify.protocols import Evidence


def check_witnesses(
    case: Case, claim: ClaimFacts, committed: HeadFacts, candidates: Sequence[Evidence]
) -> None:
    """Claim `head.witnessed`; no claim where the trust file names no witnesses.

    Raises:
        Lacking: fewer witnesses than needed signed the head, as far as is at hand.
    """
    witnesses = case.verifier.trust.witnesses
    if witnesses is None:
        return
    head = Head(claim.run_id, committed.size, committed.root)
    times = _times(case, head, witnesses, candidates)
    with case.notes.guarded("head.witnessed"):
        if len(times) < witnesses.needed:
            raise MissingEvidence(
                f"{len(times)} of the {len(witnesses.keys)} witnesses of the trust file signed "
                f"head {claim.seq}, as far as is at hand, and {witnesses.needed} are needed",
                where="provenance/cosignatures.jsonl",
                hint="the publisher adds cosignatures with provenance cosign RUN --witness URL",
            )
    latest = show_time(datetime.datetime.fromtimestamp(max(times.values()), datetime.UTC))
    names = [key.name for key in times]
    case.notes.holds(
        "head.witnessed",
        f"{len(times)} of the {len(witnesses.keys)} witnesses of the trust file "
        f"({witnesses.needed} needed) signed that head {claim.seq}, of {head.size} records, was "
        f"the newest of this log that they had seen, the last of them at {latest} by its clock: "
        f"{', '.join(names)}; that a witness signs only what extends the head that it signed "
        "before is its word",
        witnesses=" ".join(names),
        latest=latest,
    )


def _times(
    case: Case, head: Head, witnesses: Witnesses, candidates: Sequence[Evidence]
) -> dict[WitnessKey, int]:
    """The latest time at which each witness signed the head, in the order of the trust file."""
    text = checkpoint(head, domain_of(case.verifier.trust))
    latest = int(case.verifier.clock().timestamp()) + MAX_AHEAD_S
    found: dict[WitnessKey, int] = {}
    for evidence in candidates:
        with suppress(ProvenanceError):  # a file that cannot be read adds none
            for each in evidence.cosignatures():
                given = each.cosignature
                # Only the signature decides; what cannot count is not worth checking one.
                counts = each.head == head and given.witness in witnesses.keys
                is_later = found.get(given.witness, 0) < given.time <= latest
                if counts and is_later and given.is_of(text):
                    found[given.witness] = given.time
    return {key: found[key] for key in witnesses.keys if key in found}
