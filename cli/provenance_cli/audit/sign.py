"""`provenance audit sign`: sign what training again came to."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.chain.session import key_path
from provenance.errors import Conflict
from provenance.ids import Address
from provenance.log.audit.attestation import Attestation, Audit, words_of
from provenance.log.audit.kept import keep, to_line
from provenance.settings import Settings
from provenance.signing import sign_digest
from provenance.signing.keystore import address_of, load_key, read_password
from provenance_cli.audit.report import Report
from provenance_cli.audit.subject import OnChain, Subject
from provenance_cli.judge.options import TrustFile
from provenance_cli.options import Json, KeyName, RunDir
from provenance_cli.output import result
from provenance_cli.outputs import try_file


def sign(
    run: RunDir,
    report: Annotated[
        Path, typer.Argument(help="Report of `audit replay --out`, of a replay that you did.")
    ],
    out: Annotated[
        Path, typer.Option(help="File that the attestation is added to; give it to the publisher.")
    ],
    key: KeyName = "default",
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Sign a report about RUN, with all segments that its nonce drew, however they came out.

    The log of RUN must be the one on chain. The signature (EIP-712) is for the trust file's
    chain and registry, and names a final block. Nothing is sent.
    """
    subject = Subject.read(run)
    found = Report.read(report)
    found.require_about(subject, report)
    settings = Settings.load()
    file = key_path(settings, key)
    address = address_of(file)
    _require_other(subject, address)
    try_file(out, "--out")
    chain = OnChain.of(subject, trust)
    chain.require_log(subject)
    block = chain.snapshot.block
    audit = Audit(
        subject.run_id,
        found.size,
        found.root,
        found.segments,
        found.nonce,
        words_of(subject.segments, found.outcomes),
        found.stack,
        block.number,
        block.hash,
    )
    account = load_key(file, read_password(settings.password_file))
    signature = sign_digest(account, audit.digest(subject.domain))
    signed = Attestation(audit, Address(account.address), signature)
    keep(out, signed)
    value = signed.to_json() | {"out": str(out)}
    text = (
        f"{signed.auditor} signed that {len(audit.replayed)} of {audit.segments} segments came "
        f"out {audit.worst()}, {len(to_line(signed))} bytes added to {out}\n"
        f"next, the publisher: provenance audit submit {out} RUN"
    )
    result(value, json, text)


def _require_other(subject: Subject, address: str) -> None:
    """Nobody audits their own run: no verifier would count it."""
    if address.lower() == str(subject.history.opening.fields["signer"]).lower():
        raise Conflict(
            "this key signed the run itself",
            where=address,
            expected="the key of an auditor",
            hint="make one with: provenance key create --name NAME",
        )
