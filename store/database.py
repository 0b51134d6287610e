"""One database, two kinds of transaction: reading (`Rx`) and writing (`Tx`).

SQLite has one writer, so `write()` takes a lock of this process and `BEGIN IMMEDIATE`; PostgreSQL takes a
connection of the pool. `dry_run()` is a write transaction that is always rolled back: simulation runs real code.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Executable,
    PoolProxiedConnection,
    Row,
    create_engine,
    event,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DisconnectionError

from store.clock import Clock, SystemClock
from store.locks import DatabaseLock

DialectName = Literal["sqlite", "postgresql"]
Synchronous = Literal["FULL", "NORMAL"]
SYNCHRONOUS: Synchronous = "FULL"
Params = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Rx:
    """A reading transaction: SQLAlchemy Core and the raw cursor on one connection."""

    def __init__(self, driver: PoolProxiedConnection, engine: Engine, clock: Clock) -> None:
        self._driver = driver
        self._core: Connection | None = None
        self.engine = engine
        self.clock = clock

    @property
    def connection(self) -> Connection:
        """Return SQLAlchemy's connection, made when first asked for: hot paths do without."""
        if self._core is None:
            self._core = Connection(self.engine, self._driver)
            # without begin() SQLAlchemy does not know of work done on the raw cursor, and commit() lost it
            self._core.begin()
        return self._core

    @property
    def dialect(self) -> DialectName:
        """Return which store this is."""
        return "sqlite" if self.engine.dialect.name == "sqlite" else "postgresql"

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
        return self._driver.cursor()

    def rollback(self) -> None:
        """Undo what is not committed (called by `Database`)."""
        if self._core is not None:
            self._core.rollback()
        else:
            self._driver.rollback()


class Tx(Rx):
    """A writing transaction; what was registered by `after_commit` runs once it is durable."""

    def __init__(self, driver: PoolProxiedConnection, engine: Engine, clock: Clock) -> None:
        super().__init__(driver, engine, clock)
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
        if self._core is not None:
            self._core.commit()
        else:
            self._driver.commit()

    def run_after_commit(self) -> None:
        """Run the registered actions, in order."""
        for action in self._after_commit:
            action()


class Database:
    """A SQLite file or a PostgreSQL database.

    Args:
        url: `sqlite:///FILE` or `postgresql://…`.
        clock: where its transactions get the time from.
        exclusive: no other process may have it open for writing.
        synchronous: SQLite's promise at a power cut: FULL, every commit is on the disk; NORMAL, the last may be
            lost, the file stays sound. A killed process loses nothing with either.

    Raises:
        DatabaseInUse: `exclusive` was asked for and another process has it open for writing.

    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        exclusive: bool = False,
        synchronous: Synchronous | None = None,
    ) -> None:
        self.url = url
        self.clock: Clock = clock or SystemClock()
        self._sqlite = make_url(url).get_backend_name() == "sqlite"
        self._lock = DatabaseLock(url) if exclusive else None
        if self._lock:
            self._lock.acquire()
        if self._sqlite:
            self.engine = self._readers = _sqlite_engine(url, synchronous or SYNCHRONOUS)
        else:
            self.engine, self._readers = _postgres_writers(url), _postgres_readers(url)
        self._kept: PoolProxiedConnection | None = None
        self._writer: AbstractContextManager[Any] = (
            threading.RLock() if self._sqlite else nullcontext()
        )

    @property
    def dialect(self) -> DialectName:
        """Return which store this is."""
        return "sqlite" if self._sqlite else "postgresql"

    @contextmanager
    def read(self) -> Iterator[Rx]:
        """Open a reading transaction: one snapshot on both stores, whatever is written meanwhile."""
        driver = self._readers.raw_connection()
        rx = Rx(driver, self._readers, self.clock)
        try:
            if self._sqlite:
                rx.cursor().execute("BEGIN")
            yield rx
        finally:
            _give_back(rx, driver)

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
        with self._writer:
            if self._kept is not None:
                self._kept.close()
                self._kept = None
        self.engine.dispose()
        self._readers.dispose()
        if self._lock:
            self._lock.release()

    @contextmanager
    def _open(self) -> Iterator[Tx]:
        driver = self._writing()
        tx = Tx(driver, self.engine, self.clock)
        try:
            if self._sqlite:
                tx.cursor().execute("BEGIN IMMEDIATE")
            yield tx
        finally:
            if self._sqlite:
                tx.rollback()
            else:
                _give_back(tx, driver)

    def _writing(self) -> PoolProxiedConnection:
        """Return a connection for a writer: SQLite's one writer keeps his."""
        if not self._sqlite:
            return self.engine.raw_connection()
        if self._kept is None:
            self._kept = self.engine.raw_connection()
        return self._kept


def _give_back(rx: Rx, driver: PoolProxiedConnection) -> None:
    try:
        rx.rollback()
    finally:
        driver.close()


def engine_url(url: str) -> str:
    """Return the URL with the driver that we ship (psycopg 3)."""
    return url.replace("postgresql://", "postgresql+psycopg://", 1)


def _postgres_writers(url: str) -> Engine:
    """Return the connections that write.

    A statement prepared while its tables were empty keeps the sequential scan it was planned with, and its cost
    grows with the tables: those who write small things by key never scan.
    """
    from psycopg.types.numeric import Int8Dumper

    options = {"options": "-c enable_seqscan=off"}
    engine = _watched(create_engine(engine_url(url), **_POOL, connect_args=options))

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # psycopg sends a small number as smallint, a large one as bigint: each mix would be prepared anew
        connection.adapters.register_dumper(int, Int8Dumper)

    return engine


def _postgres_readers(url: str) -> Engine:
    """Return the connections that read: counts made by several queries must be of one moment."""
    return _watched(create_engine(engine_url(url), **_POOL, isolation_level="REPEATABLE READ"))


_POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 10}
_IDLE_S = 0.5


def _watched(engine: Engine) -> Engine:
    """Try a connection before use, but only one that was idle: a round trip per transaction is a lot."""

    @event.listens_for(engine, "checkin")
    def _left(_connection: Any, record: Any) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _try(connection: Any, record: Any, _proxy: Any) -> None:
        if time.monotonic() - record.info.get("left", time.monotonic()) < _IDLE_S:
            return
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except Exception as error:
            raise DisconnectionError from error

    return engine


def _sqlite_engine(url: str, synchronous: Synchronous) -> Engine:
    engine = create_engine(url, connect_args={"timeout": 30, "check_same_thread": False})

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # pysqlite would open transactions by itself, and late: isolation_level None leaves BEGIN to us
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={synchronous}",
            "busy_timeout=30000",
            "foreign_keys=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    return engine
