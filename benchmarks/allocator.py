"""Allocator benchmark: subscriber sets per second and the cost of one value against pool size.

    python benchmarks/allocator.py [--postgres postgresql://…] [--seconds 2]

A set is what one customer needs: ONU-ID, C-VLAN, IPv4 address and IPv6 /56, in one durable transaction
(SQLite WAL with synchronous=FULL, PostgreSQL with fsync as the server has it). Afterwards every run is
checked: all values distinct, and allocated + reserved + quarantined + free = capacity in every pool.
Without --postgres and without TURNUP_TEST_POSTGRES only SQLite is measured. Short form: 16 OLTs of 16 ports.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from sqlalchemy import create_engine, event, text

import inventory.tables
from inventory import Cause, allocator, pools
from store import Database, metadata, new_id

OLTS, PORTS = 16, 16
STRIPES = 8
SIZES = (8, 12, 16, 20, 24)
CUTS = 20_000
KINDS = ("onu-id", "c-vlan", "ipv4", "ipv6-prefix")
assert inventory.tables.TABLES


def open_database(url: str) -> Database:
    """Open a store with full durability."""
    database = Database(url)
    if database.dialect == "sqlite":

        @event.listens_for(database.engine, "connect")
        def _full(connection: Any, _record: Any) -> None:
            connection.execute("PRAGMA synchronous=FULL")

    return database


def prepare(url: str) -> None:
    """Make the tables and pools of one aggregation domain."""
    database = open_database(url)
    metadata.create_all(database.engine)
    with database.write() as tx:
        pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/14", stripes=STRIPES)
        pools.create_pool(tx, "ipv6-prefix", "bng", prefix="2001:db8::/36", stripes=STRIPES)
        for olt in range(OLTS):
            for port in range(PORTS):
                pools.create_pool(tx, "onu-id", f"olt-{olt}/pon{port}", technology="XGS-PON")
                pools.create_pool(tx, "c-vlan", f"bng/{olt}-{port}")
    database.close()


def work(url: str, seed: int, seconds: float, gate: Any, answers: Any) -> None:
    """Allocate sets until the time is over; report how many and how long each took."""
    database, chance = open_database(url), random.Random(seed)
    times: list[float] = []
    gate.wait()
    begin, cpu = time.perf_counter(), time.process_time()
    while (start := time.perf_counter()) - begin < seconds:
        allocate_set(database, f"{seed}-{len(times)}", chance)
        times.append(time.perf_counter() - start)
    answers.put((times, time.process_time() - cpu))
    database.close()


def allocate_set(database: Database, owner: str, chance: random.Random) -> None:
    """Allocate what one customer needs, in one transaction."""
    olt, port = chance.randrange(OLTS), chance.randrange(PORTS)
    scopes = (f"olt-{olt}/pon{port}", f"bng/{olt}-{port}", "bng", "bng")
    cause = Cause(owner, "1", "rom")
    with database.write() as tx:
        for kind, scope in zip(KINDS, scopes, strict=True):
            allocator.take(tx, kind=kind, scope=scope, owner=f"{owner}:{kind}", cause=cause)


def sets(url: str, workers: int, seconds: float) -> tuple[float, float, float, float]:
    """Return sets per second, and of one set the median, the 99th percentile and the client's CPU in ms."""
    context = multiprocessing.get_context("spawn")
    gate, answers = context.Barrier(workers), context.Queue()
    crowd = [
        context.Process(target=work, args=(url, seed, seconds, gate, answers))
        for seed in range(workers)
    ]
    for one in crowd:
        one.start()
    told = [answers.get() for _ in crowd]
    times = sorted(t for one, _ in told for t in one)
    cpu = sum(used for _, used in told) / len(times)
    for one in crowd:
        one.join()
    check(url, len(times))
    p99 = times[int(len(times) * 0.99)]
    return len(times) / seconds, statistics.median(times) * 1000, p99 * 1000, cpu * 1000


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


def cost(url: str, bits: int, *, cut: bool) -> float:
    """Return the median microseconds of one value (without its commit), fresh or with up to 20,000 holes."""
    database, scope = open_database(url), f"size-{bits}-{cut}"
    size = 1 << bits
    with database.write() as tx:
        pools.create_pool(tx, "gem-port", scope, first=0, last=size - 1)
        if cut:
            number = tx.scalar(text("SELECT number FROM pool WHERE scope = :s"), {"s": scope})
            step = max(4, size // CUTS)
            holes = [{"p": number, "lo": lo, "hi": lo + step // 2} for lo in range(0, size, step)]
            tx.execute(text("DELETE FROM free_range WHERE pool = :p"), {"p": number})
            statement = text("INSERT INTO free_range (pool, lo, hi) VALUES (:p, :lo, :hi)")
            tx.connection.execute(statement, holes)
    times = []
    for turn in range(min(500, size // 4)):
        with database.write() as tx:
            start = time.perf_counter()
            allocator.take(tx, kind="gem-port", scope=scope, owner=f"{scope}/{turn}")
            times.append(time.perf_counter() - start)
    database.close()
    return statistics.median(times) * 1e6


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


def main() -> None:
    """Measure and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--postgres", default=os.environ.get("TURNUP_TEST_POSTGRES"))
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 4])
    options = parser.parse_args()
    stores = {"SQLite FULL": None} | ({"PostgreSQL": options.postgres} if options.postgres else {})
    rates = Table(
        "store", "workers", "sets/s", "p50 ms", "p99 ms", "CPU ms", title="Full subscriber sets"
    )
    costs = Table(
        "store",
        "pool",
        *(f"2^{bits}" for bits in SIZES),
        title="One value without commit, median µs",
    )
    for name, postgres in stores.items():
        for workers in options.workers:
            with fresh(postgres) as url:
                prepare(url)
                rate, p50, p99, cpu = sets(url, workers, options.seconds)
                rates.add_row(
                    name, str(workers), f"{rate:,.0f}", f"{p50:.2f}", f"{p99:.2f}", f"{cpu:.2f}"
                )
        with fresh(postgres) as url:
            prepare(url)
            for cut in (False, True):
                figures = (f"{cost(url, bits, cut=cut):.0f}" for bits in SIZES)
                costs.add_row(name, "with holes" if cut else "fresh", *figures)
    console = Console()
    console.print(rates, costs)
    console.print(f"load average {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
