"""Tenants: whose a row is, row security on PostgreSQL, and tokens.

The tables are a projection. So they are made anew, and the service writes their rows again from the
run folders when it starts. Tokens alone are nobody's projection.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

B32 = sa.LargeBinary(32)
# Columns, and how the key goes on after the run and before the tenant.
TABLES: dict[str, tuple[list[tuple[str, Any, bool]], list[str]]] = {
    "records": (
        [
            ("index", sa.BigInteger(), False),
            ("type", sa.Text(), False),
            ("entry", B32, False),
            ("digest", B32, False),
            ("body", sa.LargeBinary(), False),
        ],
        ["index"],
    ),
    "heads": (
        [
            ("position", sa.BigInteger(), False),
            ("seq", sa.BigInteger(), False),
            ("size", sa.BigInteger(), False),
            ("root", B32, False),
            ("signature", sa.LargeBinary(), False),
        ],
        ["position"],
    ),
    "releases": (
        [
            ("index", sa.BigInteger(), False),
            ("model", B32, False),
            ("manifest", B32, False),
            ("name", sa.Text(), False),
            ("version", sa.Text(), True),
            ("time", sa.Text(), False),
            ("entry", B32, False),
        ],
        ["index"],
    ),
    "proofs": (
        [
            ("epoch", sa.BigInteger(), False),
            ("chunk", sa.Integer(), False),
            ("number", sa.BigInteger(), True),
            ("digest", B32, False),
        ],
        ["epoch", "chunk"],
    ),
    "openings": (
        [
            ("time", sa.Text(), False),
            ("signer", sa.Text(), False),
            ("dataset_id", B32, True),
            ("root", B32, True),
            ("depth", sa.BigInteger(), True),
            ("count", sa.BigInteger(), True),
        ],
        [],
    ),
    "nodes": (
        [
            ("level", sa.Integer(), False),
            ("index", sa.BigInteger(), False),
            ("hash", B32, False),
        ],
        ["level", "index"],
    ),
}
INDICES = {
    "records": [["digest"], ["run_id", "type", "index"]],
    "heads": [["root"]],
    "releases": [["model"], ["manifest"], ["name"], ["time"], ["entry"]],
    "openings": [["time"], ["signer"], ["dataset_id"], ["root"]],
}
ME = "(SELECT current_setting('app.tenant_id', true))"
SHOWN_ID = "(SELECT current_setting('app.token_id', true))"
SHOWN = (
    "EXISTS (SELECT 1 FROM runs shown WHERE shown.run_id = {table}.run_id "
    "AND shown.tenant_id = {table}.tenant_id AND shown.released)"
)


def upgrade() -> None:
    _drop()
    _create(tenants=True)
    op.create_index(
        "ix_runs_released",
        "runs",
        ["run_id"],
        unique=True,
        postgresql_where=sa.text("released"),
        sqlite_where=sa.text("released"),
    )
    op.create_table(
        "tokens",
        sa.Column("token_id", sa.Text(), nullable=False),
        sa.Column("tenant_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("digest", B32, nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("expires", sa.BigInteger(), nullable=True),
        sa.Column("revoked", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("token_id", name="pk_tokens"),
    )
    op.create_index("ix_tokens_tenant_id", "tokens", ["tenant_id"])
    if op.get_context().dialect.name == "postgresql":
        for table in ("runs", *TABLES, "tokens"):
            _secure(table)


def downgrade() -> None:
    op.drop_table("tokens")
    _drop()
    _create(tenants=False)


def _secure(table: str) -> None:
    """Row security: a tenant's own rows, and of others to read what was released."""
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY own ON {table} USING (tenant_id = {ME} AND tenant_id <> '') "
        f"WITH CHECK (tenant_id = {ME} AND tenant_id <> '')"
    )
    also = {"runs": "released", "tokens": f"token_id = {SHOWN_ID} AND token_id <> ''"}
    seen = also.get(table, SHOWN.format(table=table))
    op.execute(f"CREATE POLICY shown ON {table} FOR SELECT USING ({seen})")


def _drop() -> None:
    for table in (*TABLES, "runs"):
        op.drop_table(table)


def _create(tenants: bool) -> None:
    """The tables of the projection, with tenants or as 0002 left them."""
    whose = ["tenant_id"] if tenants else []
    columns = [sa.Column(name, sa.Text(), nullable=False) for name in whose]
    released: list[Any] = [sa.Column("released", sa.Boolean(), nullable=False)] if tenants else []
    op.create_table(
        "runs",
        sa.Column("run_id", B32, nullable=False),
        *columns,
        sa.Column("folder", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        *released,
        sa.PrimaryKeyConstraint("run_id", *whose, name="pk_runs"),
    )
    for table, (more, key) in TABLES.items():
        name = "_".join(["fk", table, "run_id", *whose, "runs"])
        parents = [f"runs.{column}" for column in ("run_id", *whose)]
        op.create_table(
            table,
            sa.Column("run_id", B32, nullable=False),
            *(sa.Column(c, kind, nullable=null, autoincrement=False) for c, kind, null in more),
            *(sa.Column(name, sa.Text(), nullable=False) for name in whose),
            sa.PrimaryKeyConstraint("run_id", *key, *whose, name=f"pk_{table}"),
            sa.ForeignKeyConstraint(["run_id", *whose], parents, name=name, ondelete="CASCADE"),
        )
        for indexed in INDICES.get(table, ()):
            op.create_index("_".join(["ix", table, *indexed]), table, indexed)
