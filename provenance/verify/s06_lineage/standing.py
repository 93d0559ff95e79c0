"""What the log of a run that made something tells of it, and which of its releases count for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from provenance.digest import Digest
from provenance.errors import ProvenanceError, VerificationError
from provenance.judgement.facts import ChainSnapshot, ClaimFacts
from provenance.log.graph.folders import base_of, merged_of
from provenance.log.graph.way_back import way_of
from provenance.log.history import History, Placed
from provenance.log.records import Merge
from provenance.text.counted import counted
from provenance.verify.s06_lineage.logs import Folded
from provenance.verify.s06_lineage.makers import Maker, Sought
from provenance.verify.s07_revocation import training_of


class Standing(Enum):
    """Whether a release counts for what is sought, with what is said of those that do not."""

    COUNTS = ""
    LATE = "logged under a head from afterwards"
    CUT = "that is not in what is at hand of its log"
    OTHER = "of something else"


@dataclass(frozen=True)
class Told:
    """What a log tells of what its run made.

    history: as far as the log keeps the rules; broken: the rule that it breaks, if it does.
    records: of the merges, quantizations and steps on the way; none if it breaks a rule before, or
        made an adapter.
    """

    history: History | None
    broken: ProvenanceError | None
    records: Sequence[Placed] = ()

    def revocable(self, size: int) -> set[int]:
        """Indices of the records whose revocation counts, of a log of so many.

        Where it breaks a rule before it tells what was made of what, all of them.
        """
        if self.history is None or (self.broken is not None and not self.records):
            return set(range(size))
        return {0, *(placed.index for placed in self.records), *training_of(self.history)}


def told_by(folded: Folded, sought: Sought) -> Told | None:
    """What a log tells of what is sought; None if its run made nothing of the kind.

    It made none of its own base, even if a merge changed nothing. Of weights, only what it made
    beside other files is told here.
    """
    history, broken = folded.history, folded.fault
    if history is None:
        return Told(None, broken)
    if sought.weights is not None:
        content = sought.weights.content
        merges = [m for m in history.merges if merged_of(m.record).content == content]
        very = any(merged_of(m.record).name == sought.artifact for m in merges)
        if very or base_of(history.opening).content == content:
            return None
        return Told(history, broken, merges) if merges or broken else None
    if base_of(history.opening).name == sought.artifact:
        return None
    try:
        way = way_of(history, sought.artifact)
    except VerificationError as error:  # there is no last checkpoint
        return Told(history, broken or error)
    return Told(history, broken, way.records if way else ())


def path_of(history: History, claim: ClaimFacts) -> set[int]:
    """Indices of the records between what a run made last and a release of it."""
    try:
        path = history.path(claim.index)
    except VerificationError:  # following it says why
        return {claim.index}
    return {placed.index for placed in (path.merge, path.quantize, path.release)}


@dataclass
class Releases:
    """The releases of a maker, by whether they count for what is sought."""

    counting: list[tuple[Digest, ClaimFacts]] = field(default_factory=list)
    others: Counter[Standing] = field(default_factory=Counter)

    def passed(self, *standings: Standing) -> list[str]:
        """Those that do not count, with the reason."""
        return [
            f"{counted(self.others[each], 'release')} of that run {each.value}"
            for each in standings
            if self.others[each]
        ]


def releases_of(snapshot: ChainSnapshot, maker: Maker, told: Told, sought: Sought) -> Releases:
    """The releases of a maker. None is left out: each counts, or is passed over for a reason.

    Where a merge lies on the way to what is sought, only releases of its model count: the run may
    have others. What was logged afterwards accuses nobody, and helps nobody.

    Raises:
        UnavailableError: the chain does not answer.
    """
    found = Releases()
    for model, claim in maker.claims:
        standing = _standing(snapshot, maker, claim, sought)
        if standing is Standing.COUNTS and not _is_of(told, claim):
            standing = Standing.OTHER
        if standing is Standing.COUNTS:
            found.counting.append((model, claim))
        else:
            found.others[standing] += 1
    return found


def _standing(snapshot: ChainSnapshot, maker: Maker, claim: ClaimFacts, sought: Sought) -> Standing:
    head = snapshot.head(claim.run_id, claim.seq)
    if head is not None and head.block_number >= sought.before:
        return Standing.LATE
    if head is None or head.size > len(maker.records) or claim.index >= head.size:
        return Standing.CUT
    if maker.records[claim.index].digest != claim.record:
        return Standing.CUT
    return Standing.COUNTS if maker.made < head.size else Standing.OTHER


def _is_of(told: Told, claim: ClaimFacts) -> bool:
    """Whether a release is of a model on the way; so it is where the log does not say."""
    merged = {merged_of(p.record).name for p in told.records if p.record.type == Merge.TYPE}
    if told.history is None or not merged:
        return True
    try:
        path = told.history.path(claim.index)
    except VerificationError:
        return True
    return merged_of(path.merge.record).name in merged
