"""The run that an auditor looks at: its log, its segments, and where signatures about it count."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.ids import RunId
from provenance.judgement.facts import ChainReader, ChainSnapshot
from provenance.judgement.pinned import final_state
from provenance.judgement.segment_draw import SegmentDraw, closing_head, segment_draw
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.layout import RunFolder
from provenance.log.audit.about import AuditedLog
from provenance.log.fold import read_history
from provenance.log.graph.segments import Segment, end_of, segments_of
from provenance.log.history import History
from provenance.log.record import Record
from provenance.log.run_log import run_id_of
from provenance.log.tree import read_records, require_log
from provenance.merkle import Tree
from provenance.settings import Settings
from provenance.signing import Domain
from provenance_cli.judge.log_export import domain_of_run, require_same_domain
from provenance_cli.wiring import reader_for


@dataclass(frozen=True)
class Subject:
    """A run folder (attacker-controlled) with its log, whose training has ended."""

    folder: RunFolder
    records: Sequence[Record]
    history: History
    segments: Sequence[Segment]

    @classmethod
    def read(cls, run: Path) -> Subject:
        """Read a run's log.

        Raises:
            NotFound: no run, or its training has not ended.
            InputError, VerificationError: the log is damaged, or contradicts itself.
        """
        folder = RunFolder(run).require()
        records = read_records(folder.journal)
        history = read_history(records)
        return cls(folder, records, history, segments_of(history))

    @property
    def run_id(self) -> RunId:
        """Raises InputError if the run was never registered."""
        return run_id_of(self.folder)

    @property
    def domain(self) -> Domain:
        """Where signatures about this run count; raises Conflict if it was never registered."""
        return domain_of_run(self.folder)

    @property
    def close(self) -> int:
        """Index of the record that ends the training."""
        return end_of(self.history)

    @property
    def size(self) -> int:
        """Of the log up to and with that record, which auditors sign."""
        return self.close + 1

    @property
    def audited(self) -> AuditedLog:
        """The log as attestations are compared with it; raises as `run_id` and `domain` do."""
        return AuditedLog.of(self.run_id, self.records, self.history, self.segments, self.domain)

    def root(self) -> bytes:
        """The root of the log's first `size` records."""
        return Tree([record.entry for record in self.records[: self.size]]).root()


@dataclass(frozen=True)
class OnChain:
    """The newest final state of the chain that a trust file pins."""

    trust: Trust
    reader: ChainReader
    snapshot: ChainSnapshot

    @classmethod
    def of(cls, subject: Subject, trust: Path | None) -> OnChain:
        """The state of the run's own chain.

        Args:
            trust: the trust file; None for that of the settings.

        Raises:
            Conflict: the trust file is about another chain or registry than the run.
            ConfigError: there is no trust file.
            UnavailableError: as `final_state`.
        """
        settings = Settings.load()
        believed = load_trust(trust or settings.trust)
        require_same_domain(subject.domain, believed)
        reader = reader_for(settings, believed)
        now = datetime.datetime.now(datetime.UTC)
        return cls(believed, reader, final_state(believed, reader, now))

    def require_log(self, subject: Subject) -> None:
        """Check that the log at hand is the one whose training ended on chain.

        Raises:
            NotFound: as `closing_head`.
            MissingEvidence: the log at hand is cut short.
            VerificationError: it is another one.
        """
        head = closing_head(self.snapshot, subject.run_id, subject.close)
        where = f"head of {head.size} records on chain"
        require_log(subject.records, head.size, head.root, where)

    def draw(self, subject: Subject) -> SegmentDraw:
        """The block that draws segments of the run; raises as it and `segment_draw` do."""
        self.require_log(subject)
        return segment_draw(self.reader, self.snapshot, subject.run_id, subject.close)
