"""Connections to a database by its URL, and what went wrong in words that hold no password."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import DataError, SQLAlchemyError

from noria.common.errors import UserError
from noria.config.masking import MASK
from noria.feedback.records import StoreDown
from noria.feedback.text import storable

BUSY = 30  # seconds a writer waits for another one
REACH = 10  # seconds until a server must have answered
RIGHT = (
    "Right are sqlite:///feedback.db and postgresql://user@host/database, with the password in PGPASSWORD "
    "(in a user and a password that stand in the URL, write @ as %40, : as %3A and / as %2F)."
)


def parse(text: str) -> URL:
    """The URL with its driver; a SQLite path is made absolute, so that the working folder may change.

    Raises:
        UserError: it is none, or of another database. The message repeats nothing that could be a password.
    """
    try:
        url = make_url(text)
    except (SQLAlchemyError, ValueError):
        raise UserError(f"The URL of the feedback store cannot be read. {RIGHT}") from None
    if storable(text) != text:
        raise UserError(f"The URL of the feedback store holds characters that no file and no host has. {RIGHT}")
    if url.drivername in ("postgres", "postgresql", "postgresql+psycopg"):
        kept = url.difference_update_query([name for name, value in url.query.items() if value == MASK])
        if url.password == MASK:  # of a saved config; libpq takes the password from PGPASSWORD or ~/.pgpass
            kept = kept._replace(password=None)
        return kept.set(drivername="postgresql+psycopg")
    if url.drivername != "sqlite":
        raise UserError(f"The feedback store cannot be in '{url.drivername}'. {RIGHT}")
    if not url.database or url.database == ":memory:" or url.database.startswith("file:") or url.query:
        raise UserError(f"The feedback store in SQLite must be a file, and its URL takes no options. {RIGHT}")
    return url.set(database=os.path.abspath(os.path.expanduser(url.database)))


def connect(url: URL) -> Engine:
    """An engine; makes the file of SQLite and its folder, for their owner only, and reaches for no other database yet.

    Raises:
        UserError: the driver is not installed, or the file cannot be made or opened for writing.
    """
    try:
        if url.drivername == "sqlite":
            return _sqlite(url)
        wait = {} if "connect_timeout" in url.query else {"connect_timeout": REACH}
        # A server may have been restarted since a connection was last used.
        return create_engine(url, pool_pre_ping=True, hide_parameters=True, connect_args=wait)
    except ModuleNotFoundError:
        raise UserError("PostgreSQL needs psycopg: run `pip install 'noria[postgres]'`.") from None
    except OSError as error:
        raise UserError(f"The feedback store {shown(url)} cannot be made: {error.strerror}.") from None


def writing(engine: Engine) -> Engine:
    """The same connections, for transactions that write."""
    # SQLite refuses a transaction that reads first and then wants to write, at once and whatever the timeout, where
    # another one has written in between: who will write says so at the beginning.
    return engine.execution_options(begin="BEGIN IMMEDIATE")


def bare(engine: Engine) -> Engine:
    """The same connections outside of any transaction, for what SQLite does nowhere else."""
    return engine.execution_options(begin="")


def shown(url: URL) -> str:
    """The URL for people: without user, password and options."""
    if url.drivername == "sqlite":
        return f"sqlite:///{url.database}"
    port = f":{url.port}" if url.port else ""
    return f"postgresql://{url.host or 'local'}{port}/{url.database or ''}"


def reason(error: SQLAlchemyError, url: URL) -> str:
    """What the database itself said, on one line, without the statement, the texts in it and the password."""
    said = str(getattr(error, "orig", None) or error).strip().split("\nDETAIL:")[0]
    for secret in (url.password, *(value for key, value in url.query.items() if "pass" in key)):
        if secret:
            said = said.replace(str(secret), "***")
    said = re.sub(r"\s+", " ", said)[:500].rstrip(".")
    if "no password supplied" in said:
        said += ". Set PGPASSWORD in the environment or in .env, or keep the password in ~/.pgpass"
    return said


@contextmanager
def plain_errors(url: URL) -> Iterator[None]:
    """Says what the database refuses in plain words.

    Raises:
        UserError: the database cannot hold a value, such as a text of more than a gigabyte.
        StoreDown: anything else.
    """
    try:
        yield
    except DataError as error:
        raise UserError(f"The feedback store cannot hold this: {reason(error, url)}.") from None
    except SQLAlchemyError as error:
        raise StoreDown(f"The feedback store {shown(url)} failed: {reason(error, url)}.") from None


def is_open_to_others(url: URL) -> bool:
    """Whether other users of this machine may read a SQLite file: one that Noria has not made itself."""
    return url.drivername == "sqlite" and bool(Path(str(url.database)).stat().st_mode & 0o077)


def _make_file(url: URL) -> None:
    """Makes the file where there is none: SQLite by itself would let all users read it, and its log beside it.

    Raises:
        OSError: its folder cannot be made.
        UserError: it cannot be made or written. A lock beside it would be waited for without an end.
    """
    path = Path(str(url.database))
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(opened).st_mode):
                raise OSError(errno.EINVAL, "It is no file")
        finally:
            os.close(opened)
        os.close(os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise UserError(
            f"The feedback store {shown(url)} cannot be opened for writing: {error.strerror}. It must lie in a folder "
            "in which files can be made."
        ) from None


def _sqlite(url: URL) -> Engine:
    _make_file(url)
    engine = create_engine(url, hide_parameters=True, connect_args={"timeout": BUSY})

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # `begin` below is in charge: sqlite3 by itself would begin too late
        for pragma in ("foreign_keys=ON", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if statement := connection.get_execution_options().get("begin", "BEGIN"):
            connection.exec_driver_sql(statement)

    return engine
