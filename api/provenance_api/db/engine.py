"""Opening a database, SQLite or PostgreSQL (psycopg 3), and translating its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from provenance.errors import ConfigError, Conflict, InputError, UnavailableError
from provenance_api.db.models import Base

# The migration that makes the tables of `models`. A test compares it with migrations/.
SCHEMA_REVISION = "0002"
BUSY_TIMEOUT_MS = 10_000


class Database:
    """A database by URL. Threads may share it; a session belongs to one thread.

    Args:
        url: `sqlite:///FILE` or `postgresql://..`; a password in it is never printed.

    Raises:
        ConfigError: it is no such URL.
    """

    def __init__(self, url: str) -> None:
        parsed = _parse_url(url)
        self.name = parsed.render_as_string(hide_password=True)
        self.engine = _open(parsed)

    def prepare(self) -> None:
        """Create the tables of an empty database, or check the schema of one that has tables.

        Raises:
            ConfigError: its tables have another schema revision.
            UnavailableError: the database does not answer.
        """
        with translated(self.name):
            revision = _revision(self.engine)
            if revision == SCHEMA_REVISION:
                return
            if revision is None and not inspect(self.engine).get_table_names():
                _create(self.engine)
                return
        raise ConfigError(
            "database has another schema",
            where=self.name,
            expected=SCHEMA_REVISION,
            actual=revision or "unknown",
            hint="run: alembic upgrade head; or name an empty database (run folders fill it)",
        )

    @contextmanager
    def session(self) -> Iterator[Session]:
        """A transaction. It is committed when the block ends, and rolled back if the block raises.

        Raises:
            UnavailableError: the database does not answer or stays locked.
            Conflict: another process wrote the same rows meanwhile.
        """
        with translated(self.name), Session(self.engine) as session, session.begin():
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
        raise Conflict(
            "another process wrote the same rows", where=where, hint="try again"
        ) from error
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        raise UnavailableError(
            "database does not answer", where=where, actual=_first_line(error)
        ) from error
    except DBAPIError as error:
        raise InputError(
            "database refuses a value", where=where, actual=_first_line(error)
        ) from error
    except SQLAlchemyError as error:
        raise UnavailableError("database failed", where=where, actual=_first_line(error)) from error


def _first_line(error: SQLAlchemyError) -> str:
    cause = error.orig if isinstance(error, DBAPIError) else error
    return (str(cause).splitlines() or [type(error).__name__])[0][:200]
