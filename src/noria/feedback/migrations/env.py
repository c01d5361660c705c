"""What Alembic runs for each command. The connection, and with it the transaction, is the caller's."""

from __future__ import annotations

from alembic import context

from noria.feedback.migrate import VERSION_TABLE
from noria.feedback.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=VERSION_TABLE,
    render_as_batch=True,  # SQLite changes a table by making it anew
)
context.run_migrations()
