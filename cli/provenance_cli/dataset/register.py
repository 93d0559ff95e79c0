"""`provenance dataset register`: put a committed dataset on the ledger, with its proofs."""

from __future__ import annotations

from provenance_cli.options import DatasetDir, ExecutorOption, Json, KeyName
from provenance_cli.output import note, result, working


def register(
    folder: DatasetDir,
    key: KeyName = "default",
    executor: ExecutorOption = "local",
    as_json: Json = False,
) -> None:
    """Register a committed dataset on the ledger, with its tree and link proofs; repeatable."""
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.ids import to_hex
    from provenance.settings import Settings
    from provenance_cli.actions.register import register_folder
    from provenance_zk.workers.executors import Workshop

    settings = Settings.load()
    session = Session(settings, key, note)
    with Workshop(settings, executor) as workshop, working("register") as progress:
        done = register_folder(folder, session, workshop, progress)
    with CommittedDataset.open(folder) as opened:
        root = opened.root.to_json()
    dataset_id = to_hex(done.dataset_id)
    value = {
        "format": "provenance-registered/1",
        "dataset_id": dataset_id,
        "ledger": session.deployment.ledger,
        **root,
    }
    text = f"{root['count']} records, root {root['root']}, depth {root['depth']}"
    result(value, as_json, f"dataset id {dataset_id}\n{text}")
