"""`provenance revoke`: withdraw a logged record, a dataset or a key, with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.errors import InputError
from provenance.ids import Address, DatasetId
from provenance.settings import Settings
from provenance_cli.options import Json, KeyName
from provenance_cli.output import note, result

revoke_app = typer.Typer(
    add_completion=False, help="Revoke a logged record, a dataset or a key, with a reason."
)


@revoke_app.command()
def revoke(
    reason: Annotated[str, typer.Option(help="Why; it becomes public and permanent.")],
    run: Annotated[Path | None, typer.Option(help="Folder of the run that has the record.")] = None,
    index: Annotated[
        int | None,
        typer.Option(help="Index of the record in the log (default: the run's last release)."),
    ] = None,
    dataset_id: Annotated[
        str | None, typer.Option(help="Revoke a dataset registration (0x..) instead of a record.")
    ] = None,
    signer: Annotated[
        str | None,
        typer.Option(
            help="Revoke the key of an account (0x..): what it anchors later does not count. It "
            "counts if the account itself says so (--key), or one that the verifier's trust file "
            "gives the same publisher's name."
        ),
    ] = None,
    from_block: Annotated[
        int | None,
        typer.Option(
            help="With --signer: the first block in which what the key anchored does not count "
            "(default: the next one). Later it can only be made earlier.",
            min=0,
        ),
    ] = None,
    key: KeyName = "default",
    json: Json = False,
) -> None:
    """Revoke a record of your run, a dataset, or an account's key. This cannot be undone."""
    from provenance.chain.session import Session
    from provenance.digest import Digest
    from provenance.layout import RunFolder
    from provenance.log.fold import read_history
    from provenance.log.run_log import run_id_of
    from provenance.log.tree import read_records

    if sum(given is not None for given in (run, dataset_id, signer)) != 1:
        raise InputError(
            "name one of a run, a dataset or an account",
            expected="--run FOLDER, --dataset-id 0x.. or --signer 0x..",
        )
    if from_block is not None and signer is None:
        raise InputError("a first block is of an account's key", expected="--signer 0x..")
    account = None if signer is None else Address.parse(signer)
    session = Session(Settings.load(), key, note)
    if run is not None:
        folder = RunFolder(run).require()
        run_id, records = run_id_of(folder), read_records(folder.journal)
        if index is None:
            releases = read_history(records).releases
            index = releases[-1].index if releases else None
        if index is None or not 0 <= index < len(records):
            raise InputError(
                "no such record",
                where=f"{run}, --index",
                expected=f"0..{len(records) - 1}",
                actual="no release in the log" if index is None else index,
            )
        receipt = session.revoke(run_id, index, reason)
        subject = f"record {index} of run 0x{run_id.hex()}"
    elif account is not None:
        receipt = session.revoke_signer(account, from_block, reason)
        subject = f"key of {account}"
    else:
        receipt = session.revoke_dataset(DatasetId(Digest.parse(dataset_id or "")), reason)
        subject = f"dataset {dataset_id}"
    session.final(receipt)
    result(
        {
            "format": "provenance-revocation/1",
            "subject": subject,
            "reason": reason,
            "tx": "0x" + receipt.tx_hash.hex(),
            "block": receipt.block_number,
        },
        json,
        f"revoked {subject} in block {receipt.block_number}",
    )
