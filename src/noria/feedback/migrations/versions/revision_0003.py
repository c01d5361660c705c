"""A prediction has its second text, where the model reads pairs. Before, both stood in `text`, with a tab between."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision: str | None = "0002"

predictions = sa.table("predictions", sa.column("text", sa.Text), sa.column("text_pair", sa.Text))


def upgrade() -> None:
    op.add_column("predictions", sa.Column("text_pair", sa.Text))


def downgrade() -> None:
    text, second = predictions.c.text, predictions.c.text_pair
    op.execute(predictions.update().where(second.is_not(None)).values(text=text + "\t" + second))
    op.drop_column("predictions", "text_pair")  # not as a batch: the table made anew would take all feedback with it
