"""The database that commands name: its URL, and that no password in it is seen by other users."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from provenance.errors import InputError
from provenance_cli.outputs import try_home

if TYPE_CHECKING:
    from provenance.settings import Settings


def refuse_password(context: typer.Context, value: str | None) -> str | None:
    """The URL of an option, unless the command line holds a password: `ps` would show it to all.

    Raises:
        InputError: it does.
    """
    source = context.get_parameter_source("database")
    if value is not None and source is not None and source.name == "COMMANDLINE":
        from sqlalchemy import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            url = make_url(value)
        except ArgumentError:
            return value  # whoever opens it says so
        if url.password is not None or "password" in url.query:
            raise InputError(
                "a password on the command line is seen by every user of this machine",
                where="--database",
                expected="a URL without one",
                hint="name a file of passwords in PGPASSFILE, or a service in PGSERVICE; "
                "or put the URL into PROVENANCE_DATABASE",
            )
    return value


DatabaseUrl = Annotated[
    str | None,
    typer.Option(
        "--database",
        envvar="PROVENANCE_DATABASE",
        callback=refuse_password,
        help=(
            "sqlite:///FILE (default: a file in PROVENANCE_HOME) or postgresql://.. without a "
            "password: that comes from the files that PGPASSFILE or PGSERVICEFILE name, or stands "
            "in a URL in this variable."
        ),
    ),
]


def default_database(settings: Settings) -> str:
    """URL of this installation's database file. Its folder is made if it is missing."""
    try_home(settings)
    settings.home.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{settings.home / 'service.sqlite'}"
