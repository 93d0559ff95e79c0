"""Tokens that may push. Those of earlier releases may read only, as before."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        tokens.add_column(
            sa.Column("may_push", sa.Boolean(), nullable=False, server_default=sa.false())
        )
    with op.batch_alter_table("tokens") as tokens:
        tokens.alter_column("may_push", server_default=None)


def downgrade() -> None:
    with op.batch_alter_table("tokens") as tokens:
        tokens.drop_column("may_push")
