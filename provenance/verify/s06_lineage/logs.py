"""Logs at hand, and the runs on chain that they are of. Each is read and hashed once in a walk.

Journals are attacker-controlled. What a log is of is not taken from its folder's word, nor from the
place of one record: each run that a record names is compared with the heads on chain.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any, cast

from provenance.errors import ProvenanceError, VerificationError
from provenance.ids import RunId
from provenance.judgement.facts import ChainSnapshot, HeadFacts, RunFacts
from provenance.judgement.trust import Trust
from provenance.log.fold import Fold
from provenance.log.history import History
from provenance.log.record import Record
from provenance.log.records import Release, Seed
from provenance.merkle import Tree
from provenance.verify.protocols import Evidence, EvidenceSource
from provenance.verify.sources.evidence import MAX_BEFORE_SEED

MAX_NAMED = 16  # runs that one log names, each asked for on chain


class Remembered:
    """A `ChainSnapshot` that asks each question once. Its answers never change: it is one block."""

    def __init__(self, snapshot: ChainSnapshot) -> None:
        self._snapshot, self._answers = snapshot, dict[tuple[Any, ...], Any]()

    def __getattr__(self, name: str) -> Any:
        asked = getattr(self._snapshot, name)
        if not callable(asked):
            return asked

        def answer(*args: Any) -> Any:
            key = (name, *args)
            if key not in self._answers:
                self._answers[key] = asked(*args)
            return self._answers[key]

        return answer


def remembered(snapshot: ChainSnapshot) -> ChainSnapshot:
    """A snapshot that asks each question once."""
    return cast(ChainSnapshot, Remembered(snapshot))


class Journal:
    """One journal at hand.

    records: as many as can be read; fault: why there are no more, None if these are all.
    """

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.records: Sequence[Record] = ()
        self.fault: ProvenanceError | None = None
        try:
            self.records = evidence.records()
        except ProvenanceError as error:
            self.fault = error
            self.records = _readable(evidence)

    @cached_property
    def tree(self) -> Tree:
        """The tree over the records."""
        return Tree(record.entry for record in self.records)

    def is_under(self, head: HeadFacts | None) -> bool:
        """Whether the records begin with the log under a head."""
        if head is None or head.size > len(self.records):
            return False
        return self.tree.root(head.size) == head.root

    def named(self) -> Iterator[RunId]:
        """The runs that it says it is of, at most `MAX_NAMED`: one of them released a file, or drew
        a seed.

        A release stands in the log under a digest of its run. So the one that the chain knows is
        among those that releases name.
        """
        seeds = [r for r in self.records if r.type == Seed.TYPE]
        releases = (r for r in reversed(self.records) if r.type == Release.TYPE)
        early = [r for r in self.records[:MAX_BEFORE_SEED] if r.type == Seed.TYPE]
        named = (r.fields.get("run_id") for r in (*early[:1], *releases, *seeds))
        for run_id in islice(dict.fromkeys(map(str, named)), MAX_NAMED):
            with suppress(ProvenanceError):  # of no form that a run has
                yield RunId.parse(run_id)


def _readable(evidence: Evidence) -> Sequence[Record]:
    """What stands before the damage, or before the limits; work grows with its logarithm."""

    def lacks(most: int) -> bool:
        try:
            return len(evidence.records(most)) < most
        except ProvenanceError:
            return True

    top = 1
    while not lacks(top):
        top *= 2
    count = top // 2 + bisect_left(range(top // 2 + 1, top), True, key=lacks)
    return evidence.records(count) if count else ()


@dataclass(frozen=True)
class Folded:
    """What a log tells, up to the first record that breaks a rule of the history.

    history: of the records before that one; None if there are none.
    fault: which rule it breaks; None if none does.
    """

    history: History | None
    fault: ProvenanceError | None


def _fold(records: Sequence[Record]) -> Folded:
    fold = Fold()
    for index, record in enumerate(records):
        try:
            fold.add(record)
        except VerificationError as error:
            return Folded(fold.history() if index else None, error)
    return Folded(fold.history() if records else None, None)


class Logs:
    """The journals at hand and what the chain knows of them."""

    def __init__(self, source: EvidenceSource, trust: Trust, snapshot: ChainSnapshot) -> None:
        self._source, self._trust, self._snapshot = source, trust, snapshot
        self._found = dict[str, list[Journal]]()
        self._journals = dict[Evidence, Journal]()
        self._runs = dict[Evidence, list[RunFacts]]()
        self._folded = dict[tuple[RunId, int], Folded]()

    def naming(self, digests: Sequence[str]) -> list[Journal]:
        """The journals that hold one of these digests, or cannot be searched for it, each once."""
        for digest in digests:
            if digest not in self._found:
                self._found[digest] = list(map(self._journal, self._source.makers(digest)))
        return list(dict.fromkeys(each for digest in digests for each in self._found[digest]))

    def _journal(self, evidence: Evidence) -> Journal:
        if evidence not in self._journals:
            self._journals[evidence] = Journal(evidence)
        return self._journals[evidence]

    def runs_of(self, journal: Journal) -> list[RunFacts]:
        """The runs of publishers of whose log it holds some head on chain."""
        key = journal.evidence
        if key not in self._runs:
            facts = (self._snapshot.run(run_id) for run_id in journal.named())
            owners = {each.address for each in self._trust.publishers}
            own = [run for run in facts if run is not None and run.owner in owners]
            now = self._snapshot.block.number
            self._runs[key] = [run for run in own if self.last_head(journal, run, now)]
        return self._runs[key]

    def last_head(self, journal: Journal, run: RunFacts, until: int) -> HeadFacts | None:
        """The last head of a run up to a block whose log a journal holds.

        What stands behind it is nobody's log. So few heads are asked for as bisection takes.
        """
        last = self.heads_until(run, until)
        if last and not journal.is_under(self._head(run, last)):
            last = bisect_left(
                range(1, last), True, key=lambda seq: not journal.is_under(self._head(run, seq))
            )
        return self._head(run, last) if last else None

    def heads_until(self, run: RunFacts, until: int) -> int:
        """How many heads a run has that were committed up to a block."""

        def begun(seq: int) -> int:
            found = self._head(run, seq)
            return until + 1 if found is None else found.block_number

        return bisect_right(range(1, run.seq + 1), until, key=begun)

    def is_last(self, run: RunFacts, head: HeadFacts, until: int) -> bool:
        """Whether a head is the last one of a run up to a block."""
        return self._head(run, self.heads_until(run, until)) == head

    def first_block(self, run: RunFacts, index: int) -> int:
        """The block in which the first head was committed that holds the record of an index."""

        def size(seq: int) -> int:
            head = self._head(run, seq)
            return 0 if head is None else head.size

        head = self._head(run, 1 + bisect_right(range(1, run.seq), index, key=size))
        return 0 if head is None else head.block_number

    def folded(self, run: RunFacts, log: Sequence[Record]) -> Folded:
        """What a log tells that lies under a head of a run."""
        key = (run.run_id, len(log))
        if key not in self._folded:
            self._folded[key] = _fold(log)
        return self._folded[key]

    def said(self, run: RunFacts) -> int | None:
        """The block in which a revocation of a run's owner's key was first said; None if never."""
        revoked = self._trust.key_revocations(self._snapshot, run.owner)
        return min((each.block_number for each in revoked), default=None)

    def _head(self, run: RunFacts, seq: int) -> HeadFacts | None:
        return self._snapshot.head(run.run_id, seq)
