"""`provenance chain`: the embedded chain and the contracts on it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from provenance.chain.deploy import DEFAULT_SLOTS
from provenance.ids import to_hex
from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import note, result, working

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Start, stop and inspect the embedded chain; deploy contracts.",
)


def _status(settings: Settings) -> dict[str, Any]:
    from provenance.chain.session import embedded

    process = embedded(settings).running()
    value: dict[str, Any] = {"format": "provenance-chain/1", "running": process is not None}
    if process is not None:
        rpc = embedded(settings).rpc()
        value |= {
            "url": process.url,
            "pid": process.pid,
            "chain_id": rpc.chain_id(),
            "genesis": to_hex(rpc.block(0).hash),
            "latest": rpc.block("latest").number,
            "final": rpc.block("finalized").number,
        }
    return value


def _line(value: dict[str, Any]) -> str:
    if not value["running"]:
        return "embedded chain is down"
    return (
        f"{value['url']}  chain {value['chain_id']}  block {value['latest']}, final "
        f"{value['final']}  genesis {value['genesis']}"
    )


@app.command()
def up(
    port: Annotated[
        int, typer.Option(help="TCP port; 0 takes the last one again, or a free one.")
    ] = 0,
    json: Json = False,
) -> None:
    """Start the embedded chain, if it is not running. Its state survives restarts."""
    from provenance.chain.session import embedded

    settings = Settings.load()
    embedded(settings).up(port)
    value = _status(settings)
    result(value, json, _line(value))


@app.command()
def down(json: Json = False) -> None:
    """Let the embedded chain save its state, and stop it."""
    from provenance.chain.session import embedded

    stopped = embedded(Settings.load()).down()
    result(
        {"format": "provenance-chain/1", "running": False, "stopped": stopped},
        json,
        "stopped" if stopped else "embedded chain was down",
    )


@app.command()
def status(json: Json = False) -> None:
    """Say whether the embedded chain runs, and at which block it is. Exit code 3: it is down."""
    value = _status(Settings.load())
    result(value, json, _line(value))
    if not value["running"]:
        raise typer.Exit(3)


@app.command()
def deploy(
    slots: Annotated[
        int, typer.Option(help="Records per epoch proof: 256, 4096, 20480, 86016 or 344064.")
    ] = DEFAULT_SLOTS,
    trust_out: Annotated[
        Path | None, typer.Option(help="Also write a trust file for this deployment.")
    ] = None,
    key: Annotated[str, typer.Option(help="Name of the signing key.")] = "default",
    with_audit_keys: Annotated[
        bool,
        typer.Option(
            "--audit-keys/--no-audit-keys",
            envvar="PROVENANCE_AUDIT_KEYS",
            help="Also deploy keys for statements about datasets: sorted, member, absent.",
        ),
    ] = True,
    large: Annotated[
        bool,
        typer.Option(help="Also deploy audit keys for datasets of more than 1,048,576 records."),
    ] = False,
    weight_keys: Annotated[
        str,
        typer.Option(
            "--model-keys",
            envvar="PROVENANCE_MODEL_KEYS",
            help=(
                "Keys for proofs about weights: kind:levels[:rank], with commas between. '': none."
            ),
        ),
    ] = "q8_0:3,merge:3:8",
    ceremony: Annotated[
        bool,
        typer.Option(
            "--ceremony",
            help="Take ceremony keys from the cache instead of making development keys.",
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Make keys, and deploy them and the contracts; repeatable: what is deployed is kept."""
    from provenance_cli.outputs import try_file, try_folder, try_home
    from provenance_cli.setup.deployment import (
        Wanted,
        audit_keys,
        deploy_all,
        model_keys,
        write_trust,
    )

    settings = Settings.load()
    try_file(trust_out, "--trust-out")
    try_home(settings)
    try_folder(settings.cache, "PROVENANCE_CACHE")
    more = [*(audit_keys(slots, large) if with_audit_keys else ()), *model_keys(weight_keys)]
    wanted = Wanted(slots, tuple(more), ceremony)
    with working("deploy") as progress:
        deployment = deploy_all(settings, wanted, progress, key)
    if trust_out is not None:
        write_trust(settings, deployment, trust_out, key)
        note(f"trust file: {trust_out}")
    value = {
        "format": "provenance-deployment/1",
        "registry": deployment.registry,
        "ledger": deployment.ledger,
        "audits": deployment.audits,
        "models": deployment.models,
        "attestations": deployment.attestations,
        "chain_id": deployment.chain_id,
        "keys": [k.vk_id for k in deployment.keys],
    }
    result(
        value,
        json,
        f"registry {deployment.registry}\nledger   {deployment.ledger}\n"
        f"audits   {deployment.audits}\nmodels   {deployment.models}\n"
        f"attestations {deployment.attestations}",
    )
