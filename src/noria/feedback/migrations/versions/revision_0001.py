"""Predictions, feedback, preferences."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision: str | None = None


def upgrade() -> None:
    op.create_table(
        "predictions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("text", sa.Text),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("probabilities", sa.JSON, nullable=False),
        sa.Column("latency_ms", sa.Double, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "feedback",
        sa.Column("prediction_id", sa.Text, sa.ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("client", sa.Text, primary_key=True),
        sa.Column("label", sa.Text, nullable=False),
        sa.Column("correct", sa.Boolean, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "preferences",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("prompt", sa.Text, nullable=False),
        sa.Column("chosen", sa.Text, nullable=False),
        sa.Column("rejected", sa.Text, nullable=False),
        sa.Column("client", sa.Text, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("predictions_created", "predictions", ["created", "id"])
    op.create_index("feedback_created", "feedback", ["created"])
    op.create_index("preferences_created", "preferences", ["created"])
    for table in ("predictions", "feedback", "preferences"):
        op.create_index(f"{table}_client", table, ["client"])


def downgrade() -> None:
    for table in ("preferences", "feedback", "predictions"):
        op.drop_table(table)
