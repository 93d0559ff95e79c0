"""`provenance train`: fine-tune, and record what is fed."""

from __future__ import annotations

import logging
from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.options import Json, Overrides, TrainingConfig
from provenance_cli.output import note, result, stage

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
            "--anchor", help="Register the run, draw its seed on chain and anchor its log."
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
        typer.Option("--resume", help="Go on from the last checkpoint of a run that was cut off."),
    ] = False,
    key: ConfiguredKey = None,
    json: Json = False,
) -> None:
    """Fine-tune a model with LoRA and record what it is fed."""
    from provenance.errors import ConfigError
    from provenance_trainer.config import load_config
    from provenance_trainer.run.lifecycle import train_recorded

    if anchor == unregistered:
        raise ConfigError(
            "say whether the run is anchored",
            expected="--anchor or --unregistered",
            actual="both" if anchor else "neither",
        )
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = Settings.load()
    parsed = load_config(config, overrides or [])
    with stage("train"):
        value = train_recorded(
            parsed,
            settings,
            key=(key or parsed.provenance.key or "default") if anchor else None,
            resume=resume,
            say=note,
        )
    summary = value["summary"]
    result(
        value,
        json,
        f"{summary['steps']} steps, loss {float(summary['loss_first']):.3f} -> {float(summary['loss_last']):.3f}, "
        f"perplexity {float(summary['perplexity_before']):.2f} -> {float(summary['perplexity_after']):.2f} "
        f"({summary['evaluated_on']}); {value['records']} records journaled, {value['heads']} heads anchored",
    )
