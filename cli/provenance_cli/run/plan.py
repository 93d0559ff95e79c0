"""`provenance plan`: estimate what a run will cost, before anything is spent."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.options import (
    ConfiguredKey,
    Json,
    Limit,
    Overrides,
    Split,
    TextColumn,
    TrainingConfig,
)
from provenance_cli.output import note, result, working

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
        typer.Option(help="Plan for so many records; the dataset is not looked at."),
    ] = None,
    text_column: TextColumn = None,
    limit: Limit = None,
    split: Split = "train",
    key: ConfiguredKey = None,
    json: Json = False,
) -> None:
    """Say what will be fed, and estimate transactions, gas, seconds and the wait for finality.

    Spends nothing. Proofs of the weights are not counted: `publish --dry-run` estimates those.
    Everything that `train` would refuse before it spends anything is refused here, all at once;
    only the key's password is not asked for, and no chain is started.
    """
    import dataclasses

    from provenance.text.counted import counted
    from provenance_cli.actions.commit import Selection
    from provenance_cli.jobs import estimates
    from provenance_cli.jobs.train import TrainJob, TrainRequest
    from provenance_trainer.draft import load_draft
    from provenance_trainer.run.plan import plan as make_plan
    from provenance_zk.workers.executors import Workshop

    draft = load_draft(config, overrides or [])
    checked, data = None, list[str]()
    if count is None:
        selection = Selection("", text_column, limit, split)
        job = TrainJob(
            TrainRequest(draft, selection, anchor=True, key=key), Workshop(Settings.load())
        )
        with working("check") as display:
            checked, data = job.look(display), job.lines()
        count = checked.fed.records
    parsed = draft.require()
    fed = None if checked is None else checked.fed
    tokens = None if fed is None else -(-fed.tokens // fed.records)
    made = make_plan(parsed, count, tokens=tokens)
    spent = estimates.training(made) + estimates.epochs(made)
    gas = spent.gas + estimates.GAS["release"]
    registration = estimates.registration(made).gas
    price = _price(Settings.load(), gas + registration)
    value = {
        "format": "provenance-plan/2",
        **dataclasses.asdict(made),
        "fed": None if fed is None else fed.to_json(),
        "gas": gas,
        "registration_gas": registration,
        **price,
    }
    fee = f", {price['fee_eth']} ETH at the current base fee" if price["fee_eth"] else ""
    lines = [
        *(f"data          {line}" for line in data),
        f"training      {made.steps} steps, {made.batches} batches, {made.checkpoints} "
        f"checkpoints, about {made.training_s:.0f} s on two CPU cores",
        f"segments      {made.checkpoints} of at most {counted(made.segment_steps, 'step')} can be "
        "trained again by themselves",
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


def _price(settings: Settings, gas: int) -> dict[str, str | None]:
    """The fee of `gas` at the chain's base fee, and how far its final block lags behind the latest.

    If the chain does not answer, the fee is None and the lag is said to be unknown.
    """
    from provenance.chain.session import connect, miner
    from provenance.errors import ProvenanceError

    try:
        rpc = connect(settings)
        mine = miner(settings, rpc)
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
