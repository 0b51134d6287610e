"""Pools: what they refuse, how they count, and that nothing is stored when they refuse."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from inventory import allocator, pools
from inventory.errors import InvalidPrefix, InvalidRange, PoolExists, PoolNotFound, PoolOverlap
from inventory.pools import Pool
from store import Database, ManualClock


def numbers(pool: Pool) -> tuple[int, int, int, int, int]:
    return pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free


def test_a_new_pool_is_all_free(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(tx, "ipv4", "bng-1", prefix="100.64.0.0/20")
        assert numbers(made) == (4093, 0, 0, 0, 4093)
        assert made.id == "ipv4@bng-1"
        assert made.params == {"prefix": "100.64.0.0/20", "gateway": "100.64.0.1"}
        assert made == pools.pool(tx, "ipv4@bng-1")
        assert pools.pools(tx) == pools.pools(tx, "ipv4", "bng-1") == [made]
        assert pools.pools(tx, kind="c-vlan") == []


def test_counts_follow_every_state(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=10, quarantine_seconds=60)

        def count() -> tuple[int, int, int, int, int]:
            return numbers(pools.pool(tx, "s-vlan@bng"))

        take: dict[str, Any] = {"kind": "s-vlan", "scope": "bng"}
        allocator.take(tx, **take, owner="a", count=3)
        allocator.take(tx, **take, owner="b", ttl_seconds=30)
        allocator.take(tx, **take, owner="c", state="active")
        assert count() == (10, 1, 4, 0, 5)
        allocator.confirm(tx, "a")
        assert count() == (10, 4, 1, 0, 5)
        allocator.release(tx, "a")
        assert count() == (10, 1, 1, 3, 5)
        clock.advance(timedelta(seconds=31))
        assert count() == (10, 1, 0, 3, 6)
        assert allocator.expire(tx) == 1
        assert count() == (10, 1, 0, 3, 6)
        clock.advance(timedelta(seconds=30))
        assert count() == (10, 1, 0, 0, 9)


def test_the_same_kind_and_scope_twice(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=10)
        with pytest.raises(PoolExists):
            pools.create_pool(tx, "s-vlan", "bng", first=20, last=30)
        assert pools.ensure_pool(tx, "s-vlan", "bng", first=20, last=30).last == 10
        assert pools.ensure_pool(tx, "s-vlan", "other", first=1, last=10).capacity == 10


@pytest.mark.parametrize("prefix", ["100.64.0.0/16", "100.64.8.0/24", "100.64.0.0/20"])
def test_overlap_is_refused_within_a_domain_only(base: Database, prefix: str) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4", "bng-1", prefix="100.64.0.0/20", domain="internet")
        with pytest.raises(PoolOverlap, match="ipv4@bng-1") as failure:
            pools.create_pool(tx, "ipv4", "bng-2", prefix=prefix, domain="internet")
        assert failure.value.status == 409
        assert pools.create_pool(tx, "ipv4", "bng-2", prefix=prefix, domain="voice").free > 0
        assert pools.create_pool(
            tx, "ipv4", "bng-3", prefix="100.64.16.0/20", domain="internet"
        ).free


def test_ipv6_overlap_is_seen_through_the_index(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv6-prefix", "a", prefix="2001:db8::/40")
        pools.create_pool(tx, "ipv6-prefix", "b", prefix="2001:db8:100::/40")
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, "ipv6-prefix", "c", prefix="2001:db8:100::/44")


def test_a_range_of_addresses_overlaps_a_prefix(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4", "a", prefix="10.0.0.0/24")
        inside = 10 * 2**24 + 77
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, "ipv4", "b", first=inside, last=inside)


def test_plain_numbers_of_two_scopes_may_be_the_same(base: Database) -> None:
    with base.write() as tx:
        for scope in ("bng-1", "bng-2"):
            pools.create_pool(tx, "s-vlan", scope, first=1, last=10)
            (taken,) = allocator.take(tx, kind="s-vlan", scope=scope, owner="o")
            assert taken.value == 1


def test_a_refused_pool_leaves_nothing(base: Database) -> None:
    with pytest.raises(InvalidPrefix), base.write() as tx:
        pools.create_pool(tx, "ipv4", "bng-1", prefix="100.64.0.1/20")
    with base.read() as rx:
        assert pools.pools(rx) == []
        with pytest.raises(PoolNotFound) as failure:
            pools.pool(rx, "ipv4@bng-1")
        assert failure.value.status == 404


def test_stock_grows_by_values_it_does_not_have(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(tx, "onu-serial", "HG", values=["HWTC00000001"])
        assert made.capacity == 1
        grown = pools.add_values(tx, made.id, ["HWTC00000001", "HWTC00000003", "ALCL00000001"])
        assert numbers(grown) == (3, 0, 0, 0, 3)
        assert grown.first < grown.last
        (taken,) = allocator.take(
            tx, kind="onu-serial", scope="HG", owner="o", value="HWTC00000003"
        )
        assert taken.text == "HWTC00000003"
        again = pools.ensure_pool(tx, "onu-serial", "HG", values=["HWTC00000003", "HWTC00000004"])
        assert numbers(again) == (4, 0, 1, 0, 3)
        with pytest.raises(PoolNotFound):
            pools.add_values(tx, "onu-serial@nothing", ["HWTC00000001"])
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=10)
        with pytest.raises(InvalidRange, match="not stock"):
            pools.add_values(tx, "s-vlan@bng", ["1"])


def test_empty_stock_can_be_filled_later(base: Database) -> None:
    with base.write() as tx:
        assert pools.create_pool(tx, "onu-serial", "HG").capacity == 0
        assert pools.add_values(tx, "onu-serial@HG", ["HWTC00000001"]).free == 1


def test_stripes_partition_the_pool(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(tx, "s-vlan", "bng", first=1, last=10, stripes=4)
        assert numbers(made) == (10, 0, 0, 0, 10)
        taken = allocator.take(tx, kind="s-vlan", scope="bng", owner="all", count=10)
        assert {one.value for one in taken} == set(range(1, 11))
