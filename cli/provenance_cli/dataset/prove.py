"""`provenance dataset prove`: the dataset is sorted, chunk by chunk."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.ids import DatasetId
from provenance_cli.options import DatasetDir, Json
from provenance_cli.output import note, result, stage

if TYPE_CHECKING:
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.settings import Settings
    from provenance_zk.prover.client import ZkProver
    from provenance_zk.prover.keys import KeyFolder


def prove(
    folder: DatasetDir,
    slots: Annotated[
        int | None,
        typer.Option(
            "--slots", metavar="N", help="Leaves per chunk: 256 (default), or 16 if small."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FOLDER", help="Where proofs go (default: DIR/proofs)."),
    ] = None,
    on_chain: Annotated[
        bool, typer.Option("--on-chain", help="Also have the deployed contract check them.")
    ] = False,
    key: Annotated[
        str, typer.Option("--key", help="Name of the signing key, for --on-chain.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Prove that the dataset is sorted, chunk by chunk. Repeatable: valid proofs that are there already are kept.

    The proofs are public. Proofs of absence rest on them, and they cannot be made any more once a record is erased. With --on-chain
    the dataset must be registered, and chunks have the size of the deployed key.
    """
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings
    from provenance_zk.audits.proving import prove_sorted_set, submit_sorted_set
    from provenance_zk.audits.sorted_proofs import FOLDER
    from provenance_zk.workers.executors import opened as open_prover

    settings, target = Settings.load(), out or folder / FOLDER
    salt_key = load_key(settings.home / "salts.key")
    with (
        CommittedDataset.open(folder, salt_key) as opened,
        open_prover(settings) as (prover, _),
        stage("prove") as progress,
    ):
        chain = _chain(settings, key, opened) if on_chain else None
        proving = _sorted_key(settings, prover, opened, slots, chain.session if chain else None)
        statements = prove_sorted_set(opened, target, proving, prover, progress)
        if chain is not None:
            submit_sorted_set(statements, chain.dataset_id, chain.session, progress)
        value = {
            "format": "provenance-sorted/1",
            **opened.root.to_json(),
            "chunks": len(statements),
            "slots": proving.slots,
            "vk_id": f"0x{proving.vk_id.hex()}",
            "proofs": str(target),
        }
        if chain is not None:
            value |= {
                "dataset_id": f"0x{chain.dataset_id.hex()}",
                "contract": chain.session.deployment.audits,
            }
    where = f", and shown to contract {value['contract']}" if chain is not None else ""
    result(
        value,
        as_json,
        f"{len(statements)} chunks of {proving.slots} leaves proven sorted, in {target}{where}",
    )


@dataclass(frozen=True)
class _Chain:
    session: Session
    dataset_id: DatasetId


def _chain(settings: Settings, key: str, opened: CommittedDataset) -> _Chain:
    from provenance.chain.session import Session
    from provenance_zk.training.registration import require_registration

    session = Session(settings, key, note)
    return _Chain(
        session, require_registration(opened.folder, session.deployment.ledger).dataset_id
    )


def _sorted_key(
    settings: Settings,
    prover: ZkProver,
    opened: CommittedDataset,
    slots: int | None,
    session: Session | None,
) -> KeyFolder:
    """The key asked for, or the one that the deployed contract pins.

    Raises:
        InputError: no such size, or another one than the contract's.
        NotFound: no such key is deployed, or the cache lacks it.
    """
    from provenance.errors import InputError
    from provenance_zk.prover.keys import SORTED_SLOTS, TEST_SORTED_SLOTS, ensure_keys, find_key

    if slots not in (None, SORTED_SLOTS, TEST_SORTED_SLOTS):
        raise InputError(
            "no sorted key of this size",
            where="--slots",
            expected=f"{SORTED_SLOTS} or {TEST_SORTED_SLOTS}",
            actual=slots,
        )
    if session is None:
        return ensure_keys(
            prover, settings.cache / "keys", "sorted", slots or SORTED_SLOTS, opened.root.depth
        )
    deployed = session.deployment.key("sorted", depth=opened.root.depth)
    if slots not in (None, deployed.slots):
        raise InputError(
            "the contract knows a sorted key of another size",
            where="--slots",
            expected=deployed.slots,
            actual=slots,
        )
    return find_key(settings.cache / "keys", bytes.fromhex(deployed.vk_id[2:]))
