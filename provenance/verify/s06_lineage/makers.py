"""Which releases at hand are of runs that made an artifact, by the log under the registry's head.

Logs at hand are attacker-controlled. Each is compared with the heads on chain before the chain is
asked about anything that it names.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from provenance.artifacts.identity import NamedFolder
from provenance.digest import Digest
from provenance.errors import InputError, ProvenanceError, UnavailableError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ChainSnapshot, ClaimFacts, HeadFacts, RunFacts
from provenance.judgement.trust import Trust
from provenance.log.graph.folders import adapter_of, began_with, merged_of
from provenance.log.record import Record
from provenance.log.records import Checkpoint, Merge, Quantize, Release, Seed, Step
from provenance.merkle import Tree
from provenance.verify.case import Verifier
from provenance.verify.protocols import Evidence, EvidenceSource
from provenance.verify.s03_release import MAX_ASKED
from provenance.verify.sources.evidence import MAX_BEFORE_SEED


@dataclass(frozen=True)
class Sought:
    """What is looked for.

    path: identities from the release back to the artifact that some run made.
    opened: the block for which the run was opened that began with it.
    proven: runs that were found to have made it, with their proofs.
    weights: a folder, if runs are looked for that made its weights beside other files.
    """

    path: tuple[str, ...]
    opened: int
    proven: set[RunId] = field(default_factory=set)
    weights: NamedFolder | None = None

    @property
    def artifact(self) -> str:
        """The last of the path."""
        return self.path[-1]

    @property
    def is_base(self) -> bool:
        """Whether it is the base of the run in question: only its own model stands before it."""
        return len(self.path) == 2

    @property
    def named(self) -> str:
        """What a log must name."""
        return self.artifact if self.weights is None else self.weights.content


@dataclass
class Maker:
    """A run by a publisher whose log, under a head on chain, says that it made what is sought.

    block: the one in which that head was committed.
    logs: the evidence at hand with that log, whatever else it says of itself.
    said: the block in which a revocation of the owner's key was first said, None if none was.
    claims: its release of each file on chain; None where there is none that counts.
    """

    facts: RunFacts
    said: int | None
    block: int = 0
    logs: list[Evidence] = field(default_factory=list)
    claims: dict[Digest, ClaimFacts | None] = field(default_factory=dict)


@dataclass(frozen=True)
class Beside:
    """An `EvidenceSource` that also has the evidence in which a run was found by its log.

    Else a folder that calls itself another run's would hide what was revoked of its log.
    """

    source: EvidenceSource
    maker: Maker

    def candidates(self, run_id: RunId) -> Sequence[Evidence]:
        """The evidence of the maker's log first, then the rest that claims to be of this run."""
        own = self.maker.logs if run_id == self.maker.facts.run_id else []
        return [*own, *(each for each in self.source.candidates(run_id) if each not in own)]

    def makers(self, artifact: str) -> Sequence[Evidence]:
        """As the source."""
        return self.source.makers(artifact)


def makers_of(verifier: Verifier, snapshot: ChainSnapshot, sought: Sought) -> list[Maker]:
    """The runs at hand that made what is sought, with their trusted releases.

    Only logs of runs by publishers are read on, and only what is under a head that was committed
    before the run was opened that began with the artifact, and before a revocation of the owner's
    key was said: what comes later accuses nobody.

    Raises:
        UnavailableError: the chain does not answer, or a run has more releases than are asked for.
    """
    found: dict[RunId, Maker] = {}
    for evidence in verifier.source.makers(sought.named):
        try:
            _add(verifier.trust, snapshot, evidence, sought, found)
        except UnavailableError:
            raise
        except ProvenanceError:
            continue  # bad evidence must not hide the good
    return list(found.values())


def _add(
    trust: Trust,
    snapshot: ChainSnapshot,
    evidence: Evidence,
    sought: Sought,
    found: dict[RunId, Maker],
) -> None:
    """Take in a log (attacker-controlled), if it is a maker's.

    Raises:
        ProvenanceError: not a log, or one without a seed.
    """
    first = evidence.records(MAX_BEFORE_SEED)
    if sought.weights is not None and began_with(first, sought.weights.content):
        return  # most runs that name these weights only began with them
    seed = next((r for r in first if r.type == Seed.TYPE), None)
    run_id = None if seed is None else seed.fields.get("run_id")
    facts = None if run_id is None else snapshot.run(RunId.parse(run_id))
    if facts is None or all(each.address != facts.owner for each in trust.publishers):
        return
    maker = found.get(facts.run_id) or Maker(facts, _said(trust, snapshot, facts))
    until = sought.opened - 1 if maker.said is None else min(sought.opened - 1, maker.said)
    head = _anchored(snapshot, evidence, facts, until)
    log = [] if head is None else evidence.records(head.size)
    if head is None or not says_it_made(log, sought):
        return
    found[facts.run_id], maker.block = maker, head.block_number
    maker.logs.append(evidence)
    for model in _released(facts, log):
        if model not in maker.claims:
            maker.claims[model] = _claim(trust, snapshot, maker, model)


def _said(trust: Trust, snapshot: ChainSnapshot, run: RunFacts) -> int | None:
    said = (each.block_number for each in trust.key_revocations(snapshot, run.owner))
    return min(said, default=None)


def _anchored(
    snapshot: ChainSnapshot, evidence: Evidence, run: RunFacts, until: int
) -> HeadFacts | None:
    """The last head up to a block whose log is at hand.

    What stands behind it is nobody's log. So few heads are asked for as bisection takes.
    """

    def head(seq: int) -> HeadFacts | None:
        return snapshot.head(run.run_id, seq)

    def begun(seq: int) -> int:
        found = head(seq)
        return until + 1 if found is None else found.block_number

    last = bisect_right(range(1, run.seq + 1), until, key=begun)
    if last and not _is_under(evidence, head(last)):
        last = bisect_left(range(1, last), True, key=lambda seq: not _is_under(evidence, head(seq)))
    return head(last) if last else None


def _is_under(evidence: Evidence, head: HeadFacts | None) -> bool:
    """Whether the records at hand begin with the log under a head."""
    with suppress(ProvenanceError):  # damaged behind a head that they reach, perhaps
        records = [] if head is None else evidence.records(head.size)
        return (
            head is not None
            and len(records) >= head.size
            and Tree(record.entry for record in records[: head.size]).root() == head.root
        )
    return False


def _released(run: RunFacts, log: Sequence[Record]) -> Iterator[Digest]:
    """The files that a log names as released, each once, the last one first.

    Raises:
        UnavailableError: so many that a revoked one could lie behind the last that is asked for.
    """
    named = dict.fromkeys(r.fields.get("model") for r in reversed(log) if r.type == Release.TYPE)
    if len(named) > MAX_ASKED:
        raise UnavailableError(
            "the log of a run that made the base names more releases than are asked for",
            where=f"run {to_hex(run.run_id)}",
            expected=f"<= {MAX_ASKED}",
            actual=len(named),
            hint="ask its publisher for a base of a run with fewer",
        )
    for model in named:
        with suppress(InputError):  # of no form that a claim could have
            yield Digest.parse(str(model))


def _claim(trust: Trust, snapshot: ChainSnapshot, maker: Maker, model: Digest) -> ClaimFacts | None:
    """A publisher's final release of a file by this very run; a revoked one, if there is any.

    One made in the time for which the owner's key is revoked counts where there is no other, and
    none that was made after that was said.
    """
    keys = trust.key_revocations(snapshot, maker.facts.owner)
    claims = [
        claim
        for claim, _ in trust.releases(snapshot, model)
        if claim.run_id == maker.facts.run_id
        and (maker.said is None or claim.block_number <= maker.said)
    ]

    def rank(claim: ClaimFacts) -> tuple[bool, bool]:
        late = any(claim.block_number >= key.from_block for key in keys)
        return late, not claim.revoked_block

    return min(claims, key=rank, default=None)


def says_it_made(log: Sequence[Record], sought: Sought) -> bool:
    """Whether a record of a log says that what is sought was made, and not only taken."""
    return any(sought.named in _made_by(record, sought) for record in log)


def _made_by(record: Record, sought: Sought) -> Sequence[str]:
    """What a record (attacker-controlled) says was made; of weights, by their content."""
    if record.type == Step.TYPE:
        return list(record.fields["outputs"])
    if record.type == Quantize.TYPE:
        return [record.fields["file"]]
    if record.type not in (Merge.TYPE, Checkpoint.TYPE):
        return []
    folder = merged_of(record) if record.type == Merge.TYPE else adapter_of(record)
    with suppress(InputError):  # of no form that names a folder
        return [folder.name if sought.weights is None else folder.content]
    return []
