"""`provenance plan`: what a run will come to, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.options import Json, Overrides, TrainingConfig
from provenance_cli.output import note, result

plan_app = typer.Typer(
    add_completion=False,
    help="Tell transactions, gas and proof time of a training config before anything is spent.",
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
    config: TrainingConfig,
    overrides: Overrides = None,
    count: Annotated[
        int | None, typer.Option(help="Records, if the dataset is not committed yet.")
    ] = None,
    json: Json = False,
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
