"""Tables of the projection: runs, records, heads, releases, proofs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _run_key(table: str) -> tuple[sa.Column[bytes], sa.ForeignKeyConstraint]:
    return (
        sa.Column("run_id", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id_runs", ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", sa.LargeBinary(32), nullable=False),
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
    )
    op.create_table(
        "records",
        *_run_key("records"),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("entry", sa.LargeBinary(32), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "index", name="pk_records"),
    )
    op.create_index("ix_records_digest", "records", ["digest"])
    op.create_table(
        "heads",
        *_run_key("heads"),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("root", sa.LargeBinary(32), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "position", name="pk_heads"),
    )
    op.create_table(
        "releases",
        *_run_key("releases"),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("model", sa.LargeBinary(32), nullable=False),
        sa.Column("manifest", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("time", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "index", name="pk_releases"),
    )
    for column in ("model", "manifest", "name"):
        op.create_index(f"ix_releases_{column}", "releases", [column])
    op.create_table(
        "proofs",
        *_run_key("proofs"),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("chunk", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "epoch", "chunk", name="pk_proofs"),
    )


def downgrade() -> None:
    for table in ("proofs", "releases", "heads", "records", "runs"):
        op.drop_table(table)
