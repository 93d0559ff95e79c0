"""`provenance audit list`: who signed for which segments of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provenance.errors import UnavailableError, VerificationError
from provenance.judgement.head_signatures import domain_of
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.log.audit.about import AuditedLog
from provenance.log.audit.attestation import Attestation, SegmentWord
from provenance.log.audit.kept import read_lines
from provenance.settings import Settings
from provenance.text.shown import quoted
from provenance_cli.audit.subject import Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.judge.signed_by_others import SentWord
from provenance_cli.options import Json, RunDir
from provenance_cli.output import result


def list_(run: RunDir, trust: TrustFile = None, json: Json = False) -> None:
    """List RUN's segments, and who signed that they came out how.

    Signatures are checked against the log at hand. If the trust file names auditors and the
    contract of attestations, the chain is asked what they sent to it. `verify` says what
    counts.
    """
    subject = Subject.read(run)
    path = trust or Settings.load().trust
    believed = None if path is None else load_trust(path)
    file = subject.folder.attestations
    kept = [line for _, line in read_lines(file)] if os.path.lexists(file) else []
    log, lines = subject.audited, [line for line in kept if isinstance(line, Attestation)]
    word, unasked = _word(log, trust)
    signed = [a for a in lines if _is_about(a, log, word)]
    rows = [
        {
            "segment": segment.number,
            "first_step": segment.first,
            "last_step": segment.last,
            "batches": len(segment.batches),
            "signed": [
                _said(each, one, word) | {"name": _name(each, believed, subject)}
                for each in signed
                for one in each.audit.replayed
                if one.number == segment.number
            ],
        }
        for segment in subject.segments
    ]
    value = {
        "format": "provenance-audit-list/1",
        "attestations": len(kept),
        "other": len(kept) - len(signed),
        "chain": None if word is None else list(word.missing(lines)),
        "segments": rows,
    }
    result(value, json, "\n".join([*map(_line, rows), *_notes(value, unasked)]))


def _word(log: AuditedLog, trust: Path | None) -> tuple[SentWord | None, str]:
    """What the chain says, or why it could not be asked."""
    try:
        return SentWord.of(log, trust), ""
    except UnavailableError as error:
        return None, str(error)


def _notes(value: dict[str, Any], unasked: str) -> Sequence[str]:
    """What is true of the whole run, in lines."""
    lines = list(value["chain"] or ())
    if unasked:
        lines.append(f"the chain was not asked what auditors sent to it: {unasked}")
    if value["other"]:
        lines.append(
            f"{value['other']} lines say nothing: they are malformed, about another log, not "
            "whole, or not signed by the key that they name"
        )
    return lines


def _is_about(attestation: Attestation, log: AuditedLog, word: SentWord | None) -> bool:
    """Whether it is an account's word about the log: signed, or sent to the chain."""
    try:
        if word is not None and word.block_of(attestation) is not None:
            log.require_said(attestation.audit)
        else:
            log.require_about(attestation)
    except VerificationError:
        return False
    return True


def _said(attestation: Attestation, one: SegmentWord, word: SentWord | None) -> dict[str, Any]:
    return {
        "auditor": str(attestation.auditor),
        "class": one.outcome,
        "nonce": str(attestation.audit.nonce),
        "block": attestation.audit.block,
        "sent_in_block": None if word is None else word.block_of(attestation),
    }


def _name(attestation: Attestation, trust: Trust | None, subject: Subject) -> str | None:
    """What the trust file calls the auditor, if it is about the run's chain; else None."""
    if trust is None or trust.auditors is None or domain_of(trust) != subject.domain:
        return None
    auditor = trust.auditors.auditor(attestation.auditor)
    return None if auditor is None else auditor.name


def _line(row: dict[str, Any]) -> str:
    who = ", ".join(map(_by, row["signed"]))
    steps = f"steps {row['first_step']} to {row['last_step']}"
    return f"segment {row['segment']}  {steps}  {who or 'nobody signed'}"


def _by(one: dict[str, Any]) -> str:
    name = one["auditor"] if one["name"] is None else quoted(one["name"])
    sent = "" if one["sent_in_block"] is None else f" (sent in block {one['sent_in_block']})"
    return f"{one['class']} by {name}{sent}"
