"""Allocator benchmark: subscriber sets per second against the raw store, flat cost, bulk, bytes.

    python benchmarks/allocator.py [--postgres postgresql://…] [--seconds 3] [--workers 1 4 8] [--quick]

A set is what one customer needs: ONU-ID, C-VLAN, IPv4 address and IPv6 /56, in one durable transaction (SQLite WAL
with synchronous=FULL, PostgreSQL with fsync as the server has it), on a PON port chosen at random of 16 OLTs x 16.
"raw" does the same four inserts into the same table through the driver alone (no pools, no free ranges, no question
who holds what), in the same run and between the others. Afterwards every run is checked: all values distinct, and
allocated + reserved + quarantined + free = capacity in every pool. Without --postgres and without
TURNUP_TEST_POSTGRES only SQLite is measured.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, text

import inventory.tables
from inventory import Cause, allocator, pools
from inventory.allocation.taking import COLUMNS
from inventory.allocator import Wish
from store import Database, metadata, new_id

OLTS, PORTS = 16, 16
STRIPES = 8
SIZES = (8, 12, 16, 20, 24)
USES = (1, 50, 99)
MOST_ROWS = 1_000_000
BULK = 10_000
KINDS = ("onu-id", "c-vlan", "ipv4", "ipv6-prefix")
NOW = 1_790_000_000_000_000
PLACES = ", ".join(["%s"] * 12)
assert inventory.tables.TABLES


@dataclass(frozen=True)
class Rate:
    """What one run of workers achieved; times in ms, CPU of the clients alone."""

    sets: float
    p50: float
    p99: float
    cpu: float


def prepare(url: str) -> None:
    """Make the tables and pools of one aggregation domain."""
    database = Database(url)
    metadata.create_all(database.engine)
    with database.write() as tx:
        pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/14", stripes=STRIPES)
        pools.create_pool(tx, "ipv6-prefix", "bng", prefix="2001:db8::/36", stripes=STRIPES)
        for olt in range(OLTS):
            for port in range(PORTS):
                pools.create_pool(tx, "onu-id", f"olt-{olt}/pon{port}", technology="XGS-PON")
                pools.create_pool(tx, "c-vlan", f"bng/{olt}-{port}")
    database.close()


def wishes(owner: str, chance: random.Random) -> list[Wish]:
    """Return what one customer needs, on a port chosen at random."""
    olt, port = chance.randrange(OLTS), chance.randrange(PORTS)
    scopes = (f"olt-{olt}/pon{port}", f"bng/{olt}-{port}", "bng", "bng")
    return [Wish(kind, scope, owner) for kind, scope in zip(KINDS, scopes, strict=True)]


# -- one worker -------------------------------------------------------------------------------------


def ours(url: str, seed: int) -> tuple[Callable[[int], None], Callable[[], None]]:
    """Return how this worker takes its n-th set, and how it ends."""
    database, chance = Database(url), random.Random(seed)

    def one(turn: int) -> None:
        owner = f"line-{seed}-{turn}"
        with database.write() as tx:
            allocator.take_set(tx, wishes(owner, chance), cause=Cause(owner, "1", "rom"))

    return one, database.close


def raw(url: str, seed: int) -> tuple[Callable[[int], None], Callable[[], None]]:
    """Do the same, with nothing but the inserts, through the driver."""
    chance = random.Random(seed)

    def rows(turn: int) -> list[tuple[Any, ...]]:
        owner, value = f"line-{seed}-{turn}", seed * 1_000_000_000 + turn
        port = 3 + 2 * chance.randrange(OLTS * PORTS)
        return [
            (pool, value, owner, 0, None, NOW, None, None, None, owner, "1", "rom")
            for pool in (port, port + 1, 1, 2)
        ]

    return _raw_sqlite(url, rows) if url.startswith("sqlite") else _raw_postgres(url, rows)


def _raw_sqlite(url: str, rows: Any) -> tuple[Callable[[int], None], Callable[[], None]]:
    path = url.removeprefix("sqlite:///")
    connection = sqlite3.connect(path, isolation_level=None, timeout=30)
    connection.execute("PRAGMA synchronous=FULL")
    insert = f"INSERT INTO allocation ({COLUMNS}) VALUES ({PLACES.replace('%s', '?')})"

    def one(turn: int) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(insert, rows(turn))
        connection.execute("COMMIT")

    return one, connection.close


def _raw_postgres(url: str, rows: Any) -> tuple[Callable[[int], None], Callable[[], None]]:
    connection = psycopg.connect(url)
    insert = f"INSERT INTO allocation ({COLUMNS}) VALUES {', '.join([f'({PLACES})'] * 4)}"

    def one(turn: int) -> None:
        connection.execute(insert, [value for row in rows(turn) for value in row])
        connection.commit()

    return one, connection.close


def work(how: str, url: str, seed: int, seconds: float, gate: Any, answers: Any) -> None:
    """Take sets until the time is over; report how long each took."""
    one, end = {"ours": ours, "raw": raw}[how](url, seed)
    for turn in range(20):
        one(-1 - turn)
    times: list[float] = []
    gate.wait()
    begin, cpu = time.perf_counter(), time.process_time()
    while (start := time.perf_counter()) - begin < seconds:
        one(len(times))
        times.append(time.perf_counter() - start)
    answers.put((times, time.process_time() - cpu))
    end()


def crowd(how: str, url: str, workers: int, seconds: float) -> Rate:
    """Let so many processes work at the same time."""
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(workers), context.Queue()
    running = [
        context.Process(target=work, args=(how, url, seed + 1, seconds, gate, answers))
        for seed in range(workers)
    ]
    for one in running:
        one.start()
    told = [answers.get() for _ in running]
    for one in running:
        one.join()
    times = sorted(t for some, _ in told for t in some)
    cpu = sum(used for _, used in told) / len(times)
    p99 = times[int(len(times) * 0.99)]
    if how == "ours":
        check(url, len(times) + 20 * workers)
    return Rate(len(times) / seconds, statistics.median(times) * 1000, p99 * 1000, cpu * 1000)


def check(url: str, expected: int) -> None:
    """Fail unless every set has its values, all distinct, and the pools add up."""
    database = Database(url)
    query = "SELECT count(*), count(DISTINCT pool * 1000000000000 + value) FROM allocation"
    with database.read() as rx:
        row = rx.execute(text(query)).one()
        assert tuple(row) == (expected * len(KINDS), expected * len(KINDS)), row
        for pool in pools.pools(rx):
            assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity
    database.close()


# -- cost against size and use ----------------------------------------------------------------------


def cost(url: str, bits: int, use: int) -> float:
    """Return the median microseconds of one value, without its commit, in a pool of 2^bits, `use` % taken.

    What is free lies in random holes, up to a million of them; up to a million values are rows of `allocation`.
    """
    database, scope = Database(url), f"size-{bits}-{use}"
    with database.write() as tx:
        pools.create_pool(tx, "number", scope, first=0, last=(1 << bits) - 1)
        number = tx.scalar(text("SELECT number FROM pool WHERE scope = :s"), {"s": scope})
        _make_holes(tx, number, 1 << bits, use)
    if database.dialect == "postgresql":
        with create_engine(
            url.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT"
        ).connect() as connection:
            connection.execute(text("VACUUM ANALYZE free_range, allocation"))
    times = []
    for turn in range(min(500, (1 << bits) * (100 - use) // 100)):
        with database.write() as tx:
            start = time.perf_counter()
            allocator.take(tx, kind="number", scope=scope, owner=f"{scope}/{turn}")
            times.append(time.perf_counter() - start)
    database.close()
    return statistics.median(times) * 1e6


def _make_holes(tx: Any, number: int, size: int, use: int) -> None:
    chance = random.Random(size + use)
    step = max(1, size // MOST_ROWS)
    free = [at for at in range(0, size, step) if chance.randrange(100) >= use] or [0]
    taken = sorted(set(range(0, size, step)) - set(free))
    holes: list[list[int]] = []
    for at in free:
        if holes and holes[-1][1] + 1 == at:
            holes[-1][1] = at + step - 1
        else:
            holes.append([at, at + step - 1])
    tx.execute(text("DELETE FROM free_range WHERE pool = :p"), {"p": number})
    _many(tx, "free_range", "pool, lo, hi", [(number, lo, hi) for lo, hi in holes])
    columns = "pool, value, owner, ordinal, valid_from, confirmed_at"
    held = [(number, at, f"held-{number}-{at}", 0, NOW, NOW) for at in taken]
    _many(tx, "allocation", columns, held)


def _many(tx: Any, table: str, columns: str, rows: list[tuple[Any, ...]]) -> None:
    cursor = tx.cursor()
    if tx.dialect == "sqlite":
        places = ", ".join("?" * len(columns.split(",")))
        cursor.executemany(f"INSERT INTO {table} ({columns}) VALUES ({places})", rows)
        return
    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


# -- bulk, growth, bytes ----------------------------------------------------------------------------


def bulk(url: str) -> tuple[float, float]:
    """Return the seconds and the client's CPU seconds of 10,000 sets in one transaction."""
    prepare(url)
    database, chance = Database(url), random.Random(1)
    wanted = [wish for n in range(BULK) for wish in wishes(f"line-{n}", chance)]
    start, cpu = time.perf_counter(), time.process_time()
    with database.write() as tx:
        allocator.take_set(tx, wanted, cause=Cause("bulk", "1", "rom"))
    took, used = time.perf_counter() - start, time.process_time() - cpu
    database.close()
    check(url, BULK)
    return took, used


def growth(url: str, sets: int) -> tuple[float, float]:
    """Return the median ms of a set in the first and in the last eighth, from an empty database on."""
    prepare(url)
    one, end = ours(url, 1)
    times = []
    for turn in range(sets):
        start = time.perf_counter()
        one(turn)
        times.append(time.perf_counter() - start)
    end()
    part = sets // 8
    return statistics.median(times[:part]) * 1000, statistics.median(times[-part:]) * 1000


def sizes(url: str) -> tuple[float, float]:
    """Return the bytes of a pool, and of an allocation (rows and indexes)."""
    database = Database(url)
    metadata.create_all(database.engine)
    with database.write() as tx:
        pools.create_pool(tx, "number", "one", first=0, last=10**6)
    empty = _size(url)
    with database.write() as tx:
        for n in range(5_000):
            pools.create_pool(tx, "onu-id", f"olt-{n // 16}/pon{n % 16}", technology="XGS-PON")
    with_pools = _size(url)
    wanted = [Wish("number", "one", f"subscriber-{n:08}") for n in range(50_000)]
    with database.write() as tx:
        allocator.take_set(tx, wanted, cause=Cause("order", "1", "rom"))
    full = _size(url)
    database.close()
    return (with_pools - empty) / 5_000, (full - with_pools) / 50_000


def _size(url: str) -> int:
    database = Database(url)
    with database.read() as rx:
        if database.dialect == "postgresql":
            tables = "SELECT sum(pg_total_relation_size(relid)) FROM pg_stat_user_tables"
            size = int(rx.scalar(text(tables)))
        else:
            pages = rx.scalar(text("SELECT page_count FROM pragma_page_count()"))
            size = int(pages * rx.scalar(text("SELECT page_size FROM pragma_page_size()")))
    database.close()
    return size


@contextmanager
def fresh(postgres: str | None) -> Iterator[str]:
    """Yield the URL of an empty store, and remove it afterwards."""
    if postgres is None:
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'bench.db'}"
        return
    name = f"turnup_bench_{new_id()}"
    driver = postgres.replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(driver, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield postgres.rsplit("/", 1)[0] + "/" + name
    with admin.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    admin.dispose()


def rates(console: Console, name: str, postgres: str | None, options: Any) -> None:
    """Print sets per second beside the raw store, three turns each and alternating; the median counts."""
    table = Table(
        *("workers", "sets/s", "p50 ms", "p99 ms", "CPU ms", "raw sets/s", "ratio"),
        title=f"{name}: full subscriber sets, one transaction each",
    )
    for workers in options.workers:
        found: dict[str, list[Rate]] = {"ours": [], "raw": []}
        for _ in range(options.turns):
            for how, turns in found.items():
                with fresh(postgres) as url:
                    prepare(url)
                    turns.append(crowd(how, url, workers, options.seconds))
        mine, theirs = (
            sorted(turns, key=lambda rate: rate.sets)[len(turns) // 2] for turns in found.values()
        )
        figures = (mine.sets, mine.p50, mine.p99, mine.cpu, theirs.sets, mine.sets / theirs.sets)
        forms = ("{:,.0f}", "{:.2f}", "{:.2f}", "{:.2f}", "{:,.0f}", "{:.2f}")
        shown = (form.format(figure) for form, figure in zip(forms, figures, strict=True))
        table.add_row(str(workers), *shown)
    console.print(table)


def costs(console: Console, name: str, postgres: str | None) -> None:
    """Print what one value costs against the pool's size and use."""
    columns = (f"2^{bits}" for bits in SIZES)
    table = Table("used", *columns, title=f"{name}: one value, without commit, median µs")
    for use in USES:
        row = []
        for bits in SIZES:
            with fresh(postgres) as url:
                prepare(url)
                row.append(f"{cost(url, bits, use):.0f}")
        table.add_row(f"{use} %", *row)
    console.print(table)


def others(console: Console, name: str, postgres: str | None) -> None:
    """Print bulk, growth and bytes."""
    table = Table("figure", "value", title=f"{name}: bulk, growth, bytes")
    with fresh(postgres) as url:
        took, cpu = bulk(url)
        table.add_row(f"{BULK:,} sets in one transaction", f"{took:.2f} s ({cpu:.2f} s CPU)")
    with fresh(postgres) as url:
        first, last = growth(url, 8_000)
        table.add_row("a set in the first / eighth thousand", f"{first:.2f} / {last:.2f} ms")
    with fresh(postgres) as url:
        per_pool, per_allocation = sizes(url)
        table.add_row("bytes per pool / per allocation", f"{per_pool:.0f} / {per_allocation:.0f}")
    console.print(table)


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", default=os.environ.get("TURNUP_TEST_POSTGRES"))
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 4, 8])
    parser.add_argument("--quick", action="store_true", help="rates only")
    options = parser.parse_args()
    console = Console(width=110)
    stores = {"SQLite FULL": None} | ({"PostgreSQL": options.postgres} if options.postgres else {})
    for name, postgres in stores.items():
        rates(console, name, postgres, options)
        if not options.quick:
            costs(console, name, postgres)
            others(console, name, postgres)
    console.print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
