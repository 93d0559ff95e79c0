"""Row security of PostgreSQL by itself: whatever the service asks, its role gets no more.

The attacks are SQL of the service's own connection, as a query without a rule would send it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from provenance.errors import ConfigError, UnavailableError
from provenance_api.db import Base, Database, acting_for
from provenance_api.db import migrate as migration
from provenance_api.tenants.tokens import Tokens
from tests.support.processes.postgres import ADMIN, OWNER, SERVICE, Postgres
from tests.support.service import Store

RUNS = (
    "INSERT INTO runs (run_id, tenant_id, folder, size, released) VALUES ({id}, '{t}', '', 1, {r})"
)
ROWS = (
    'INSERT INTO records (run_id, "index", tenant_id, type, entry, digest, body) '
    "VALUES ({id}, 0, '{t}', 'x', {id}, {id}, {id})",
    "INSERT INTO heads (run_id, position, tenant_id, seq, size, root, signature) "
    "VALUES ({id}, 0, '{t}', 1, 1, {id}, {id})",
    'INSERT INTO releases (run_id, "index", tenant_id, model, manifest, name, time, entry) '
    "VALUES ({id}, 0, '{t}', {id}, {id}, 'n', 't', {id})",
    "INSERT INTO proofs (run_id, epoch, chunk, tenant_id, digest) VALUES ({id}, 0, 0, '{t}', {id})",
    "INSERT INTO openings (run_id, tenant_id, time, signer) VALUES ({id}, '{t}', 't', 's')",
    'INSERT INTO nodes (run_id, level, "index", tenant_id, hash) '
    "VALUES ({id}, 1, 0, '{t}', {id})",
)
PROJECTION = sorted(set(Base.metadata.tables) - {"tokens"})
SECRET, SHOWN, OTHER = "'\\x01'", "'\\x02'", "'\\x03'"


@pytest.fixture
def kind() -> str:
    return "postgresql"


@pytest.fixture
def service(store: Store) -> Database:
    """acme has an unreleased and a released run, bolt an unreleased one."""
    for tenant, runs in (("acme", {SECRET: False, SHOWN: True}), ("bolt", {OTHER: False})):
        with acting_for(tenant), store.service.session() as session:
            for run, released in runs.items():
                for statement in (RUNS, *ROWS):
                    session.execute(text(statement.format(id=run, t=tenant, r=released)))
    return store.service


@pytest.fixture
def connection(service: Database) -> Iterator[Connection]:
    """A connection as the service's role, of which nobody said for whom it is."""
    with service.engine.connect() as connection:
        yield connection


def become(connection: Connection, tenant: str) -> None:
    connection.execute(text("SELECT set_config('app.tenant_id', :t, true)"), {"t": tenant})


def seen(connection: Connection, table: str) -> set[bytes]:
    return set(connection.execute(text(f"SELECT run_id FROM {table}")).scalars())


def refused(connection: Connection, statement: str) -> str:
    with pytest.raises(DBAPIError) as caught:
        connection.execute(text(statement))
    connection.rollback()
    return str(caught.value.orig)


@pytest.mark.parametrize("table", PROJECTION)
def test_a_connection_for_nobody_sees_released_rows_alone(
    connection: Connection, table: str
) -> None:
    assert seen(connection, table) == {b"\x02"}


@pytest.mark.parametrize("table", PROJECTION)
def test_a_tenant_sees_its_own_rows_and_what_others_released(
    connection: Connection, table: str
) -> None:
    become(connection, "bolt")
    assert seen(connection, table) == {b"\x02", b"\x03"}
    become(connection, "acme")
    assert seen(connection, table) == {b"\x01", b"\x02"}


@pytest.mark.parametrize("statement", [RUNS, *ROWS])
def test_no_tenant_writes_rows_of_another(connection: Connection, statement: str) -> None:
    for tenant in ("bolt", ""):
        become(connection, tenant)
        row = statement.format(id="'\\x02'", t="acme", r=False)
        assert "row-level security" in refused(connection, row)


@pytest.mark.parametrize("table", PROJECTION)
def test_what_is_shown_to_a_tenant_it_cannot_change(connection: Connection, table: str) -> None:
    become(connection, "bolt")
    for statement in (
        f"UPDATE {table} SET run_id = run_id WHERE tenant_id = 'acme'",
        f"DELETE FROM {table} WHERE tenant_id = 'acme'",
    ):
        assert connection.execute(text(statement)).rowcount == 0
    moved = f"UPDATE {table} SET tenant_id = 'acme' WHERE tenant_id = 'bolt'"
    assert "row-level security" in refused(connection, moved)


def test_a_pooled_connection_keeps_no_tenant(service: Database) -> None:
    with acting_for("acme"), service.session() as session:
        first = session.scalar(text("SELECT pg_backend_pid()"))
        assert seen(session.connection(), "runs") == {b"\x01", b"\x02"}
    with service.engine.connect() as connection:
        assert connection.scalar(text("SELECT pg_backend_pid()")) == first
        assert not connection.scalar(text("SELECT current_setting('app.tenant_id', true)"))
        assert seen(connection, "runs") == {b"\x02"}


def test_a_transaction_that_failed_keeps_no_tenant(service: Database) -> None:
    pids = []

    def fail() -> None:
        with acting_for("acme"), service.session() as session:
            pids.append(session.scalar(text("SELECT pg_backend_pid()")))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with service.session() as session:
        assert session.scalar(text("SELECT pg_backend_pid()")) == pids[0]
        assert seen(session.connection(), "runs") == {b"\x02"}


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE runs DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE runs ADD COLUMN more TEXT",
        "DROP TABLE records",
        "DROP POLICY own ON runs",
        "CREATE POLICY more ON runs USING (true)",
        "CREATE TABLE more (id INTEGER)",
        "TRUNCATE runs CASCADE",
        f"SET ROLE {OWNER}",
        f"ALTER ROLE {SERVICE} BYPASSRLS",
        "CREATE ROLE more",
        "INSERT INTO tokens VALUES ('a', 'acme', 'n', '\\x00', 0, NULL, NULL, true)",
        "UPDATE tokens SET revoked = NULL",
        "DELETE FROM tokens",
        "UPDATE alembic_version SET version_num = '9999'",
    ],
)
def test_the_service_alters_nothing(connection: Connection, statement: str) -> None:
    become(connection, "acme")
    words = refused(connection, statement)
    assert "denied" in words or "must be owner" in words, words


def test_row_security_off_is_an_error_and_no_way_around(connection: Connection) -> None:
    connection.execute(text("SET LOCAL row_security = off"))
    assert "row-level security" in refused(connection, "SELECT * FROM runs")


def test_the_owner_is_bound_too(service: Database, store: Store) -> None:
    with store.owner.engine.connect() as connection:
        assert seen(connection, "runs") == {b"\x02"}


def test_a_token_is_seen_by_its_id_alone(service: Database, store: Store) -> None:
    text_ = Tokens(store.owner).create("acme", "ci", None)
    count = text("SELECT count(*) FROM tokens")
    with service.engine.connect() as connection:
        assert connection.scalar(count) == 0
        become(connection, "bolt")
        assert connection.scalar(count) == 0
        shown = {"id": text_.split("_")[1]}
        connection.execute(text("SELECT set_config('app.token_id', :id, true)"), shown)
        assert connection.scalar(count) == 1
    assert Tokens(service).tenant_of(f"Bearer {text_}") == "acme"
    with pytest.raises(ConfigError, match="does not allow this"):
        Tokens(service).create("acme", "more", None)


def test_every_table_has_tenants_and_forced_row_security(store: Store) -> None:
    query = text(
        "SELECT c.relname, c.relrowsecurity AND c.relforcerowsecurity, EXISTS (SELECT 1 "
        "FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'tenant_id') "
        "FROM pg_class c WHERE relkind IN ('r', 'p') AND relnamespace = 'public'::regnamespace"
    )
    with store.owner.engine.connect() as connection:
        rows = {name: (forced, tenants) for name, forced, tenants in connection.execute(query)}
    assert rows.pop("alembic_version") == (False, False)
    assert rows == dict.fromkeys(Base.metadata.tables, (True, True))


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (["ALTER ROLE {role} SUPERUSER"], "superuser"),
        (["ALTER ROLE {role} BYPASSRLS"], "BYPASSRLS"),
        (["ALTER TABLE heads OWNER TO {role}"], "it owns tables"),
        (["GRANT CREATE ON SCHEMA public TO {role}"], "create tables"),
        (["ALTER TABLE heads NO FORCE ROW LEVEL SECURITY"], "not forced"),
        (["ALTER TABLE heads DISABLE ROW LEVEL SECURITY"], "not forced"),
    ],
)
def test_a_role_that_is_not_bound_is_refused(
    postgres: Postgres, statements: list[str], words: str
) -> None:
    name, role = postgres.create(), "unbound_service"
    owner = Database(postgres.url(name, OWNER))
    assert migration.migrate(owner, role) is True
    service = Database(postgres.url(name, role))
    service.prepare()
    service.close()
    with postgres.admin(name) as admin:
        for statement in statements:
            admin.execute(statement.format(role=role).encode())
    with pytest.raises(ConfigError, match=words):
        service.prepare()
    service.close()
    owner.close()
    postgres.drop(name)
    with postgres.admin() as admin:
        admin.execute(f"DROP ROLE {role}".encode())


def test_owner_and_superuser_do_not_serve(store: Store, postgres: Postgres) -> None:
    with pytest.raises(ConfigError, match="row security does not bind"):
        store.owner.prepare()
    admin = Database(str(store.owner.engine.url).replace(OWNER, ADMIN))
    with pytest.raises(ConfigError, match="superuser"):
        admin.prepare()
    admin.close()
    store.service.prepare()


def test_a_role_that_would_not_be_bound_is_not_taken(store: Store) -> None:
    for role in (ADMIN, OWNER):
        with pytest.raises(ConfigError, match="would not bind"):
            migration.migrate(store.owner, role)


def test_one_migration_runs_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migration, "LOCK_TIMEOUT", "50ms")
    with store.owner.engine.begin() as first:
        migration.take_lock(first)
        with pytest.raises(UnavailableError, match="lock timeout"):
            migration.migrate(store.owner, SERVICE)
    migration.migrate(store.owner, SERVICE)


def test_a_migration_has_limits_and_leaves_none(store: Store) -> None:
    limits = text("SELECT current_setting('lock_timeout'), current_setting('statement_timeout')")
    with store.owner.engine.begin() as connection:
        migration.take_lock(connection)
        taken: Any = connection.execute(limits).one()
        assert tuple(taken) == ("4s", "1min")
    with store.owner.engine.connect() as connection:
        after: Any = connection.execute(limits).one()
        assert tuple(after) == ("0", "0")


def test_the_service_makes_no_tables(any_database: Database) -> None:
    with pytest.raises(ConfigError, match="database has no tables") as caught:
        any_database.prepare()
    assert "provenance service migrate" in str(caught.value)
