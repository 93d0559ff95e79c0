"""`provenance prove`: each epoch used exactly the committed dataset; with --weights, sampled blocks of merge and file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.dataset import erase as erase_commands  # noqa: F401  (they add subcommands to `dataset`)
from provenance_cli.options import ExecutorOption, Json, KeyName
from provenance_cli.output import note, result, stage

prove_app = typer.Typer(
    add_completion=False, help="Prove that each epoch used exactly the committed dataset, on chain."
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
    key: KeyName = "default",
    executor: ExecutorOption = "local",
    as_json: Json = False,
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
    from provenance_cli.wiring import proving_keys
    from provenance_zk.training.epochs import (
        DrawnRun,
        EpochProver,
        epochs_of,
        make_job,
        proven_epochs,
    )
    from provenance_zk.training.registration import (
        ProvingSite,
        require_registration,
        write_evidence,
    )
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
        keys, run_id = (
            proving_keys(settings, session.deployment, opened.root.depth),
            run_id_of(folder),
        )
        write_evidence(folder, registration, keys)
        progress("anchoring the log")
        anchor(session, log)
        seed = bytes.fromhex(log.last("seed").fields["seed"][2:])
        done = proven_epochs(log.records)
        address = session.deployment.ledger
        site = ProvingSite(salt_key, keys, prover, session, address, progress, workers)
        epochs = EpochProver(opened, site, folder)
        drawn = DrawnRun(run_id, registration.dataset_id, seed)
        jobs = [
            make_job(log.records, opened, drawn, e) for e in epochs_of(log.records) if e not in done
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
    from provenance_cli.wiring import inspector_for
    from provenance_zk.weights.run_proofs import WeightProver
    from provenance_zk.workers.executors import opened as open_prover

    settings = Settings.load()
    session = Session(settings, key, note)
    with open_prover(settings, executor) as workers, stage("prove weights") as progress:
        cache, inspector = settings.cache / "keys", inspector_for()
        owner = WeightProver(session, *workers, cache, inspector, progress)
        value = owner.prove(run, draws)
    result(
        value,
        as_json,
        f"merge and quantization proven and accepted; {value['records']} records anchored",
    )
