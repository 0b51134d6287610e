"""Mistakes that the random tests have found, each by itself."""

from __future__ import annotations

from datetime import timedelta

import pytest

from inventory import allocator, pools, reshape
from inventory.allocator import Wish
from store import Database, ManualClock, Tx


def take(tx: Tx, scope: str, owner: str) -> tuple[str, int]:
    (((one),),) = allocator.take_set(tx, [Wish("c-vlan", scope, owner)])
    return one.pool, one.value


def reserved(database: Database) -> dict[str, int]:
    with database.read() as rx:
        return {pool.id: pool.reserved for pool in pools.pools(rx)}


def test_a_pool_that_only_a_simulation_made_is_not_remembered(base: Database) -> None:
    with base.dry_run() as tx:
        assert [take(tx, "bng/1001", owner)[1] for owner in "ab"] == [2, 3]
    with base.write() as tx:
        pools.create_pool(tx, "c-vlan", "bng/1002")
    with base.write() as tx:
        assert take(tx, "bng/1001", "c") == ("c-vlan@bng/1001", 2)
    assert reserved(base) == {"c-vlan@bng/1001": 1, "c-vlan@bng/1002": 0}


def test_a_pool_whose_making_was_undone_in_a_savepoint_is_not_remembered(base: Database) -> None:
    with base.write() as tx:
        with pytest.raises(RuntimeError), tx.savepoint():
            assert [take(tx, "bng/1001", owner)[1] for owner in "ab"] == [2, 3]
            raise RuntimeError
        pools.create_pool(tx, "c-vlan", "bng/1002")
    with base.write() as tx:
        assert take(tx, "bng/1001", "c") == ("c-vlan@bng/1001", 2)
    assert reserved(base) == {"c-vlan@bng/1001": 1, "c-vlan@bng/1002": 0}


def test_a_reservation_that_is_over_is_in_nobodys_way_when_values_move(
    base: Database, clock: ManualClock
) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "here", first=1, last=4)
        pools.create_pool(tx, "s-vlan", "there", first=11, last=14)
        for scope in ("here", "there"):
            allocator.take(tx, kind="s-vlan", scope=scope, owner="over", ttl_seconds=5)
        allocator.take(tx, kind="s-vlan", scope="here", owner="back")
        allocator.take(tx, kind="s-vlan", scope="there", owner="back", ttl_seconds=5)
    clock.advance(timedelta(seconds=5))
    with base.write() as tx:
        _, there = reshape.move(tx, "s-vlan@here", to="s-vlan@there", first=1, last=3)
        assert (there.capacity, there.reserved, there.free) == (7, 1, 6)
