"""`provenance plan`: estimate what a run will cost, before anything is spent."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.options import Json, Overrides, TrainingConfig
from provenance_cli.output import note, result

plan_app = typer.Typer(
    add_completion=False,
    help="Estimate transactions, gas and time of a run; spends nothing.",
)


@plan_app.command()
def plan(
    config: TrainingConfig,
    overrides: Overrides = None,
    count: Annotated[
        int | None,
        typer.Option(help="How many records the dataset has, if it is not committed yet."),
    ] = None,
    json: Json = False,
) -> None:
    """Estimate transactions, gas, seconds and the wait for finality of a run; spends nothing.

    Proofs of the weights are not counted: `publish --dry-run` estimates those.
    """
    import dataclasses

    from provenance_cli.jobs import estimates
    from provenance_trainer.config import load_config
    from provenance_trainer.run.plan import plan as make_plan

    parsed = load_config(config, overrides or [])
    made = make_plan(parsed, count if count is not None else _count_of(Path(parsed.dataset_name)))
    spent = estimates.training(made) + estimates.epochs(made)
    gas = spent.gas + estimates.GAS["release"]
    registration = estimates.registration(made).gas
    price = _price(Settings.load(), gas + registration)
    value = {
        "format": "provenance-plan/1",
        **dataclasses.asdict(made),
        "gas": gas,
        "registration_gas": registration,
        **price,
    }
    fee = f", {price['fee_eth']} ETH at the current base fee" if price["fee_eth"] else ""
    lines = [
        f"training      {made.steps} steps, {made.batches} batches, {made.checkpoints} "
        f"checkpoints, about {made.training_s:.0f} s on two CPU cores",
        f"log           {made.log_records} records in {made.anchors} heads",
        f"proofs        {made.chunks * made.epochs} epoch proofs over {made.slots} slots, "
        f"about {made.proving_s:.1f} s",
        f"registration  {made.tree_chunks} tree and {made.link_chunks} link proofs, "
        f"about {made.registration_s:.1f} s, once per dataset",
        f"chain         {made.transactions} + {made.registration_transactions} transactions, "
        f"about {gas:,} + {registration:,} gas{fee}",
        f"finality      {price['finality']}",
    ]
    result(value, json, "\n".join(lines))


def _count_of(folder: Path) -> int:
    from provenance.dataset.committed import CommittedDataset

    with CommittedDataset.open(folder) as dataset:
        return len(dataset)


def _price(settings: Settings, gas: int) -> dict[str, str | None]:
    """The fee of `gas` at the chain's base fee, and how far its final block lags behind the latest.

    If the chain does not answer, the fee is None and the lag is said to be unknown.
    """
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
