"""Sets: several pools at once, thousands at once, all or nothing, on both stores."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import delete, insert, select, update

from inventory import Cause, allocator, journal, pools
from inventory.allocator import Wish
from inventory.errors import (
    BandUnknown,
    Contention,
    PoolDraining,
    PoolExhausted,
    PoolNotFound,
    ValueTaken,
)
from inventory.tables import allocation, free_range, pool_band, pool_span
from inventory.tables import pool as pool_table
from inventory.types import to_micros
from store import Database, ManualClock, Tx


@pytest.fixture
def metro_pools(base: Database) -> Database:
    with base.write() as tx:
        pools.create_pool(tx, "onu-id", "olt-1/pon1", technology="GPON")
        pools.create_pool(tx, "c-vlan", "bng/100")
        pools.create_pool(tx, "ipv4", "bng", prefix="100.64.0.0/24")
        pools.create_pool(tx, "ipv6-prefix", "bng", prefix="2001:db8::/48")
    return base


def subscriber(owner: str) -> list[Wish]:
    return [
        Wish("onu-id", "olt-1/pon1", owner),
        Wish("c-vlan", "bng/100", owner),
        Wish("ipv4", "bng", owner),
        Wish("ipv6-prefix", "bng", owner),
    ]


def take(database: Database, wishes: list[Wish]) -> list[list[str]]:
    with database.write() as tx:
        found = allocator.take_set(tx, wishes, state="active", cause=Cause("o1", "1", "rom"))
    return [[one.text for one in answer] for answer in found]


def set_pool(tx: Tx, pool: str, **values: object) -> int:
    tx.execute(update(pool_table).where(pool_table.c.id == pool).values(**values))
    number: int = tx.scalar(select(pool_table.c.number).where(pool_table.c.id == pool))
    return number


def check(database: Database, *ids: str) -> None:
    with database.read() as rx:
        for id_ in ids:
            one = pools.pool(rx, id_)
            assert one.allocated + one.reserved + one.quarantined + one.free == one.capacity


def test_a_set_is_one_value_of_each_pool(metro_pools: Database) -> None:
    assert take(metro_pools, subscriber("a")) == [
        ["0"],
        ["2"],
        ["100.64.0.2"],
        ["2001:db8::/56"],
    ]
    assert take(metro_pools, subscriber("b"))[2] == [("100.64.0.3")]
    with metro_pools.read() as rx:
        (found,) = allocator.allocations(rx, owner="a", pool="ipv4@bng")
    assert (found.state, found.cause.order_id) == ("active", "o1")


def test_the_same_owner_again_gets_the_same_set(metro_pools: Database) -> None:
    first = take(metro_pools, subscriber("a"))
    assert take(metro_pools, subscriber("a")) == first
    mixed = take(metro_pools, [*subscriber("a")[:2], Wish("ipv4", "bng", "new")])
    assert mixed == [*first[:2], ["100.64.0.3"]]
    check(metro_pools, "ipv4@bng", "c-vlan@bng/100")


def test_answers_come_in_the_order_of_the_wishes(metro_pools: Database) -> None:
    backwards = take(metro_pools, list(reversed(subscriber("a"))))
    assert backwards == [["2001:db8::/56"], ["100.64.0.2"], ["2"], ["0"]]


def test_one_full_pool_and_nothing_is_taken(metro_pools: Database) -> None:
    with metro_pools.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=7, last=7)
        allocator.take(tx, kind="s-vlan", scope="bng", owner="other")
    with pytest.raises(PoolExhausted, match="s-vlan@bng"):
        take(metro_pools, [*subscriber("a"), Wish("s-vlan", "bng", "a")])
    with metro_pools.read() as rx:
        assert allocator.allocations(rx, owner="a") == ()


def test_a_pool_that_is_not_there_and_one_made_on_demand(metro_pools: Database) -> None:
    assert take(metro_pools, [*subscriber("a"), Wish("c-vlan", "bng/999", "a")])[-1] == ["2"]
    with pytest.raises(PoolNotFound):
        take(metro_pools, [Wish("ipv4", "nowhere", "b")])


def test_runs_given_values_and_twice_the_same_owner(metro_pools: Database) -> None:
    found = take(
        metro_pools,
        [
            Wish("ipv4", "bng", "run", count=3),
            Wish("ipv4", "bng", "given", value="100.64.0.100"),
            Wish("ipv4", "bng", "given"),
            Wish("ipv4", "bng", "run"),
            Wish("c-vlan", "bng/100", "run", count=2),
        ],
    )
    run = ["100.64.0.2", "100.64.0.3", "100.64.0.4"]
    assert found == [run, ["100.64.0.100"], ["100.64.0.100"], run, ["2", "3"]]
    with pytest.raises(ValueTaken):
        take(metro_pools, [Wish("ipv4", "bng", "late", value="100.64.0.100")])


def test_expired_and_resting_values_are_used_before_a_set_is_refused(
    metro_pools: Database, clock: ManualClock
) -> None:
    with metro_pools.write() as tx:
        pools.create_pool(tx, "s-vlan", "x", first=1, last=2, quarantine_seconds=100)
        allocator.take(tx, kind="s-vlan", scope="x", owner="gone", ttl_seconds=5)
        allocator.take(tx, kind="s-vlan", scope="x", owner="old", subject="me", state="active")
    with metro_pools.write() as tx:
        allocator.release(tx, "old")
    clock.advance(timedelta(seconds=6))
    wishes = [Wish("s-vlan", "x", "new"), Wish("s-vlan", "x", "newer", subject="me")]
    assert take(metro_pools, wishes) == [["1"], ["2"]]
    check(metro_pools, "s-vlan@x")


def test_a_value_that_no_range_knows_is_left_out(metro_pools: Database) -> None:
    with metro_pools.write() as tx:
        number = set_pool(tx, "ipv4@bng", stripes=1)
        row = {"pool": number, "value": 0x64400002, "owner": "hand", "ordinal": 0}
        tx.execute(insert(allocation).values(**row, valid_from=tx.now))
    found = take(metro_pools, subscriber("a") + [Wish("ipv4", "bng", f"n{n}") for n in range(3)])
    texts = [text for answer in (found[2], *found[4:]) for text in answer]
    assert sorted(texts) == [f"100.64.0.{n}" for n in (3, 4, 5, 6)]


def test_thousands_at_once_are_runs(metro_pools: Database) -> None:
    with metro_pools.write() as tx:
        pools.create_pool(tx, "ipv4", "big", prefix="10.0.0.0/16", stripes=4)
        pools.create_pool(tx, "gem-port", "big", first=0, last=9999)
    wishes = [
        wish
        for n in range(2000)
        for wish in (Wish("ipv4", "big", f"s{n}"), Wish("gem-port", "big", f"s{n}"))
    ]
    found = take(metro_pools, wishes)
    assert len({text for (text,) in found[::2]}) == 2000
    assert [int(text) for (text,) in found[1::2]] == list(range(2000))
    assert take(metro_pools, wishes[:100]) == found[:100]
    check(metro_pools, "ipv4@big", "gem-port@big")


def test_a_band_is_for_those_who_name_it(metro_pools: Database) -> None:
    with metro_pools.write() as tx:
        pools.create_pool(tx, "s-vlan", "x", first=1, last=4)
        number = set_pool(tx, "s-vlan@x", stripes=1)
        (band,) = tx.execute(
            insert(pool_band).values(pool=number, name="static").returning(pool_band.c.number)
        ).one()
        tx.execute(delete(free_range).where(free_range.c.pool == number))
        tx.execute(insert(free_range).values(pool=number, lo=3, hi=4))
        tx.execute(insert(free_range).values(pool=-band, lo=1, hi=2))
        tx.execute(delete(pool_span).where(pool_span.c.pool == number))
        span = {"pool": number, "valid_from": tx.now}
        tx.execute(insert(pool_span).values(**span, first=1, last=2, band=band))
        tx.execute(insert(pool_span).values(**span, first=3, last=4))
    assert take(metro_pools, [Wish("s-vlan", "x", "a"), Wish("s-vlan", "x", "b")]) == [["3"], ["4"]]
    with pytest.raises(PoolExhausted):
        take(metro_pools, [Wish("s-vlan", "x", "c")])
    with pytest.raises(BandUnknown):
        take(metro_pools, [Wish("s-vlan", "x", "c", band="gold")])
    assert take(metro_pools, [Wish("s-vlan", "x", "c", band="static")]) == [["1"]]
    assert take(metro_pools, [Wish("s-vlan", "x", "d", value="2")]) == [["2"]]
    with metro_pools.write() as tx:
        allocator.release(tx, "c", quarantine=False)
        allocator.tidy(tx)
    with pytest.raises(PoolExhausted):
        take(metro_pools, [Wish("s-vlan", "x", "e")])
    assert take(metro_pools, [Wish("s-vlan", "x", "e", band="static")]) == [["1"]]


def test_a_draining_pool_gives_nothing_new(metro_pools: Database) -> None:
    take(metro_pools, subscriber("a"))
    with metro_pools.write() as tx:
        set_pool(tx, "ipv4@bng", draining=1)
    assert take(metro_pools, subscriber("a"))[2] == ["100.64.0.2"]
    with pytest.raises(PoolDraining):
        take(metro_pools, subscriber("b"))
    with metro_pools.read() as rx:
        assert allocator.allocations(rx, owner="b") == ()


def test_under_declared_pressure_the_longest_resting_goes_first_and_it_is_recorded(
    metro_pools: Database, clock: ManualClock
) -> None:
    with metro_pools.write() as tx:
        pools.create_pool(tx, "s-vlan", "x", first=1, last=3, quarantine_seconds=1000)
    for owner in "abc":
        take(metro_pools, [Wish("s-vlan", "x", owner)])
    for owner in "bac":
        clock.advance(timedelta(seconds=1))
        with metro_pools.write() as tx:
            allocator.release(tx, owner)
    with pytest.raises(PoolExhausted):
        take(metro_pools, [Wish("s-vlan", "x", "new")])
    until = to_micros(clock.now() + timedelta(seconds=60))
    with metro_pools.write() as tx:
        set_pool(
            tx,
            "s-vlan@x",
            pressure_until=clock.now() + timedelta(seconds=60),
            pressure_reason="storm",
        )
    assert until
    found = take(metro_pools, [Wish("s-vlan", "x", "new"), Wish("s-vlan", "x", "newer")])
    assert found == [["2"], ["1"]]
    with metro_pools.read() as rx:
        (held,) = allocator.allocations(rx, owner="new")
        noted = journal.events(rx, "s-vlan@x")
    assert held.reason is not None
    assert held.reason["earlyReuse"]["because"] == "storm"
    early = [one.details["owner"] for one in noted if one.what == "earlyReuse"]
    assert early == ["new", "newer"]
    clock.advance(timedelta(seconds=61))
    with pytest.raises(PoolExhausted):
        take(metro_pools, [Wish("s-vlan", "x", "late")])
    check(metro_pools, "s-vlan@x")


def test_sets_of_pools_with_one_range_never_wait_in_a_circle(store: Database) -> None:
    with store.write() as tx:
        for scope in "abcd":
            pools.create_pool(tx, "s-vlan", scope, first=1, last=200)
    lost: list[str] = []

    def many(worker: int) -> None:
        for turn in range(20):
            scopes = "abcd" if worker % 2 else "dcba"
            try:
                with store.write() as tx:
                    wishes = [Wish("s-vlan", scope, f"{worker}/{turn}") for scope in scopes]
                    allocator.take_set(tx, wishes)
            except Contention as error:
                lost.append(str(error))

    with ThreadPoolExecutor(8) as crowd:
        list(crowd.map(many, range(8)))
    assert lost == []
    with store.read() as rx:
        assert [pools.pool(rx, f"s-vlan@{scope}").reserved for scope in "abcd"] == [160] * 4


def test_one_owner_in_many_places_gets_one_set(store: Database) -> None:
    with store.write() as tx:
        for scope in "ab":
            pools.create_pool(tx, "s-vlan", scope, first=1, last=200, stripes=8)
    begin = threading.Barrier(8)

    def one(turn: int) -> tuple[str, ...]:
        begin.wait()
        while True:
            try:
                with store.write() as tx:
                    wishes = [Wish("s-vlan", scope, f"o{turn // 8}") for scope in "ab"]
                    return tuple(a.text for (a,) in allocator.take_set(tx, wishes))
            except Contention:
                continue

    for turn in range(5):
        with ThreadPoolExecutor(8) as crowd:
            assert len(set(crowd.map(one, [turn * 8 + n for n in range(8)]))) == 1
    with store.read() as rx:
        assert [pools.pool(rx, f"s-vlan@{scope}").reserved for scope in "ab"] == [5, 5]
    check(store, "s-vlan@a", "s-vlan@b")
