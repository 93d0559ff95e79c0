"""`provenance service migrate`: tables and role of the service's database."""

from __future__ import annotations

from typing import Annotated

import typer

from provenance.settings import Settings
from provenance_cli.database import DatabaseUrl, default_database
from provenance_cli.options import Json
from provenance_cli.output import result

SERVICE_ROLE = "provenance_service"


def migrate(
    database: DatabaseUrl = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="PostgreSQL: the role that `serve` uses (default: provenance_service). It is made "
            "if there is none, and may read and write rows, as row security lets it, and alter "
            "nothing."
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Bring the service's database to this release's tables.

    On PostgreSQL the URL is that of the role that owns the tables, which must be allowed to make
    roles if --role is not there yet. One migration runs at a time, waits at most 4 seconds for a
    lock, and gives each statement 60 seconds. Rows of run folders are removed where tables
    change, and `serve` writes them again; tokens stay.
    """
    from provenance_api.db import SCHEMA_REVISION, Database
    from provenance_api.db.migrate import migrate as run

    store = Database(database or default_database(Settings.load()))
    try:
        role = role or (SERVICE_ROLE if store.is_postgres else None)
        made = run(store, role)
    finally:
        store.close()
    value = {
        "format": "provenance-service-migrate/1",
        "database": store.name,
        "schema": SCHEMA_REVISION,
        "role": role,
        "role_made": made,
    }
    words = [f"{store.name}: schema {SCHEMA_REVISION}"]
    if role is not None:
        words.append(f"role {role}" + (" made, without a password" if made else ""))
    result(value, json, "\n".join(words))
