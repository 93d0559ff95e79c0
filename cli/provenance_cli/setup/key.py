"""`provenance key`: make and show signing keys in an encrypted keystore."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.options import Json
from provenance_cli.output import result

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make and show signing keys (encrypted keystore).",
)

Name = Annotated[str, typer.Option(help="Name of the key.")]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="File of mode 0600 with the password.", envvar="PROVENANCE_PASSWORD_FILE"),
]


@app.command()
def create(
    name: Name = "default",
    password_file: PasswordFile = None,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="If a key of this name exists, keep it.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a new key. Its password comes from a file of mode 0600, or the terminal."""
    from provenance.chain.session import key_path
    from provenance.signing.keystore import address_of, create_key, read_password

    settings = Settings.load()
    path = key_path(settings, name)
    if if_missing and path.exists():
        address = address_of(path)
    else:
        file = password_file or settings.password_file
        password = read_password(file, prompt="new keystore password: ")
        address = create_key(path, password)
    result(
        {"format": "provenance-key/1", "name": name, "address": address, "path": str(path)},
        json,
        f"{address}  {path}",
    )


@app.command()
def show(name: Name = "default", json: Json = False) -> None:
    """Print the address of a key. This needs no password."""
    from provenance.chain.session import key_path
    from provenance.signing.keystore import address_of

    path = key_path(Settings.load(), name)
    address = address_of(path)
    result(
        {"format": "provenance-key/1", "name": name, "address": address, "path": str(path)},
        json,
        f"{address}  {path}",
    )
