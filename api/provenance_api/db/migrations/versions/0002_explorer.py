"""What the explorer looks for: openings, nodes of logs, and indices.

The tables are a projection. So the rows are removed, and the service writes them again from the
run folders when it starts.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = ("proofs", "releases", "heads", "records", "runs")


def _empty() -> None:
    for table in TABLES:
        op.execute(sa.table(table).delete())


def _run_key(table: str) -> tuple[sa.Column[bytes], sa.ForeignKeyConstraint]:
    return (
        sa.Column("run_id", sa.LargeBinary(32), nullable=False),
        sa.ForeignKeyConstraint(
            ["run_id"], ["runs.run_id"], name=f"fk_{table}_run_id_runs", ondelete="CASCADE"
        ),
    )


def upgrade() -> None:
    _empty()
    op.create_index("ix_records_run_id_type_index", "records", ["run_id", "type", "index"])
    op.create_index("ix_heads_root", "heads", ["root"])
    with op.batch_alter_table("releases") as releases:
        releases.add_column(sa.Column("entry", sa.LargeBinary(32), nullable=False))
    for column in ("time", "entry"):
        op.create_index(f"ix_releases_{column}", "releases", [column])
    op.create_table(
        "openings",
        *_run_key("openings"),
        sa.Column("time", sa.Text(), nullable=False),
        sa.Column("signer", sa.Text(), nullable=False),
        sa.Column("dataset_id", sa.LargeBinary(32), nullable=True),
        sa.Column("root", sa.LargeBinary(32), nullable=True),
        sa.Column("depth", sa.BigInteger(), nullable=True),
        sa.Column("count", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("run_id", name="pk_openings"),
    )
    for column in ("time", "signer", "dataset_id", "root"):
        op.create_index(f"ix_openings_{column}", "openings", [column])
    op.create_table(
        "nodes",
        *_run_key("nodes"),
        sa.Column("level", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("index", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.PrimaryKeyConstraint("run_id", "level", "index", name="pk_nodes"),
    )


def downgrade() -> None:
    _empty()
    op.drop_table("nodes")
    op.drop_table("openings")
    for column in ("time", "entry"):
        op.drop_index(f"ix_releases_{column}", "releases")
    with op.batch_alter_table("releases") as releases:
        releases.drop_column("entry")
    op.drop_index("ix_heads_root", "heads")
    op.drop_index("ix_records_run_id_type_index", "records")
