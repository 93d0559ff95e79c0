"""`provenance init`: make everything that a run and its verdict need, or what is missing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import DryRun, Json, KeyName
from provenance_cli.output import fields, result

init_app = typer.Typer(
    add_completion=False, help="Set up this machine: key, chain, contracts, trust file."
)


@init_app.command()
def init(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="DIR",
            help="Where it all goes; commands in this folder then find it (default: per user).",
        ),
    ] = None,
    rpc: Annotated[
        str | None,
        typer.Option("--rpc", metavar="URL", help="JSON-RPC of a chain (default: embedded)."),
    ] = None,
    records: Annotated[
        int,
        typer.Option(min=1, max=1 << 24, help="Records that one proof of an epoch shall hold."),
    ] = 4_096,
    weight_keys: Annotated[
        str,
        typer.Option("--model-keys", help="Weight proofs: kind:levels[:rank], by commas."),
    ] = "q8_0:3,merge:3:8",
    password_file: Annotated[
        Path | None,
        typer.Option(help="0600 file with the keystore's password (default: a random one)."),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where proving keys and base models go (default: below --home)."
        ),
    ] = None,
    key: KeyName = "default",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make key, chain, proving keys, contracts and trust file, or what is missing of them.

    Repeatable: what is there is kept. It asks nothing, and prints what there is and where.
    """
    from provenance_cli.jobs.init import InitRequest, init_job
    from provenance_cli.jobs.stages import Relay, print_forecast, run_stages
    from provenance_cli.outputs import try_folder

    job = init_job(InitRequest(home, rpc, records, password_file, cache, key, weight_keys))
    job.check()
    if dry_run:
        print_forecast(job.stages(), json)
        return
    try_folder(job.settings.home, "--home")
    try_folder(job.settings.cache, "--cache")
    run_stages(job.stages(), Relay())
    made = job.made()
    following = "next: provenance train CONFIG --anchor"
    result(made, json, f"{fields(made)}\n{following}")
