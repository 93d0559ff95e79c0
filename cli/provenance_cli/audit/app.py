"""`provenance audit`: the group of commands about training that is done again."""

from __future__ import annotations

import typer

from provenance_cli.audit.anchor import anchor
from provenance_cli.audit.draw import draw
from provenance_cli.audit.listing import list_
from provenance_cli.audit.replay import replay
from provenance_cli.audit.sign import sign
from provenance_cli.audit.submit import submit

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="Train segments of a run again, and sign what came out.",
)
for command in (draw, replay, sign, anchor, submit):
    app.command()(command)
app.command("list")(list_)
