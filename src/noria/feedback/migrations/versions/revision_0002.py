"""Feedback may say that a prediction is wrong, and no more."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision: str | None = "0001"


def upgrade() -> None:
    with op.batch_alter_table("feedback") as table:
        table.alter_column("label", existing_type=sa.Text(), nullable=True)


def downgrade() -> None:
    op.execute("DELETE FROM feedback WHERE label IS NULL")  # the step before has no place for them
    with op.batch_alter_table("feedback") as table:
        table.alter_column("label", existing_type=sa.Text(), nullable=False)
