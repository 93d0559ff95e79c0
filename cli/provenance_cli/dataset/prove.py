"""`provenance dataset prove`: prove chunk by chunk that the dataset is sorted."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import DatasetDir, Json
from provenance_cli.output import note, result, working


def prove(
    folder: DatasetDir,
    slots: Annotated[
        int | None,
        typer.Option(
            "--slots", metavar="N", help="Leaves per chunk: 256 (default) or, for tests, 16."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where the proofs go (default: DIR/proofs)."),
    ] = None,
    on_chain: Annotated[
        bool, typer.Option("--on-chain", help="Also have the deployed contract check the proofs.")
    ] = False,
    key: Annotated[
        str, typer.Option("--key", help="Name of the signing key, for --on-chain.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Prove chunk by chunk that the dataset is sorted.

    Repeatable: valid proofs that exist are kept. The proofs are public. Proofs
    of absence need them, and after a record is erased nobody can make them any
    more. With --on-chain the dataset must be registered, and the chunks have
    the size of the deployed key.
    """
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.ids import to_hex
    from provenance.settings import Settings
    from provenance_cli.actions.register import SortedRequest, prove_order
    from provenance_cli.outputs import try_folder
    from provenance_zk.audits.sorted_proofs import FOLDER
    from provenance_zk.workers.executors import Workshop

    settings, target = Settings.load(), out or folder / FOLDER
    CommittedDataset.open(folder).close()  # a wrong DIR is told first
    try_folder(target, "DIR" if out is None else "--out")
    session = Session(settings, key, note) if on_chain else None
    with Workshop(settings) as workshop, working("prove") as progress:
        done = prove_order(SortedRequest(folder, target, slots), session, workshop, progress)
    with CommittedDataset.open(folder) as opened:
        root = opened.root.to_json()
    value = {
        "format": "provenance-sorted/1",
        **root,
        "chunks": len(done.statements),
        "slots": done.key.slots,
        "vk_id": to_hex(done.key.vk_id),
        "proofs": str(target),
    }
    where = ""
    if session is not None:
        contract = session.deployment.audits
        value |= {"dataset_id": str(done.dataset_id), "contract": contract}
        where = f", and checked by contract {contract}"
    chunks = f"{len(done.statements)} chunks of {done.key.slots} leaves"
    result(value, as_json, f"{chunks} proven sorted, in {target}{where}")
