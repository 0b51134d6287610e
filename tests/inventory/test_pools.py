"""Pools: what they refuse, how they count, and that nothing is stored when they refuse."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import func, select, update

from inventory import allocator, journal, pools, tables
from inventory.errors import (
    BandUnknown,
    InvalidPrefix,
    InvalidRange,
    KindUnknown,
    PoolExhausted,
    PoolExists,
    PoolNotFound,
    PoolOverlap,
    ValueInvalid,
    ValueOutsidePool,
)
from inventory.pools import Pool
from inventory.raw import Raw
from inventory.shaping import extents
from store import Database, ManualClock, Rx, TurnupError
from store.errors import InvalidInput
from store.types import metadata


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


def content(rx: Rx) -> dict[str, int]:
    """Return how many rows each of the tables of pools has."""
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


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"kind": "colour", "scope": "x"}, KindUnknown),
        ({"kind": "ipv4", "scope": "x"}, InvalidRange),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.1/24"}, InvalidPrefix),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/99"}, InvalidPrefix),
        (
            {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "exclude": ["10.9.9.9"]},
            InvalidRange,
        ),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "exclude": ["all"]}, InvalidRange),
        (
            {
                "kind": "ipv4",
                "scope": "x",
                "prefix": "10.0.0.0/24",
                "bands": {"a": "10.0.0.0/8", "b": "10.0.0.9"},
            },
            InvalidRange,
        ),
        ({"kind": "ipv4", "scope": "x", "prefix": "192.0.2.128/25"}, PoolOverlap),
        (
            {"kind": "ipv4-prefix", "scope": "x", "prefix": "192.0.0.0/16", "prefix_length": 24},
            PoolOverlap,
        ),
        ({"kind": "ipv4", "scope": "there", "prefix": "10.0.0.0/24"}, PoolExists),
        ({"kind": "ipv4", "scope": "", "prefix": "10.0.0.0/24"}, InvalidInput),
        ({"kind": "ipv4", "scope": "a\nb", "prefix": "10.0.0.0/24"}, InvalidInput),
        ({"kind": "ipv4", "scope": "x" * 256, "prefix": "10.0.0.0/24"}, InvalidInput),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "domain": " "}, InvalidInput),
        (
            {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "quarantine_seconds": -1},
            InvalidInput,
        ),
        (
            {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "quarantine_seconds": 2**40},
            InvalidInput,
        ),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "stripes": 0}, InvalidInput),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/8", "stripes": 10**7}, InvalidInput),
        ({"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "reuse": "random"}, InvalidInput),
        (
            {"kind": "ipv4", "scope": "x", "prefix": "10.0.0.0/24", "parent": "ipv4@nowhere"},
            PoolNotFound,
        ),
        ({"kind": "onu-id", "scope": "x", "technology": "DSL"}, InvalidRange),
        ({"kind": "s-vlan", "scope": "x", "first": 0}, InvalidRange),
        ({"kind": "s-vlan", "scope": "x", "first": "one"}, ValueInvalid),
        ({"kind": "imsi", "scope": "x", "first": "26201", "last": "26202"}, ValueInvalid),
        ({"kind": "port", "scope": "x", "values": [" pon1"]}, ValueInvalid),
    ],
)
def test_refused_pools_change_nothing(
    base: Database, words: dict[str, Any], error: type[TurnupError]
) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4", "there", prefix="192.0.2.0/24")
        before = content(tx)
        with pytest.raises(error) as failure:
            pools.create_pool(tx, **words)
        assert type(failure.value) is error
        assert content(tx) == before


def test_nothing_excluded_is_ever_handed_out(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(
            tx, "ipv4", "bng", prefix="10.0.0.0/28", exclude=["10.0.0.4-10.0.0.6", "10.0.0.12/30"]
        )
        assert numbers(made) == (7, 0, 0, 0, 7)
        where: dict[str, Any] = {"kind": "ipv4", "scope": "bng"}
        for excluded in ("10.0.0.5", "10.0.0.13", "10.0.0.1", "10.0.0.15"):
            with pytest.raises(ValueOutsidePool):
                allocator.take(tx, **where, owner="x", value=excluded)
        taken = allocator.take(tx, **where, owner="all", count=7)
        assert [one.text for one in taken] == [f"10.0.0.{n}" for n in (2, 3, 7, 8, 9, 10, 11)]
        with pytest.raises(PoolExhausted):
            allocator.take(tx, **where, owner="more")


def test_bands_are_for_those_who_name_them(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(
            tx,
            "ipv4",
            "bng",
            prefix="10.0.0.0/28",
            bands={"static": "10.0.0.8/30"},
            quarantine_seconds=0,
        )
        assert made.capacity == 13
        where: dict[str, Any] = {"kind": "ipv4", "scope": "bng"}
        (first,) = allocator.take(tx, **where, owner="customer", band="static")
        (given,) = allocator.take(tx, **where, owner="by hand", value="10.0.0.10")
        anybody = allocator.take(tx, **where, owner="all", count=9)
        assert first.text == "10.0.0.8"
        assert given.text == "10.0.0.10"
        assert "10.0.0.9" not in {one.text for one in anybody}
        with pytest.raises(PoolExhausted):
            allocator.take(tx, **where, owner="more")
        with pytest.raises(BandUnknown):
            allocator.take(tx, **where, owner="more", band="dynamic")
        allocator.release(tx, "customer")
        assert allocator.take(tx, **where, owner="next", band="static")[0].text == "10.0.0.8"
        assert numbers(pools.pool(tx, made.id))[0] == 13


def test_a_pool_says_for_itself_how_values_come_back(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "s-vlan", "a", first=1, last=4, reuse="oldest", quarantine_seconds=0)
        row = tx.execute(select(tables.pool.c.reuse, tables.pool.c.quarantine_seconds)).one()
        assert tuple(row) == ("oldest", 0)


@pytest.mark.parametrize("make", [10, 0])
def test_stripes_are_cut_over_all_spans(base: Database, make: int) -> None:
    with base.write() as tx:
        pools.create_pool(
            tx, "s-vlan", "a", first=1, last=100, exclude=["50"], stripes=max(make, 1)
        )
        rows = tx.rows(
            select(tables.free_range.c.lo, tables.free_range.c.hi).order_by(tables.free_range.c.lo)
        )
        assert len(rows) == (make or 2)
        assert sum(row.hi - row.lo + 1 for row in rows) == 99


def test_ports_are_taken_by_name_and_added_later(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "port", "olt-1", values=["pon2", "pon1"])
        where: dict[str, Any] = {"kind": "port", "scope": "olt-1"}
        assert allocator.take(tx, **where, owner="a")[0].text == "pon2"
        assert allocator.take(tx, **where, owner="b", value="pon1")[0].text == "pon1"
        with pytest.raises(ValueOutsidePool, match="pon3"):
            allocator.take(tx, **where, owner="c", value="pon3")
        grown = pools.add_values(tx, "port@olt-1", ["pon1", "pon3", "pon4", "pon3"])
        assert numbers(grown) == (4, 0, 2, 0, 2)
        assert grown.params == {"names": ["pon2", "pon1", "pon3", "pon4"]}
        assert allocator.take(tx, **where, owner="c", value="pon4")[0].text == "pon4"
        assert pools.add_values(tx, "port@olt-1", ["pon4"]).capacity == 4


@pytest.mark.parametrize(
    ("kind", "words", "value", "text"),
    [
        (
            "ipv4-prefix",
            {"prefix": "10.0.0.0/8", "prefix_length": 31},
            "10.0.0.6/31",
            "10.0.0.0/31",
        ),
        ("ipv6", {"prefix": "2001:db8::/64"}, "2001:db8::99", "2001:db8::2"),
        ("vrf-rd", {"prefix": "65000", "first": 100}, "65000:120", "65000:100"),
        ("vrf-rt", {"prefix": "192.0.2.1"}, "192.0.2.1:9", "192.0.2.1:0"),
        ("msisdn", {"prefix": "4917012", "prefix_length": 12}, "+491701277777", "491701200000"),
        ("imsi", {"prefix": "00101"}, "001010000000077", "001010000000000"),
        ("iccid", {"prefix": "894902"}, "8949020000000000998", "8949020000000000006"),
        ("s-nssai", {"prefix": "1"}, "1-0000A1", "1-000000"),
        ("asn", {"first": 64512, "last": 65534}, "65000", "64512"),
        ("vxlan-vni", {"first": 10000, "last": 19999}, "10500", "10000"),
        ("number", {"first": 7, "last": 70}, "17", "7"),
        ("port", {"values": ["1/1/1", "1/1/2"]}, "1/1/2", "1/1/1"),
    ],
)
def test_every_kind_gives_next_and_given_values(
    base: Database, kind: str, words: dict[str, Any], value: str, text: str
) -> None:
    with base.write() as tx:
        made = pools.create_pool(tx, kind, "here", **words)
        where: dict[str, Any] = {"kind": kind, "scope": "here"}
        assert allocator.take(tx, **where, owner="next")[0].text == text
        (given,) = allocator.take(tx, **where, owner="given", value=value)
        assert given.text == value.removeprefix("+")
        assert made.free == made.capacity
        allocator.release(tx, "given")
        assert pools.pool(tx, made.id).capacity == made.capacity


@pytest.mark.parametrize(
    ("kind", "one", "other"),
    [
        (
            "msisdn",
            {"prefix": "4917012", "prefix_length": 12},
            {"first": "491701299999", "last": "491701300000"},
        ),
        ("imsi", {"prefix": "26201"}, {"prefix": "262017"}),
        ("iccid", {"prefix": "894902"}, {"prefix": "8949"}),
        ("vxlan-vni", {"first": 1, "last": 10}, {"first": 10, "last": 12}),
        ("asn", {"first": 64512, "last": 65534}, {"first": 65000, "last": 66000}),
        ("vrf-rd", {"prefix": "65000"}, {"prefix": "65000", "first": 7, "last": 7}),
        ("s-nssai", {"prefix": "1"}, {"first": "1-0000A1", "last": "1-0000A1"}),
        (
            "ipv4-prefix",
            {"prefix": "10.0.0.0/8", "prefix_length": 24},
            {"prefix": "10.255.255.0/24", "prefix_length": 32},
        ),
        ("ipv6", {"prefix": "2001:db8::/64"}, {"prefix": "2001:db8::/80"}),
        (
            "ipv6-prefix",
            {"prefix": "2001:db8::/40"},
            {"prefix": "2001:db8:12::/48", "prefix_length": 64},
        ),
    ],
)
def test_no_kind_with_a_domain_overlaps(
    base: Database, kind: str, one: dict[str, Any], other: dict[str, Any]
) -> None:
    with base.write() as tx:
        pools.create_pool(tx, kind, "one", **one)
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, kind, "other", **other)
        assert pools.create_pool(tx, kind, "other", domain="elsewhere", **other).free


def test_the_same_number_of_another_administrator_is_no_overlap(base: Database) -> None:
    with base.write() as tx:
        for administrator in ("65000", "65001", "192.0.2.1", "4200000000"):
            pools.create_pool(tx, "vrf-rd", administrator, prefix=administrator)


def test_excluded_ends_of_a_prefix_are_no_room_for_another_pool(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "ipv4", "a", prefix="10.0.0.0/24", exclude=["10.0.0.128/25"])
        for first, last in (
            ("10.0.0.0", "10.0.0.1"),
            ("10.0.0.200", "10.0.0.210"),
            ("9.0.0.0", "11.0.0.0"),
        ):
            with pytest.raises(PoolOverlap):
                pools.create_pool(tx, "ipv4", "b", first=first, last=last)


def test_two_parts_of_one_subnet_are_two_pools(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(
            tx, "ipv4", "dhcp", prefix="10.0.0.0/24", first="10.0.0.100", last="10.0.0.199"
        )
        pools.create_pool(tx, "ipv4", "static", prefix="10.0.0.0/24", last="10.0.0.99")
        with pytest.raises(PoolOverlap):
            pools.create_pool(tx, "ipv4", "x", prefix="10.0.0.0/24", first="10.0.0.199")


def test_the_places_of_removed_pools_are_free_again(base: Database) -> None:
    with base.write() as tx:
        for third in range(4):
            made = pools.create_pool(tx, "ipv4", f"{third}", prefix=f"10.0.{third}.0/24")
            tx.execute(
                update(tables.pool).where(tables.pool.c.id == made.id).values(removed=tx.now)
            )
        assert pools.create_pool(tx, "ipv4", "all", prefix="10.0.0.0/22").free == 1021
        assert content(tx)["pool_extent"] == 1


def test_an_overlap_is_found_by_one_look_among_thousands(
    base: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    under = extents._under

    def counted(raw: Raw, domain: str, high: int) -> object:
        nonlocal looks
        looks += 1
        return under(raw, domain, high)

    with base.write() as tx:
        made = pools.create_pool(tx, "ipv4", "first", prefix="11.0.0.0/24")
        extents.note(
            tx, made.number, "ipv4/default", [(n << 9, (n << 9) + 255) for n in range(5_000)]
        )
        monkeypatch.setattr(extents, "_under", counted)
        for low, high in ((700, 700), (0, 2**32 - 1), (5_000 << 8, 10**7)):
            with pytest.raises(PoolOverlap):
                extents.refuse(tx, "ipv4/default", (low, high))
        for low, high in ((256, 511), (2**31, 2**32 - 1)):
            assert extents.refuse(tx, "ipv4/default", (low, high)) == [(low, high)]
        assert looks == 5


def test_grown_and_shrunk_pools_keep_account_of_their_places(base: Database) -> None:
    def held(rx: Rx) -> list[tuple[int, int]]:
        table = tables.pool_extent
        rows = rx.rows(select(table.c.low, table.c.high).order_by(table.c.low))
        return [(int(row.low, 16), int(row.high, 16)) for row in rows]

    with base.write() as tx:
        one = pools.create_pool(tx, "asn", "one", first=100, last=199)
        other = pools.create_pool(tx, "asn", "other", first=300, last=399)
        extents.hold(tx, one.number, 150, 249)
        assert held(tx) == [(100, 199), (200, 249), (300, 399)]
        with pytest.raises(PoolOverlap, match="asn@other"):
            extents.hold(tx, one.number, 250, 300)
        assert held(tx) == [(100, 199), (200, 249), (300, 399)]
        extents.leave(tx, one.number, 120, 209)
        assert held(tx) == [(100, 119), (210, 249), (300, 399)]
        extents.pass_on(tx, one.number, other.number, 240, 249)
        with pytest.raises(PoolOverlap, match="asn@other"):
            pools.create_pool(tx, "asn", "x", first=245, last=245)
        assert pools.create_pool(tx, "asn", "x", first=120, last=209).capacity == 90
        plain = [pools.create_pool(tx, "s-vlan", scope, first=1, last=9).number for scope in "ab"]
        extents.pass_on(tx, plain[0], plain[1], 1, 3)
        extents.leave(tx, plain[0], 1, 3)
        extents.hold(tx, plain[0], 1, 3)


def test_the_journal_says_what_was_made(base: Database) -> None:
    with base.write() as tx:
        made = pools.create_pool(
            tx, "ipv4", "bng", prefix="10.0.0.0/28", bands={"static": "10.0.0.8/30"}
        )
        pools.create_pool(tx, "onu-serial", "HG")
        pools.add_values(tx, "onu-serial@HG", ["HWTC00000001"])
        (event,) = journal.events(tx, made.id)
        assert event.what == "created"
        assert event.details == {
            "values": 13,
            "first": "10.0.0.2",
            "last": "10.0.0.14",
            "bands": ["static"],
        }
        assert [event.what for event in journal.events(tx, "onu-serial@HG")] == ["created", "grown"]


def race(base: Database, *works: Callable[[], object]) -> list[object]:
    """Do all at the same moment; return what each gave or raised."""
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


def test_overlapping_pools_made_at_the_same_moment(base: Database) -> None:
    def create(scope: str, prefix: str) -> Callable[[], Pool]:
        def work() -> Pool:
            with base.write() as tx:
                return pools.create_pool(tx, "ipv4", scope, prefix=prefix)

        return work

    for turn in range(5):
        block = f"10.{turn}"
        found = race(
            base,
            create(f"{turn}a", f"{block}.0.0/16"),
            create(f"{turn}b", f"{block}.128.0/17"),
            create(f"{turn}c", f"{block}.0.0/24"),
            create(f"{turn}d", f"{block}.255.0/24"),
        )
        made = [one for one in found if isinstance(one, Pool)]
        refused = [one for one in found if isinstance(one, PoolOverlap)]
        assert len(made) + len(refused) == 4
        spans = sorted((one.first, one.last) for one in made)
        assert all(a[1] < b[0] for a, b in pairwise(spans))


def test_ports_added_at_the_same_moment_get_numbers_of_their_own(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "port", "olt-1", values=["pon1"])

    def add(name: str) -> Callable[[], Pool]:
        def work() -> Pool:
            with base.write() as tx:
                return pools.add_values(tx, "port@olt-1", [name, "both"])

        return work

    race(base, *(add(f"pon{n}") for n in range(2, 7)))
    with base.read() as rx:
        found = pools.pool(rx, "port@olt-1")
        names = found.params["names"]
        assert found.capacity == len(names) == len(set(names)) == 7
