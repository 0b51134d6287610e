"""Pools carved from pools: what the parent gives, in which parts, to whom, and how it comes back."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select, update

from inventory import allocator, journal, pools, tables
from inventory.errors import (
    AllocationNotFound,
    InvalidPrefix,
    InvalidRange,
    PoolDraining,
    PoolExhausted,
    PoolExists,
    PoolInUse,
    PoolNotFound,
    PoolOverlap,
    ValueOutsidePool,
    ValueQuarantined,
    ValueTaken,
)
from inventory.pools import Pool
from inventory.shaping import carving, extents
from store import Database, ManualClock, Rx, TurnupError, Tx
from store.errors import InvalidInput
from store.types import metadata

PARENT = "ipv4-prefix@core"


@pytest.fixture
def core(base: Database) -> Database:
    """Return a database with 10.0.0.0/16 in parts of /24."""
    with base.write() as tx:
        pools.create_pool(tx, "ipv4-prefix", "core", prefix="10.0.0.0/16", prefix_length=24)
    return base


def carve(tx: Tx, scope: str, kind: str = "ipv4", parent: str = PARENT, **words: Any) -> Pool:
    return pools.create_pool(tx, kind, scope, parent=parent, **words)


def held(rx: Rx, child: str, parent: str = PARENT) -> list[str]:
    found = allocator.allocations(rx, pool=parent, owner=f"pool:{child}")
    assert {one.state for one in found} <= {"active"}
    return [one.text for one in found]


def remove(tx: Tx, made: Pool) -> None:
    """Give a child's values back and end it, as `reshape.remove` does."""
    carving.give_back(tx, made.number)
    tx.execute(
        update(tables.pool).where(tables.pool.c.number == made.number).values(removed=tx.now)
    )


def rows(rx: Rx) -> dict[str, int]:
    names = (
        "pool",
        "pool_span",
        "pool_band",
        "pool_extent",
        "pool_event",
        "free_range",
        "allocation",
    )
    return {
        name: rx.scalar(select(func.count()).select_from(metadata.tables[name])) for name in names
    }


def whole(rx: Rx, parent: str = PARENT) -> Pool:
    """Return the parent after checking that its values are all accounted for, each in one place."""
    found = pools.pool(rx, parent)
    free = rx.rows(
        select(tables.free_range.c.lo, tables.free_range.c.hi).where(
            tables.free_range.c.pool == found.number
        )
    )
    taken = [one.value for one in allocator.allocations(rx, pool=parent)]
    places = [value for row in free for value in range(row.lo, row.hi + 1)] + taken
    assert len(places) == len(set(places))
    assert set(places) == set(range(found.first, found.last + 1))
    assert found.allocated + found.reserved + found.quarantined + found.free == found.capacity
    return found


def test_the_next_free_prefix_of_a_length(core: Database) -> None:
    with core.write() as tx:
        one = carve(tx, "bng-1", prefix_length=24)
        assert one.params["prefix"] == "10.0.0.0/24"
        assert one.capacity == 253
        assert one.parent == PARENT
        assert one.domain == "default"
        assert held(tx, one.id) == ["10.0.0.0/24"]
        two = carve(tx, "bng-2", prefix="/22")
        assert two.params["prefix"] == "10.0.4.0/22"
        assert held(tx, two.id) == [f"10.0.{n}.0/24" for n in range(4, 8)]
        assert carve(tx, "bng-3", prefix_length=24).params["prefix"] == "10.0.1.0/24"
        parent = whole(tx)
        assert (parent.allocated, parent.free) == (6, 250)
        assert (
            allocator.take(tx, kind="ipv4-prefix", scope="core", owner="x")[0].text == "10.0.2.0/24"
        )


def test_a_given_prefix_and_a_part_of_it(core: Database) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", prefix="10.0.8.0/22", first="10.0.9.0", last="10.0.9.255")
        assert held(tx, made.id) == [f"10.0.{n}.0/24" for n in (8, 9, 10, 11)]
        assert made.capacity == 256
        ranged = carve(tx, "bng-2", first="10.0.20.0", last="10.0.22.255")
        assert held(tx, ranged.id) == [f"10.0.{n}.0/24" for n in (20, 21, 22)]
        whole(tx)


def test_pools_of_prefixes_carved_from_pools_of_prefixes(core: Database) -> None:
    with core.write() as tx:
        region = carve(tx, "north", "ipv4-prefix", prefix="/20", prefix_length=28)
        assert region.params == {"prefix": "10.0.0.0/20", "prefixLength": 28}
        assert region.capacity == 256
        site = carve(tx, "site-1", "ipv4-prefix", region.id, prefix="/26", prefix_length=32)
        assert site.params == {"prefix": "10.0.0.0/26", "prefixLength": 32}
        host = carve(tx, "site-2", parent=region.id, prefix="10.0.0.64/28")
        assert host.params["gateway"] == "10.0.0.65"
        assert held(tx, host.id, region.id) == ["10.0.0.64/28"]
        one = carve(tx, "single", "ipv4-prefix", prefix_length=24)
        assert one.params == {"prefix": "10.0.16.0/24", "prefixLength": 24}
        for id_ in (PARENT, region.id):
            whole(tx, id_)


def test_delegated_prefixes_for_each_bng(base: Database) -> None:
    with base.write() as tx:
        isp = pools.create_pool(tx, "ipv6-prefix", "isp", prefix="2001:db8::/32", prefix_length=40)
        first = carve(tx, "bng-1", "ipv6-prefix", isp.id, prefix_length=40)
        assert first.params == {"prefix": "2001:db8::/40", "prefixLength": 56}
        second = carve(tx, "bng-2", "ipv6-prefix", isp.id, prefix="/39", prefix_length=48)
        assert second.params == {"prefix": "2001:db8:200::/39", "prefixLength": 48}
        links = pools.create_pool(
            tx,
            "ipv6-prefix",
            "links",
            prefix="2001:db8:ff00::/48",
            prefix_length=64,
            parent=None,
            domain="other",
        )
        subnet = carve(tx, "link-1", "ipv6", links.id, prefix="/64")
        assert subnet.params == {"prefix": "2001:db8:ff00::/64", "gateway": "2001:db8:ff00::1"}
        assert (
            allocator.take(tx, kind="ipv6", scope="link-1", owner="o")[0].text == "2001:db8:ff00::2"
        )


def test_blocks_of_numbers_carved_from_a_plan(base: Database) -> None:
    with base.write() as tx:
        plan = pools.create_pool(tx, "msisdn", "plan", prefix="49170", prefix_length=12)
        with pytest.raises(InvalidRange, match="larger parts"):
            carve(tx, "brand", "msisdn", plan.id, prefix="4917012", prefix_length=12)
        brand = carve(
            tx,
            "brand",
            "msisdn",
            plan.id,
            prefix="49170123",
            prefix_length=12,
            exclude=["491701230000"],
        )
        assert (brand.first, brand.capacity) == (491701230001, 9_999)
        with pytest.raises(InvalidPrefix, match="has no prefixes"):
            carving.next_free(tx, carving.locked(tx, plan.id), 24, "x")
        vlans = pools.create_pool(tx, "s-vlan", "metro", first=1, last=100)
        ring = carve(tx, "ring-1", "s-vlan", vlans.id, first=11, last=20)
        assert (ring.domain, ring.capacity) == (None, 10)
        assert whole(tx, vlans.id).free == 90


def test_a_parent_of_addresses_gives_aligned_prefixes(base: Database) -> None:
    with base.write() as tx:
        flat = pools.create_pool(tx, "ipv4", "flat", prefix="10.0.0.0/24")
        assert carve(tx, "a", parent=flat.id, prefix="/28").params["prefix"] == "10.0.0.16/28"
        assert whole(tx, flat.id).free == 237


@pytest.mark.parametrize(
    ("words", "error", "why"),
    [
        ({}, InvalidPrefix, "Say which part"),
        ({"prefix": "/25"}, InvalidPrefix, "hands out parts such as"),
        ({"prefix": "/15"}, InvalidPrefix, "hands out parts such as"),
        ({"prefix": "/33"}, InvalidPrefix, "32 bits"),
        ({"prefix": "/x"}, InvalidPrefix, "malformed"),
        ({"prefix_length": 25}, InvalidPrefix, "hands out parts such as"),
        ({"prefix": "10.0.0.0/25"}, InvalidPrefix, "hands out prefixes of length 24"),
        ({"prefix": "10.0.0.1/24"}, InvalidPrefix, "host bits"),
        ({"prefix": "10.1.0.0/24"}, ValueOutsidePool, "outside pool"),
        ({"prefix": "10.0.0.0/15"}, ValueOutsidePool, "outside pool"),
        ({"prefix": "9.255.255.0/24"}, ValueOutsidePool, "outside pool"),
        ({"prefix": "10.0.1.0/24"}, ValueTaken, "belongs to pool:ipv4@first"),
        (
            {"prefix": "10.0.0.0/22"},
            ValueTaken,
            "10.0.1.0/24 of pool ipv4-prefix@core belongs to pool:ipv4@first",
        ),
        (
            {"first": "10.0.0.0", "last": "10.0.0.9"},
            InvalidPrefix,
            "hands out prefixes of length 24",
        ),
        ({"prefix": "10.0.9.0/24", "exclude": ["10.0.9.0/24"]}, InvalidRange, "Nothing is left"),
        (
            {"prefix": "/24", "bands": {"a": "10.77.0.0/24"}},
            InvalidRange,
            "lies outside the pool",
        ),
        ({"prefix": "/24", "domain": "voice"}, InvalidInput, "leave the domain out"),
        ({"prefix": "/24", "kind": "ipv6"}, InvalidRange, "no pool of kind ipv6"),
        ({"prefix": "/24", "kind": "s-vlan"}, InvalidRange, "no pool of kind s-vlan"),
        (
            {"values": ["HWTC00000001"], "kind": "onu-serial"},
            InvalidRange,
            "no pool of kind onu-serial",
        ),
        ({"prefix": "/24", "parent": "ipv4-prefix@none"}, PoolNotFound, "to carve from"),
        ({"prefix": "/24", "scope": "first"}, PoolExists, "exists already"),
        (
            {"prefix": "/24", "kind": "ipv4-prefix", "prefix_length": 20},
            InvalidPrefix,
            "cannot be cut",
        ),
    ],
)
def test_what_cannot_be_carved_changes_nothing(
    core: Database, words: dict[str, Any], error: type[TurnupError], why: str
) -> None:
    with core.write() as tx:
        carve(tx, "first", prefix="10.0.1.0/24")
        before = rows(tx)
        with pytest.raises(error, match=why) as failure:
            pools.create_pool(tx, **{"kind": "ipv4", "scope": "x", "parent": PARENT, **words})
        assert type(failure.value) is error
        assert rows(tx) == before
        whole(tx)


def test_only_the_parent_may_be_overlapped(core: Database) -> None:
    with core.write() as tx:
        child = carve(tx, "bng-1", prefix="10.0.0.0/24")
        for prefix in ("10.0.0.0/24", "10.0.0.128/25", "10.0.200.0/24", "10.0.0.0/15"):
            with pytest.raises(PoolOverlap, match="ipv4-prefix@core"):
                pools.create_pool(tx, "ipv4", "stranger", prefix=prefix)
        assert pools.create_pool(tx, "ipv4", "stranger", prefix="10.0.0.0/24", domain="voice").free
        assert pools.create_pool(tx, "ipv4", "neighbour", prefix="10.1.0.0/24").free
        with pytest.raises(InvalidRange, match="stays whole"):
            extents.pass_on(
                tx, child.number, pools.pool(tx, "ipv4@neighbour").number, child.first, child.last
            )


def test_a_draining_parent_gives_nothing(core: Database) -> None:
    with core.write() as tx:
        tx.execute(update(tables.pool).values(draining=1))
        for words in ({"prefix": "/24"}, {"prefix": "10.0.3.0/24"}):
            with pytest.raises(PoolDraining):
                carve(tx, "x", **words)


def test_excluded_and_reserved_parts_of_the_parent(base: Database) -> None:
    with base.write() as tx:
        parent = pools.create_pool(
            tx, "ipv4-prefix", "core", prefix="10.0.0.0/20", prefix_length=24,
            exclude=["10.0.2.0/24"], bands={"management": "10.0.4.0/22"},
        )  # fmt: skip
        assert carve(tx, "a", prefix="/22").params["prefix"] == "10.0.8.0/22"
        with pytest.raises(ValueOutsidePool, match="as a whole"):
            carve(tx, "b", prefix="10.0.0.0/22")
        assert held(tx, carve(tx, "m", prefix="10.0.4.0/23").id) == ["10.0.4.0/24", "10.0.5.0/24"]
        edge = carve(tx, "edge", first="10.0.7.0", last="10.0.7.255")
        both = carve(tx, "both", "ipv4-prefix", prefix="10.0.6.0/24", prefix_length=32)
        remove(tx, edge)
        remove(tx, both)
        after = pools.pool(tx, parent.id)
        assert (after.bands[0].capacity, after.quarantined) == (4, 2)


def test_a_child_given_back_rests_and_only_it_may_have_it_early(
    core: Database, clock: ManualClock
) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", prefix="10.0.4.0/22")
        remove(tx, made)
        parent = whole(tx)
        assert (parent.quarantined, parent.free) == (4, 252)
        with pytest.raises(ValueQuarantined, match="rests until") as failure:
            carve(tx, "bng-2", prefix="10.0.4.0/24")
        assert failure.value.details["until"]
        assert carve(tx, "bng-2", prefix="/22").params["prefix"] == "10.0.0.0/22"
        again = carve(tx, "bng-1", prefix="10.0.4.0/23")
        assert again.params["prefix"] == "10.0.4.0/23"
        assert whole(tx).quarantined == 2
        clock.advance(timedelta(hours=2))
        assert whole(tx).quarantined == 0
        assert carve(tx, "bng-3", prefix="10.0.6.0/23").free
        assert carve(tx, "bng-4", prefix="/22").params["prefix"] == "10.0.8.0/22"


def test_a_parent_without_quarantine_takes_back_at_once(base: Database) -> None:
    with base.write() as tx:
        parent = pools.create_pool(
            tx,
            "ipv4-prefix",
            "core",
            prefix="10.0.0.0/16",
            prefix_length=24,
            quarantine_seconds=0,
            reuse="lowest",
        )
        for _ in range(3):
            made = carve(tx, "bng-1", prefix="/22")
            assert made.params["prefix"] == "10.0.0.0/22"
            remove(tx, made)
        assert whole(tx, parent.id).free == 256


def test_free_neighbours_are_one_part_whatever_rows_they_are(
    base: Database, clock: ManualClock
) -> None:
    with base.write() as tx:
        pools.create_pool(
            tx,
            "ipv4-prefix",
            "core",
            prefix="10.0.0.0/20",
            prefix_length=24,
            stripes=4,
            quarantine_seconds=60,
        )
        for number in range(16):
            owner = f"o{number}"
            allocator.take(tx, kind="ipv4-prefix", scope="core", owner=owner, state="active")
        for number in range(16):
            allocator.release(tx, f"o{number}")
        with pytest.raises(PoolExhausted, match="length 22"):
            carve(tx, "a", prefix="/22")
        clock.advance(timedelta(minutes=2))
        assert carve(tx, "a", prefix="/21").params["prefix"] == "10.0.0.0/21"
        assert carve(tx, "b", prefix="/21").params["prefix"] == "10.0.8.0/21"
        assert whole(tx).free == 0
        with pytest.raises(PoolExhausted):
            carve(tx, "c", prefix="/24")


def test_expired_reservations_are_room_for_children(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4-prefix", "core", prefix="10.0.0.0/23", prefix_length=24)
        take: dict[str, Any] = {"kind": "ipv4-prefix", "scope": "core", "ttl_seconds": 10}
        allocator.take(tx, **take, owner="a")
        allocator.take(tx, **take, owner="b")
        with pytest.raises(PoolExhausted):
            carve(tx, "x", prefix="/24")
        with pytest.raises(ValueTaken, match="belongs to a"):
            carve(tx, "x", prefix="10.0.0.0/24")
        clock.advance(timedelta(seconds=11))
        assert carve(tx, "x", prefix="10.0.0.0/24").free
        assert carve(tx, "y", prefix="/24").params["prefix"] == "10.0.1.0/24"


def test_a_child_grows_by_what_the_parent_has(core: Database) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", first="10.0.0.0", last="10.0.0.255")
        extents.hold(tx, made.number, made.last + 1, made.last + 256)
        assert held(tx, made.id) == ["10.0.0.0/24", "10.0.1.0/24"]
        carve(tx, "bng-2", prefix="10.0.2.0/24")
        with pytest.raises(ValueTaken):
            extents.hold(tx, made.number, made.last + 257, made.last + 512)
        extents.hold(tx, made.number, made.last + 513, made.last + 768)
        extents.leave(tx, made.number, made.last + 513, made.last + 768)
        assert held(tx, made.id) == ["10.0.0.0/24", "10.0.1.0/24", "10.0.3.0/24"]
        remove(tx, made)
        assert whole(tx).quarantined == 3


def test_nothing_happens_when_an_uncarved_pool_gives_back(core: Database) -> None:
    with core.write() as tx:
        before = rows(tx)
        carving.give_back(tx, pools.pool(tx, PARENT).number)
        carving.give_back(tx, 999)
        assert rows(tx) == before


def test_what_a_child_was_carved_from_is_no_allocation_to_release(core: Database) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", prefix="/24")
        with pytest.raises(PoolInUse, match="remove that pool") as failure:
            allocator.release_by_api(tx, PARENT, f"pool:{made.id}")
        assert failure.value.details == {"pool": PARENT, "pools": [made.id]}
        assert held(tx, made.id) == ["10.0.0.0/24"]
        with pytest.raises(AllocationNotFound):
            allocator.release_by_api(tx, PARENT, "pool:nobody")


def test_journals_of_parent_and_child(core: Database) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", prefix="/24")
        assert [(e.what, e.details.get("child")) for e in journal.events(tx, PARENT)] == [
            ("created", None),
            ("carved", made.id),
        ]
        assert journal.events(tx, made.id)[0].details["parent"] == PARENT


def test_the_past_of_a_parent_is_kept(core: Database, clock: ManualClock) -> None:
    with core.write() as tx:
        made = carve(tx, "bng-1", prefix="/23")
    then = clock.now()
    clock.advance(timedelta(minutes=5))
    with core.write() as tx:
        remove(tx, made)
        assert held(tx, made.id) == []
        found = allocator.allocations(tx, pool=PARENT, at=then)
        assert [(one.owner, one.text) for one in found] == [
            (f"pool:{made.id}", "10.0.0.0/24"),
            (f"pool:{made.id}", "10.0.1.0/24"),
        ]


def test_the_greatest_part_is_cut_by_few_statements(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv6-prefix", "isp", prefix="2001:d00::/24", prefix_length=48)
        made = carve(tx, "region", "ipv6-prefix", "ipv6-prefix@isp", prefix="/32", prefix_length=48)
        assert made.capacity == 2**16
        parent = pools.pool(tx, "ipv6-prefix@isp")
        assert (parent.allocated, parent.free) == (2**16, 2**24 - 2**16)
        with pytest.raises(InvalidRange, match="65536 at most"):
            carve(tx, "too-much", "ipv6-prefix", "ipv6-prefix@isp", prefix="/31")
        remove(tx, made)
        assert pools.pool(tx, "ipv6-prefix@isp").quarantined == 2**16


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.integers(0, 6), st.integers(18, 25)), min_size=1, max_size=25))
def test_children_never_meet(core: Database, steps: list[tuple[int, int]]) -> None:
    with core.dry_run() as tx:
        children: dict[int, Pool] = {}
        for slot, length in steps:
            if slot in children:
                remove(tx, children.pop(slot))
                continue
            wrong = InvalidPrefix if length == 25 else PoolExhausted
            with contextlib.suppress(wrong):
                children[slot] = carve(tx, f"c{slot}", prefix=f"/{length}")
        parts = sorted((one.first, one.last) for one in children.values())
        assert all(a[1] < b[0] for a, b in pairwise(parts))
        whole(tx)


def race(works: list[Callable[[], object]]) -> list[object]:
    found: list[object] = [None] * len(works)
    gate = threading.Barrier(len(works))

    def run(index: int) -> None:
        gate.wait()
        try:
            found[index] = works[index]()
        except TurnupError as error:
            found[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_carving_and_taking_at_the_same_moment(core: Database) -> None:
    def child(scope: str, **words: Any) -> Callable[[], object]:
        def work() -> object:
            with core.write() as tx:
                return carve(tx, scope, **words)

        return work

    def takes(worker: int) -> Callable[[], object]:
        def work() -> object:
            for number in range(10):
                with core.write() as tx:
                    allocator.take(
                        tx,
                        kind="ipv4-prefix",
                        scope="core",
                        owner=f"w{worker}-{number}",
                        state="active",
                    )
            return None

        return work

    works = [child(f"n{n}", prefix="/22") for n in range(4)]
    works += [child(f"g{n}", prefix=f"10.0.{n * 4}.0/24") for n in (2, 3)]
    works += [takes(n) for n in range(2)]
    found = race(works)
    assert [
        one for one in found if isinstance(one, TurnupError) and not isinstance(one, ValueTaken)
    ] == []
    with core.read() as rx:
        parent = whole(rx)
        made = [one for one in found if isinstance(one, Pool)]
        assert len({one.id for one in made}) >= 4
        values = sum(len(held(rx, one.id)) for one in made)
        assert parent.allocated == values + 20


def test_the_same_child_made_at_the_same_moment_is_made_once(core: Database) -> None:
    def work() -> object:
        with core.write() as tx:
            return carve(tx, "bng-1", prefix="/22")

    found = race([work] * 4)
    assert sum(isinstance(one, Pool) for one in found) == 1
    assert sum(isinstance(one, PoolExists) for one in found) == 3
    with core.read() as rx:
        assert whole(rx).allocated == 4
