"""Making the tables and the service's role of a PostgreSQL database, as the role that owns both.

Whoever migrates holds an advisory lock, waits for locks a few seconds only, and gives each
statement a time limit. The service's role may read and write rows, as row security lets it, and
read tokens; it owns nothing, alters nothing, and makes no token.
"""

from __future__ import annotations

import re
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from provenance.errors import ConfigError, InputError
from provenance_api.db.engine import Database, translated
from provenance_api.db.models import Base, TokenRow

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x70726F76  # "prov": the advisory lock of migrations
LOCK_TIMEOUT, STATEMENT_TIMEOUT = "4s", "60s"
_ROLE = re.compile(r"[a-z_][a-z0-9_]{0,62}")
READ_ONLY = (TokenRow.__tablename__, "alembic_version")


def take_lock(connection: Connection) -> None:
    """Keep other migrations out until the transaction ends, and set its limits (PostgreSQL)."""
    connection.execute(
        text(
            "SELECT set_config('lock_timeout', :lock, true), "
            "set_config('statement_timeout', :statement, true)"
        ),
        {"lock": LOCK_TIMEOUT, "statement": STATEMENT_TIMEOUT},
    )
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})


def migrate(database: Database, role: str | None) -> bool:
    """Bring a database to this release's schema and, on PostgreSQL, make the service's role.

    Args:
        database: opened as the role that is to own the tables.
        role: the service's role on PostgreSQL, which is made if there is none; None on SQLite.

    Returns:
        Whether the role was made.

    Raises:
        InputError: SQLite has no roles, or PostgreSQL was given none.
        ConfigError: the role is one that row security does not bind.
        UnavailableError: the database does not answer, or another migration holds the lock.
    """
    if role is not None and _ROLE.fullmatch(role) is None:
        raise InputError("not a role's name", expected="small letters, digits and _", actual=role)
    if database.is_postgres is (role is None):
        raise InputError("a role goes with PostgreSQL, and with no other database", actual=role)
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    with translated(database.name), database.engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
    if role is None:
        return False
    with translated(database.name), database.engine.begin() as connection:
        take_lock(connection)
        made = _make_role(connection, database.name, role)
        _grant(connection, role)
    return made


def _make_role(connection: Connection, where: str, role: str) -> bool:
    found = connection.execute(
        text(
            "SELECT rolsuper OR rolbypassrls OR rolcreaterole OR pg_has_role(rolname, current_user,"
            " 'MEMBER') FROM pg_roles WHERE rolname = :role"
        ),
        {"role": role},
    ).scalar()
    if found is None:
        connection.execute(
            text(
                f"CREATE ROLE {_quoted(connection, role)} LOGIN NOSUPERUSER NOCREATEDB "
                "NOCREATEROLE NOBYPASSRLS"
            )
        )
        return True
    if found:
        raise ConfigError(
            "row security would not bind this role",
            where=where,
            expected="a role that is no superuser, has no BYPASSRLS, makes no roles and is no "
            "member of the owner",
            actual=role,
            hint="name another with --role; one that does not exist is made",
        )
    return False


def _grant(connection: Connection, role: str) -> None:
    name = _quoted(connection, role)
    schema = _quoted(connection, str(connection.execute(text("SELECT current_schema()")).scalar()))
    rows = ", ".join(sorted(set(Base.metadata.tables) - set(READ_ONLY)))
    for statement in (
        f"REVOKE ALL ON {rows}, {', '.join(READ_ONLY)} FROM {name}",
        f"GRANT USAGE ON SCHEMA {schema} TO {name}",
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON {rows} TO {name}",
        f"GRANT SELECT ON {', '.join(READ_ONLY)} TO {name}",
    ):
        connection.execute(text(statement))


def _quoted(connection: Connection, name: str) -> str:
    return connection.dialect.identifier_preparer.quote_identifier(name)
