"""`provenance service`: the group of commands about the service's database."""

from __future__ import annotations

import typer

from provenance_cli.service.migrate import migrate
from provenance_cli.service.token import create, list_, revoke

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Make the service's tables and database role; make, list and revoke tokens.",
)
app.command()(migrate)
token = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Tokens by which requests act for a tenant."
)
token.command()(create)
token.command("list")(list_)
token.command()(revoke)
app.add_typer(token, name="token")
