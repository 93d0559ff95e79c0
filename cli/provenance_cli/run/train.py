"""`provenance train | merge | quantize`: the edge where training meets journal, keys and chain."""

from __future__ import annotations

import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.output import note, result, stage

train_app = typer.Typer(
    add_completion=False,
    help="Fine-tune with every batch and checkpoint journaled, anchored with --anchor.",
)
plan_app = typer.Typer(
    add_completion=False,
    help="Tell transactions, gas and proof time of a training config before anything is spent.",
)
merge_app = typer.Typer(
    add_completion=False, help="Merge the adapter into the base model, exactly rounded to bf16."
)
quantize_app = typer.Typer(
    add_completion=False, help="Write the merged model as GGUF Q8_0 or int8."
)


class Quantization(StrEnum):
    """Formats of `quantize`, as its records name them."""

    Q8_0 = "Q8_0"
    INT8 = "int8"


_Json = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
_Run = Annotated[Path, typer.Argument(help="Run folder (output_dir of the training).")]
_Key = Annotated[
    str | None,
    typer.Option(
        "--key", help="Name of the signing key (default: the configuration's, else `default`)."
    ),
]


@train_app.command()
def train(
    config: Annotated[
        Path, typer.Argument(help="Training configuration (YAML, Hugging Face and TRL names).")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override keys of the configuration."),
    ] = None,
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
    key: _Key = None,
    json: _Json = False,
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
            anchor=anchor,
            resume=resume,
            key=key or parsed.provenance.key or "default",
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


@merge_app.command()
def merge(
    run: _Run,
    base: Annotated[
        Path | None,
        typer.Option("--base", help="Base model folder; default: the one the run was opened for."),
    ] = None,
    compare_to_peft: Annotated[
        bool,
        typer.Option("--compare-to-peft", help="Also measure the distance to PEFT's own merge."),
    ] = False,
    json: _Json = False,
) -> None:
    """Merge RUN/adapter into its base and log it; RUN/merged loads with transformers."""
    from provenance.layout import RunFolder
    from provenance.log.run_log import open_log
    from provenance_trainer.run.lifecycle import log_merge

    with stage("merge") as progress, open_log(RunFolder(run)) as log:
        record = log_merge(log, Settings.load(), base, compare_to_peft, progress)
    fields = record.fields
    distance = (
        f", at most {fields['max_ulp_to_peft']} ulp from PEFT's merge"
        if "max_ulp_to_peft" in fields
        else ""
    )
    result(
        {"format": "provenance-merge/1", **fields},
        json,
        f"merged {len(fields['adapted'])} tensors, scale {fields['scale']}, {fields['merged']}{distance}",
    )


@quantize_app.command()
def quantize(
    run: _Run,
    name: Annotated[
        str | None,
        typer.Option(help="File name without its ending; default: base model and format."),
    ] = None,
    format_: Annotated[
        Quantization,
        typer.Option(
            "--format", help="Q8_0: a GGUF file; int8: a safetensors file, row-wise (LLM.int8)."
        ),
    ] = Quantization.Q8_0,
    json: _Json = False,
) -> None:
    """Write RUN/merged as one file RUN/release/NAME.gguf or NAME.safetensors and log it."""
    from provenance.layout import RunFolder
    from provenance.log.run_log import open_log
    from provenance_trainer.run.lifecycle import log_quantize

    with stage("quantize"), open_log(RunFolder(run)) as log:
        record, file = log_quantize(log, name, format_.value)
    fields = record.fields
    result(
        {"format": "provenance-quantize/1", **fields, "path": str(file)},
        json,
        f"{file}\n{fields['quantization']} {fields['file']}, {fields['size'] / 1e6:.1f} MB, {len(fields['tensors'])} tensors",
    )


# Gas of one transaction of each kind with development keys; contracts/.gas-snapshot.json holds what a build costs exactly.
GAS = {
    "run": 153_000,
    "head": 96_000,
    "release": 209_000,
    "anchor": 130_000,
    "epoch": 410_000,
    "dataset": 381_000,
    "tree": 361_000,
    "link": 306_000,
}
BATCH_GAS, BATCHED_GAS = 343_000, 115_000  # of a batch of epoch proofs, and of each proof in it


def _proof_gas(proofs: int) -> int:
    """Gas of a transaction with so many epoch proofs."""
    return GAS["epoch"] if proofs == 1 else BATCH_GAS + proofs * BATCHED_GAS


@plan_app.command()
def plan(
    config: Annotated[
        Path, typer.Argument(help="Training configuration (YAML, Hugging Face and TRL names).")
    ],
    overrides: Annotated[
        list[str] | None,
        typer.Argument(metavar="[KEY=VALUE]...", help="Override keys of the configuration."),
    ] = None,
    count: Annotated[
        int | None, typer.Option(help="Records, if the dataset is not committed yet.")
    ] = None,
    json: _Json = False,
) -> None:
    """Tell transactions, gas, training and proof time and the finality wait of a run; spends nothing."""
    import dataclasses

    from provenance_trainer.config import load_config
    from provenance_trainer.run.plan import plan as make_plan

    parsed = load_config(config, overrides or [])
    made = make_plan(parsed, count if count is not None else _count_of(Path(parsed.dataset_name)))
    proofs = made.chunks * made.epochs
    gas = GAS["run"] + made.anchors * GAS["head"] + GAS["release"] + made.epochs * GAS["anchor"]
    gas += sum(map(_proof_gas, made.proof_transactions))
    registration = GAS["dataset"] + made.tree_chunks * GAS["tree"] + made.link_chunks * GAS["link"]
    value = {
        "format": "provenance-plan/1",
        **dataclasses.asdict(made),
        "gas": gas,
        "registration_gas": registration,
        **_price(Settings.load(), gas + registration),
    }
    shown = [
        f"training      {made.steps} steps, {made.batches} batches, {made.checkpoints} checkpoints, about {made.training_s:.0f} s on two "
        "CPU cores",
        f"log           {made.log_records} records in {made.anchors} heads",
        f"proofs        {proofs} epoch proofs over {made.slots} slots, about {made.proving_s:.1f} s",
        f"registration  {made.tree_chunks} tree and {made.link_chunks} link proofs, about {made.registration_s:.1f} s, once a dataset",
        f"chain         {made.transactions} + {made.registration_transactions} transactions, about {gas:,} + {registration:,} gas"
        + (
            f", {value['fee_eth']} ETH at the current base fee"
            if value["fee_eth"] is not None
            else ""
        ),
        f"finality      {value['finality']}",
    ]
    result(value, json, "\n".join(shown))


def _count_of(folder: Path) -> int:
    from provenance.dataset.committed import CommittedDataset

    with CommittedDataset.open(folder) as dataset:
        return len(dataset)


def _price(settings: Settings, gas: int) -> dict[str, str | None]:
    """Fee at the configured chain's base fee and how far its final block lags; unknown if it does not answer."""
    from provenance.chain.session import connect
    from provenance.errors import ProvenanceError

    try:
        rpc, mine = connect(settings)
        latest, final = rpc.block("latest"), rpc.block("finalized")
        fee = rpc.base_fee_wei() * gas / 10**18
    except ProvenanceError as error:
        note(f"chain not asked: {error}")
        return {"fee_eth": None, "finality": "unknown: the chain does not answer"}
    lag = (
        "seconds: the embedded chain mines on demand"
        if mine
        else f"about {latest.timestamp - final.timestamp} s behind the latest block"
    )
    return {"fee_eth": f"{fee:.6f}", "finality": lag}
