"""`provenance release`: claim the quantized file on chain with one's own key."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance_cli.options import Json, KeyName, RunDir
from provenance_cli.output import note, result, working

release_app = typer.Typer(add_completion=False, help="Release the quantized file under your key.")


@release_app.command()
def release(
    run: RunDir,
    name: Annotated[
        str | None,
        typer.Option(help="Name of the release, as name or name:version (default: model)."),
    ] = None,
    key: KeyName = "default",
    json: Json = False,
) -> None:
    """Log a release of the quantized file, anchor it, and claim it on chain. Repeatable."""
    from provenance.chain.session import Session
    from provenance.ids import to_hex
    from provenance.layout import RunFolder
    from provenance.settings import Settings
    from provenance_cli.actions.release import release_run
    from provenance_cli.outputs import try_run

    try_run(RunFolder(run))
    session = Session(Settings.load(), key, note)
    with working("release") as progress:
        done = release_run(run, name, session, progress)
    place = f"block {done.block}, tx {to_hex(done.tx)}"
    result(done.to_json(), json, f"released {done.file.name} {done.model}\n{place}")
