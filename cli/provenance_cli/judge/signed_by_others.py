"""What `fsck` says of files that others signed: witnesses' cosignatures, auditors' attestations."""

from __future__ import annotations

import os
from collections.abc import Sequence

from provenance.errors import InputError, ProvenanceError, VerificationError
from provenance.ids import RunId, to_hex
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
from provenance_cli.judge.log_export import domain_of_run


def check_attestations(folder: RunFolder, records: Sequence[Record]) -> list[str]:
    """The problems of lines that are no auditor's word about this log."""
    path = folder.attestations
    if not os.path.lexists(path):
        return []
    problems = list[str]()
    try:
        history = read_history(records)
        segments = segments_of(history)
        log = AuditedLog.of(run_id_of(folder), records, history, segments, domain_of_run(folder))
        for number, line in read_lines(path):
            try:
                log.require_about(_read(line))
            except ProvenanceError as error:
                problems.append(f"attestations.jsonl line {number}: {error}")
    except ProvenanceError as error:
        problems.append(f"attestations.jsonl cannot be checked: {error}")
    return problems


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
