"""The tables, as SQLAlchemy sees them. `migrations/` makes them; a test holds the two together."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

from noria.feedback.json_type import Json


class Utc(TypeDecorator[datetime]):
    """An aware datetime, kept in UTC: SQLite has no time zones, and PostgreSQL answers in the session's."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        return value.astimezone(UTC) if value else None

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


metadata = MetaData()

predictions = Table(
    "predictions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("form", Text, nullable=False),  # the dotted path of what understands the next two
    Column("request", Json),  # none where what users send is not kept
    Column("answer", Json, nullable=False),
    Column("latency_ms", Double, nullable=False),
    Column("client", Text, nullable=False),
    Column("created", Utc, nullable=False),
    Index("predictions_created", "created", "id"),
    Index("predictions_client", "client"),
)

# One word of each client about each prediction: the key is what makes a repeated request harmless.
feedback = Table(
    "feedback",
    metadata,
    Column("prediction_id", Text, ForeignKey("predictions.id", ondelete="CASCADE"), primary_key=True),
    Column("client", Text, primary_key=True),
    Column("correction", Json),  # what it should have been; none where it was right, or where that was not said
    Column("correct", Boolean, nullable=False),
    Column("created", Utc, nullable=False),
    Index("feedback_created", "created"),
    Index("feedback_client", "client"),
)

preferences = Table(
    "preferences",
    metadata,
    Column("id", Text, primary_key=True),  # a digest of client, prompt and the two answers in either order
    Column("prompt", Text, nullable=False),
    Column("chosen", Text, nullable=False),
    Column("rejected", Text, nullable=False),
    Column("client", Text, nullable=False),
    Column("created", Utc, nullable=False),
    Index("preferences_created", "created"),
    Index("preferences_client", "client"),
)
