"""`provenance train | merge | quantize`: the edge where training meets journal, keys and chain."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from provenance.cli.output import note, result, stage
from provenance.settings import Settings

train_app = typer.Typer(help="Fine-tune with every batch and checkpoint journaled, anchored with --anchor.")
merge_app = typer.Typer(help="Merge the adapter into the base model, exactly rounded to bf16.")
quantize_app = typer.Typer(help="Write the merged model as GGUF Q8_0.")
_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Run = Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")]
_Key = Annotated[str | None, typer.Option("--key", help="Name of the signing key (default: the configuration's, else `default`).")]


@train_app.command()
def train(
    config: Annotated[Path, typer.Argument(help="Training configuration (YAML, Hugging Face and TRL names).")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Override keys of the configuration.")] = None,
    anchor: Annotated[bool, typer.Option("--anchor", help="Register the run, draw its seed on chain and anchor its log.")] = False,
    unregistered: Annotated[bool, typer.Option("--unregistered", help="Journal only: a local seed, no chain. Never `verified`.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint of a run that was cut off.")] = False,
    key: _Key = None,
    json: _Json = False,
) -> None:
    """Fine-tune a model with LoRA and record what it is fed."""
    from provenance.errors import ConfigError
    from provenance_trainer.config import load_config
    from provenance_trainer.lifecycle import train_recorded

    if anchor == unregistered:
        raise ConfigError("say whether the run is anchored", expected="--anchor or --unregistered",
                          actual="both" if anchor else "neither")
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    settings = Settings.load()
    parsed = load_config(config, overrides or [])
    with stage("train"):
        value = train_recorded(parsed, settings, anchor=anchor, resume=resume, key=key or parsed.provenance.key or "default", say=note)
    summary = value["summary"]
    result(value, json, f"{summary['steps']} steps, loss {float(summary['loss_first']):.3f} -> {float(summary['loss_last']):.3f}, "
                        f"perplexity {float(summary['perplexity_before']):.2f} -> {float(summary['perplexity_after']):.2f} "
                        f"({summary['evaluated_on']}); {value['records']} records journaled, {value['heads']} heads anchored")




@merge_app.command()
def merge(
    run: _Run,
    base: Annotated[Path | None, typer.Option("--base", help="Base model folder; default: the one the run was opened for.")] = None,
    compare_to_peft: Annotated[bool, typer.Option("--compare-to-peft", help="Also measure the distance to PEFT's own merge.")] = False,
    json: _Json = False,
) -> None:
    """Merge RUN/adapter into its base and log it; RUN/merged loads with transformers."""
    from provenance.cli.run_log import open_log
    from provenance.layout import RunFolder
    from provenance_trainer.lifecycle import log_merge

    with stage("merge") as progress, open_log(RunFolder(run)) as log:
        record = log_merge(log, Settings.load(), base, compare_to_peft, progress)
    fields = record.fields
    distance = f", at most {fields['max_ulp_to_peft']} ulp from PEFT's merge" if "max_ulp_to_peft" in fields else ""
    result({"format": "provenance-merge/1", **fields}, json,
           f"merged {len(fields['adapted'])} tensors, scale {fields['scale']}, {fields['merged']}{distance}")


@quantize_app.command()
def quantize(
    run: _Run,
    name: Annotated[str | None, typer.Option(help="File name without .gguf; default: base model and Q8_0.")] = None,
    json: _Json = False,
) -> None:
    """Write RUN/merged as RUN/release/NAME.gguf (Q8_0) and log it."""
    from provenance.cli.run_log import open_log
    from provenance.layout import RunFolder
    from provenance_trainer.lifecycle import log_quantize

    with stage("quantize"), open_log(RunFolder(run)) as log:
        record, file = log_quantize(log, name)
    fields = record.fields
    result({"format": "provenance-quantize/1", **fields, "path": str(file)}, json,
           f"{file}\n{fields['quantization']} {fields['file']}, {fields['size'] / 1e6:.1f} MB, {len(fields['tensors'])} tensors")
