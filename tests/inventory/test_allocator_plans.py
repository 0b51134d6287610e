"""PostgreSQL, begun empty, with prepared statements: what one operation has to touch does not grow with the tables.

Not times but PostgreSQL's own counters: blocks touched in tables and indexes, and rows read by sequential scans.
Statements are prepared (and, after some more executions, planned once for all) while the tables are empty, and
statistics are kept away: the worst case, and that of a new installation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import pytest
from sqlalchemy import text

from inventory import allocator, pools
from inventory.allocator import Wish
from store import Database, Tx

on_postgresql = pytest.mark.parametrize(
    "store_url",
    [pytest.param("postgresql", marks=pytest.mark.postgresql)],
    indirect=True,
)
PORTS = 20
ROUNDS = 3
MANY = 150
PREPARED = 24
TABLES = ("allocation", "free_range", "pool", "pool_span", "pool_user")
_COUNTERS = (
    "SELECT coalesce(sum(heap_blks_hit + heap_blks_read + idx_blks_hit + idx_blks_read), 0), "
    "coalesce(sum(seq_tup_read), 0) FROM pg_statio_user_tables JOIN pg_stat_user_tables USING (relid) "
    "WHERE pg_stat_user_tables.relname IN ('allocation', 'free_range', 'pool', 'pool_span', 'pool_band', 'pool_user')"
)


class Work(NamedTuple):
    """What PostgreSQL had to do: blocks touched, rows read by sequential scans."""

    blocks: float
    scanned: float


@dataclass
class Meter:
    """Counts the work of what is done inside `measured`, per operation."""

    database: Database
    found: dict[str, list[Work]] = field(default_factory=dict)

    @contextmanager
    def measured(self, what: str, times: int) -> Iterator[None]:
        before = self._read()
        yield
        after = self._read()
        work = Work(*((now - then) / times for now, then in zip(after, before, strict=True)))
        self.found.setdefault(what, []).append(work)

    def _read(self) -> tuple[float, float]:
        # a session tells of its work about once a second, and here there is one
        with self.database.write() as tx:
            tx.execute(text("SELECT pg_stat_force_next_flush()"))
        with self.database.write() as tx:
            tx.execute(text("SELECT pg_stat_clear_snapshot()"))
            row = tx.cursor().execute(_COUNTERS).fetchone()
        return float(row[0]), float(row[1])

    def table(self) -> str:
        lines = [
            f"{what:11}"
            + "  ".join(f"{work.blocks:7.1f} blocks {work.scanned:5.1f} scanned" for work in rounds)
            for what, rounds in self.found.items()
        ]
        return "\n".join(lines)


@pytest.fixture
def empty(store: Database) -> Database:
    """A database of empty tables that nobody ever analyses, with the pools of one aggregation domain."""
    with store.write() as tx:
        for table in TABLES:
            tx.execute(text(f"ALTER TABLE {table} SET (autovacuum_enabled = false)"))
        pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/15", stripes=8)
        pools.create_pool(tx, "ipv6-prefix", "bng", prefix="2001:db8::/38", stripes=8)
        for scope in ("bng", "shared"):
            pools.create_pool(tx, "s-vlan", scope, first=1, last=4094)
        for port in range(PORTS):
            pools.create_pool(tx, "onu-id", f"port{port}", technology="XGS-PON")
    return store


def wishes(number: int) -> list[Wish]:
    port = number % PORTS
    # pools grow in number, too: S-VLANs get theirs on demand
    places = (("onu-id", f"port{port}"), ("c-vlan", f"bng/{number // 4}"), ("ipv4", "bng"))
    return [Wish(kind, scope, f"o{number}") for kind, scope in (*places, ("ipv6-prefix", "bng"))]


def one_by_one(database: Database, numbers: range, *works: Callable[[Tx, int], object]) -> None:
    for number in numbers:
        for work in works:
            with database.write() as tx:
                work(tx, number)


def single(tx: Tx, number: int) -> None:
    allocator.take(tx, kind="ipv4", scope="bng", owner=f"single{number}", ttl_seconds=3600)


def specific(tx: Tx, number: int) -> None:
    allocator.take(tx, kind="s-vlan", scope="bng", owner=f"given{number}", value=3 * number + 1)


def again(tx: Tx, number: int) -> None:
    allocator.take(tx, kind="ipv4", scope="bng", owner=f"o{number}")


def shared(tx: Tx, number: int) -> None:
    share: dict[str, Any] = {"kind": "s-vlan", "scope": "shared", "shared_by": f"port{number}"}
    allocator.take_shared(tx, **share, user="first")
    allocator.take_shared(tx, **share, user="second")
    allocator.release_shared(tx, **share, user="first")


def half(tx: Tx, number: int) -> None:
    if number % 2:
        allocator.release(tx, f"o{number}")


def sweep(tx: Tx, number: int) -> None:
    if number % 50 == 0:
        allocator.expire(tx)


WORKS: dict[str, Callable[[Tx, int], object]] = {
    "set": lambda tx, n: allocator.take_set(tx, wishes(n)),
    "repeat set": lambda tx, n: allocator.take_set(tx, wishes(n)),
    "single": single,
    "repeat": again,
    "specific": specific,
    "shared": shared,
    "confirm": lambda tx, n: allocator.confirm(tx, f"o{n}"),
    "who": lambda tx, n: allocator.allocations(tx, owner=f"o{n}"),
    "release": half,
    "expire": sweep,
}


@on_postgresql
def test_no_operation_touches_more_as_the_tables_grow(empty: Database) -> None:
    meter = Meter(empty)
    for number in range(PREPARED):
        # all statements get the plan they will keep while there is next to nothing in the tables
        one_by_one(empty, range(number, number + 1), *WORKS.values())
    for turn in range(ROUNDS):
        numbers = range(PREPARED + turn * MANY, PREPARED + (turn + 1) * MANY)
        for what, work in WORKS.items():
            with meter.measured(what, MANY):
                one_by_one(empty, numbers, work)
    print(meter.table())
    for what, rounds in meter.found.items():
        assert rounds[-1].scanned == 0, f"{what} reads whole tables:\n{meter.table()}"
        # an index of more rows is a level deeper
        assert rounds[-1].blocks <= 1.4 * rounds[0].blocks + 4, f"{what} grows:\n{meter.table()}"


@on_postgresql
def test_what_one_transaction_takes_costs_what_it_takes_and_not_its_square(empty: Database) -> None:
    """Each set moves the same free range: a transaction walks all the versions of a row that it has left behind."""
    meter = Meter(empty)
    for number in range(PREPARED):
        one_by_one(empty, range(number, number + 1), *WORKS.values())
    for times in (250, 2_000):
        with meter.measured("run", times), empty.write() as tx:
            allocator.take(tx, kind="ipv4", scope="bng", owner=f"run{times}", count=times)
        with meter.measured("sets", times), empty.write() as tx:
            wanted = [wish for n in range(times) for wish in wishes(10_000 + times + n)]
            allocator.take_set(tx, wanted)
        with meter.measured("confirm", times), empty.write() as tx:
            allocator.confirm(tx, f"run{times}")
        with meter.measured("release", times), empty.write() as tx:
            allocator.release(tx, f"run{times}")
    print(meter.table())
    for what, (few, many) in meter.found.items():
        assert many.blocks <= 1.5 * few.blocks + 2, f"{what} grows:\n{meter.table()}"
