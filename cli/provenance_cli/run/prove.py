"""`provenance prove`: prove the epochs of a run, or its merge and quantization (--weights)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import (
    DEFAULT_DRAWS,
    Draws,
    ExecutorOption,
    Json,
    KeyName,
    RunDir,
)
from provenance_cli.output import note, result, working

prove_app = typer.Typer(
    add_completion=False, help="Prove on chain that each epoch used the committed dataset."
)


@prove_app.command()
def prove(
    run: RunDir,
    dataset_folder: Annotated[
        Path | None,
        typer.Option("--dataset", help="Committed dataset (default: the one that the run names)."),
    ] = None,
    weights: Annotated[
        bool,
        typer.Option(
            "--weights", help="Instead prove sampled blocks of the merge and of the quantization."
        ),
    ] = False,
    draws: Draws = DEFAULT_DRAWS,
    batch: Annotated[
        bool,
        typer.Option(
            "--batch/--single",
            help="Submit proofs of epochs in batches, or (--single) each in its own transaction.",
        ),
    ] = True,
    key: KeyName = "default",
    executor: ExecutorOption = "local",
    as_json: Json = False,
) -> None:
    """Anchor and prove the epochs of a run, or with --weights its weights.

    Repeatable: what is proven already is kept. Up to 16 proofs go into one
    transaction, which costs less gas. If the contract refuses a batch, its
    proofs are submitted one by one, and the refused proof is named.
    """
    from provenance.chain.session import Session
    from provenance.layout import RunFolder
    from provenance.settings import Settings
    from provenance_cli.actions import prove as actions
    from provenance_cli.outputs import try_run
    from provenance_zk.workers.executors import Workshop

    try_run(RunFolder(run))
    settings = Settings.load()
    session = Session(settings, key, note)
    if weights:
        request = actions.WeightsRequest(run, draws)
        with Workshop(settings, executor) as workshop, working("prove weights") as progress:
            value = actions.prove_run_weights(request, session, workshop, progress)
        text = f"merge and quantization proven and accepted; {value['records']} records anchored"
        result(value, as_json, text)
        return
    epochs = actions.EpochRequest(run, dataset_folder, batch)
    with Workshop(settings, executor) as workshop, working("prove") as progress:
        proven = actions.prove_epochs(epochs, session, workshop, progress)
    value = {
        "format": "provenance-proved/1",
        "run_id": str(proven.run_id),
        "epochs": list(proven.epochs),
        "records": proven.records,
    }
    names = ", ".join(map(str, proven.epochs))
    text = f"epochs {names} proven and accepted; {proven.records} records anchored"
    result(value, as_json, text)
