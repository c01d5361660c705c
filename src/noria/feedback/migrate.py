"""Brings a database to the newest schema, once, however many processes start at the same moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock, Timeout
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from noria.common.errors import UserError
from noria.feedback.engine import BUSY, bare, reason, shown, writing

SCRIPTS = Path(__file__).parent / "migrations"
VERSION_TABLE = "noria_schema"  # of its own: a database may hold another program's tables, and its Alembic
ADVISORY_KEY = 0x6E6F726961  # "noria"; any number that no other program takes


def migrate(engine: Engine) -> None:
    """Makes the tables, or changes those of an older version; all of it or nothing.

    Raises:
        UserError: the database cannot be reached, is none, or is of a newer version.
    """
    try:
        with alone(engine) as connection:
            config, scripts = alembic_config(connection)
            now = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_revision()
            known = {script.revision for script in scripts.walk_revisions()}
            if now is not None and now not in known:
                raise UserError(
                    f"The feedback store {shown(engine.url)} has the schema {now}, which this version of Noria does "
                    f"not know: it was made by a newer one. Update noria."
                )
            if now != scripts.get_current_head():
                command.upgrade(config, "head")
    except SQLAlchemyError as error:
        said = reason(error, engine.url)
        raise UserError(f"The feedback store {shown(engine.url)} cannot be opened: {said}.") from None
    except Timeout:
        lock = f"{engine.url.database}.lock"
        raise UserError(
            f"The feedback store {shown(engine.url)} cannot be opened: another process has held {lock} for {BUSY} "
            f"seconds. If no other server starts there, end that process."
        ) from None
    except OSError as error:
        raise UserError(f"The feedback store {shown(engine.url)} cannot be opened: {error.strerror}.") from None


def alembic_config(connection: Connection) -> tuple[Config, ScriptDirectory]:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    return config, ScriptDirectory.from_config(config)


@contextmanager
def alone(engine: Engine) -> Iterator[Connection]:
    """A transaction while no other process migrates."""
    if engine.dialect.name == "sqlite":
        with FileLock(f"{engine.url.database}.lock", timeout=BUSY):
            # Kept in the file. It is not a transaction's to change, and two that change it at once fail.
            with bare(engine).connect() as connection:
                connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            with writing(engine).begin() as connection:
                yield connection
        return
    with writing(engine).begin() as connection:
        if connection.scalar(text("SHOW server_encoding")) != "UTF8":
            raise UserError(f"The database {shown(engine.url)} is not in UTF-8: make one with ENCODING 'UTF8'.")
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": ADVISORY_KEY})
        yield connection
