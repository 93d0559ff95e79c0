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
from provenance_api.db.migrate import migrate
from tests.support.places import REPO
from tests.support.processes.postgres import SERVICE
from tests.support.spine import Run


def index(database: Database, folder: RunFolder) -> int:
    with database.session() as session:
        return index_run(session, folder)


def compare(database: Database, folder: RunFolder) -> list[str]:
    with database.session() as session:
        return compare_run(session, folder)


def alter(database: Database, statement: str) -> None:
    with database.session() as session:
        session.execute(text(statement))


def test_indexing_projects_every_record(database: Database, honest: Run) -> None:
    records = honest.records()
    assert index(database, honest.folder) == len(records)
    with database.session() as session:
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


def test_indexing_twice_changes_nothing(database: Database, honest: Run) -> None:
    index(database, honest.folder)
    assert index(database, honest.folder) == 0
    assert compare(database, honest.folder) == []


def test_indexing_takes_in_what_was_appended(
    database: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(database, run.folder)
    run.log(run.release_record("second:2"))
    assert compare(database, run.folder)
    assert index(database, run.folder) == 1
    assert compare(database, run.folder) == []


def test_dropped_tables_are_rebuilt(database: Database, honest: Run) -> None:
    index(database, honest.folder)
    alter(database, "DELETE FROM runs")
    assert compare(database, honest.folder) == [
        f"run 0x{honest.run_id.hex()}: missing in the database"
    ]
    assert index(database, honest.folder) == len(honest.records())
    assert compare(database, honest.folder) == []


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
            'INSERT INTO nodes (run_id, level, "index", tenant_id, hash) '
            "SELECT run_id, 1, 0, tenant_id, run_id FROM runs",
            "node 1/0",
        ),
        (
            'INSERT INTO releases (run_id, "index", tenant_id, model, manifest, name, version, '
            "time, entry) SELECT run_id, 999, tenant_id, model, manifest, 'more', version, "
            "time, entry FROM releases",
            "release 999",
        ),
    ],
)
def test_altered_rows_are_named_and_never_overwritten(
    database: Database, honest: Run, statement: str, where: str
) -> None:
    index(database, honest.folder)
    alter(database, statement)
    assert any(line.startswith(where) for line in compare(database, honest.folder))
    with pytest.raises(VerificationError) as caught:
        index(database, honest.folder)
    assert str(caught.value.where).startswith(where)
    assert compare(database, honest.folder)  # the altered row stays


def test_altered_journal_is_named_by_its_index(
    database: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(database, run.folder)
    run.rewrite(lambda records: [*records[:4], *records[5:]])
    with pytest.raises(VerificationError) as caught:
        index(database, run.folder)
    assert caught.value.where == "record 4"
    assert any(line.startswith("record 4: ") for line in compare(database, run.folder))


def test_journal_that_lost_its_end_is_refused(
    database: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(database, run.folder)
    size = len(run.records())
    run.rewrite(lambda records: records[:-1])
    with pytest.raises(VerificationError) as caught:
        index(database, run.folder)
    assert caught.value.where == f"record {size - 1}"


def test_a_proof_file_that_changed_is_indexed_again(
    database: Database, honest: Run, tmp_path: Path
) -> None:
    run = honest.copy(tmp_path / "copy")
    index(database, run.folder)
    proof = run.folder.epoch(0) / "proof-0.json"
    proof.write_bytes(proof.read_bytes() + b"\n")
    assert [line.partition(":")[0] for line in compare(database, run.folder)] == ["proof 0/0"]
    index(database, run.folder)
    assert compare(database, run.folder) == []


def test_folder_that_moved_is_found_again(database: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "before")
    index(database, run.folder)
    run.folder.root.rename(tmp_path / "after")
    index(database, RunFolder(tmp_path / "after"))
    with database.session() as session:
        assert session.execute(select(RunRow.folder)).scalar_one() == str(tmp_path / "after")


def test_run_without_id_is_refused(database: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    run.folder.info.unlink()
    with pytest.raises(InputError, match="names no run"):
        index(database, run.folder)


def test_name_with_nul_is_projected(database: Database, honest: Run, tmp_path: Path) -> None:
    run = honest.copy(tmp_path / "copy")
    run.log(run.release_record("odd\0name"))
    index(database, run.folder)
    assert compare(database, run.folder) == []


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


def downgrade(database: Database) -> None:
    with database.engine.connect() as connection:
        config = Config(str(REPO / "alembic.ini"))
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
        connection.commit()


def migrated(database: Database) -> None:
    migrate(database, SERVICE if database.is_postgres else None)


def differences(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), Base.metadata))


def test_migrations_make_the_tables_of_the_models(any_database: Database) -> None:
    migrated(any_database)
    assert differences(any_database) == []
    migrated(any_database)  # again changes nothing


def test_prepared_tables_are_those_of_the_models(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'service.sqlite'}")
    database.prepare()
    assert differences(database) == []
    migrated(database)  # stamped: nothing left to migrate
    database.prepare()
    database.close()


def test_migrations_can_be_undone(any_database: Database) -> None:
    migrated(any_database)
    downgrade(any_database)
    assert differences(any_database)
    migrated(any_database)
    assert differences(any_database) == []


def test_revision_is_the_newest_migration() -> None:
    assert (
        ScriptDirectory.from_config(Config(str(REPO / "alembic.ini"))).get_current_head()
        == SCHEMA_REVISION
    )


def test_database_of_another_schema_is_refused(any_database: Database) -> None:
    migrated(any_database)
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
