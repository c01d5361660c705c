"""One database: its transactions, its streams, and the writes that both dialects word alike.

Knows nothing of what a row means.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from sqlalchemy import Connection, Delete, Row, Select, Table, and_, or_, update
from sqlalchemy.dialects import postgresql, sqlite

from noria.feedback.engine import BUSY, bare, connect, parse, plain_errors, writing
from noria.feedback.migrate import migrate
from noria.feedback.place import Place
from noria.feedback.records import StoreDown

CHUNK = 1000  # rows fetched at a time
BRIEFLY = 100  # milliseconds that emptying the log waits for those who use it; writers wait as long


class Database:
    """A database with the newest schema, for many threads of many processes.

    Raises:
        UserError: see `Store`.
    """

    def __init__(self, url: str) -> None:
        self.url = parse(url)
        self.engine = connect(self.url)
        self._is_file = self.url.drivername == "sqlite"
        # SQLite has one writer at a time. The threads of a process queue here: those that wait in SQLite sleep and
        # look again, and an unlucky one may wait until its time is up.
        self._turn: AbstractContextManager[Any] = threading.Lock() if self._is_file else nullcontext()
        try:
            migrate(self.engine)
        except BaseException:
            self.engine.dispose()
            raise
        self._place = Place(str(self.url.database)) if self._is_file else None

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction; it is on the disk, where others find it, when this has ended."""
        with plain_errors(self.url), self._turn:
            self._check_place()
            with writing(self.engine).begin() as connection:
                yield connection
            if self._place is not None:
                try:
                    self._place.check_written()
                except StoreDown:
                    self.engine.dispose()  # what is connected holds files that nobody else can open
                    raise

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads."""
        self._check_place()
        with plain_errors(self.url), self.engine.connect() as connection:
            yield connection

    def _check_place(self) -> None:
        if self._place is not None:  # or a new connection would make an empty file
            self._place.check_file()

    def stream(self, query: Select[*tuple[Any, ...]]) -> Iterator[Row[*tuple[Any, ...]]]:
        """Rows as they were when the first one was asked for, without holding more than some in memory."""
        with self.read() as connection:
            yield from connection.execution_options(stream_results=True, yield_per=CHUNK).execute(query)

    def add(self, connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows; those whose key is there already stay as they were."""
        connection.execute(self._insert(table).on_conflict_do_nothing(), rows)

    def say(self, connection: Connection, table: Table, row: Mapping[str, Any], said: Sequence[str]) -> bool:
        """Adds a row, or replaces the one of the same key; whether there was none, or one with other values in `said`.

        The very same word once more is as new as it is now: `created` moves.
        """
        insert = self._insert(table).values(row)
        differs = or_(*(table.c[name].is_distinct_from(insert.excluded[name]) for name in said))
        new = {name: insert.excluded[name] for name in [*said, "created"]}
        keys = list(table.primary_key)
        statement = insert.on_conflict_do_update(index_elements=keys, set_=new, where=differs)
        if connection.execute(statement.returning(table.c.created)).first() is not None:
            return True
        same = and_(*(key == row[key.name] for key in keys))
        connection.execute(update(table).where(same).values(created=row["created"]))
        return False

    def erase(self, statements: Mapping[str, Delete]) -> dict[str, int]:
        """Deletes in one transaction; how many rows by each statement.

        In SQLite the bytes go too: deleted rows are overwritten, and the log, which may hold them, is emptied; while
        a long read needs the log, a later deletion does that. In PostgreSQL they go when its autovacuum comes by.
        """
        with self.write() as connection:
            counts = {name: connection.execute(statement).rowcount for name, statement in statements.items()}
        if self._is_file and any(counts.values()):
            with plain_errors(self.url), self._turn, bare(self.engine).connect() as connection:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={BRIEFLY}")
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
                connection.exec_driver_sql(f"PRAGMA busy_timeout={BUSY * 1000}")
        return counts

    def close(self) -> None:
        self.engine.dispose()

    def _insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        return sqlite.insert(table) if self._is_file else postgresql.insert(table)
