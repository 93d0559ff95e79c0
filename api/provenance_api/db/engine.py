"""Opening a database, SQLite or PostgreSQL (psycopg 3), and translating its errors.

A file of SQLite is this installation's own, so its tables are made where they are missing. Those of
PostgreSQL are made by `provenance service migrate` for the role that owns them. The service has
another role, which row security binds: `prepare` refuses one that it does not bind.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DataError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from provenance.errors import ConfigError, Conflict, InputError, NotFound, UnavailableError
from provenance_api.db.models import Base
from provenance_api.db.rules import ScopedSession

# The migration that makes the tables of `models`. A test compares it with migrations/.
SCHEMA_REVISION = "0004"
BUSY_TIMEOUT_MS = 10_000
NOT_ALLOWED = "42501"  # insufficient_privilege


class RefusedValue(InputError):
    """A value of a run folder is none that the database stores. No client sent it."""


class WrittenMeanwhile(Conflict):
    """Another process wrote the same rows: the next attempt finds them."""


class Database:
    """A database by URL. Threads may share it; a session belongs to one thread.

    Args:
        url: `sqlite:///FILE` or `postgresql://..`; a password in it is never printed. Without one,
            libpq takes it from PGPASSFILE, PGSERVICE or PGPASSWORD.

    Raises:
        ConfigError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse_url(url)
        self.name = parsed.render_as_string(hide_password=True)
        self.engine = _open(parsed)

    @property
    def is_postgres(self) -> bool:
        """Whether the database is a server's."""
        return self.engine.dialect.name == "postgresql"

    def prepare(self) -> None:
        """Check that the service can use this database. Tables of an empty SQLite file are made.

        Raises:
            ConfigError: as `require_schema`; or row security of PostgreSQL does not bind the role.
            UnavailableError: the database does not answer.
        """
        self.require_schema()
        if self.is_postgres:
            self._require_bound()

    def require_file(self) -> None:
        """Refuse a file of SQLite that is not there; nothing is made.

        Raises:
            NotFound: it is not there.
        """
        file = None if self.is_postgres else self.engine.url.database
        if file and not Path(file).is_file():
            raise NotFound("no such database", where=self.name, hint="name that of the service")

    def require_schema(self) -> None:
        """Check that the tables are of this release. Those of an empty SQLite file are made.

        Raises:
            ConfigError: they are of another.
            UnavailableError: the database does not answer.
        """
        with translated(self.name):
            revision = _revision(self.engine)
            empty = revision is None and not inspect(self.engine).get_table_names()
            if empty and not self.is_postgres:
                _create(self.engine)
            elif revision != SCHEMA_REVISION:
                raise self._other_schema(revision, empty)

    def _other_schema(self, revision: str | None, empty: bool) -> ConfigError:
        hint = "run: provenance service migrate --database URL"
        if self.is_postgres:
            hint = "run as the role that owns the tables: provenance service migrate --database URL"
        return ConfigError(
            "database has no tables" if empty else "database has another schema",
            where=self.name,
            expected=SCHEMA_REVISION,
            actual="none" if empty else revision or "unknown",
            hint=hint,
        )

    def _require_bound(self) -> None:
        with translated(self.name), self.engine.connect() as connection:
            faults = unbound(connection)
        if faults:
            raise ConfigError(
                "row security does not bind this database role",
                where=self.name,
                expected="a role that `provenance service migrate` makes",
                actual="; ".join(faults),
                hint="name the service's role in the URL, or run: provenance service migrate",
            )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction for the current scope: it reads and writes what that may.

        It is committed when the block ends, and rolled back if the block raises.

        Raises:
            UnavailableError: the database does not answer or stays locked.
            WrittenMeanwhile: another process wrote the same rows.
            RefusedValue: the database stores no such value.
        """
        with translated(self.name), ScopedSession(self.engine) as session, session.begin():
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            "not a database URL", expected="sqlite:///FILE or postgresql://HOST/NAME"
        ) from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise ConfigError(
            "this kind of database is not supported",
            expected="sqlite or postgresql",
            actual=parsed.drivername,
        )
    return parsed


def _open(url: URL) -> Engine:
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url)
        event.listen(engine, "connect", _configure_sqlite)
        return engine
    return create_engine(url, pool_pre_ping=True, connect_args={"connect_timeout": 5})


def _configure_sqlite(connection: Any, _record: Any) -> None:
    # WAL lets readers work while the indexer writes. FULL makes a commit durable. Each new
    # connection needs these settings.
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={BUSY_TIMEOUT_MS}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


_FAULTS = text(
    """
    SELECT role.rolsuper AS "it is a superuser",
        role.rolbypassrls AS "it has BYPASSRLS",
        has_schema_privilege(current_schema(), 'CREATE') AS "it may create tables",
        coalesce(bool_or(pg_has_role(t.relowner, 'MEMBER')), false) AS "it owns tables, or may",
        NOT coalesce(bool_and(t.relrowsecurity AND t.relforcerowsecurity), false)
            AS "row security is not forced on each table"
    FROM pg_roles role
    LEFT JOIN pg_class t ON t.relnamespace = current_schema()::regnamespace
        AND t.relkind IN ('r', 'p') AND t.relname = ANY(:tables)
    WHERE role.rolname = current_user
    GROUP BY role.rolsuper, role.rolbypassrls
    """
)


def unbound(connection: Connection) -> list[str]:
    """Why row security does not bind the role of a connection to PostgreSQL; empty if it does."""
    tables = {"tables": sorted(Base.metadata.tables)}
    row = connection.execute(_FAULTS, tables).mappings().one()
    return [name for name, holds in row.items() if holds]


def _revision(engine: Engine) -> str | None:
    if not inspect(engine).has_table("alembic_version"):
        return None
    with engine.connect() as connection:
        return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _create(engine: Engine) -> None:
    """Make the tables of `alembic upgrade head`, and store their revision for later migrations."""
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(
            text(
                "CREATE TABLE IF NOT EXISTS alembic_version (version_num VARCHAR(32) NOT NULL, "
                "CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
            )
        )
        connection.execute(
            text("INSERT INTO alembic_version (version_num) VALUES (:revision)"),
            {"revision": SCHEMA_REVISION},
        )


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn the errors of SQLAlchemy into this project's."""
    try:
        yield
    except IntegrityError as error:
        raise WrittenMeanwhile(
            "another process wrote the same rows", where=where, hint="try again"
        ) from error
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise UnavailableError(
            "database does not answer", where=where, actual=_first_line(error)
        ) from error
    except DataError as error:
        raise RefusedValue(
            "database refuses a value", where=where, actual=_first_line(error)
        ) from error
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) == NOT_ALLOWED:
            raise ConfigError(
                "the database does not allow this to the role of the URL",
                where=where,
                actual=_first_line(error),
                hint="`provenance service` takes the owner's URL, `provenance serve` the service's",
            ) from error
        raise UnavailableError("database failed", where=where, actual=_first_line(error)) from error
    except SQLAlchemyError as error:
        raise UnavailableError("database failed", where=where, actual=_first_line(error)) from error


def _first_line(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).splitlines() or [type(error).__name__])[0][:200]
