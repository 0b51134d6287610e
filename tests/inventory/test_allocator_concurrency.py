"""Many at once: threads on PostgreSQL, processes on SQLite. No value twice, none lost, none refused early."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import select

from inventory import allocator, pools
from inventory.allocator import Allocation
from inventory.errors import Contention
from inventory.tables import allocation, free_range
from inventory.tables import pool as pool_table
from store import Database, TurnupError, Tx

WORKERS = 8
ROOT = Path(__file__).parents[2]


T = TypeVar("T")


def at_once(work: Callable[[int], T]) -> list[T]:
    with ThreadPoolExecutor(WORKERS) as crowd:
        return list(crowd.map(work, range(WORKERS)))


def partition(database: Database, pool: str) -> None:
    """Check that every value is held once or free once."""
    with database.read() as rx:
        found = pools.pool(rx, pool)
        number = rx.scalar(select(pool_table.c.number).where(pool_table.c.id == pool))
        held = [
            row.value
            for row in rx.rows(
                select(allocation.c.value).where(
                    allocation.c.pool == number, allocation.c.valid_to.is_(None)
                )
            )
        ]
        spans = rx.rows(select(free_range).where(free_range.c.pool == number))
    free = [value for span in spans for value in range(span.lo, span.hi + 1)]
    assert Counter(held + free) == Counter(range(found.first, found.last + 1))
    assert found.allocated + found.reserved + found.quarantined + found.free == found.capacity


def test_draining_a_pool_gives_each_value_once_and_refuses_nobody_early(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=WORKERS * 15, stripes=4)

    def drain(worker: int) -> list[int]:
        taken = []
        for turn in range(15):
            with store.write() as tx:
                found = allocator.take(tx, kind="s-vlan", scope="bng", owner=f"{worker}/{turn}")
            taken.append(found[0].value)
        return taken

    values = [value for taken in at_once(drain) for value in taken]
    assert sorted(values) == list(range(1, WORKERS * 15 + 1))
    partition(store, "s-vlan@bng")


def test_one_owner_in_many_places_gets_one_value(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=50, stripes=8)
    for turn in range(5):

        def take(_: int, turn: int = turn) -> tuple[int, ...]:
            with store.write() as tx:
                found = allocator.take(tx, kind="s-vlan", scope="bng", owner=f"o{turn}", count=2)
            return tuple(one.value for one in found)

        assert len(set(at_once(take))) == 1
    with store.read() as rx:
        assert pools.pool(rx, "s-vlan@bng").free == 40
    partition(store, "s-vlan@bng")


def test_one_given_value_goes_to_one_of_many(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=50)

    def grab(worker: int) -> str | None:
        try:
            with store.write() as tx:
                allocator.take(tx, kind="s-vlan", scope="bng", owner=f"w{worker}", value=25)
        except TurnupError as refused:
            return refused.code
        return None

    assert Counter(at_once(grab)) == {None: 1, "VALUE_TAKEN": WORKERS - 1}
    partition(store, "s-vlan@bng")


def test_a_pool_on_demand_is_made_once(store: Database) -> None:
    def take(worker: int) -> Allocation:
        with store.write() as tx:
            return allocator.take(tx, kind="c-vlan", scope="bng/1001", owner=f"w{worker}")[0]

    assert sorted(one.value for one in at_once(take)) == list(range(2, 2 + WORKERS))
    partition(store, "c-vlan@bng/1001")


def test_sharing_and_unsharing_at_once(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=50)
    share: dict[str, Any] = {"kind": "s-vlan", "scope": "bng", "shared_by": "pon1"}

    def join(worker: int) -> int:
        with store.write() as tx:
            return allocator.take_shared(tx, **share, user=f"u{worker}").value

    def leave(worker: int) -> bool:
        with store.write() as tx:
            return allocator.release_shared(tx, **share, user=f"u{worker}", quarantine=False)

    def churn(worker: int) -> None:
        for _ in range(20):
            join(worker)
            leave(worker)

    assert len(set(at_once(join))) == 1
    assert sorted(at_once(leave)) == [False] * (WORKERS - 1) + [True]
    at_once(churn)
    with store.read() as rx:
        assert pools.pool(rx, "s-vlan@bng").free == 50
    partition(store, "s-vlan@bng")


def act(tx: Tx, chance: random.Random) -> None:
    """Do something at random with one of a few owners that all workers share."""
    owner = f"o{chance.randrange(40)}"
    where: dict[str, Any] = {"kind": "s-vlan", "scope": "bng", "owner": owner}
    match chance.randrange(6):
        case 0 | 1:
            allocator.take(tx, **where, subject=chance.choice([None, owner]))
        case 2:
            allocator.take(tx, **where, value=chance.randint(1, 30))
        case 3:
            allocator.take(tx, **where, count=3, ttl_seconds=1)
        case 4:
            allocator.release(tx, owner, quarantine=chance.random() < 0.5)
        case _:
            allocator.expire(tx)
            allocator.tidy(tx)


def storm(database: Database, seed: int, turns: int) -> Counter[str]:
    """Run random operations, one transaction each, and count how they ended."""
    chance, ends = random.Random(seed), Counter[str]()
    for _ in range(turns):
        try:
            with database.write() as tx:
                act(tx, chance)
            ends["done"] += 1
        except TurnupError as refused:
            ends[refused.code] += 1
    return ends


ALLOWED = {"done", "VALUE_TAKEN", "VALUE_QUARANTINED", "POOL_EXHAUSTED"}


def test_a_storm_of_threads_leaves_an_exact_partition(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=30, quarantine_seconds=1, stripes=2)
    ends = sum(at_once(lambda worker: storm(store, worker, 25)), Counter[str]())
    assert ends.total() == WORKERS * 25
    assert set(ends) <= ALLOWED
    assert ends["done"] > WORKERS * 6
    partition(store, "s-vlan@bng")


_PROCESS = """
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("storm", sys.argv[1])
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
from store import Database
print(json.dumps(module.storm(Database(sys.argv[2]), int(sys.argv[3]), 40)))
"""


def test_a_storm_of_processes_leaves_an_exact_partition(store: Database) -> None:
    with store.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=30, quarantine_seconds=1)
    command = [sys.executable, "-c", _PROCESS, __file__, store.url]
    running = [
        subprocess.Popen([*command, str(seed)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    ends = sum((Counter(json.loads(one.communicate(timeout=60)[0])) for one in running), Counter())
    assert [one.returncode for one in running] == [0, 0, 0]
    assert ends.total() == 3 * 40
    assert set(ends) <= ALLOWED
    partition(store, "s-vlan@bng")


def test_a_deadlock_is_told_as_something_to_repeat(store: Database) -> None:
    with store.write() as tx:
        for scope in ("a", "b"):
            pools.create_pool(tx, "s-vlan", scope, first=1, last=9)
    both = threading.Barrier(2)

    def cross(first: str, second: str) -> str:
        try:
            with store.write() as tx:
                allocator.take(tx, kind="s-vlan", scope=first, owner=f"{first}{second}")
                if store.dialect == "postgresql":
                    both.wait()
                allocator.take(tx, kind="s-vlan", scope=second, owner=f"{first}{second}")
        except Contention as lost:
            return f"{lost.code} {lost.transient}"
        return "done"

    with ThreadPoolExecutor(2) as two:
        ends = sorted(two.map(cross, "ab", "ba"))
    assert ends == (
        ["CONTENTION True", "done"] if store.dialect == "postgresql" else ["done", "done"]
    )
    partition(store, "s-vlan@a")
    partition(store, "s-vlan@b")
