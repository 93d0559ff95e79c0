"""`provenance audit sign`: sign what training again came to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from provenance.chain.session import key_path
from provenance.errors import Conflict
from provenance.ids import Address, to_hex
from provenance.log.audit.attestation import Attestation, Audit, words_of
from provenance.log.audit.kept import keep, to_line
from provenance.settings import Settings
from provenance.signing import sign_digest
from provenance.signing.keystore import address_of, load_key, read_password
from provenance_cli.audit.report import Report
from provenance_cli.audit.sending import call_data, contract_of
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
    contract: Annotated[
        str | None,
        typer.Option(
            help="Address of the auditor (0x..), if it is a contract, such as a wallet of several "
            "owners. Nothing is signed then: the contract sends what the command says."
        ),
    ] = None,
    trust: TrustFile = None,
    json: Json = False,
) -> None:
    """Sign a report about RUN, with all segments that its nonce drew, however they came out.

    The log of RUN must be the one on chain. The signature (EIP-712) is for the trust file's
    chain and registry, and names a final block. Nothing is sent: see `audit anchor`.
    """
    subject = Subject.read(run)
    found = Report.read(report)
    found.require_about(subject, report)
    settings = Settings.load()
    file = key_path(settings, key)
    address = address_of(file) if contract is None else Address.parse(contract)
    _require_other(subject, address)
    try_file(out, "--out")
    chain = OnChain.of(subject, trust)
    chain.require_log(subject)
    call = None if contract is None else contract_of(chain.trust)
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
    digest, signature = audit.digest(subject.domain), b""
    if call is None:
        account = load_key(file, read_password(settings.password_file))
        signature = sign_digest(account, digest)
    signed = Attestation(audit, Address(address), signature)
    keep(out, signed)
    told = (
        {} if call is None else {"to": str(call), "data": to_hex(call_data(subject.run_id, digest))}
    )
    value = signed.to_json() | {"digest": to_hex(digest), "out": str(out), **told}
    result(value, json, _text(signed, out, told))


def _text(signed: Attestation, out: Path, told: Mapping[str, str]) -> str:
    audit = signed.audit
    segments = f"{len(audit.replayed)} of {audit.segments} segments came out {audit.worst()}"
    added = f"{len(to_line(signed))} bytes added to {out}"
    submit = f"the publisher: provenance audit submit {out} RUN"
    if told:
        return (
            f"that {segments}, {signed.auditor} says once it sends this, {added}\n"
            f"to   {told['to']}\ndata {told['data']}\nnext, {submit}"
        )
    return (
        f"{signed.auditor} signed that {segments}, {added}\n"
        f"next, you, to have it on chain: provenance audit anchor {out} RUN --key NAME\n"
        f"then {submit}"
    )


def _require_other(subject: Subject, address: str) -> None:
    """Nobody audits their own run: no verifier would count it."""
    if address.lower() == str(subject.history.opening.fields["signer"]).lower():
        raise Conflict(
            "this key signed the run itself",
            where=address,
            expected="the key of an auditor",
            hint="make one with: provenance key create --name NAME",
        )
