"""`provenance dataset register`: commitments, tree proofs and link proofs, on chain."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.dataset import erase as erase_commands  # noqa: F401  (they add subcommands to `dataset`)
from provenance_cli.options import ExecutorOption, Json, KeyName
from provenance_cli.output import note, result, stage


def register(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")
    ],
    key: KeyName = "default",
    executor: ExecutorOption = "local",
    as_json: Json = False,
) -> None:
    """Register a committed dataset on the ledger: commitments, tree proofs, link proofs. Repeatable."""
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings
    from provenance_cli.wiring import proving_keys
    from provenance_zk.training.registration import ProvingSite
    from provenance_zk.training.registration import register as register_dataset
    from provenance_zk.workers.executors import opened as open_prover

    settings = Settings.load()
    session = Session(settings, key, note)
    salt_key = load_key(settings.home / "salts.key")
    with (
        CommittedDataset.open(folder, salt_key) as opened,
        open_prover(settings, executor) as (prover, workers),
        stage("register") as progress,
    ):
        keys = proving_keys(settings, session.deployment, opened.root.depth)
        address = session.deployment.ledger
        site = ProvingSite(salt_key, keys, prover, session, address, progress, workers)
        done = register_dataset(opened, site)
        value = {
            "format": "provenance-registered/1",
            "dataset_id": "0x" + done.dataset_id.hex(),
            "ledger": session.deployment.ledger,
            **opened.root.to_json(),
        }
    result(
        value,
        as_json,
        f"dataset id 0x{done.dataset_id.hex()}\n{value['count']} records, root {value['root']}, depth {value['depth']}",
    )
