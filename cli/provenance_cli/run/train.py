"""`provenance train`: fine-tune a model, record what it is fed, and prove it."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from provenance.text.shown import visible
from provenance_cli.options import (
    AllowEmpty,
    ConfiguredKey,
    Dedupe,
    DryRun,
    ExecutorOption,
    Json,
    Licence,
    Limit,
    Overrides,
    Split,
    TextColumn,
    TokenFile,
    TrainingConfig,
)
from provenance_cli.output import note, result, working

if TYPE_CHECKING:
    from provenance_cli.jobs.meanwhile import Destination
    from provenance_cli.jobs.train import TrainJob

train_app = typer.Typer(
    add_completion=False,
    help="Commit a dataset, fine-tune on it, and prove the epochs.",
)


ALLOW_EMPTY = ("provenance.allow_empty=true",)


@train_app.command()
def train(
    config: TrainingConfig,
    overrides: Overrides = None,
    anchor: Annotated[
        bool,
        typer.Option(
            "--anchor",
            help="Register dataset and run on chain, draw the seed there, and prove the epochs.",
        ),
    ] = False,
    unregistered: Annotated[
        bool,
        typer.Option(
            "--unregistered",
            help="Only write the journal, with a local seed and no chain; never `verified`.",
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Only resume: refuse to begin a new run."),
    ] = False,
    no_prove: Annotated[
        bool,
        typer.Option(
            "--no-prove", help="Do not prove the epochs; `provenance prove` does it later."
        ),
    ] = False,
    allow_empty: AllowEmpty = False,
    text_column: TextColumn = None,
    dedupe: Dedupe = False,
    limit: Limit = None,
    split: Split = "train",
    licence: Licence = None,
    key: ConfiguredKey = None,
    executor: ExecutorOption = "local",
    server: Annotated[
        str | None,
        typer.Option(
            envvar="PROVENANCE_SERVER",
            metavar="URL",
            help="Service to which the run is pushed while it is trained, and at the end.",
        ),
    ] = None,
    token_file: TokenFile = None,
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Fine-tune a model with LoRA, record what it is fed, and prove it.

    `dataset_name` is the folder of a committed dataset, or any source that
    `dataset commit` takes. Such a source is first committed to the folder
    OUTPUT_DIR-dataset, with the options that select records. If the run is
    killed, the same command resumes it.

    With --server the run is pushed now and again, as `provenance push` does
    it. A service that fails holds nothing up; if it fails at the end too, the
    exit code is 3, and the run here is complete.
    """
    from provenance.errors import ConfigError
    from provenance.settings import Settings
    from provenance_cli.actions.commit import Selection
    from provenance_cli.jobs.meanwhile import Destination, token_of
    from provenance_cli.jobs.train import TrainJob, TrainRequest
    from provenance_trainer.draft import load_draft
    from provenance_zk.workers.executors import Workshop

    if anchor == unregistered:
        raise ConfigError(
            "choose whether the run is anchored",
            expected="--anchor or --unregistered",
            actual="both" if anchor else "neither",
        )
    if server is not None and not anchor:
        raise ConfigError(
            "only anchored runs are pushed", where="--server", expected="--anchor", actual="none"
        )
    destination = None
    if server is not None:
        destination = Destination(server, token_of(token_file))
        destination.require_open()
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    draft = load_draft(config, [*(overrides or []), *(ALLOW_EMPTY if allow_empty else ())])
    request = TrainRequest(
        draft,
        Selection("", text_column, limit, split, dedupe, None, licence),
        anchor,
        resume,
        not no_prove,
        key,
    )
    with Workshop(Settings.load(), executor) as workshop:
        _run(TrainJob(request, workshop), destination, dry_run, json)


def _run(job: TrainJob, destination: Destination | None, dry_run: bool, json: bool) -> None:
    from provenance_cli.jobs.meanwhile import PushedMeanwhile
    from provenance_cli.jobs.tasks import print_forecast, run_tasks

    with working("check") as display:
        job.check(display, spend=not dry_run)
    for line in job.lines():
        note(line)
    if dry_run:
        print_forecast(job.tasks(), json)
        return
    if destination is None:
        run_tasks(job.tasks(), job.relay)
        made = job.made()
        result(made, json, _text(made))
        return
    with PushedMeanwhile(job.folder, destination, job.relay).following() as pushed:
        run_tasks(job.tasks(), job.relay)
    made = job.made()
    result(made, json, _text(made))
    with working("push"):
        checked = pushed.finish()
    for fault in checked.faults:
        note(f"warning: the service finds a fault: {visible(fault)}")
    note(f"{checked.records} records are at {destination.url}, {checked.anchored} of them final")
    if checked.faults:
        raise typer.Exit(1)


def _text(made: dict[str, Any]) -> str:
    done = made["summary"]
    epochs = ", ".join(map(str, made["epochs"]))
    lines = [
        f"{done['steps']} steps, loss {float(done['loss_first']):.3f} -> "
        f"{float(done['loss_last']):.3f}, perplexity {float(done['perplexity_before']):.2f} -> "
        f"{float(done['perplexity_after']):.2f} ({done['evaluated_on']})",
        f"{made['records']} records journaled, {made['heads']} heads anchored",
        f"epochs proven: {epochs or 'none'}",
    ]
    if made["epochs"]:
        lines.append(f"next: provenance publish {Path(made['run'])} --name NAME")
    return "\n".join(lines)
