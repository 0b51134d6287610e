"""One database, two kinds of transaction: reading (`Rx`) and writing (`Tx`).

SQLite has one writer, so `write()` takes a lock of this process and `BEGIN IMMEDIATE`; PostgreSQL takes a
connection of the pool. `dry_run()` is a write transaction that is always rolled back: simulation runs real code.
"""

from __future__ import annotations

import threading
import time
from collections import deque
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
        self._writers = _Writers(self.engine)
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
            self._writers.close()
        self.engine.dispose()
        self._readers.dispose()
        if self._lock:
            self._lock.release()

    @contextmanager
    def _open(self) -> Iterator[Tx]:
        driver = self._writers.take()
        tx = Tx(driver, self.engine, self.clock)
        try:
            if self._sqlite:
                tx.cursor().execute("BEGIN IMMEDIATE")
            yield tx
        finally:
            self._writers.give_back(driver, tx)


class _Writers:
    """Connections that write, kept from one transaction to the next: SQLAlchemy's pool costs as much as a statement.

    They are its connections all the same: it opens them, limits their number and closes them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._idle: deque[tuple[PoolProxiedConnection, float]] = deque()

    def take(self) -> PoolProxiedConnection:
        while self._idle:
            try:
                driver, left = self._idle.pop()
            except IndexError:  # another thread was first
                break
            if time.monotonic() - left < _IDLE_S or _answers(driver):
                return driver
            driver.invalidate()
            driver.close()
        return self._engine.raw_connection()

    def give_back(self, driver: PoolProxiedConnection, tx: Tx) -> None:
        try:
            tx.rollback()
        except Exception:  # noqa: BLE001  (the session is gone, and with it what was not committed)
            # SQLAlchemy warns when it has done so itself, and the warning would hide what went wrong
            if driver.is_valid:
                driver.invalidate()
        if driver.is_valid:
            self._idle.append((driver, time.monotonic()))
        else:
            driver.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[0].close()


def _answers(driver: Any) -> bool:
    """Say whether a connection that was idle still works."""
    try:
        driver.cursor().execute("SELECT 1")
        driver.rollback()
    except Exception:  # noqa: BLE001
        return False
    return True


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

    options = {"options": "-c enable_seqscan=off -c jit=off"}
    engine = _watched(create_engine(engine_url(url), **_POOL, connect_args=options))

    @event.listens_for(engine, "connect")
    def _prepare(connection: Any, _record: Any) -> None:
        # psycopg sends a small number as smallint, a large one as bigint: each mix would be prepared anew
        connection.adapters.register_dumper(int, Int8Dumper)

    return engine


def _postgres_readers(url: str) -> Engine:
    """Return the connections that read: counts made by several queries must be of one moment.

    Without fresh statistics PostgreSQL took a listing of 100 rows for a large query, and compiled it for 80 ms.
    """
    options: dict[str, Any] = {"connect_args": {"options": "-c jit=off"}}
    options["isolation_level"] = "REPEATABLE READ"
    return _watched(create_engine(engine_url(url), **_POOL, **options))


_POOL: dict[str, Any] = {"pool_size": 10, "max_overflow": 10}
_IDLE_S = 0.5


def _watched(engine: Engine) -> Engine:
    """Try a connection before use, but only one that was idle: a round trip per transaction is a lot."""

    @event.listens_for(engine, "checkin")
    def _left(_connection: Any, record: Any) -> None:
        record.info["left"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def _try(connection: Any, record: Any, _proxy: Any) -> None:
        idle = time.monotonic() - record.info.get("left", time.monotonic())
        if idle >= _IDLE_S and not _answers(connection):
            raise DisconnectionError

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
