"""`provenance dataset`: the group of commands about committed datasets."""

from __future__ import annotations

import typer

from provenance_cli.dataset.commit import commit
from provenance_cli.dataset.contains import contains, digest
from provenance_cli.dataset.erase import erase
from provenance_cli.dataset.look import check, info
from provenance_cli.dataset.prove import prove
from provenance_cli.dataset.register import register

dataset = typer.Typer(
    add_completion=False,
    name="dataset",
    help="Commit and register a dataset; look records up, erase records.",
    no_args_is_help=True,
)
for command in (commit, info, check, prove, contains, digest, erase, register):
    dataset.command()(command)
