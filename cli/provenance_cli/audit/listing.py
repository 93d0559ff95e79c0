"""`provenance audit list`: who signed for which segments of a run."""

from __future__ import annotations

import os
from typing import Any

from provenance.errors import VerificationError
from provenance.judgement.head_signatures import domain_of
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.log.audit.about import AuditedLog
from provenance.log.audit.attestation import Attestation
from provenance.log.audit.kept import read_lines
from provenance.settings import Settings
from provenance.text.shown import quoted
from provenance_cli.audit.subject import Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.options import Json, RunDir
from provenance_cli.output import result


def list_(run: RunDir, trust: TrustFile = None, json: Json = False) -> None:
    """List RUN's segments, and who signed that they came out how.

    Signatures are checked against the log at hand; the chain is not asked. `verify` says what
    counts.
    """
    subject = Subject.read(run)
    path = trust or Settings.load().trust
    believed = None if path is None else load_trust(path)
    file = subject.folder.attestations
    kept = [line for _, line in read_lines(file)] if os.path.lexists(file) else []
    log = subject.audited
    signed = [a for a in kept if isinstance(a, Attestation) and _is_about(a, log)]
    rows = [
        {
            "segment": segment.number,
            "first_step": segment.first,
            "last_step": segment.last,
            "batches": len(segment.batches),
            "signed": [
                {
                    "auditor": str(each.auditor),
                    "name": _name(each, believed, subject),
                    "class": one.outcome,
                    "nonce": str(each.audit.nonce),
                    "block": each.audit.block,
                }
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
        "segments": rows,
    }
    lines = [_line(row) for row in rows]
    if len(kept) > len(signed):
        lines.append(
            f"{len(kept) - len(signed)} lines say nothing: they are malformed, about another log, "
            "not whole, or not signed by the key that they name"
        )
    result(value, json, "\n".join(lines))


def _is_about(attestation: Attestation, log: AuditedLog) -> bool:
    try:
        log.require_about(attestation)
    except VerificationError:
        return False
    return True


def _name(attestation: Attestation, trust: Trust | None, subject: Subject) -> str | None:
    """What the trust file calls the auditor, if it is about the run's chain; else None."""
    if trust is None or trust.auditors is None or domain_of(trust) != subject.domain:
        return None
    auditor = trust.auditors.auditor(attestation.auditor)
    return None if auditor is None else auditor.name


def _line(row: dict[str, Any]) -> str:
    who = ", ".join(
        f"{one['class']} by {one['auditor'] if one['name'] is None else quoted(one['name'])}"
        for one in row["signed"]
    )
    steps = f"steps {row['first_step']} to {row['last_step']}"
    return f"segment {row['segment']}  {steps}  {who or 'nobody signed'}"
