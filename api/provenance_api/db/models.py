"""Tables of the database.

Every row but those of tokens derives from a run folder, and no verdict is made from a row. Digests,
run ids and roots are 32 raw bytes. Every key begins with the run: a digest alone is no key, because
two runs may log equal records. It ends with the tenant: two tenants may have folders of one run.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Text,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """Fixes the names of constraints, so that both databases and the migrations agree on them."""

    metadata = MetaData(naming_convention=NAMING)


def _run_key() -> Mapped[bytes]:
    return mapped_column(LargeBinary(32), primary_key=True)


def _tenant_key() -> Mapped[str]:
    return mapped_column(Text, primary_key=True)


def _of_run() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["run_id", "tenant_id"], ["runs.run_id", "runs.tenant_id"], ondelete="CASCADE"
    )


class RunRow(Base):
    """A run folder of a tenant: where it is, and how many of its records are in the database.

    released: whether everybody sees it. It has a release then, and no other tenant's folder of the
        same run is shown.
    """

    __tablename__ = "runs"
    __table_args__ = (
        Index(
            "ix_runs_released",
            "run_id",
            unique=True,
            postgresql_where=text("released"),
            sqlite_where=text("released"),
        ),
    )

    run_id: Mapped[bytes] = _run_key()
    tenant_id: Mapped[str] = _tenant_key()
    folder: Mapped[str] = mapped_column(Text)
    size: Mapped[int] = mapped_column(BigInteger)
    released: Mapped[bool] = mapped_column(Boolean)


class RecordRow(Base):
    """Record `index` of a run: its canonical bytes, their digest, and its entry in the log."""

    __tablename__ = "records"
    __table_args__ = (_of_run(), Index("ix_records_run_id_type_index", "run_id", "type", "index"))

    run_id: Mapped[bytes] = _run_key()
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = _tenant_key()
    type: Mapped[str] = mapped_column(Text)
    entry: Mapped[bytes] = mapped_column(LargeBinary(32))
    digest: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    body: Mapped[bytes] = mapped_column(LargeBinary)


class HeadRow(Base):
    """Line `position` of heads.jsonl.

    A `seq` may occur twice: a head that was signed before a crash is signed again after it.
    """

    __tablename__ = "heads"
    __table_args__ = (_of_run(),)

    run_id: Mapped[bytes] = _run_key()
    position: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = _tenant_key()
    seq: Mapped[int] = mapped_column(BigInteger)
    size: Mapped[int] = mapped_column(BigInteger)
    root: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    signature: Mapped[bytes] = mapped_column(LargeBinary)


class ReleaseRow(Base):
    """A `release` record, with what people ask for: digest of file or manifest, name, version.

    entry: the record's entry in the log, which for releases alone is not its digest.
    """

    __tablename__ = "releases"
    __table_args__ = (_of_run(),)

    run_id: Mapped[bytes] = _run_key()
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = _tenant_key()
    model: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    manifest: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    name: Mapped[str] = mapped_column(Text, index=True)
    version: Mapped[str | None] = mapped_column(Text)
    time: Mapped[str] = mapped_column(Text, index=True)
    entry: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)


class OpeningRow(Base):
    """What record 0 of a run, its `run.open`, says and people ask for.

    Of the dataset stands here what has its form; the record is somebody's word, and the rest of it
    is None.
    """

    __tablename__ = "openings"
    __table_args__ = (_of_run(),)

    run_id: Mapped[bytes] = _run_key()
    tenant_id: Mapped[str] = _tenant_key()
    time: Mapped[str] = mapped_column(Text, index=True)
    signer: Mapped[str] = mapped_column(Text, index=True)
    dataset_id: Mapped[bytes | None] = mapped_column(LargeBinary(32), index=True)
    root: Mapped[bytes | None] = mapped_column(LargeBinary(32), index=True)
    depth: Mapped[int | None] = mapped_column(BigInteger)
    count: Mapped[int | None] = mapped_column(BigInteger)


class NodeRow(Base):
    """Root of a whole subtree of 256^level records of a run's log, level 1 or more.

    With them a root or a path is made from a few hundred rows, however long the log is.
    """

    __tablename__ = "nodes"
    __table_args__ = (_of_run(),)

    run_id: Mapped[bytes] = _run_key()
    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = _tenant_key()
    hash: Mapped[bytes] = mapped_column(LargeBinary(32))


class ProofRow(Base):
    """One proof file of an epoch: the file's SHA-256, and the number of the epoch's anchoring."""

    __tablename__ = "proofs"
    __table_args__ = (_of_run(),)

    run_id: Mapped[bytes] = _run_key()
    epoch: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    chunk: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    tenant_id: Mapped[str] = _tenant_key()
    number: Mapped[int | None] = mapped_column(BigInteger)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))


class TokenRow(Base):
    """A token by which requests act for a tenant. Its text is not kept, only the SHA-256 of it.

    token_id: the part of the text that is no secret. Times are in seconds since 1970.
    may_push: whether it may write run folders of its tenant, besides reading.
    """

    __tablename__ = "tokens"

    token_id: Mapped[str] = mapped_column(Text, primary_key=True)
    tenant_id: Mapped[str] = mapped_column(Text, index=True)
    name: Mapped[str] = mapped_column(Text)
    digest: Mapped[bytes] = mapped_column(LargeBinary(32))
    created: Mapped[int] = mapped_column(BigInteger)
    expires: Mapped[int | None] = mapped_column(BigInteger)
    revoked: Mapped[int | None] = mapped_column(BigInteger)
    may_push: Mapped[bool] = mapped_column(Boolean)
