"""`provenance train`: fine-tune, and record what is fed."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from provenance_cli.options import (
    Dedupe,
    DryRun,
    ExecutorOption,
    Json,
    Licence,
    Limit,
    Overrides,
    Split,
    TextColumn,
    TrainingConfig,
)
from provenance_cli.output import result

train_app = typer.Typer(
    add_completion=False,
    help="Fine-tune with every batch and checkpoint journaled, anchored with --anchor.",
)


ConfiguredKey = Annotated[
    str | None,
    typer.Option(
        "--key", help="Name of the signing key (default: the configuration's, else `default`)."
    ),
]


@train_app.command()
def train(
    config: TrainingConfig,
    overrides: Overrides = None,
    anchor: Annotated[
        bool,
        typer.Option(
            "--anchor", help="Register dataset and run, draw the seed on chain, prove the epochs."
        ),
    ] = False,
    unregistered: Annotated[
        bool,
        typer.Option(
            "--unregistered", help="Journal only: a local seed, no chain. Never `verified`."
        ),
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Refuse unless there is a run to go on with."),
    ] = False,
    no_prove: Annotated[
        bool, typer.Option("--no-prove", help="Leave the epochs to `provenance prove`.")
    ] = False,
    text_column: TextColumn = None,
    dedupe: Dedupe = False,
    limit: Limit = None,
    split: Split = "train",
    licence: Licence = None,
    key: ConfiguredKey = None,
    executor: ExecutorOption = "local",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Fine-tune a model with LoRA, record what it is fed, and prove it.

    `dataset_name` is a committed dataset, or whatever `dataset commit` takes. The latter is
    committed to the folder OUTPUT_DIR-dataset first, with the options that choose records. A run
    that was cut off goes on where it stopped when the same command is given again.
    """
    from provenance.errors import ConfigError
    from provenance.settings import Settings
    from provenance_cli.actions.commit import Selection
    from provenance_cli.jobs.tasks import print_forecast, run_tasks
    from provenance_cli.jobs.train import TrainJob, TrainRequest
    from provenance_trainer.config import load_config

    if anchor == unregistered:
        raise ConfigError(
            "say whether the run is anchored",
            expected="--anchor or --unregistered",
            actual="both" if anchor else "neither",
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    parsed = load_config(config, overrides or [])
    request = TrainRequest(
        parsed,
        Selection("", text_column, limit, split, dedupe, None, licence),
        anchor,
        resume,
        not no_prove,
        key or parsed.provenance.key or "default",
        executor,
    )
    job = TrainJob(request, Settings.load())
    job.check(spend=not dry_run)
    if dry_run:
        print_forecast(job.tasks(), json)
        return
    run_tasks(job.tasks(), job.relay)
    made = job.made()
    result(made, json, _text(made))


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
