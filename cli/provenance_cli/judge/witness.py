"""`provenance witness`: be a witness of other people's runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from provenance.causes import cause_of
from provenance.chain.endpoint import BRISK
from provenance.errors import OutputError
from provenance.judgement.trust import Trust
from provenance.judgement.trust_file import load_trust
from provenance.settings import Settings
from provenance.witness.key import create_witness_key, load_witness_key
from provenance.witness.memory import Memory
from provenance.witness.service import Witness
from provenance_cli.judge.editions import require_no_rollback
from provenance_cli.judge.options import AllowRollback, TrustFile
from provenance_cli.judge.serve import LOOPBACK, listen, run_app, url_of
from provenance_cli.output import note
from provenance_cli.wiring import reader_for

if TYPE_CHECKING:
    from fastapi import FastAPI

witness_app = typer.Typer(
    add_completion=False, help="Be a witness: cosign heads of publishers' runs that extend others."
)


@witness_app.command()
def witness(
    init: Annotated[
        str | None,
        typer.Option(
            "--init",
            metavar="NAME",
            help="Make a key and a folder for a witness of this name, such as example.com/w1; "
            "print its vkey and end.",
        ),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            help="Folder with its key and what it signed last (default: witness in "
            "PROVENANCE_HOME). Never put an older copy back.",
        ),
    ] = None,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="TCP port; 0 picks a free one.")] = 8001,
    trust: TrustFile = None,
    allow_rollback: AllowRollback = False,
) -> None:
    """Answer POST /add-checkpoint (C2SP tlog-witness) until interrupted.

    A head is cosigned if a publisher of the trust file owns its run, by the registry at a final
    block, and signed it, and if it extends the head of that run that was cosigned last. The URL is
    printed when the port is open.
    """
    settings = Settings.load()
    folder = state or settings.home / "witness"
    if init is not None:
        print(make(folder, init), flush=True)
        return
    trusted = load_trust(trust or settings.trust)
    require_no_rollback(trusted, settings, allowed=allow_rollback)
    memory = Memory(folder)
    try:
        app, vkey = compose_witness(settings, folder, memory, trusted)
        listener = listen(host, port)
        note(f"witness {vkey}")
        print(url_of(host, listener), flush=True)
        if host not in LOOPBACK:
            note(f"warning: listening on {host}; put a proxy with TLS and limits in front of it")
        run_app(app, listener)
    finally:
        memory.close()


def make(folder: Path, name: str) -> str:
    """Make the folder and key of a new witness; returns its vkey.

    Raises:
        InputError: no name of a witness.
        Conflict: there is a key already.
        OutputError: the disk refuses.
    """
    try:
        Memory.prepare(folder)
    except OSError as error:
        raise OutputError(
            "cannot make the witness's folder", where=str(folder), actual=cause_of(error)
        ) from error
    return str(create_witness_key(folder / "key", name))


def compose_witness(
    settings: Settings, folder: Path, memory: Memory, trust: Trust
) -> tuple[FastAPI, str]:
    """The application of a witness, and its vkey.

    Raises:
        InputError: there is no key, or none that can be read.
        AuthError: others can read it.
    """
    from provenance_api.witness import create_witness_app  # imports FastAPI

    signer = load_witness_key(folder / "key")
    witness = Witness(signer, memory, trust, lambda: reader_for(settings, trust, BRISK))
    return create_witness_app(witness), str(signer.key)
