"""`provenance audit submit`: put attestations beside the evidence of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import VerificationError
from provenance.log.audit.kept import keep, read_attestations
from provenance_cli.audit.subject import Subject
from provenance_cli.options import Json, RunDir
from provenance_cli.output import result
from provenance_cli.outputs import try_run


def submit(
    attestations: Annotated[Path, typer.Argument(help="File that `audit sign` wrote.")],
    run: RunDir,
    json: Json = False,
) -> None:
    """Check attestations against RUN's log, and put them beside its evidence.

    Each must be signed by the key it names, and be about this log and its segments. One without a
    signature is by a contract, and counts if that sent its digest to the chain. Whether its auditor
    is believed, whoever verifies says. All are checked before the first is kept.
    """
    subject = Subject.read(run)
    found = read_attestations(attestations)
    log = subject.audited
    for number, each in enumerate(found, 1):
        try:
            log.require_line(each)
        except VerificationError as error:
            error.where = f"{attestations} line {number}"
            raise
    try_run(subject.folder)
    added = [each for each in found if keep(subject.folder.attestations, each)]
    value = {
        "format": "provenance-audit-submit/1",
        "attestations": len(found),
        "added": len(added),
        "file": str(subject.folder.attestations),
    }
    text = f"{len(added)} of {len(found)} attestations added to {subject.folder.attestations}"
    result(value, json, text if added else f"{text}: they were there already")
