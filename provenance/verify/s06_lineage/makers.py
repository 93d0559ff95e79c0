"""Which runs at hand made an artifact, by the log under the registry's head, and their releases.

Logs at hand are attacker-controlled. Each is compared with the heads on chain before the chain is
asked about anything that it names. One that says that it made the artifact and is passed over is
counted, with the reason: it accuses nobody, and nobody is told that there is none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from provenance.artifacts.identity import NamedFolder
from provenance.digest import Digest
from provenance.errors import InputError, UnavailableError
from provenance.ids import RunId, to_hex
from provenance.judgement.facts import ChainSnapshot, ClaimFacts, HeadFacts, RunFacts
from provenance.judgement.trust import Trust
from provenance.log.graph.folders import adapter_of, began_with, merged_of
from provenance.log.record import Record
from provenance.log.records import Checkpoint, Merge, Quantize, Release, Step
from provenance.verify.protocols import Evidence
from provenance.verify.s03_release import MAX_ASKED
from provenance.verify.s06_lineage.logs import Journal, Logs

UNREAD = "that cannot be read in full"
UNCONFIRMED = "without a head of a publisher's run from before that confirms what it says"


@dataclass(frozen=True)
class Asked:
    """An artifact, and the block before which somebody must have logged that they made it.

    The answer depends on both, and so does whatever is remembered of it.
    """

    artifact: str
    before: int


@dataclass(frozen=True)
class Sought(Asked):
    """What is looked for.

    folder: the artifact, where it is known to be a folder of weights.
    by_weights: whether runs are looked for that made its weights beside other files.
    """

    folder: NamedFolder | None = None
    by_weights: bool = False

    @property
    def asked(self) -> Asked:
        """The question that the answer belongs to."""
        return Asked(self.artifact, self.before)

    @property
    def weights(self) -> NamedFolder | None:
        """The folder, if it is not sought itself, but its weights beside other files."""
        return self.folder if self.by_weights else None

    @property
    def named(self) -> str:
        """What a log must say was made."""
        return self.artifact if self.weights is None else self.weights.content

    @property
    def digests(self) -> Sequence[str]:
        """What a log holds one of: a merge has its model's content, and not its identity."""
        return [self.artifact, *([] if self.folder is None else [self.folder.content])]

    @property
    def what(self) -> str:
        """What was made, in a sentence about the run that made it."""
        return "it" if self.weights is None else "these weights"


@dataclass
class Maker:
    """A run by a publisher whose log, under a head on chain, says that it made what is sought.

    head, records: the longest such log at hand that counts.
    block: the one in which the first head was committed that holds the record that says so; made:
        index of that record.
    is_whole: whether `records` are all of the log up to the last head that counts.
    said: the block in which a revocation of the owner's key was first said, None if none was.
    logs: the evidence at hand with that log or its beginning, whatever else it says of itself.
    claims: its releases on chain of the files that it names, with the file.
    """

    facts: RunFacts
    said: int | None
    head: HeadFacts
    records: Sequence[Record]
    block: int
    made: int
    is_whole: bool
    logs: list[Evidence] = field(default_factory=list)
    claims: list[tuple[Digest, ClaimFacts]] = field(default_factory=list)


@dataclass
class Makers:
    """The makers of what is sought, and why journals that name it are passed over, each once."""

    runs: dict[RunId, Maker] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)


def makers_of(logs: Logs, trust: Trust, snapshot: ChainSnapshot, sought: Sought) -> Makers:
    """The runs at hand that made what is sought, with their trusted releases.

    Only logs of runs by publishers count, and only what is under a head that was committed before
    the block of the question, and before a revocation of the owner's key was said: what comes later
    accuses nobody.

    Raises:
        UnavailableError: the chain does not answer, or a run has more releases than are asked for.
    """
    found = Makers()
    for journal in logs.naming(sought.digests):
        if sought.weights is not None and began_with(journal.records, sought.weights.content):
            continue  # most runs that name these weights only began with them
        taken = [_add(logs, journal, run, sought, found.runs) for run in logs.runs_of(journal)]
        if not any(taken):
            found.passed += _passed(journal, sought)
    for maker in found.runs.values():
        for model in _released(maker.facts, maker.records):
            maker.claims += [(model, c) for c in _claims(trust, snapshot, maker, model)]
    return found


def _add(
    logs: Logs, journal: Journal, run: RunFacts, sought: Sought, found: dict[RunId, Maker]
) -> bool:
    """Take in a journal (attacker-controlled) as a run's log, if that is a maker's."""
    said = logs.said(run)
    until = sought.before - 1 if said is None else min(sought.before - 1, said)
    head = logs.last_head(journal, run, until)
    records = journal.records[: head.size] if head else ()
    made = next(
        (i for i, record in enumerate(records) if sought.named in _made_by(record, sought)), None
    )
    if head is None or made is None:
        return False
    maker, is_whole = found.get(run.run_id), logs.is_last(run, head, until)
    if maker is None:
        block = logs.first_block(run, made)
        maker = Maker(run, said, head, records, block, made, is_whole)
        found[run.run_id] = maker
    elif head.size > maker.head.size:
        maker.head, maker.records, maker.is_whole = head, records, is_whole
    maker.logs.append(journal.evidence)
    return True


def _passed(journal: Journal, sought: Sought) -> list[str]:
    """Why a journal that names what is sought is passed over; nothing if it made nothing of it."""
    if says_it_made(journal.records, sought):
        return [UNCONFIRMED]
    return [] if journal.fault is None else [f"{UNREAD} ({journal.fault.what})"]


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


def _claims(trust: Trust, snapshot: ChainSnapshot, maker: Maker, model: Digest) -> list[ClaimFacts]:
    """A publisher's final releases of a file by this very run, all of them.

    Those made in the time for which the owner's key is revoked count where there are no others, and
    none that was made after that was said.
    """
    keys = trust.key_revocations(snapshot, maker.facts.owner)
    claims = [
        claim
        for claim, _ in trust.releases(snapshot, model)
        if claim.run_id == maker.facts.run_id
        and (maker.said is None or claim.block_number <= maker.said)
    ]
    early = [c for c in claims if all(c.block_number < key.from_block for key in keys)]
    return early or claims


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
