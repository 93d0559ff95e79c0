"""`provenance init`: make what a run and its verification need on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance_cli.options import DryRun, Json, KeyName
from provenance_cli.output import fields, result

init_app = typer.Typer(
    add_completion=False,
    help="Set up this machine: keys, chain, contracts, trust file.",
)


@init_app.command()
def init(
    home: Annotated[
        Path | None,
        typer.Option(
            "--home",
            metavar="DIR",
            help="Folder for it all. Commands in the current folder find it (default: per user).",
        ),
    ] = None,
    rpc: Annotated[
        str | None,
        typer.Option(
            "--rpc",
            metavar="URL",
            help="JSON-RPC endpoint of a chain (default: the embedded chain).",
        ),
    ] = None,
    records: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=1 << 24,
            help="Records of the largest dataset whose epoch must fit into one proof "
            "(default: as deployed, at first 4096).",
        ),
    ] = None,
    weight_keys: Annotated[
        str | None,
        typer.Option(
            "--model-keys",
            help="Keys for proofs about weights, as kind:levels[:rank] with commas between; added "
            "to those deployed (default: as deployed, at first q8_0:3,merge:3:8).",
        ),
    ] = None,
    password_file: Annotated[
        Path | None,
        typer.Option(
            help="File of mode 0600 with the keystore's password (default: a random one is made)."
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Folder for proving keys and base models (default: below --home)."
        ),
    ] = None,
    key: KeyName = "default",
    dry_run: DryRun = False,
    json: Json = False,
) -> None:
    """Make the signing key, chain, proving keys, contracts and trust file.

    Repeatable: what exists is kept, and keys are only ever added. The command asks nothing, and
    prints what was made and where.
    """
    from provenance_cli.jobs.init import InitRequest, init_job
    from provenance_cli.jobs.tasks import Relay, print_forecast, run_tasks
    from provenance_cli.outputs import try_folder

    job = init_job(InitRequest(home, rpc, records, password_file, cache, key, weight_keys))
    job.check()
    if dry_run:
        print_forecast(job.tasks(), json)
        return
    try_folder(job.settings.home, "--home")
    try_folder(job.settings.cache, "--cache")
    run_tasks(job.tasks(), Relay())
    made = job.made()
    following = "next: provenance train CONFIG --anchor"
    result(made, json, f"{fields(made)}\n{following}")
