"""`provenance audit anchor`: an auditor sends the digests of their attestations to the chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from provenance.chain.session import key_path
from provenance.errors import InputError, VerificationError
from provenance.ids import RunId, to_hex
from provenance.log.audit.attestation import Attestation
from provenance.log.audit.kept import read_attestations
from provenance.settings import Settings
from provenance.signing.keystore import address_of
from provenance_cli.audit.sending import Sending, contract_of
from provenance_cli.audit.subject import OnChain, Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.options import Json, KeyName, RunDir
from provenance_cli.output import note, result


def anchor(
    attestations: Annotated[Path, typer.Argument(help="File that `audit sign` wrote.")],
    run: RunDir,
    key: KeyName = "default",
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Send the digests of your attestations about RUN to the trust file's contract.

    From then on the chain says that they are yours and when you sent them, and nobody can
    keep one back unseen. It cannot be undone, so each is checked first, as by `audit
    submit`. Lines of others in the file are left alone, and what was sent before is not
    sent again. Your account pays.
    """
    subject, settings = Subject.read(run), Settings.load()
    address = address_of(key_path(settings, key)).lower()
    chain = OnChain.of(subject, trust)
    contract_of(chain.trust)
    chain.require_log(subject)
    mine = _mine(attestations, subject, address)
    sending = Sending.of(settings, chain.trust, key, note)
    digests = list(dict.fromkeys(each.audit.digest(subject.domain) for each in mine))
    before = [(digest, sending.sent_in(subject.run_id, digest)) for digest in digests]
    sending.require_room(subject.run_id, sum(not block for _, block in before))
    rows = [_send(sending, subject.run_id, digest, block) for digest, block in before]
    value = {
        "format": "provenance-audit-anchor/1",
        "run_id": str(subject.run_id),
        "contract": str(sending.contract),
        "auditor": address,
        "attestations": rows,
        "gas": sum(row["gas"] for row in rows),
    }
    result(value, json, "\n".join(map(_line, rows)))


def _mine(file: Path, subject: Subject, address: str) -> list[Attestation]:
    """The auditor's own lines, each about the run's log and signed.

    Raises:
        InputError: there is none.
        VerificationError: one is not.
    """
    mine, log = list[Attestation](), subject.audited
    for number, each in enumerate(read_attestations(file), 1):
        if each.auditor == address:
            try:
                log.require_about(each)
            except VerificationError as error:
                error.where = f"{file} line {number}"
                raise
            mine.append(each)
    if not mine:
        raise InputError(
            "no attestation by this key in the file",
            where=str(file),
            expected=f"a line by {address}",
            hint="name the key that signed: --key NAME",
        )
    return mine


def _send(sending: Sending, run_id: RunId, digest: bytes, before: int) -> dict[str, Any]:
    if before:
        return {"digest": to_hex(digest), "block": before, "tx": None, "gas": 0}
    receipt = sending.send(run_id, digest)
    return {
        "digest": to_hex(digest),
        "block": receipt.block_number,
        "tx": to_hex(receipt.tx_hash),
        "gas": receipt.gas_used,
    }


def _line(row: dict[str, Any]) -> str:
    what = f"attestation {row['digest']}"
    if row["tx"] is None:
        return f"{what} was sent before, in block {row['block']}"
    return f"{what} sent in block {row['block']}, {row['gas']:,} gas"
