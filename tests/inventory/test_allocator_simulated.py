"""A simulation takes values in a transaction that is rolled back: nothing of it may be left, in memory either."""

from __future__ import annotations

import pytest

from inventory import allocator, pools
from inventory.allocator import Wish
from store import Database, Tx


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
