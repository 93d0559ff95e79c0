"""Runs the migrations of the service's database.

On PostgreSQL they run in one transaction, which holds an advisory lock. It waits only a few seconds
for a lock, so that it does not block a service that is still running, and each of its statements
has a time limit.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection

from provenance_api.db import Base, Database
from provenance_api.db.migrate import take_lock


def _url() -> str:
    arguments = context.get_x_argument(as_dictionary=True)
    return str(
        arguments.get("url")
        or os.environ.get("PROVENANCE_DATABASE")
        or context.config.get_main_option("sqlalchemy.url")
    )


def _run(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        if connection.dialect.name == "postgresql":
            take_lock(connection)
        context.run_migrations()


def _offline() -> None:
    context.configure(
        url=_url(),
        target_metadata=Base.metadata,
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},
    )
    with context.begin_transaction():
        context.run_migrations()


def _online() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run(given)
        return
    database = Database(_url())
    with database.engine.connect() as connection:
        _run(connection)
    database.close()


if context.is_offline_mode():
    _offline()
else:
    _online()
