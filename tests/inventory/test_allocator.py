"""The allocator's promises, one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from inventory import Cause, allocator, pools
from inventory.allocator import Allocation
from inventory.errors import (
    AllocationNotFound,
    KindUnknown,
    OwnedByOrder,
    PoolExhausted,
    PoolNotFound,
    ValueInvalid,
    ValueOutsidePool,
    ValueQuarantined,
    ValueTaken,
)
from inventory.tables import allocation, free_range
from store import Database, ManualClock, Tx
from store.errors import InvalidInput

CAUSE = Cause("order-1", "3", "rom")
POOL = "s-vlan@bng"


@pytest.fixture
def vlans(base: Database) -> Database:
    """Ten VLANs, 1001 to 1010, that rest a minute."""
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1001, last=1010, quarantine_seconds=60)
    return base


def take(tx: Tx, owner: str, **more: Any) -> int:
    (taken,) = allocator.take(tx, kind="s-vlan", scope="bng", owner=owner, **more)
    return taken.value


def ranges(tx: Tx) -> list[tuple[int, int]]:
    query = select(free_range.c.lo, free_range.c.hi).order_by(free_range.c.hi)
    return [(row.lo, row.hi) for row in tx.rows(query)]


def test_an_allocation_says_all(vlans: Database) -> None:
    with vlans.write() as tx:
        (taken,) = allocator.take(
            tx,
            kind="s-vlan",
            scope="bng",
            owner="o",
            subject="s",
            ttl_seconds=60,
            cause=CAUSE,
            reason={"why": "x"},
        )
        expected = Allocation(
            pool=POOL,
            kind="s-vlan",
            scope="bng",
            value=1001,
            owner="o",
            state="reserved",
            expires_at=tx.now + timedelta(seconds=60),
            subject="s",
            reason={"why": "x"},
            valid_from=tx.now,
            cause=CAUSE,
        )
        assert taken == expected
        assert taken.text == "1001"
        assert allocator.take(tx, kind="s-vlan", scope="bng", owner="o") == (expected,)
        assert allocator.allocations(tx, owner="o") == (expected,)


def test_lowest_first_and_same_owner_same_value(vlans: Database) -> None:
    with vlans.write() as tx:
        assert [take(tx, owner) for owner in ("a", "b", "a", "c", "b")] == [
            1001,
            1002,
            1001,
            1003,
            1002,
        ]
        assert ranges(tx) == [(1004, 1010)]


def test_a_given_value_splits_the_free_space(vlans: Database) -> None:
    with vlans.write() as tx:
        assert take(tx, "mid", value=1005) == 1005
        assert take(tx, "low", value=1001) == 1001
        assert take(tx, "high", value="1010") == 1010
        assert ranges(tx) == [(1002, 1004), (1006, 1009)]
        assert take(tx, "mid") == 1005
        assert take(tx, "mid", value=1005) == 1005


def test_refusals_change_nothing(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "a", value=1005)
        before = ranges(tx), tx.rows(select(allocation))
        for value, error in (
            (1005, ValueTaken),
            (1000, ValueOutsidePool),
            (1011, ValueOutsidePool),
            (-5, ValueOutsidePool),
            ("x", ValueInvalid),
        ):
            with pytest.raises(error):
                take(tx, "b", value=value)
        with pytest.raises(ValueTaken, match="already holds 1005"):
            take(tx, "a", value=1006)
        with pytest.raises(PoolExhausted, match="9 free values, 10 are needed"):
            allocator.take(tx, kind="s-vlan", scope="bng", owner="b", count=10)
        assert [v for v in range(1001, 1011) if v != 1005] == sorted(
            v for lo, hi in ranges(tx) for v in range(lo, hi + 1)
        )
        assert before[1] == tx.rows(select(allocation))


def test_who_has_it_is_told(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "anna", value=1005)
        with pytest.raises(ValueTaken, match="belongs to anna") as failure:
            take(tx, "bert", value=1005)
        assert failure.value.details == {"pool": POOL, "value": "1005", "owner": "anna"}


def test_unknown_pools_and_kinds(vlans: Database) -> None:
    with vlans.write() as tx:
        with pytest.raises(PoolNotFound):
            allocator.take(tx, kind="s-vlan", scope="elsewhere", owner="o")
        with pytest.raises(KindUnknown):
            allocator.take(tx, kind="colour", scope="bng", owner="o")


def test_pools_on_demand(base: Database) -> None:
    with base.write() as tx:
        (first,) = allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="a")
        (second,) = allocator.take(tx, kind="c-vlan", scope="bng/1002", owner="a")
        assert (first.value, second.value) == (2, 2)
        assert pools.pool(tx, "c-vlan@bng/1001").capacity == 4093


def test_exhaustion_says_when_the_next_value_comes(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="all", count=9)
        take(tx, "last")
        with pytest.raises(PoolExhausted, match="0 free values, 1 are needed") as failure:
            take(tx, "late")
        assert failure.value.details["nextFreeAt"] is None
        allocator.release(tx, "last")
        with pytest.raises(PoolExhausted, match="leaves quarantine at 2026-01-01T00:01:00"):
            take(tx, "late")
        clock.advance(timedelta(seconds=60))
        assert take(tx, "late") == 1010


def test_too_few_values_are_no_quarantine_that_ended_in_1970(vlans: Database) -> None:
    with vlans.write() as tx:
        with pytest.raises(PoolExhausted, match="10 free values, 11 are needed") as failure:
            allocator.take(tx, kind="s-vlan", scope="bng", owner="all", count=11)
        assert failure.value.details["nextFreeAt"] is None


def test_quarantine_keeps_others_away_until_it_ends(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        take(tx, "a", state="active")
        (released,) = allocator.release(tx, "a", cause=CAUSE)
        assert (released.state, released.value) == ("quarantined", 1001)
        with pytest.raises(ValueQuarantined, match="until 2026-01-01T00:01:00"):
            take(tx, "b", value=1001)
        assert take(tx, "b") == 1002
        clock.advance(timedelta(seconds=59))
        with pytest.raises(ValueQuarantined):
            take(tx, "c", value=1001)
        clock.advance(timedelta(seconds=1))
        assert take(tx, "c", value=1001) == 1001


def test_the_same_subject_gets_its_value_back_early(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        take(tx, "a", subject="anna")
        take(tx, "b", subject="bert")
        allocator.release(tx, "a")
        allocator.release(tx, "b")
        assert take(tx, "c", subject="cleo") == 1003
        assert take(tx, "b2", subject="bert") == 1002
        assert take(tx, "a2", subject="anna", value=1001) == 1001
        with pytest.raises(ValueTaken):
            take(tx, "x", subject="anna", value=1001)
        clock.advance(timedelta(seconds=1))
        resting = allocator.allocations(tx, pool=POOL, quarantined=True)
        assert {one.state for one in resting} == {"reserved"}


def test_without_quarantine_a_value_is_free_at_once_and_first(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "a")
        take(tx, "b")
        (released,) = allocator.release(tx, "a", quarantine=False)
        assert released.state == "reserved"
        assert take(tx, "c") == 1001


def test_fresh_values_come_before_released_ones(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        for owner in ("a", "b"):
            take(tx, owner)
        allocator.release(tx, "b")
        clock.advance(timedelta(seconds=1))
        allocator.release(tx, "a")
        clock.advance(timedelta(hours=1))
        order = [take(tx, f"n{n}") for n in range(10)]
        assert order == [*range(1003, 1011), 1002, 1001]


def test_releasing_twice_or_for_nobody_does_nothing(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "a")
        assert len(allocator.release(tx, "a")) == 1
        assert allocator.release(tx, "a") == ()
        assert allocator.release(tx, "nobody") == ()


def test_reservations_end_by_themselves(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        take(tx, "short", ttl_seconds=10)
        take(tx, "long", ttl_seconds=100)
        take(tx, "order")
        clock.advance(timedelta(seconds=10))
        assert {one.owner for one in allocator.allocations(tx, pool=POOL)} == {"long", "order"}
        with pytest.raises(AllocationNotFound, match="expired"):
            allocator.confirm(tx, "short")
        assert allocator.expire(tx) == 1
        assert allocator.expire(tx) == 0
        assert take(tx, "new") == 1001


def test_an_expired_reservation_is_no_obstacle_before_the_sweep(
    vlans: Database, clock: ManualClock
) -> None:
    with vlans.write() as tx:
        allocator.take(tx, kind="s-vlan", scope="bng", owner="short", count=10, ttl_seconds=10)
        with pytest.raises(PoolExhausted):
            take(tx, "new")
        with pytest.raises(ValueTaken):
            take(tx, "new", value=1004)
        clock.advance(timedelta(seconds=10))
        assert take(tx, "given", value=1004) == 1004
        assert take(tx, "next") == 1001
        assert take(tx, "short") == 1002


def test_confirmed_values_do_not_expire(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        take(tx, "a", ttl_seconds=10)
        (confirmed,) = allocator.confirm(tx, "a")
        assert (confirmed.state, confirmed.expires_at) == ("active", None)
        assert allocator.confirm(tx, "a") == (confirmed,)
        clock.advance(timedelta(days=1))
        assert allocator.expire(tx) == 0
        with pytest.raises(AllocationNotFound):
            allocator.confirm(tx, "nobody")


def test_many_values_at_once(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "mid", value=1003)
        taken = allocator.take(tx, kind="s-vlan", scope="bng", owner="many", count=5)
        assert [one.value for one in taken] == [1001, 1002, 1004, 1005, 1006]
        again = allocator.take(tx, kind="s-vlan", scope="bng", owner="many", count=5)
        assert [one.value for one in again] == [one.value for one in taken]
        assert len(allocator.release(tx, "many")) == 5


def test_one_owner_in_two_pools_gives_both_back(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "o")
        allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="o")
        assert {one.kind for one in allocator.confirm(tx, "o")} == {"s-vlan", "c-vlan"}
        assert {one.kind for one in allocator.release(tx, "o")} == {"s-vlan", "c-vlan"}


def test_confirming_in_one_pool_leaves_the_other_reserved(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "o")
        allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="o")
        assert [one.kind for one in allocator.confirm(tx, "o", pool=POOL)] == ["s-vlan"]
        states = {one.kind: one.state for one in allocator.allocations(tx, owner="o")}
        assert states == {"s-vlan": "active", "c-vlan": "reserved"}
        with pytest.raises(AllocationNotFound):
            allocator.confirm(tx, "o", pool="s-vlan@elsewhere")


def test_tidying_leaves_stripes_alone(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=1, last=40, stripes=4, quarantine_seconds=1)
        for number in range(1, 4):
            take(tx, f"o{number}", value=number)
        for number in range(1, 4):
            allocator.release(tx, f"o{number}")
            clock.advance(timedelta(seconds=2))
        assert allocator.tidy(tx) == 2
        assert ranges(tx) == [(1, 3), (4, 10), (11, 20), (21, 30), (31, 40)]
        assert take(tx, "next") == 4


def test_an_orders_value_is_not_released_by_hand(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "order", cause=CAUSE)
        take(tx, "hand")
        allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="hand")
        with pytest.raises(OwnedByOrder, match="order-1") as failure:
            allocator.release_by_api(tx, POOL, "order")
        assert failure.value.code == "OWNED_BY_ORDER"
        assert [one.value for one in allocator.release_by_api(tx, POOL, "hand")] == [1002]
        assert [one.kind for one in allocator.allocations(tx, owner="hand")] == ["c-vlan"]
        with pytest.raises(AllocationNotFound):
            allocator.release_by_api(tx, POOL, "hand")


def test_a_shared_value_lives_until_its_last_user(vlans: Database) -> None:
    share: dict[str, Any] = {"kind": "s-vlan", "scope": "bng", "shared_by": "olt/pon1"}
    with vlans.write() as tx:
        first = allocator.take_shared(tx, **share, user="u1", cause=CAUSE)
        assert allocator.take_shared(tx, **share, user="u2", cause=CAUSE) == first
        assert allocator.take_shared(tx, **share, user="u1", cause=CAUSE) == first
        other = allocator.take_shared(
            tx, kind="s-vlan", scope="bng", shared_by="olt/pon2", user="u1"
        )
        assert (first.value, other.value, first.state) == (1001, 1002, "active")
        assert not allocator.release_shared(tx, **share, user="u1", cause=CAUSE)
        assert not allocator.release_shared(tx, **share, user="u1", cause=CAUSE)
        assert not allocator.release_shared(tx, **share, user="stranger", cause=CAUSE)
        assert pools.pool(tx, POOL).allocated == 2
        assert allocator.release_shared(tx, **share, user="u2", cause=CAUSE)
        assert pools.pool(tx, POOL).allocated == 1
        assert pools.pool(tx, POOL).quarantined == 1
        assert not allocator.release_shared(tx, **share, user="u2", cause=CAUSE)


def test_a_full_pool_refuses_a_new_share_but_not_a_known_one(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "bng", first=7, last=7)
        share: dict[str, Any] = {"kind": "s-vlan", "scope": "bng"}
        allocator.take_shared(tx, **share, shared_by="pon1", user="a")
        assert allocator.take_shared(tx, **share, shared_by="pon1", user="b").value == 7
        with pytest.raises(PoolExhausted):
            allocator.take_shared(tx, **share, shared_by="pon2", user="c")


def test_the_past_is_known(vlans: Database, clock: ManualClock) -> None:
    start = clock.now()
    second = timedelta(seconds=1)
    with vlans.write() as tx:
        take(tx, "a", cause=CAUSE)
        clock.advance(second)
        allocator.confirm(tx, "a")
        clock.advance(second)
        allocator.release(tx, "a", cause=Cause("order-2", "1", "rom"))
        clock.advance(timedelta(minutes=2))
        take(tx, "b", value=1001)

        def then(at: Any, **more: Any) -> list[tuple[str, str]]:
            found = allocator.allocations(tx, pool=POOL, value=1001, at=at, **more)
            return [(one.owner, one.state) for one in found]

        assert then(start - second) == []
        assert then(start) == [("a", "reserved")]
        assert then(start + second) == [("a", "active")]
        assert then(start + 2 * second) == []
        assert then(start + 2 * second, quarantined=True) == [("a", "quarantined")]
        assert then(start + 62 * second, quarantined=True) == []
        assert then(None) == [("b", "reserved")]
        closed = tx.row(select(allocation).where(allocation.c.owner == "a"))
        assert closed is not None
        assert (closed.order_id, closed.end_order_id) == ("order-1", "order-2")


def test_owners_are_found_by_prefix_case_and_wildcards_included(vlans: Database) -> None:
    with vlans.write() as tx:
        for owner in ("res-1:a:1", "res-1:b:1", "res-10:a:1", "RES-1:a:1", "res%1:a:1", "res-1"):
            take(tx, owner)

        def owners(prefix: str) -> set[str]:
            return {one.owner for one in allocator.allocations(tx, owner_prefix=prefix)}

        assert owners("res-1:") == {"res-1:a:1", "res-1:b:1"}
        assert owners("res-1") == {"res-1:a:1", "res-1:b:1", "res-10:a:1", "res-1"}
        assert owners("res%") == {"res%1:a:1"}


def test_a_dry_run_takes_nothing_and_foretells_the_value(vlans: Database) -> None:
    with vlans.dry_run() as tx:
        foretold = take(tx, "o"), allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="o")
    with vlans.write() as tx:
        assert pools.pool(tx, POOL).free == 10
        assert (
            take(tx, "o"),
            allocator.take(tx, kind="c-vlan", scope="bng/1001", owner="o"),
        ) == foretold


def test_a_row_that_no_range_knows_of_is_never_given_again(vlans: Database) -> None:
    with vlans.write() as tx:
        take(tx, "first")
        tx.execute(free_range.insert().values(pool=1, lo=1001, hi=1001))
        assert take(tx, "second") == 1002
        tx.execute(free_range.insert().values(pool=1, lo=1001, hi=1001))
        with pytest.raises(ValueTaken, match="first"):
            take(tx, "third", value=1001)


def test_tidying_joins_neighbours(vlans: Database, clock: ManualClock) -> None:
    with vlans.write() as tx:
        for number in range(10):
            take(tx, f"o{number}")
        for number in (0, 1, 2, 5, 6, 9):
            allocator.release(tx, f"o{number}")
        assert allocator.tidy(tx) == 0
        clock.advance(timedelta(minutes=2))
        assert allocator.tidy(tx) == 3
        assert ranges(tx) == [(1001, 1003), (1006, 1007), (1010, 1010)]
        assert pools.pool(tx, POOL).free == 6
        assert [take(tx, f"n{n}") for n in range(3)] == [1001, 1002, 1003]


def test_tidying_keeps_released_addresses_apart_from_fresh_ones(
    base: Database, clock: ManualClock
) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4", "bng", prefix="10.0.0.0/28")
        where: dict[str, Any] = {"kind": "ipv4", "scope": "bng"}
        for owner in ("a", "b", "c"):
            allocator.take(tx, **where, owner=owner)
        for owner in ("b", "c"):
            allocator.release(tx, owner)
        clock.advance(timedelta(days=2))
        assert allocator.tidy(tx) == 1
        assert allocator.take(tx, **where, owner="d")[0].text == "10.0.0.5"


def test_tidying_in_steps_saves_as_much_as_at_once(base: Database) -> None:
    with base.write() as tx:
        for scope in ("a", "b"):
            pools.create_pool(tx, "s-vlan", scope, first=1, last=40, quarantine_seconds=0)
            for n in range(40):
                allocator.take(tx, kind="s-vlan", scope=scope, owner=f"{scope}{n}")
        for n in range(40):
            allocator.release(tx, f"a{n}")
            if n % 2:
                allocator.release(tx, f"b{n}")
    saved, place = 0, None
    for _ in range(100):
        with base.write() as tx:
            more, place = allocator.tidy_some(tx, place, limit=7)
        saved += more
        if place is None:
            break
    assert place is None
    assert saved == 39
    with base.write() as tx:
        assert allocator.tidy(tx) == 0
        assert [pools.pool(tx, f"s-vlan@{scope}").free for scope in "ab"] == [40, 20]


def test_expired_reservations_end_a_few_at_a_time(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "a", first=1, last=40)
        allocator.take(tx, kind="s-vlan", scope="a", owner="o", count=25, ttl_seconds=5)
    clock.advance(timedelta(seconds=6))
    ended = []
    for _ in range(4):
        with base.write() as tx:
            ended.append(allocator.expire(tx, limit=10))
    assert ended == [10, 10, 5, 0]


def test_what_is_active_does_not_expire(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "a", first=1, last=2)
        allocator.take(tx, kind="s-vlan", scope="a", owner="o", ttl_seconds=5, state="active")
    clock.advance(timedelta(seconds=6))
    with base.write() as tx:
        assert allocator.expire(tx) == 0
        assert [one.owner for one in allocator.allocations(tx, pool="s-vlan@a")] == ["o"]


def test_a_given_value_is_one(vlans: Database) -> None:
    with vlans.write() as tx:
        with pytest.raises(InvalidInput):
            allocator.take(tx, kind="s-vlan", scope="bng", owner="o", value=1001, count=2)
        with pytest.raises(InvalidInput):
            allocator.Wish("s-vlan", "bng", "o", value=1001, count=2)
        assert allocator.allocations(tx, owner="o") == ()
