"""Pools that are reshaped while others take and release: nothing twice, nothing lost, nobody's release missed."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest

from inventory import allocator, pools, reshape
from inventory.counting.integrity import verify
from inventory.documents import transfer
from inventory.errors import Contention, PoolExhausted, PoolInUse, PoolNotFound
from store import Database, ManualClock, TurnupError, Tx

WORKERS = 6
T = TypeVar("T")


def done(database: Database, work: Callable[[Tx], T]) -> T:
    """Run a transaction, again when another one was in its way."""
    while True:
        try:
            with database.write() as tx:
                return work(tx)
        except Contention:
            continue


def vlans(database: Database, scope: str = "bng", **more: Any) -> None:
    shape = {"first": 1, "last": 400, "quarantine_seconds": 0} | more
    with database.write() as tx:
        pools.create_pool(tx, "s-vlan", scope, **shape)


def sound(database: Database) -> None:
    with database.read() as rx:
        for pool in pools.pools(rx):
            report = verify(rx, pool.id)
            assert report.discrepancies == ()
            assert report.sound
            assert (report.allocated, report.reserved) == (pool.allocated, pool.reserved)
            assert (report.quarantined, report.free) == (pool.quarantined, pool.free)


# -- one against one --------------------------------------------------------------------------------


class Beside:
    """Work of another thread, begun while this one is in a transaction; it waits, or not."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._crowd = ThreadPoolExecutor(1)
        self._future: Future[Any] = self._crowd.submit(work)

    def waits(self) -> None:
        with pytest.raises(TimeoutError):
            self._future.result(timeout=0.3)

    def result(self) -> Any:
        with self._crowd:
            return self._future.result(timeout=20)


def test_a_release_that_waits_for_a_split_releases_what_has_moved(store: Database) -> None:
    vlans(store, quarantine_seconds=60)
    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=300, state="active")

    def release() -> list[str]:
        with store.write() as tx:
            return [one.pool for one in allocator.release(tx, "o")]

    with store.write() as tx:
        reshape.split(tx, "s-vlan@bng", at=200, scope="west")
        beside = Beside(release)
        beside.waits()
    assert beside.result() == ["s-vlan@west"]
    sound(store)
    with store.read() as rx:
        assert pools.pool(rx, "s-vlan@west").quarantined == 1


def test_what_expires_while_it_moves_is_not_given_back_to_the_old_pool(
    base: Database, clock: ManualClock
) -> None:
    vlans(base)

    def take(tx: Tx, **more: Any) -> int:
        return allocator.take(tx, kind="s-vlan", scope="bng", owner="o", **more)[0].value

    with base.write() as tx:
        take(tx, value=300, ttl_seconds=30)

    def again() -> int:
        with base.write() as tx:
            return take(tx)

    with base.write() as tx:
        reshape.split(tx, "s-vlan@bng", at=200, scope="west")
        clock.advance(timedelta(seconds=60))
        beside = Beside(again)
        beside.waits()
    assert beside.result() == 1
    sound(base)
    with base.read() as rx:
        assert pools.pool(rx, "s-vlan@west").free == 201


def test_a_confirmation_that_waits_for_a_move_confirms_what_has_moved(store: Database) -> None:
    vlans(store)
    vlans(store, "west", first=500, last=600)
    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=300)

    def confirm() -> list[tuple[str, str]]:
        with store.write() as tx:
            return [(one.pool, one.state) for one in allocator.confirm(tx, "o")]

    with store.write() as tx:
        reshape.move(tx, "s-vlan@bng", to="s-vlan@west", first=200)
        beside = Beside(confirm)
        beside.waits()
    assert beside.result() == [("s-vlan@west", "active")]


def test_a_last_user_that_waits_for_a_split_leaves_nothing_behind(store: Database) -> None:
    vlans(store)
    share: dict[str, Any] = {"kind": "s-vlan", "scope": "bng", "shared_by": "pon1"}
    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="fill", count=300)
        allocator.take_shared(tx, **share, user="u")

    def leave() -> bool:
        with store.write() as tx:
            return allocator.release_shared(tx, **share, user="u")

    with store.write() as tx:
        reshape.split(tx, "s-vlan@bng", at=301, scope="west")
        beside = Beside(leave)
        beside.waits()
    assert beside.result()
    sound(store)
    with store.read() as rx:
        assert pools.pool(rx, "s-vlan@west").free == 100


@pytest.mark.parametrize("value", [None, 250])
def test_a_shrink_waits_for_those_who_take(store: Database, value: int | None) -> None:
    vlans(store, first=200)

    def shrink() -> int:
        with store.write() as tx:
            return reshape.shrink(tx, "s-vlan@bng", first=300).capacity

    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=value)
        beside = Beside(shrink)
        beside.waits()
    with pytest.raises(PoolInUse):
        beside.result()
    sound(store)


@pytest.mark.parametrize("how", ["shrink", "split"])
def test_what_a_taker_cuts_off_while_it_is_waited_for_is_seen(store: Database, how: str) -> None:
    vlans(store, first=200)

    def change() -> None:
        with store.write() as tx:
            if how == "shrink":
                reshape.shrink(tx, "s-vlan@bng", first=300)
            else:
                reshape.split(tx, "s-vlan@bng", at=300, scope="west")

    with store.write() as tx:
        # 200 to 349 become a new range, which those who wait for the old one do not know of
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=350)
        beside = Beside(change)
        beside.waits()
    beside.result()
    sound(store)
    with store.read() as rx:
        assert [one.value for one in allocator.allocations(rx, owner="o")] == [350]


@pytest.mark.parametrize("quarantine", [True, False])
def test_what_is_released_while_a_split_waits_moves_as_free(
    store: Database, quarantine: bool
) -> None:
    vlans(store, first=200, quarantine_seconds=60)
    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", count=150)

    def split() -> None:
        with store.write() as tx:
            reshape.split(tx, "s-vlan@bng", at=300, scope="west")

    with store.write() as tx:
        allocator.release(tx, "o", quarantine=quarantine)
        beside = Beside(split)
        beside.waits()
    beside.result()
    sound(store)
    with store.read() as rx:
        west = pools.pool(rx, "s-vlan@west")
    assert (west.reserved, west.quarantined) == (0, 50 if quarantine else 0)


def test_a_shrink_goes_on_when_a_taker_gives_up(store: Database) -> None:
    vlans(store, first=200)

    def shrink() -> int:
        with store.write() as tx:
            return reshape.shrink(tx, "s-vlan@bng", first=300).capacity

    with store.dry_run() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=250)
        beside = Beside(shrink)
        beside.waits()
    assert beside.result() == 101
    sound(store)


def test_a_taker_that_waits_for_a_shrink_gets_what_is_left(store: Database) -> None:
    vlans(store)

    def take() -> int:
        with store.write() as tx:
            (one,) = allocator.take(tx, kind="s-vlan", scope="bng", owner="o")
            return one.value

    with store.write() as tx:
        reshape.shrink(tx, "s-vlan@bng", first=300)
        beside = Beside(take)
        beside.waits()
    assert beside.result() == 300
    sound(store)


def test_a_taker_that_waits_for_a_removal_is_refused(store: Database) -> None:
    vlans(store)

    def take() -> str:
        try:
            with store.write() as tx:
                allocator.take(tx, kind="s-vlan", scope="bng", owner="o")
        except (PoolExhausted, PoolNotFound) as refused:
            return refused.code
        return "taken"

    with store.write() as tx:
        reshape.remove(tx, "s-vlan@bng")
        beside = Beside(take)
        beside.waits()
    assert beside.result() in {"POOL_EXHAUSTED", "POOL_NOT_FOUND"}
    with store.read() as rx:
        assert pools.pools(rx) == []


def test_two_splits_of_one_pool_come_one_after_the_other(store: Database) -> None:
    vlans(store)
    with store.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="o", count=400)

    def split(at: int) -> str:
        try:
            done(store, lambda tx: reshape.split(tx, "s-vlan@bng", at=at, scope=f"s{at}"))
        except TurnupError as refused:
            return refused.code
        return "done"

    with ThreadPoolExecutor(4) as crowd:
        ends = list(crowd.map(split, (100, 200, 300, 350)))
    assert set(ends) <= {"done", "INVALID_RANGE"}
    assert ends[0] == "done"
    sound(store)
    with store.read() as rx:
        assert sum(pool.reserved for pool in pools.pools(rx)) == 400


# -- many against many ------------------------------------------------------------------------------

SCOPES = ("bng", "a", "b")


class Worker:
    """Takes, confirms and releases for owners of its own; at the end it has released all that it ever got."""

    def __init__(self, database: Database, number: int) -> None:
        self._database = database
        self._number = number
        self._chance = random.Random(number)
        self._mine: list[str] = []
        self.ends: Counter[str] = Counter()

    def run(self, stop: threading.Event) -> None:
        turn = 0
        while not stop.is_set() or turn < 20:
            turn += 1
            try:
                self._act(f"{self._number}/{turn}")
            except TurnupError as refused:
                self.ends[refused.code] += 1
        for owner in self._mine:
            self._release(owner)

    def _act(self, owner: str) -> None:
        match self._chance.randrange(4):
            case 0 | 1:
                self._take(owner)
            case 2 if self._mine:
                self._release(self._mine.pop(self._chance.randrange(len(self._mine))))
            case _ if self._mine:
                owner = self._chance.choice(self._mine)
                assert done(self._database, lambda tx: allocator.confirm(tx, owner))

    def _take(self, owner: str) -> None:
        count = self._chance.choice([1, 1, 1, 3])
        value = self._chance.randint(1, 120) if self._chance.random() < 0.2 and count == 1 else None
        scope = self._chance.choice(SCOPES)
        done(
            self._database,
            lambda tx: allocator.take(
                tx, kind="s-vlan", scope=scope, owner=owner, count=count, value=value
            ),
        )
        self._mine.append(owner)
        self.ends["taken"] += 1

    def _release(self, owner: str) -> None:
        released = done(self._database, lambda tx: allocator.release(tx, owner, quarantine=False))
        assert released, f"{owner} lost what it held"
        self.ends["released"] += 1


def reshape_at_random(database: Database, seed: int, turns: int) -> Counter[str]:
    """Move, shrink, grow and split three pools of 120 values at random."""
    chance, ends = random.Random(seed), Counter[str]()
    for _ in range(turns):
        source, target = (f"s-vlan@{scope}" for scope in chance.sample(SCOPES, 2))
        low = chance.randint(1, 110)
        high = low + chance.randint(0, 30)

        def change(
            tx: Tx, source: str = source, target: str = target, low: int = low, high: int = high
        ) -> str:
            found = pools.pool(tx, source)
            low, high = max(low, found.first), min(high, found.last)
            match chance.randrange(4):
                case 0:
                    reshape.shrink(tx, source, last=high)
                    return "shrunk"
                case 1:
                    reshape.grow(tx, source, first=found.last + 1, last=found.last + 5)
                    return "grown"
                case _:
                    reshape.move(tx, source, to=target, first=low, last=high)
                    return "moved"

        try:
            with database.write() as tx:
                ends[change(tx)] += 1
        except TurnupError as refused:
            ends[refused.code] += 1
    return ends


def test_a_storm_of_takers_and_reshapers_leaves_exact_partitions(store: Database) -> None:
    for index, scope in enumerate(SCOPES):
        vlans(store, scope, first=40 * index + 1, last=40 * index + 40, stripes=2)
    stop = threading.Event()
    workers = [Worker(store, number) for number in range(WORKERS)]
    with ThreadPoolExecutor(WORKERS + 2) as crowd:
        running = [crowd.submit(worker.run, stop) for worker in workers]
        try:
            reshapers = [crowd.submit(reshape_at_random, store, seed, 25) for seed in (100, 200)]
            ends = sum((one.result(timeout=90) for one in reshapers), Counter[str]())
        finally:
            stop.set()
        for one in running:
            one.result(timeout=90)
    allowed = {
        "shrunk",
        "grown",
        "moved",
        "POOL_IN_USE",
        "POOL_OVERLAP",
        "INVALID_RANGE",
        "VALUE_TAKEN",
        "CONTENTION",
    }
    assert set(ends) <= allowed
    assert ends["moved"] > 5
    told = sum((worker.ends for worker in workers), Counter[str]())
    assert set(told) <= {
        *("taken", "released", "POOL_EXHAUSTED", "VALUE_TAKEN", "VALUE_OUTSIDE_POOL"),
    }
    assert told["taken"] == told["released"] > WORKERS * 5
    sound(store)
    with store.read() as rx:
        for pool in pools.pools(rx):
            assert pool.free == pool.capacity


def test_an_import_beside_takers_gives_no_value_twice(store: Database) -> None:
    vlans(store)

    def take_one(tx: Tx, owner: str) -> None:
        allocator.take(tx, kind="s-vlan", scope="bng", owner=owner)

    def take(worker: int) -> int:
        for turn in range(15):
            done(store, partial(take_one, owner=f"{worker}/{turn}"))
        return 15

    document = {
        "allocations": [
            {"kind": "s-vlan", "scope": "bng", "value": str(value), "owner": f"i{value}"}
            for value in range(1, 201, 2)
        ]
    }
    with ThreadPoolExecutor(5) as crowd:
        running = [crowd.submit(take, worker) for worker in range(4)]
        report = done(store, lambda tx: transfer.import_pools(tx, document, conflicts="skip"))
        taken = sum(one.result(timeout=60) for one in running)
    assert report.allocations_created + len(report.conflicts) == 100
    sound(store)
    with store.read() as rx:
        assert pools.pool(rx, "s-vlan@bng").allocated == report.allocations_created
        assert pools.pool(rx, "s-vlan@bng").reserved == taken
