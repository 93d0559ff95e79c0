"""The database follows the run folders, and never hides that a row or a folder was altered."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import func, select, text

from provenance.digest import sha256
from provenance.errors import ConfigError, InputError, UnavailableError, VerificationError
from provenance.layout import RunFolder
from provenance.verify.sources.names import split_name
from provenance_api.db import (
    SCHEMA_REVISION,
    Base,
    Database,
    HeadRow,
    ProofRow,
    RecordRow,
    ReleaseRow,
    RunRow,
    compare_run,
    index_run,
)
from tests.support.places import REPO
from tests.support.spine import Run


@pytest.fixture
def store(any_database: Database) -> Database:
    any_database.prepare()
    return any_database


def index(store: Database, folder: RunFolder) -> int:
    with store.session() as session:
        return index_run(session, folder)


def compare(store: Database, folder: RunFolder) -> list[str]:
    with store.session() as session:
        return compare_run(session, folder)


def alter(store: Database, statement: str) -> None:
    with store.session() as session:
        session.execute(text(statement))


def test_indexing_projects_every_record(store: Database, honest: Run) -> None:
    records = honest.records()
    assert index(store, honest.folder) == len(records)
    with store.session() as session:
        rows = session.execute(select(RecordRow).order_by(RecordRow.index)).scalars().all()
        assert [(r.type, r.digest, r.entry, r.body) for r in rows] == [
            (r.type, bytes(r.digest), bytes(r.entry), r.to_bytes()) for r in records
        ]
        release = session.execute(select(ReleaseRow)).scalar_one()
        assert (release.model, release.name, release.version) == (
            bytes(honest.model),
            "model",
            None,
        )
        assert session.execute(select(RunRow.size)).scalar_one() == len(records)
        assert session.execute(select(func.count()).select_from(HeadRow)).scalar_one() > 0
        proof = session.execute(select(ProofRow).where(ProofRow.chunk == 0)).scalar_one()
        assert proof.digest == bytes(sha256((honest.folder.epoch(0) / "proof-0.json").read_bytes()))


def test_indexing_twice_changes_nothing(store: Database, honest: Run) -> None:
    index(store, honest.folder)
    assert index(store, honest.folder) == 0
    assert compare(store, honest.folder) == []


def test_indexing_takes_in_what_was_appended(store: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    index(store, run.folder)
    run.log(run.release_record("second:2"))
    assert compare(store, run.folder)
    assert index(store, run.folder) == 1
    assert compare(store, run.folder) == []


def test_dropped_tables_are_rebuilt(store: Database, honest: Run) -> None:
    index(store, honest.folder)
    alter(store, "DELETE FROM runs")
    assert compare(store, honest.folder) == [
        f"run 0x{honest.run_id.hex()}: missing in the database"
    ]
    assert index(store, honest.folder) == len(honest.records())
    assert compare(store, honest.folder) == []


@pytest.mark.parametrize(
    ("statement", "where"),
    [
        ("UPDATE records SET type = 'eval' WHERE \"index\" = 3", "record 3"),
        ('UPDATE records SET body = digest WHERE "index" = 2', "record 2"),
        ('UPDATE records SET digest = entry, entry = run_id WHERE "index" = 0', "record 0"),
        ("UPDATE releases SET name = 'somebody-elses-model'", "release "),
        ("UPDATE releases SET model = manifest", "release "),
        ("UPDATE heads SET root = run_id WHERE position = 0", "head 0"),
        ("UPDATE releases SET entry = manifest", "release "),
        ("UPDATE openings SET signer = '0x00'", "opening "),
        ("UPDATE openings SET dataset_id = run_id", "opening "),
        (
            "INSERT INTO nodes SELECT run_id, 1, 0, run_id FROM runs",
            "node 1/0",
        ),
        (
            "INSERT INTO releases "
            "SELECT run_id, 999, model, manifest, 'more', version, time, entry FROM releases",
            "release 999",
        ),
    ],
)
def test_altered_rows_are_named_and_never_overwritten(
    store: Database, honest: Run, statement: str, where: str
) -> None:
    index(store, honest.folder)
    alter(store, statement)
    assert any(line.startswith(where) for line in compare(store, honest.folder))
    with pytest.raises(VerificationError) as caught:
        index(store, honest.folder)
    assert str(caught.value.where).startswith(where)
    assert compare(store, honest.folder)  # the altered row stays


def test_altered_journal_is_named_by_its_index(
    store: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(store, run.folder)
    run.rewrite(lambda records: [*records[:4], *records[5:]])
    with pytest.raises(VerificationError) as caught:
        index(store, run.folder)
    assert caught.value.where == "record 4"
    assert any(line.startswith("record 4: ") for line in compare(store, run.folder))


def test_journal_that_lost_its_end_is_refused(store: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    index(store, run.folder)
    size = len(run.records())
    run.rewrite(lambda records: records[:-1])
    with pytest.raises(VerificationError) as caught:
        index(store, run.folder)
    assert caught.value.where == f"record {size - 1}"


def test_a_proof_file_that_changed_is_indexed_again(
    store: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(store, run.folder)
    proof = run.folder.epoch(0) / "proof-0.json"
    proof.write_bytes(proof.read_bytes() + b"\n")
    assert [line.partition(":")[0] for line in compare(store, run.folder)] == ["proof 0/0"]
    index(store, run.folder)
    assert compare(store, run.folder) == []


def test_folder_that_moved_is_found_again(store: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "before")
    index(store, run.folder)
    run.folder.root.rename(tmp_path / "after")
    index(store, RunFolder(tmp_path / "after"))
    with store.session() as session:
        assert session.execute(select(RunRow.folder)).scalar_one() == str(tmp_path / "after")


def test_run_without_id_is_refused(store: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    run.folder.info.unlink()
    with pytest.raises(InputError, match="names no run"):
        index(store, run.folder)


def test_name_with_nul_is_projected(store: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    run.log(run.release_record("odd\0name"))
    index(store, run.folder)
    assert compare(store, run.folder) == []


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("model", ("model", None)),
        ("model:1.2", ("model", "1.2")),
        ("org/model:2", ("org/model", "2")),
        ("a:b:c", ("a:b", "c")),
        (":x", (":x", None)),
        ("x:", ("x:", None)),
    ],
)
def test_version_is_what_follows_the_last_colon(
    label: str, expected: tuple[str, str | None]
) -> None:
    assert split_name(label) == expected


def migrate(database: Database, revision: str = "head") -> None:
    with database.engine.connect() as connection:
        config = Config(str(REPO / "alembic.ini"))
        config.attributes["connection"] = connection
        (command.upgrade if revision == "head" else command.downgrade)(config, revision)
        connection.commit()


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def test_migrations_make_the_tables_of_the_models(any_database: Database) -> None:
    migrate(any_database)
    assert differences(any_database) == []
    any_database.prepare()  # what migrations made is what the service accepts


def test_prepared_tables_are_those_of_the_models(any_database: Database) -> None:
    any_database.prepare()
    assert differences(any_database) == []
    migrate(any_database)  # stamped: nothing left to migrate


def test_migrations_can_be_undone(any_database: Database) -> None:
    migrate(any_database)
    migrate(any_database, "base")
    assert differences(any_database)


def test_revision_is_the_newest_migration() -> None:
    assert (
        ScriptDirectory.from_config(Config(str(REPO / "alembic.ini"))).get_current_head()
        == SCHEMA_REVISION
    )


def test_database_of_another_schema_is_refused(any_database: Database) -> None:
    any_database.prepare()
    alter(any_database, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="another schema"):
        any_database.prepare()


def test_foreign_tables_are_refused(any_database: Database) -> None:
    alter(any_database, "CREATE TABLE accounts (id INTEGER)")
    with pytest.raises(ConfigError, match="another schema"):
        any_database.prepare()


@pytest.mark.parametrize("url", ["nonsense", "mysql://localhost/x", "", "sqlite+aiosqlite:///x"])
def test_unusable_urls_are_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        Database(url)


def test_an_unreachable_database_is_unavailable_and_its_password_not_told() -> None:
    database = Database("postgresql://user:hunter2@127.0.0.1:9/nothing")
    with pytest.raises(UnavailableError) as caught:
        database.prepare()
    assert "hunter2" not in str(caught.value)


def test_sqlite_runs_with_wal_full_sync_and_foreign_keys(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'service.sqlite'}")
    with database.session() as session:
        modes = [
            session.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    database.close()
    assert modes == ["wal", 2, 1]
