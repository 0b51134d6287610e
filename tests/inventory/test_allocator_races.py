"""Customers and engineers at the same moment: who confirms, releases, expires, takes; who drains, shrinks and moves.

Threads on both stores; SQLite lets one after the other through, PostgreSQL all at once.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import psycopg
import pytest
from sqlalchemy import select
from sqlalchemy.exc import DBAPIError

from inventory import allocator, pools, reshape
from inventory.allocator import Wish
from inventory.counting import integrity
from inventory.errors import AllocationNotFound, Contention, PoolDraining, PoolInUse
from inventory.tables import allocation
from store import Database, ManualClock, TurnupError, Tx
from tests.crash import allocator_audit as audit

T = TypeVar("T")
POOL = "s-vlan@bng"
WHERE: dict[str, Any] = {"kind": "s-vlan", "scope": "bng"}


def at_once(*works: Callable[[], T]) -> list[T]:
    """Begin all at the same moment."""
    ready = threading.Barrier(len(works))

    def begin(work: Callable[[], T]) -> T:
        ready.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as crowd:
        return list(crowd.map(begin, works))


def done(database: Database, work: Callable[[Tx], object]) -> str:
    """Do it in a transaction of its own; return how that ended."""
    try:
        with database.write() as tx:
            work(tx)
    except TurnupError as refused:
        return refused.code
    return "done"


def sound(database: Database) -> None:
    """Check that every value of every pool is held once or free once."""
    with database.read() as rx:
        states = audit.read_pools(rx)
        assert [finding for state in states.values() for finding in audit.partition(state)] == []
        for id_ in states:
            assert integrity.verify(rx, id_).discrepancies == ()
            pool = pools.pool(rx, id_)
            assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity


@contextmanager
def hosts(url: str, ahead: timedelta) -> Iterator[tuple[Database, Database]]:
    """Two hosts on one database; the second one's clock is ahead."""
    early, late = ManualClock(), ManualClock()
    late.advance(ahead)
    first, second = Database(url, clock=early), Database(url, clock=late)
    try:
        yield first, second
    finally:
        first.close()
        second.close()


def test_confirm_release_expire_and_take_at_the_same_moment(store_url: str) -> None:
    """The reservation is over by one host's clock and not by the other's: one of them is first, and that is so."""
    with hosts(store_url, timedelta(seconds=10)) as (alive, over):
        with alive.write() as tx:
            pools.create_pool(tx, "s-vlan", "bng", first=1, last=60)
        ends: Counter[tuple[str, ...]] = Counter()
        for turn in range(25):
            owner = f"o{turn}"
            with alive.write() as tx:
                allocator.take(tx, **WHERE, owner=owner, ttl_seconds=5)

            def confirm(tx: Tx, owner: str = owner) -> object:
                return allocator.confirm(tx, owner)

            def release(tx: Tx, owner: str = owner) -> object:
                return allocator.release(tx, owner, quarantine=False)

            def again(tx: Tx, owner: str = owner) -> object:
                return allocator.take(tx, **WHERE, owner=owner, state="active")

            works = [
                partial(done, alive, work) for work in (confirm, again, release)[: 2 + turn % 2]
            ]
            found = at_once(*works, partial(done, over, allocator.expire))
            ends[tuple(found)] += 1
            with over.read() as rx:
                held = [
                    one for one in allocator.allocations(rx, owner=owner) if one.expires_at is None
                ]
            if found[0] == "done" and not turn % 2:
                assert [one.state for one in held] == ["active"]
            assert len(held) <= 1
        outcomes = {code for end in ends for code in end}
        assert outcomes <= {"done", AllocationNotFound.code}
        sound(alive)


def test_the_same_set_in_several_places_waits_for_no_circle(store: Database) -> None:
    """The same order carried out twice at once, in pools of stripes and of one range, beside other orders."""
    with store.write() as tx:
        pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/20", stripes=8)
        pools.create_pool(tx, "onu-id", "port", technology="XGS-PON")
        pools.create_pool(tx, "ipv6-prefix", "bng", prefix="2001:db8::/44", stripes=8)
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=4094)

    def wishes(owner: str) -> list[Wish]:
        places = ("ipv4", "bng"), ("onu-id", "port"), ("ipv6-prefix", "bng"), ("s-vlan", "bng")
        return [Wish(kind, scope, owner) for kind, scope in places]

    def take(worker: int) -> Counter[str]:
        ends: Counter[str] = Counter()
        for turn in range(40):
            owner = f"same{turn}" if (worker + turn) % 3 else f"own{worker}.{turn}"
            ends[done(store, partial(allocator.take_set, wishes=wishes(owner)))] += 1
        return ends

    ends = sum(at_once(*(partial(take, worker) for worker in range(6))), Counter[str]())
    assert ends == {"done": 6 * 40}
    with store.read() as rx:
        owners = Counter(rx.execute(select(allocation.c.owner)).scalars())
    assert set(owners.values()) == {4}
    sound(store)


def test_what_is_asked_after_a_drain_is_refused(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=4094, stripes=4)
    drained: list[float] = []

    def customer(worker: int) -> list[tuple[float, str]]:
        ends: list[tuple[float, str]] = []
        while len([end for end in ends if end[1] == PoolDraining.code]) < 5:
            begun, owner = time.monotonic(), f"{worker}.{len(ends)}"
            wishes = [Wish(**WHERE, owner=owner)]
            ends.append((begun, done(store, partial(allocator.take_set, wishes=wishes))))
        return ends

    def engineer() -> list[tuple[float, str]]:
        time.sleep(0.2)
        with store.write() as tx:
            reshape.drain(tx, POOL)
        drained.append(time.monotonic())
        return []

    ends = at_once(*(partial(customer, worker) for worker in range(4)), engineer)
    late = {code for worker in ends for begun, code in worker if begun > drained[0]}
    assert late == {PoolDraining.code}
    assert any(code == "done" for worker in ends for _, code in worker)
    sound(store)


class Customer:
    """Takes, confirms and gives back; knows what it was told."""

    def __init__(self, database: Database, number: int) -> None:
        self.chance, self.database, self.number = random.Random(number), database, number
        self.held: dict[str, int] = {}
        self.ends: Counter[str] = Counter()

    def run(self, until: float) -> None:
        while time.monotonic() < until:
            self.turn(f"c{self.number}.{self.ends.total()}")

    def turn(self, new: str) -> None:
        old = self.chance.choice(list(self.held)) if self.held else new
        try:
            with self.database.write() as tx:
                change = self.act(tx, new, old)
        except TurnupError as refused:
            self.ends[refused.code] += 1
        else:
            self.ends["done"] += 1
            self.held |= {owner: value for owner, value in change.items() if value is not None}
            for owner in [owner for owner, value in change.items() if value is None]:
                self.held.pop(owner, None)

    def act(self, tx: Tx, new: str, old: str) -> dict[str, int | None]:
        """Do something at random; return what owners hold from now on (None: nothing)."""
        chance, known = self.chance, [self.held[old]] if old in self.held else []
        where: dict[str, Any] = {"kind": "s-vlan", "scope": chance.choice(["bng", "bng", "other"])}
        match chance.randrange(6):
            case 0 | 1:
                found = allocator.take(tx, **where, owner=new)
            case 2:
                wishes = [Wish(**where, owner=f"{new}.{n}") for n in "ab"]
                found = tuple(one for answer in allocator.take_set(tx, wishes) for one in answer)
            case 3:
                found = allocator.take(tx, **where, owner=new, value=chance.randint(1, 400))
            case 4 if known:
                found = allocator.confirm(tx, old)
                assert [one.value for one in found] == known
            case _:
                gone = allocator.release(tx, old, quarantine=chance.random() < 0.5)
                assert [one.value for one in gone] == known
                return {old: None}
        return {one.owner: one.value for one in found}


class Engineer:
    """Moves values to and fro, cuts and grows, splits and removes."""

    def __init__(self, database: Database, number: int) -> None:
        self.chance, self.database = random.Random(1000 + number), database
        self.ends: Counter[str] = Counter()

    def run(self, until: float) -> None:
        while time.monotonic() < until:
            what, work = self.next()
            self.ends[f"{what} {done(self.database, work)}"] += 1
            time.sleep(0.005)

    def next(self) -> tuple[str, Callable[[Tx], object]]:
        chance = self.chance
        pool, to = chance.sample([POOL, "s-vlan@other"], 2)
        first = chance.randint(1, 380)
        last = first + chance.randint(0, 60)
        works: list[tuple[str, Callable[[Tx], object]]] = [
            ("move", lambda tx: reshape.move(tx, pool, to=to, first=first, last=last)),
            ("move", lambda tx: reshape.move(tx, pool, to=to, first=first, last=first + 3)),
            ("shrink", lambda tx: reshape.shrink(tx, pool, last=chance.randint(300, 420))),
            ("grow", lambda tx: reshape.grow(tx, pool, last=chance.randint(380, 450))),
            ("tidy", allocator.tidy),
            ("drain", lambda tx: reshape.drain(tx, pool, chance.random() < 0.2)),
            (
                "change",
                lambda tx: reshape.change(tx, pool, quarantine_seconds=chance.randint(0, 1)),
            ),
        ]
        return chance.choice(works)


def test_customers_and_engineers_at_once_lose_nothing(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=400, stripes=4, quarantine_seconds=1)
        pools.create_pool(tx, "s-vlan", "other", first=1001, last=1100, quarantine_seconds=1)
    customers = [Customer(store, number) for number in range(4)]
    engineers = [Engineer(store, number) for number in range(2)]
    everybody: list[Customer | Engineer] = [*customers, *engineers]
    deadline = time.monotonic() + 6

    def ends() -> Counter[str]:
        return sum((one.ends.copy() for one in everybody), Counter[str]())

    def enough() -> bool:
        so_far = ends()
        wanted = {"done": 300, "move done": 5, "shrink done": 2, "grow done": 2}
        return all(so_far[what] >= number for what, number in wanted.items())

    # who gets how much done is chance; on SQLite, with its one writer, customers can leave engineers little
    while not enough() and time.monotonic() < deadline:
        until = time.monotonic() + 1
        at_once(*(partial(one.run, until) for one in everybody))
    print(dict(ends()))
    assert ends()["done"] >= 300
    sound(store)
    told = {owner: value for one in customers for owner, value in one.held.items()}
    with store.read() as rx:
        held = {one.owner: one.value for one in allocator.allocations(rx)}
    assert held == told


def test_a_shrink_is_refused_by_name_or_takes_what_nobody_has(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=200)

    def customer() -> str:
        return done(store, lambda tx: allocator.take(tx, **WHERE, owner="late", value=150))

    def engineer() -> str:
        return done(store, lambda tx: reshape.shrink(tx, POOL, last=100))

    for _ in range(10):
        ends = at_once(customer, engineer)
        with store.read() as rx:
            last = pools.pool(rx, POOL).last
        match ends:
            case ["done", code]:
                assert code in {PoolInUse.code, Contention.code}
                assert last == 200
            case [code, "done"]:
                assert code in {"VALUE_OUTSIDE_POOL", "VALUE_TAKEN"}
                assert last == 100
            case _:
                pytest.fail(f"{ends}, last {last}")
        sound(store)
        with store.write() as tx:
            allocator.release(tx, "late", quarantine=False)
            if last == 100:
                reshape.grow(tx, POOL, last=200)


@pytest.mark.parametrize(
    "store_url", [pytest.param("postgresql", marks=pytest.mark.postgresql)], indirect=True
)
@pytest.mark.parametrize("core", [False, True], ids=["raw cursor", "SQLAlchemy"])
@pytest.mark.parametrize("late", [False, True], ids=["at work", "at the commit"])
def test_a_session_that_is_ended_costs_one_transaction(
    store: Database, core: bool, late: bool
) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=20)
    for turn in range(3):
        with pytest.raises((psycopg.OperationalError, DBAPIError)), store.write() as tx:
            allocator.take(tx, **WHERE, owner=f"lost{turn}")
            if core:
                tx.rows(select(allocation))
            pid = tx.cursor().execute("SELECT pg_backend_pid()").fetchone()[0]
            with psycopg.connect(store.url, autocommit=True) as admin:
                admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
            if core and turn and not late:
                tx.rows(select(allocation))
            elif not late:
                allocator.take(tx, **WHERE, owner=f"lost{turn}.2")
        with store.write() as tx:
            assert allocator.take(tx, **WHERE, owner=f"kept{turn}")[0].value == turn + 1
    sound(store)
