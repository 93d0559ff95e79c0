"""What others signed or sent: witnesses' cosignatures, auditors' attestations."""

from __future__ import annotations

import datetime
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from provenance.errors import InputError, ProvenanceError, VerificationError
from provenance.ids import Address, RunId, to_hex
from provenance.judgement.head_signatures import domain_of
from provenance.judgement.pinned import final_state
from provenance.judgement.third_parties import Auditors
from provenance.judgement.trust_file import load_trust
from provenance.layout import RunFolder
from provenance.log.audit.about import AuditedLog
from provenance.log.audit.attestation import Attestation
from provenance.log.audit.kept import read_lines
from provenance.log.c2sp import checkpoint
from provenance.log.fold import read_history
from provenance.log.graph.segments import segments_of
from provenance.log.record import Record
from provenance.log.run_log import run_id_of
from provenance.log.witness.cosignature import WitnessKey
from provenance.log.witness.kept import CosignedHead, read_cosigned
from provenance.merkle import Tree
from provenance.settings import Settings
from provenance.signing import Domain
from provenance.text.shown import visible
from provenance.verify.s09_recomputation.sent import Sent
from provenance_cli.judge.log_export import domain_of_run
from provenance_cli.wiring import reader_for


@dataclass(frozen=True)
class SentWord:
    """By the newest final block, as a verifier with this trust file sees it."""

    log: AuditedLog
    auditors: Auditors
    sent: Sent

    @classmethod
    def of(cls, log: AuditedLog, trust: Path | None) -> SentWord | None:
        """None if there is no trust file, or it names no auditors, no contract of attestations, or
        another chain or registry than the log's.

        Args:
            trust: the trust file; None for that of the settings.

        Raises:
            UnavailableError: the chain does not answer, or is not the pinned one.
            ConfigError: the trust file cannot be read.
        """
        settings = Settings.load()
        path = trust or settings.trust
        believed = None if path is None else load_trust(path)
        if believed is None or believed.auditors is None:
            return None
        if "attestations" not in believed.contracts or domain_of(believed) != log.domain:
            return None
        now = datetime.datetime.now(datetime.UTC)
        snapshot = final_state(believed, reader_for(settings, believed), now)
        return cls(log, believed.auditors, Sent.of(snapshot, log, believed.auditors))

    def block_of(self, line: Attestation) -> int | None:
        """The block in which a line's auditor sent it; None if it did not, or nobody was asked."""
        return self.sent.blocks.get((line.auditor, line.audit.digest(self.log.domain)))

    def missing(self, lines: Iterable[Attestation]) -> Sequence[str]:
        """Who sent what is not among these lines, in words."""
        found: dict[Address, str] = self.sent.missing(
            self.sent.at_hand(lines, self.log), self.auditors
        )
        return list(found.values())


def check_attestations(folder: RunFolder, records: Sequence[Record]) -> list[str]:
    """The problems of lines that are no auditor's word about this log."""
    path = folder.attestations
    if not os.path.lexists(path):
        return []
    problems = list[str]()
    try:
        log = _audited_log(folder, records)
        for number, line in read_lines(path):
            try:
                log.require_line(_read(line))
            except ProvenanceError as error:
                problems.append(f"attestations.jsonl line {number}: {error}")
    except ProvenanceError as error:
        problems.append(f"attestations.jsonl cannot be checked: {error}")
    return problems


def check_sent(folder: RunFolder, records: Sequence[Record]) -> list[str]:
    """Which of the trust file's auditors sent an attestation to the chain that is not at hand.

    Raises:
        UnavailableError: the chain does not answer.
    """
    path = folder.attestations
    try:
        log = _audited_log(folder, records)
        lines = [line for _, line in read_lines(path)] if os.path.lexists(path) else []
    except ProvenanceError:
        return []  # nothing was registered, or has ended; what is damaged, other checks tell
    word = SentWord.of(log, None)
    missing = word.missing(a for a in lines if isinstance(a, Attestation)) if word else ()
    return [f"attestations.jsonl: {words}" for words in missing]


def _audited_log(folder: RunFolder, records: Sequence[Record]) -> AuditedLog:
    history = read_history(records)
    segments = segments_of(history)
    return AuditedLog.of(run_id_of(folder), records, history, segments, domain_of_run(folder))


def _read(line: Attestation | InputError) -> Attestation:
    if isinstance(line, InputError):
        raise line
    return line


def check_cosignatures(folder: RunFolder, records: Sequence[Record]) -> tuple[list[str], list[str]]:
    """Check that each line is a witness's signature of a head of this log.

    Returns:
        (problems, the witnesses of the others whom the trust file does not name, as vkeys).
    """
    path = folder.cosignatures
    if not os.path.lexists(path):
        return [], []
    tree, run_id = Tree(r.entry for r in records), run_id_in(records)
    problems, signed = list[str](), dict[WitnessKey, None]()
    try:
        domain = domain_of_run(folder)
        for number, line in read_cosigned(path):
            try:
                signed[_require_cosigned(line, run_id, tree, domain)] = None
            except ProvenanceError as error:
                problems.append(f"cosignatures.jsonl line {number}: {error}")
    except ProvenanceError as error:
        problems.append(f"cosignatures.jsonl cannot be checked: {error}")
    known = _known_witnesses() if signed else ()
    return problems, [visible(str(key)) for key in signed if key not in known]


def _require_cosigned(
    line: CosignedHead | InputError, run_id: RunId | None, tree: Tree, domain: Domain
) -> WitnessKey:
    """The witness whose cosignature a line is.

    Raises:
        InputError: it is no such line.
        VerificationError: of another run, of no prefix of the log, or a signature that its witness
            did not make for this chain and registry.
    """
    if isinstance(line, InputError):
        raise line
    head, given = line.head, line.cosignature
    is_prefix = head.size <= len(tree) and head.root == tree.root(head.size)
    if head.run_id != run_id or not is_prefix:
        raise VerificationError(
            "no head of this log",
            where=f"head of {head.size} records",
            expected=f"a prefix of the {len(tree)} records of run {run_id}",
            actual=f"root {to_hex(head.root)} of run {head.run_id}",
        )
    if not given.is_of(checkpoint(head, domain)):
        raise VerificationError(
            "not a cosignature of this head",
            where=f"witness {visible(given.witness.name)}",
            expected=f"a signature for chain {domain.chain_id}, registry {domain.registry}",
        )
    return given.witness


def run_id_in(records: Sequence[Record]) -> RunId | None:
    """The run that the journal's seed names; None for one that was never registered."""
    seed = next((r for r in records if r.type == "seed" and "run_id" in r.fields), None)
    return None if seed is None else RunId.parse(seed.fields["run_id"])


def _known_witnesses() -> tuple[WitnessKey, ...]:
    """Those of the trust file, if there is one that names any."""
    path = Settings.load().trust
    witnesses = load_trust(path).witnesses if path is not None else None
    return () if witnesses is None else witnesses.keys
