"""The commands that prove on chain: `provenance dataset register` and `provenance prove`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance_cli.dataset import erase as erase_commands  # noqa: F401  (they add subcommands to `dataset`)
from provenance_cli.dataset.commit import dataset
from provenance_cli.options import ExecutorOption
from provenance_cli.output import note, result, stage

if TYPE_CHECKING:
    from provenance.chain.session import Session
    from provenance.settings import Settings
    from provenance_zk.training.registration import Keys

__all__ = ["dataset", "prove_app"]

prove_app = typer.Typer(
    add_completion=False, help="Prove that each epoch used exactly the committed dataset, on chain."
)
_Key = Annotated[str, typer.Option("--key", help="Name of the signing key.")]
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def _keys(settings: Settings, session: Session, depth: int) -> Keys:
    """The proving keys that the deployed ledger pins.

    Raises:
        NotFound: the cache was wiped; the message names the ledger and what to do.
    """
    from provenance.errors import NotFound
    from provenance_zk.prover.keys import find_key
    from provenance_zk.training.registration import Keys

    deployment = session.deployment
    try:
        epoch = find_key(settings.cache / "keys", bytes.fromhex(deployment.key("epoch").vk_id[2:]))
        tree = find_key(
            settings.cache / "keys", bytes.fromhex(deployment.key("tree", depth=depth).vk_id[2:])
        )
    except NotFound as error:
        raise NotFound(
            f"keys missing for ledger {deployment.ledger}",
            where=error.where,
            expected=error.expected,
            hint="run: provenance chain deploy (development keys differ per machine), or restore the cache",
        ) from error
    return Keys(epoch, tree)


@dataset.command()
def register(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder written by `dataset commit`.")
    ],
    key: _Key = "default",
    executor: ExecutorOption = "local",
    as_json: _Json = False,
) -> None:
    """Register a committed dataset on the ledger: commitments, tree proofs, link proofs. Repeatable."""
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.saltstore import load_key
    from provenance.settings import Settings
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
        done = register_dataset(
            opened,
            salt_key,
            _keys(settings, session, opened.root.depth),
            prover,
            session,
            session.deployment.ledger,
            progress,
            workers,
        )
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


@prove_app.command()
def prove(
    run: Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")],
    dataset_folder: Annotated[
        Path | None,
        typer.Option("--dataset", help="Committed dataset; default: the one the run names."),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option("--weights", help="Prove merge and quantization instead, by sampled blocks."),
    ] = False,
    draws: Annotated[
        int, typer.Option(min=2, max=1 << 20, help="Blocks drawn in all, with --weights.")
    ] = 459,
    batch: Annotated[
        bool,
        typer.Option("--batch/--single", help="Submit proofs in batches, or one transaction each."),
    ] = True,
    key: _Key = "default",
    executor: ExecutorOption = "local",
    as_json: _Json = False,
) -> None:
    """Anchor and prove every epoch of a run that is not proven yet, or its weights. Repeatable.

    Proofs are submitted up to 16 in a transaction, which costs less; a batch that is refused is submitted again one by one, and
    the refused proof is named.
    """
    if weights:
        _prove_weights(run, draws, key, executor, as_json)
        return
    from provenance.chain.session import Session
    from provenance.dataset.committed import CommittedDataset
    from provenance.dataset.saltstore import load_key
    from provenance.layout import RunFolder, read_json
    from provenance.log.run_log import anchor, open_log, run_id_of
    from provenance.settings import Settings
    from provenance_zk.training.epochs import EpochProver, epochs_of, make_job, proven_epochs
    from provenance_zk.training.registration import require_registration, write_evidence
    from provenance_zk.workers.executors import opened as open_prover

    settings = Settings.load()
    session = Session(settings, key, note)
    folder = RunFolder(run).require()
    salt_key = load_key(settings.home / "salts.key")
    path = dataset_folder or Path(read_json(folder.info)["dataset"])
    with (
        CommittedDataset.open(path, salt_key) as opened,
        open_log(folder) as log,
        open_prover(settings, executor) as (prover, workers),
        stage("prove") as progress,
    ):
        registration = require_registration(path, session.deployment.ledger)
        keys, run_id = _keys(settings, session, opened.root.depth), run_id_of(folder)
        write_evidence(folder, registration, keys)
        progress("anchoring the log")
        anchor(session, log)
        seed = bytes.fromhex(log.last("seed").fields["seed"][2:])
        done = proven_epochs(log.records)
        epochs = EpochProver(
            opened,
            salt_key,
            keys,
            prover,
            session,
            folder,
            session.deployment.ledger,
            progress,
            workers,
        )
        jobs = [
            make_job(log.records, opened, run_id, registration.dataset_id, seed, e)
            for e in epochs_of(log.records)
            if e not in done
        ]
        for group in epochs.groups(jobs) if batch else [[job] for job in jobs]:
            for record in epochs.prove(group, batch=batch):
                log.append(record)
        progress("anchoring the epoch records")
        head = anchor(session, log)
    proven = sorted(proven_epochs(log.records))
    result(
        {
            "format": "provenance-proved/1",
            "run_id": "0x" + run_id.hex(),
            "epochs": proven,
            "records": head.size,
        },
        as_json,
        f"epochs {', '.join(map(str, proven))} proven and accepted; {head.size} records anchored",
    )


def _prove_weights(run: Path, draws: int, key: str, executor: str, as_json: bool) -> None:
    from provenance.chain.session import Session
    from provenance.settings import Settings
    from provenance_cli.run.prove_weights import prove_weights
    from provenance_cli.wiring import inspector_for
    from provenance_zk.workers.executors import opened as open_prover

    settings = Settings.load()
    session = Session(settings, key, note)
    with open_prover(settings, executor) as workers, stage("prove weights") as progress:
        value = prove_weights(run, draws, session, workers, settings, inspector_for(), progress)
    result(
        value,
        as_json,
        f"merge and quantization proven and accepted; {value['records']} records anchored",
    )
