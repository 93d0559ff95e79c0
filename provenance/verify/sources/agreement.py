"""What derives from a run's journal, compared with the journal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from provenance.errors import VerificationError
from provenance.log.anchoring import SignedHead
from provenance.log.fold import read_history
from provenance.log.record import Record
from provenance.merkle import Tree


def history_faults(records: Iterable[Record]) -> list[str]:
    """Where records (attacker-controlled) disagree with each other: the first place only."""
    try:
        read_history(records)
    except VerificationError as error:
        return [f"history: {error}"]
    return []


def head_faults(heads: Iterable[SignedHead], records: Sequence[Record]) -> list[str]:
    """Which signed heads (attacker-controlled) are not of a beginning of these records.

    Signatures are not checked here.
    """
    tree = Tree(record.entry for record in records)
    faults = []
    for signed in heads:
        if signed.head.size > len(records):
            faults.append(
                f"heads.jsonl: a head covers {signed.head.size} records, the journal has "
                f"{len(records)}"
            )
        elif signed.head.root != tree.root(signed.head.size):
            faults.append(
                f"heads.jsonl: the head of {signed.head.size} records has another root than the "
                "journal"
            )
    return faults
