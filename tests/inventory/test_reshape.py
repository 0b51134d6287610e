"""Pools that grow, shrink, split, end and move their values, on both stores, and what their history says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from inventory import allocator, journal, pools, reshape
from inventory.cause import Cause
from inventory.counting.integrity import verify
from inventory.counting.usage import Pool, count_pools
from inventory.errors import (
    AllocationNotFound,
    InvalidPrefix,
    InvalidRange,
    OwnedByOrder,
    PoolDraining,
    PoolExhausted,
    PoolExists,
    PoolInUse,
    PoolNotFound,
    PoolOverlap,
    ValueInvalid,
    ValueOutsidePool,
    ValueQuarantined,
    ValueTaken,
)
from store import Database, ManualClock, Tx
from store.errors import InvalidInput


@pytest.fixture
def tx(base: Database) -> Iterator[Tx]:
    with base.write() as tx:
        yield tx


def vlans(tx: Tx, scope: str = "bng", **more: Any) -> Pool:
    given = {"first": 1, "last": 100, "quarantine_seconds": 60} | more
    return pools.create_pool(tx, "s-vlan", scope, **given)


def take(tx: Tx, owner: str, scope: str = "bng", **more: Any) -> list[int]:
    found = allocator.take(tx, kind="s-vlan", scope=scope, owner=owner, **more)
    return [one.value for one in found]


def numbers(pool: Pool) -> tuple[int, int, int, int, int]:
    return pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free


def sound(tx: Tx, *ids: str) -> None:
    """Check that each value is exactly once held or free, and that the quick counts are those counted one by one."""
    for id_ in ids:
        report, quick = verify(tx, id_), pools.pool(tx, id_)
        assert report.discrepancies == ()
        assert report.sound
        counted = (
            report.capacity,
            report.allocated,
            report.reserved,
            report.quarantined,
            report.free,
        )
        assert counted == numbers(quick)


def whats(tx: Tx, id_: str) -> list[str]:
    return [event.what for event in journal.events(tx, id_)]


# -- grow -------------------------------------------------------------------------------------------


def test_a_pool_grows_at_its_ends(tx: Tx) -> None:
    vlans(tx, first=10, last=20)
    assert numbers(reshape.grow(tx, "s-vlan@bng", last=30)) == (21, 0, 0, 0, 21)
    grown = reshape.grow(tx, "s-vlan@bng", first=5)
    assert (grown.first, grown.last, grown.capacity, grown.exclusions) == (5, 30, 26, ())
    grown = reshape.grow(tx, "s-vlan@bng", first=40, last="50")
    assert grown.exclusions == ((31, 39),)
    assert sorted(take(tx, "all", count=37)) == [*range(5, 31), *range(40, 51)]
    sound(tx, "s-vlan@bng")
    assert whats(tx, "s-vlan@bng") == ["created", "grown", "grown", "grown"]


def test_growing_over_what_it_has_is_refused(tx: Tx) -> None:
    vlans(tx)
    with pytest.raises(PoolOverlap, match="90 to 100"):
        reshape.grow(tx, "s-vlan@bng", first=90, last=110)
    with pytest.raises(InvalidRange):
        reshape.grow(tx, "s-vlan@bng", last=5000)
    with pytest.raises(InvalidRange):
        reshape.grow(tx, "s-vlan@bng", last=99)
    with pytest.raises(InvalidRange):
        reshape.grow(tx, "s-vlan@bng")
    with pytest.raises(InvalidRange, match="not stock"):
        reshape.grow(tx, "s-vlan@bng", values=["7"])
    with pytest.raises(ValueInvalid):
        reshape.grow(tx, "s-vlan@bng", last="x")
    with pytest.raises(PoolNotFound):
        reshape.grow(tx, "s-vlan@nothing", last=7)
    assert pools.pool(tx, "s-vlan@bng").capacity == 100


def test_addresses_grow_by_a_prefix_that_nobody_of_the_domain_has(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4", "a", prefix="100.64.0.0/24", domain="internet")
    pools.create_pool(tx, "ipv4", "b", prefix="100.64.2.0/24", domain="internet")
    with pytest.raises(PoolOverlap, match="ipv4@b"):
        reshape.grow(tx, "ipv4@a", prefix="100.64.2.128/25")
    with pytest.raises(PoolOverlap, match="ipv4@a"):
        reshape.grow(tx, "ipv4@a", prefix="100.64.0.0/25")
    with pytest.raises(InvalidPrefix):
        reshape.grow(tx, "ipv4@a", prefix="100.64.1.1/24")
    grown = reshape.grow(tx, "ipv4@a", prefix="100.64.1.0/24")
    assert grown.capacity == 2 * 253
    assert grown.params["furtherPrefixes"] == [{"prefix": "100.64.1.0/24", "gateway": "100.64.1.1"}]
    (taken,) = allocator.take(tx, kind="ipv4", scope="a", owner="o", value="100.64.1.2")
    assert taken.text == "100.64.1.2"
    with pytest.raises(ValueOutsidePool):
        allocator.take(tx, kind="ipv4", scope="a", owner="o2", value="100.64.1.1")
    with pytest.raises(PoolOverlap, match="ipv4@a"):
        pools.create_pool(tx, "ipv4", "c", prefix="100.64.1.0/26", domain="internet")
    sound(tx, "ipv4@a")


def test_delegated_prefixes_grow_beside_those_they_have(tx: Tx) -> None:
    pools.create_pool(tx, "ipv6-prefix", "a", prefix="2001:db8::/44")
    pools.create_pool(tx, "ipv6-prefix", "far", prefix="2001:db8:20::/44")
    (before,) = allocator.take(tx, kind="ipv6-prefix", scope="a", owner="o1")
    grown = reshape.grow(tx, "ipv6-prefix@a", prefix="2001:db8:10::/44")
    assert grown.params["prefix"] == "2001:db8::/43"
    (after,) = allocator.take(
        tx, kind="ipv6-prefix", scope="a", owner="o2", value="2001:db8:10::/56"
    )
    assert (before.text, after.text) == ("2001:db8::/56", "2001:db8:10::/56")
    assert allocator.allocations(tx, owner="o1")[0].text == before.text
    with pytest.raises(InvalidPrefix):
        reshape.grow(tx, "ipv6-prefix@a", prefix="2001:db8:30::/57")
    with pytest.raises(InvalidRange, match="pool of its own"):
        reshape.grow(tx, "ipv6-prefix@far", prefix="2001:db8:18::/45")
    with pytest.raises(PoolOverlap):
        reshape.grow(tx, "ipv6-prefix@a", prefix="2001:db8:20::/44")
    sound(tx, "ipv6-prefix@a")


def test_stock_and_names_grow_by_what_is_new(tx: Tx) -> None:
    pools.create_pool(tx, "onu-serial", "HG", values=["HWTC00000001"])
    grown = reshape.grow(tx, "onu-serial@HG", values=["HWTC00000001", "HWTC00000007"])
    assert grown.capacity == 2
    assert reshape.grow(tx, "onu-serial@HG", values=["HWTC00000007"]) == grown
    with pytest.raises(InvalidRange, match="single values"):
        reshape.grow(tx, "onu-serial@HG", last=7)
    pools.create_pool(tx, "port", "olt1", values=["pon1", "pon2"])
    assert reshape.grow(tx, "port@olt1", values=["pon3"]).capacity == 3
    (taken,) = allocator.take(tx, kind="port", scope="olt1", owner="o", value="pon3")
    assert taken.text == "pon3"
    with pytest.raises(PoolInUse):
        reshape.shrink(tx, "port@olt1", values=["pon3"])
    assert reshape.shrink(tx, "port@olt1", values=["pon1", "none"]).capacity == 2
    assert reshape.grow(tx, "port@olt1", values=["pon1"]).capacity == 3
    (again,) = allocator.take(tx, kind="port", scope="olt1", owner="o2", value="pon1")
    assert again.text == "pon1"
    sound(tx, "onu-serial@HG", "port@olt1")


# -- shrink -----------------------------------------------------------------------------------------


def test_shrinking_never_cuts_an_allocation(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    take(tx, "a", value=90, state="active")
    take(tx, "b", value=95, ttl_seconds=30)
    with pytest.raises(PoolInUse) as failure:
        reshape.shrink(tx, "s-vlan@bng", last=80)
    assert failure.value.details == {
        "pool": "s-vlan@bng",
        "count": 2,
        "held": [{"owner": "a", "value": "90"}, {"owner": "b", "value": "95"}],
    }
    assert failure.value.status == 409
    clock.advance(timedelta(seconds=31))
    shrunk = reshape.shrink(tx, "s-vlan@bng", first=5, last=90)
    assert (shrunk.first, shrunk.last, numbers(shrunk)) == (5, 90, (86, 1, 0, 0, 85))
    assert allocator.allocations(tx, owner="b") == ()
    with pytest.raises(ValueOutsidePool):
        take(tx, "c", value=95)
    assert sorted(take(tx, "all", count=85)) == list(range(5, 90))
    sound(tx, "s-vlan@bng")
    assert reshape.shrink(tx, "s-vlan@bng", last=90).last == 90
    assert whats(tx, "s-vlan@bng") == ["created", "shrunk"]


@pytest.mark.parametrize(
    "keep",
    [{}, {"first": 0}, {"last": 101}, {"first": 60, "last": 50}, {"values": ["7"]}],
)
def test_shrinking_to_what_is_no_part_is_refused(tx: Tx, keep: dict[str, Any]) -> None:
    vlans(tx)
    with pytest.raises(InvalidRange):
        reshape.shrink(tx, "s-vlan@bng", **keep)
    assert pools.pool(tx, "s-vlan@bng").capacity == 100


def test_what_rests_may_be_cut_and_rests_on_when_it_comes_back(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    for owner, value in (("a", 90), ("b", 91)):
        take(tx, owner, value=value, subject=owner, state="active")
    allocator.release(tx, "a")
    allocator.release(tx, "b", quarantine=False)
    assert pools.pool(tx, "s-vlan@bng").quarantined == 1
    assert numbers(reshape.shrink(tx, "s-vlan@bng", last=50)) == (50, 0, 0, 0, 50)
    clock.advance(timedelta(seconds=30))
    assert numbers(reshape.grow(tx, "s-vlan@bng", last=100)) == (100, 0, 0, 1, 99)
    with pytest.raises(ValueQuarantined):
        take(tx, "c", value=90)
    assert take(tx, "again", subject="a") == [90]
    allocator.release(tx, "again")
    reshape.shrink(tx, "s-vlan@bng", last=50)
    clock.advance(timedelta(seconds=61))
    assert numbers(reshape.grow(tx, "s-vlan@bng", last=100)) == (100, 0, 0, 0, 100)
    sound(tx, "s-vlan@bng")


def test_the_end_of_a_prefix_is_free_for_others_after_shrinking(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4", "a", prefix="100.64.0.0/24")
    reshape.shrink(tx, "ipv4@a", last="100.64.0.127")
    pools.create_pool(tx, "ipv4", "b", prefix="100.64.0.128/25")
    with pytest.raises(PoolOverlap):
        pools.create_pool(tx, "ipv4", "c", prefix="100.64.0.0/30")
    sound(tx, "ipv4@a", "ipv4@b")


# -- drain and remove -------------------------------------------------------------------------------


def test_a_draining_pool_gives_nothing_new(tx: Tx) -> None:
    vlans(tx)
    held = take(tx, "a")
    assert reshape.drain(tx, "s-vlan@bng").draining
    assert reshape.drain(tx, "s-vlan@bng").draining
    with pytest.raises(PoolDraining):
        take(tx, "b")
    assert take(tx, "a") == held
    assert not reshape.drain(tx, "s-vlan@bng", on=False).draining
    assert take(tx, "b") == [2]
    assert whats(tx, "s-vlan@bng") == ["created", "drained", "drainEnded"]


def test_a_pool_is_removed_when_nobody_holds_anything(tx: Tx, clock: ManualClock) -> None:
    vlans(tx, bands={"static": "90-100"})
    take(tx, "a", state="active")
    take(tx, "b", band="static", ttl_seconds=5)
    with pytest.raises(PoolInUse):
        reshape.remove(tx, "s-vlan@bng")
    there = tx.now
    clock.advance(timedelta(seconds=10))
    allocator.release(tx, "a")
    reshape.remove(tx, "s-vlan@bng")
    with pytest.raises(PoolNotFound):
        pools.pool(tx, "s-vlan@bng")
    with pytest.raises(PoolNotFound):
        take(tx, "c")
    assert pools.pools(tx) == []
    clock.advance(timedelta(seconds=10))
    assert numbers(vlans(tx, last=9)) == (9, 0, 0, 0, 9)
    was = pools.pool(tx, "s-vlan@bng", at=there)
    assert numbers(was) == (100, 1, 1, 0, 98)
    assert [band.name for band in was.bands] == ["static"]
    held = allocator.allocations(tx, pool="s-vlan@bng", at=there)
    assert [one.owner for one in held] == ["a", "b"]
    with pytest.raises(PoolNotFound):
        pools.pool(tx, "s-vlan@bng", at=there - timedelta(seconds=1))
    assert whats(tx, "s-vlan@bng") == ["created", "removed", "created"]
    sound(tx, "s-vlan@bng")


def test_a_carved_pool_gives_its_part_back(tx: Tx, clock: ManualClock) -> None:
    pools.create_pool(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24)
    pools.create_pool(tx, "ipv4", "bng", parent="ipv4-prefix@region", prefix="10.0.7.0/24")
    with pytest.raises(PoolInUse) as failure:
        reshape.remove(tx, "ipv4-prefix@region")
    assert failure.value.details["pools"] == ["ipv4@bng"]
    with pytest.raises(PoolInUse):
        reshape.shrink(tx, "ipv4-prefix@region", last="10.0.6.0/24")
    with pytest.raises(InvalidRange, match="carved"):
        reshape.split(tx, "ipv4@bng", at="10.0.7.128", scope="other")
    reshape.remove(tx, "ipv4@bng")
    assert numbers(pools.pool(tx, "ipv4-prefix@region")) == (256, 0, 0, 1, 255)
    clock.advance(timedelta(hours=2))
    reshape.remove(tx, "ipv4-prefix@region")
    assert count_pools(tx) == 0


def test_a_carved_pool_grows_out_of_its_parent(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24)
    pools.create_pool(tx, "ipv4", "bng", parent="ipv4-prefix@region", prefix="10.0.7.0/24")
    allocator.take(tx, kind="ipv4-prefix", scope="region", owner="o", value="10.0.9.0/24")
    assert reshape.grow(tx, "ipv4@bng", prefix="10.0.8.0/24").capacity == 506
    with pytest.raises(ValueTaken):
        reshape.grow(tx, "ipv4@bng", prefix="10.0.9.0/24")


def test_children_follow_the_part_of_the_parent_that_moves(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24)
    pools.create_pool(tx, "ipv4", "low", parent="ipv4-prefix@region", prefix="10.0.7.0/24")
    pools.create_pool(tx, "ipv4", "high", parent="ipv4-prefix@region", prefix="10.0.200.0/23")
    with pytest.raises(PoolInUse, match="both sides"):
        reshape.split(tx, "ipv4-prefix@region", at="10.0.201.0/24", scope="west")


def test_children_of_a_split_pool_find_their_parent(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4-prefix", "region", prefix="10.0.0.0/16", prefix_length=24)
    for scope, prefix in (("low", "10.0.7.0/24"), ("high", "10.0.200.0/23")):
        pools.create_pool(tx, "ipv4", scope, parent="ipv4-prefix@region", prefix=prefix)
    old, new = reshape.split(tx, "ipv4-prefix@region", at="10.0.128.0/24", scope="west")
    assert (old.allocated, new.allocated) == (1, 2)
    assert pools.pool(tx, "ipv4@low").parent == "ipv4-prefix@region"
    assert pools.pool(tx, "ipv4@high").parent == "ipv4-prefix@west"
    reshape.remove(tx, "ipv4@high")
    assert pools.pool(tx, "ipv4-prefix@west").quarantined == 2
    sound(tx, "ipv4-prefix@west", "ipv4-prefix@region", "ipv4@low")


# -- split and move ---------------------------------------------------------------------------------

ORDER = Cause(order_id="order-1", item_id="item-1", layer="rom")


def test_a_split_takes_holders_rest_and_bands_along(tx: Tx, clock: ManualClock) -> None:
    vlans(tx, bands={"static": "40-60"}, exclude=["70-79"], stripes=3)
    take(tx, "low", value=7, state="active")
    take(tx, "high", value=81, subject="s", cause=ORDER, reason={"chosen": 1})
    take(tx, "late", value=82, ttl_seconds=600)
    take(tx, "band", band="static", value=55)
    take(tx, "gone", value=85, state="active", subject="gone")
    allocator.release(tx, "gone")
    before = tx.now
    clock.advance(timedelta(seconds=10))
    old, new = reshape.split(tx, "s-vlan@bng", at=50, scope="west")
    assert numbers(old) == (49, 1, 0, 0, 48)
    assert numbers(new) == (41, 0, 3, 1, 37)
    assert (old.first, old.last, new.first, new.last) == (1, 49, 50, 100)
    assert [(band.name, band.spans) for band in old.bands] == [("static", ((40, 49),))]
    assert [(band.name, band.spans) for band in new.bands] == [("static", ((50, 60),))]
    assert (old.exclusions, new.exclusions) == ((), ((70, 79),))
    sound(tx, "s-vlan@bng", "s-vlan@west")
    (high,) = allocator.allocations(tx, owner="high")
    assert (high.pool, high.value, high.subject, high.cause) == ("s-vlan@west", 81, "s", ORDER)
    assert high.reason == {"chosen": 1}
    (late,) = allocator.allocations(tx, owner="late")
    assert late.expires_at == before + timedelta(seconds=600)
    (was,) = allocator.allocations(tx, owner="high", at=before)
    assert (was.pool, was.value) == ("s-vlan@bng", 81)
    assert numbers(pools.pool(tx, "s-vlan@bng", at=before)) == (90, 1, 3, 1, 85)
    with pytest.raises(PoolNotFound):
        pools.pool(tx, "s-vlan@west", at=before)
    assert take(tx, "again", "west", subject="gone") == [85]
    assert take(tx, "static", "west", band="static") == [50]
    assert allocator.confirm(tx, "high")[0].pool == "s-vlan@west"
    with pytest.raises(OwnedByOrder):
        allocator.release_by_api(tx, "s-vlan@west", "high")
    assert [one.pool for one in allocator.release(tx, "high")] == ["s-vlan@west"]
    assert whats(tx, "s-vlan@west") == ["split"]
    sound(tx, "s-vlan@bng", "s-vlan@west")


def test_what_rests_is_told_truly_before_and_after_a_split(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    take(tx, "gone", value=85, state="active")
    allocator.release(tx, "gone")
    clock.advance(timedelta(seconds=10))
    before = tx.now
    clock.advance(timedelta(seconds=10))
    reshape.split(tx, "s-vlan@bng", at=50, scope="west")
    clock.advance(timedelta(seconds=10))
    after = tx.now
    assert pools.pool(tx, "s-vlan@bng", at=before).quarantined == 1
    assert pools.pool(tx, "s-vlan@bng", at=after).quarantined == 0
    assert pools.pool(tx, "s-vlan@west", at=after).quarantined == 1
    clock.advance(timedelta(seconds=60))
    assert pools.pool(tx, "s-vlan@west", at=tx.now).quarantined == 0
    assert pools.pool(tx, "s-vlan@west").quarantined == 0


def test_a_split_needs_two_sides_and_a_new_scope(tx: Tx) -> None:
    vlans(tx)
    vlans(tx, "west")
    for at in (1, 101, "0"):
        with pytest.raises(InvalidRange):
            reshape.split(tx, "s-vlan@bng", at=at, scope="east")
    with pytest.raises(PoolExists):
        reshape.split(tx, "s-vlan@bng", at=50, scope="west")
    with pytest.raises(InvalidInput):
        reshape.split(tx, "s-vlan@bng", at=50, scope=" ")
    with pytest.raises(PoolNotFound):
        reshape.split(tx, "s-vlan@none", at=50, scope="east")


def test_users_of_a_shared_value_follow_it(tx: Tx) -> None:
    vlans(tx)
    take(tx, "fill", count=60)
    share: dict[str, Any] = {"kind": "s-vlan", "shared_by": "pon1"}
    for user in ("u1", "u2"):
        taken = allocator.take_shared(tx, scope="bng", user=user, **share)
    reshape.split(tx, "s-vlan@bng", at=61, scope="west")
    assert allocator.take_shared(tx, scope="west", user="u3", **share).value == taken.value
    assert not allocator.release_shared(tx, scope="west", user="u1", **share)
    assert not allocator.release_shared(tx, scope="west", user="u2", **share)
    assert allocator.release_shared(tx, scope="west", user="u3", **share)
    assert pools.pool(tx, "s-vlan@west").quarantined == 1


def test_an_order_that_knows_the_old_scope_lets_go_of_a_shared_value_that_moved(tx: Tx) -> None:
    vlans(tx)
    share: dict[str, Any] = {"kind": "s-vlan", "scope": "bng", "shared_by": "pon1"}
    for user in ("u1", "u2"):
        allocator.take_shared(tx, user=user, **share)
    vlans(tx, "west", first=200, last=210)
    reshape.move(tx, "s-vlan@bng", to="s-vlan@west", last=10)
    assert not allocator.release_shared(tx, user="u1", **share)
    assert not allocator.release_shared(tx, user="u1", **share)
    assert allocator.release_shared(tx, user="u2", **share)
    assert not allocator.release_shared(tx, user="u2", **share)
    assert numbers(pools.pool(tx, "s-vlan@west")) == (21, 0, 0, 1, 20)


def test_values_move_to_another_pool_and_back(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    vlans(tx, "west", first=200, last=299)
    take(tx, "a", value=42, state="active")
    clock.advance(timedelta(seconds=1))
    old, new = reshape.move(tx, "s-vlan@bng", to="s-vlan@west", first=40, last=50)
    assert (numbers(old), numbers(new)) == ((89, 0, 0, 0, 89), (111, 1, 0, 0, 110))
    assert (old.exclusions, new.exclusions) == (((40, 50),), ((51, 199),))
    assert take(tx, "a", "west") == [42]
    with pytest.raises(ValueOutsidePool):
        take(tx, "b", value=43)
    sound(tx, "s-vlan@bng", "s-vlan@west")
    clock.advance(timedelta(seconds=1))
    old, new = reshape.move(tx, "s-vlan@west", to="s-vlan@bng", last=50)
    assert (old.first, old.capacity, new.capacity, new.exclusions) == (200, 100, 100, ())
    assert allocator.allocations(tx, owner="a")[0].pool == "s-vlan@bng"
    sound(tx, "s-vlan@bng", "s-vlan@west")
    then = tx.now
    for seconds, pool in ((0, "s-vlan@bng"), (1, "s-vlan@west"), (2, "s-vlan@bng")):
        at = then - timedelta(seconds=seconds)
        assert [one.pool for one in allocator.allocations(tx, value=42, at=at)] == [pool]
    assert allocator.allocations(tx, value=42)[0].valid_from == then


def test_a_split_can_be_undone_by_moving_back(tx: Tx) -> None:
    vlans(tx)
    take(tx, "many", count=60)
    reshape.split(tx, "s-vlan@bng", at=31, scope="west")
    assert (len(take(tx, "many")), len(take(tx, "many", "west"))) == (30, 30)
    reshape.move(tx, "s-vlan@west", to="s-vlan@bng")
    reshape.remove(tx, "s-vlan@west")
    assert take(tx, "many") == list(range(1, 61))
    assert pools.pool(tx, "s-vlan@bng").exclusions == ()
    sound(tx, "s-vlan@bng")


def test_a_pool_can_be_emptied_by_moving_all(tx: Tx) -> None:
    vlans(tx)
    vlans(tx, "west", first=200, last=299)
    take(tx, "a", count=3)
    old, new = reshape.move(tx, "s-vlan@bng", to="s-vlan@west")
    assert (old.first, old.last, numbers(old)) == (0, -1, (0, 0, 0, 0, 0))
    assert numbers(new) == (200, 0, 3, 0, 197)
    with pytest.raises(PoolExhausted):
        take(tx, "b")
    reshape.remove(tx, "s-vlan@bng")
    sound(tx, "s-vlan@west")


def test_moves_that_make_no_sense_are_refused(tx: Tx) -> None:
    vlans(tx)
    vlans(tx, "west", first=50, last=150)
    pools.create_pool(tx, "c-vlan", "bng", first=1000, last=1010)
    with pytest.raises(InvalidInput):
        reshape.move(tx, "s-vlan@bng", to="s-vlan@bng")
    with pytest.raises(InvalidRange, match="kind"):
        reshape.move(tx, "c-vlan@bng", to="s-vlan@bng")
    with pytest.raises(PoolOverlap, match="s-vlan@west"):
        reshape.move(tx, "s-vlan@bng", to="s-vlan@west", first=40, last=60)
    with pytest.raises(InvalidRange):
        reshape.move(tx, "s-vlan@bng", to="s-vlan@west", first=40, last=160)
    take(tx, "both", value=7)
    take(tx, "both", "west")
    with pytest.raises(ValueTaken, match="both"):
        reshape.move(tx, "s-vlan@bng", to="s-vlan@west", last=10)
    with pytest.raises(PoolNotFound):
        reshape.move(tx, "s-vlan@bng", to="s-vlan@none")


def test_a_text_never_changes_by_moving(tx: Tx) -> None:
    pools.create_pool(tx, "ipv6-prefix", "a", prefix="2001:db8::/44")
    pools.create_pool(tx, "ipv6-prefix", "b", prefix="2001:db8:40::/44")
    with pytest.raises(InvalidRange, match="another prefix"):
        reshape.move(tx, "ipv6-prefix@a", to="ipv6-prefix@b", last="2001:db8:0:300::/56")
    (held,) = allocator.take(
        tx, kind="ipv6-prefix", scope="a", owner="o", value="2001:db8:8:100::/56"
    )
    reshape.split(tx, "ipv6-prefix@a", at="2001:db8:8::/56", scope="c")
    (moved,) = allocator.allocations(tx, owner="o")
    assert (moved.pool, moved.text) == ("ipv6-prefix@c", held.text)
    reshape.move(tx, "ipv6-prefix@c", to="ipv6-prefix@a")
    assert allocator.allocations(tx, owner="o")[0].text == held.text
    sound(tx, "ipv6-prefix@a", "ipv6-prefix@c")


def test_addresses_that_move_stay_nobody_elses(tx: Tx) -> None:
    pools.create_pool(tx, "ipv4", "a", prefix="100.64.0.0/24")
    pools.create_pool(tx, "ipv4", "b", prefix="100.64.1.0/24")
    reshape.move(tx, "ipv4@a", to="ipv4@b", first="100.64.0.128")
    for prefix in ("100.64.0.128/25", "100.64.0.0/26"):
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, "ipv4", "c", prefix=prefix)
    reshape.remove(tx, "ipv4@b")
    assert pools.create_pool(tx, "ipv4", "c", prefix="100.64.0.128/25").capacity == 125
    with pytest.raises(PoolOverlap):
        pools.create_pool(tx, "ipv4", "d", prefix="100.64.0.0/25")


# -- owners and policies ----------------------------------------------------------------------------


def test_another_owner_gets_what_an_owner_holds(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    take(tx, "a", count=2, state="active")
    before = tx.now
    clock.advance(timedelta(seconds=1))
    found = reshape.reassign(tx, "s-vlan@bng", "a", "b")
    assert [(one.owner, one.value, one.state) for one in found] == [
        ("b", 1, "active"),
        ("b", 2, "active"),
    ]
    assert allocator.allocations(tx, owner="a") == ()
    assert len(allocator.allocations(tx, owner="a", at=before)) == 2
    assert take(tx, "b") == [1, 2]
    take(tx, "c")
    take(tx, "order", cause=ORDER)
    with pytest.raises(ValueTaken):
        reshape.reassign(tx, "s-vlan@bng", "b", "c")
    with pytest.raises(OwnedByOrder):
        reshape.reassign(tx, "s-vlan@bng", "order", "d")
    with pytest.raises(AllocationNotFound):
        reshape.reassign(tx, "s-vlan@bng", "a", "d")
    with pytest.raises(InvalidInput):
        reshape.reassign(tx, "s-vlan@bng", "b", "shared:x")
    assert reshape.reassign(tx, "s-vlan@bng", "b", "b")[0].owner == "b"
    assert whats(tx, "s-vlan@bng") == ["created", "reassigned"]
    sound(tx, "s-vlan@bng")


def test_declared_pressure_is_written_down_and_ends(tx: Tx, clock: ManualClock) -> None:
    vlans(tx, first=1, last=1)
    take(tx, "a", state="active")
    allocator.release(tx, "a")
    with pytest.raises(PoolExhausted):
        take(tx, "b")
    pressed = reshape.declare_pressure(tx, "s-vlan@bng", seconds=30, reason="storm")
    assert pressed.pressure is not None
    assert pressed.pressure.until == tx.now + timedelta(seconds=30)
    during = tx.now
    clock.advance(timedelta(seconds=1))
    assert take(tx, "b") == [1]
    assert reshape.end_pressure(tx, "s-vlan@bng").pressure is None
    assert reshape.end_pressure(tx, "s-vlan@bng").pressure is None
    was = pools.pool(tx, "s-vlan@bng", at=during).pressure
    assert was is not None
    assert was.reason == "storm"
    for seconds, reason in ((0, "x"), (5, " ")):
        with pytest.raises(InvalidInput):
            reshape.declare_pressure(tx, "s-vlan@bng", seconds=seconds, reason=reason)
    assert whats(tx, "s-vlan@bng") == ["created", "pressure", "earlyReuse", "pressureEnded"]


def test_policies_change_and_are_remembered(tx: Tx, clock: ManualClock) -> None:
    vlans(tx)
    before = tx.now
    clock.advance(timedelta(seconds=1))
    changed = reshape.change(tx, "s-vlan@bng", quarantine_seconds=5, reuse="oldest")
    assert (changed.quarantine_seconds, changed.reuse) == (5, "oldest")
    clock.advance(timedelta(seconds=1))
    reshape.change(tx, "s-vlan@bng", quarantine_seconds=7)
    reshape.change(tx, "s-vlan@bng", quarantine_seconds=7, reuse="oldest")
    reshape.drain(tx, "s-vlan@bng")
    was = pools.pool(tx, "s-vlan@bng", at=before)
    assert (was.quarantine_seconds, was.reuse, was.draining) == (60, "lowest", False)
    was = pools.pool(tx, "s-vlan@bng", at=before + timedelta(seconds=1))
    assert (was.quarantine_seconds, was.reuse, was.draining) == (5, "oldest", False)
    for wrong in ({"quarantine_seconds": -1}, {"reuse": "random"}):
        with pytest.raises(InvalidInput):
            reshape.change(tx, "s-vlan@bng", **wrong)
    assert whats(tx, "s-vlan@bng") == ["created", "changed", "changed", "drained"]
