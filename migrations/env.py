"""Runs the migrations of the projection's database.

On PostgreSQL a migration waits only a few seconds for a lock, so that it does not block a service
that is still running, and each of its statements has a time limit.
"""

from __future__ import annotations

import os

from alembic import context
from sqlalchemy import Connection, text

from provenance_api.db import Base, Database

LOCK_TIMEOUT = "4s"
STATEMENT_TIMEOUT = "60s"


def _url() -> str:
    arguments = context.get_x_argument(as_dictionary=True)
    return str(
        arguments.get("url")
        or os.environ.get("PROVENANCE_DATABASE")
        or context.config.get_main_option("sqlalchemy.url")
    )


def _run(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
        connection.commit()
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
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
