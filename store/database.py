"""One database, two kinds of transaction: reading (`Rx`) and writing (`Tx`).

SQLite has one writer, so `write()` takes a lock of this process and `BEGIN IMMEDIATE`; PostgreSQL takes a
connection of the pool. `dry_run()` is a write transaction that is always rolled back: simulation runs real code.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, CursorResult, Engine, Executable, Row, create_engine, event
from sqlalchemy.engine import make_url

from store.clock import Clock, SystemClock
from store.locks import DatabaseLock

DialectName = Literal["sqlite", "postgresql"]
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Rx:
    """A reading transaction: SQLAlchemy Core and the raw cursor on one connection."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self.connection = connection
        self.clock = clock

    @property
    def dialect(self) -> DialectName:
        """Return which store this is."""
        return "sqlite" if self.connection.dialect.name == "sqlite" else "postgresql"

    @property
    def now(self) -> datetime:
        """Return the clock's present instant (UTC)."""
        return self.clock.now()

    def execute(self, statement: Executable, params: Params | None = None) -> CursorResult[Any]:
        """Run a Core statement."""
        return self.connection.execute(statement, params)

    def rows(self, statement: Executable, params: Params | None = None) -> Sequence[Row[Any]]:
        """Return all rows of a query."""
        return self.connection.execute(statement, params).all()

    def row(self, statement: Executable, params: Params | None = None) -> Row[Any] | None:
        """Return the first row of a query, or None."""
        return self.connection.execute(statement, params).first()

    def scalar(self, statement: Executable, params: Params | None = None) -> Any:
        """Return the first column of the first row, or None."""
        return self.connection.execute(statement, params).scalar()

    def cursor(self) -> Any:
        """Return a raw DB-API cursor on the same connection and transaction (hot paths only)."""
        return self.connection.connection.cursor()


class Tx(Rx):
    """A writing transaction; what was registered by `after_commit` runs once it is durable."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        super().__init__(connection, clock)
        self._after_commit: list[Callable[[], None]] = []

    def after_commit(self, action: Callable[[], None]) -> None:
        """Run `action` after the commit; never when the transaction is rolled back."""
        self._after_commit.append(action)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """Undo only what was done inside when the block raises."""
        with self.connection.begin_nested():
            yield

    def commit(self) -> None:
        """Make it durable (called by `Database.write`, and nobody else)."""
        self.connection.commit()

    def run_after_commit(self) -> None:
        """Run the registered actions, in order."""
        for action in self._after_commit:
            action()


class Database:
    """A SQLite file or a PostgreSQL database.

    Raises:
        DatabaseInUse: `exclusive` was asked for and another process has it open for writing.

    """

    def __init__(self, url: str, *, clock: Clock | None = None, exclusive: bool = False) -> None:
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self._sqlite = make_url(url).get_backend_name() == "sqlite"
        self._lock = DatabaseLock(url) if exclusive else None
        if self._lock:
            self._lock.acquire()
        self.engine = _engine(url)
        self._writer: AbstractContextManager[Any] = (
            threading.RLock() if self._sqlite else nullcontext()
        )

    @property
    def dialect(self) -> DialectName:
        """Return which store this is."""
        return "sqlite" if self._sqlite else "postgresql"

    @contextmanager
    def read(self) -> Iterator[Rx]:
        """Open a reading transaction (a snapshot on SQLite, READ COMMITTED on PostgreSQL)."""
        with self.engine.connect() as connection:
            yield Rx(connection, self.clock)

    @contextmanager
    def write(self) -> Iterator[Tx]:
        """Open a writing transaction: committed at the end, rolled back when the block raises."""
        with self._writer, self._open() as tx:
            yield tx
            tx.commit()
        tx.run_after_commit()

    @contextmanager
    def dry_run(self) -> Iterator[Tx]:
        """Open a writing transaction that is always rolled back."""
        with self._writer, self._open() as tx:
            yield tx

    def close(self) -> None:
        """Close all connections and give the lock back."""
        self.engine.dispose()
        if self._lock:
            self._lock.release()

    @contextmanager
    def _open(self) -> Iterator[Tx]:
        with self.engine.connect() as connection:
            # without begin() SQLAlchemy does not know of work done on the raw cursor, and commit() lost it
            connection.begin()
            if self._sqlite:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            try:
                yield Tx(connection, self.clock)
            finally:
                connection.rollback()


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    return create_engine(engine_url(url), pool_size=10, max_overflow=20, pool_pre_ping=True)


def engine_url(url: str) -> str:
    """Return the URL with the driver that we ship (psycopg 3)."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _sqlite_engine(url: str) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # pysqlite would open transactions by itself, and late: isolation_level None leaves BEGIN to us
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
