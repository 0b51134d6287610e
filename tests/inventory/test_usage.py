"""How full pools are, now and at any past time: counted quickly, and the same when counted value by value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, update

from inventory import allocator, pools, reshape
from inventory.counting import usage
from inventory.counting.integrity import Report, verify
from inventory.counting.usage import Pool
from inventory.errors import PoolNotFound
from inventory.raw import Raw
from inventory.tables import allocation, free_range
from store import Database, ManualClock, TurnupError, Tx

MINUTE = timedelta(minutes=1)
_scopes = count()


def vlans(tx: Tx, scope: str = "bng", **more: Any) -> Pool:
    return pools.create_pool(tx, "s-vlan", scope, **({"first": 1, "last": 100} | more))


def take(tx: Tx, owner: str, scope: str = "bng", **more: Any) -> None:
    allocator.take(tx, kind="s-vlan", scope=scope, owner=owner, **more)


def numbers(pool: Pool | Report) -> tuple[int, int, int, int, int]:
    return pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free


# -- which ------------------------------------------------------------------------------------------


def test_pools_are_listed_by_kind_scope_and_domain_a_page_at_a_time(base: Database) -> None:
    with base.write() as tx:
        for scope in ("c", "a", "b"):
            vlans(tx, scope)
        pools.create_pool(tx, "ipv4", "x", prefix="10.0.0.0/24", domain="red")
        pools.create_pool(tx, "ipv4", "y", prefix="10.0.0.0/24")
        pools.create_pool(tx, "ipv6-prefix", "z", prefix="2001:db8::/44", domain="red")
    with base.read() as rx:
        everything = [pool.id for pool in usage.pools(rx)]
        assert everything == [
            *("ipv4@x", "ipv4@y", "ipv6-prefix@z", "s-vlan@a", "s-vlan@b", "s-vlan@c"),
        ]
        assert [p.id for p in usage.pools(rx, offset=1, limit=2)] == everything[1:3]
        assert [p.id for p in usage.pools(rx, offset=4)] == everything[4:]
        assert [p.id for p in usage.pools(rx, "s-vlan", limit=1)] == ["s-vlan@a"]
        assert [p.id for p in usage.pools(rx, domain="red")] == ["ipv4@x", "ipv6-prefix@z"]
        assert [p.id for p in usage.pools(rx, domain="ipv4/red")] == ["ipv4@x"]
        assert [p.domain for p in usage.pools(rx, kind="ipv4")] == ["red", "default"]
        assert usage.count_pools(rx) == 6
        assert usage.count_pools(rx, domain="default") == 1
        assert usage.count_pools(rx, scope="a") == 1
        assert usage.count_pools(rx, at=rx.now - MINUTE) == 0
        assert usage.pools(rx, at=rx.now - MINUTE) == []


def test_a_pool_tells_its_shape(base: Database) -> None:
    with base.write() as tx:
        made = vlans(tx, exclude=["10-19"], bands={"static": "50-59", "lab": "90-100"}, stripes=2)
        take(tx, "o", band="lab", count=3)
        found = usage.pool(tx, made.id)
        assert found.exclusions == ((10, 19),)
        assert [(b.name, b.spans, b.capacity, b.free) for b in found.bands] == [
            ("static", ((50, 59),), 10, 10),
            ("lab", ((90, 100),), 11, 8),
        ]
        assert (found.stripes, found.reuse, found.created, found.parent) == (
            2,
            "lowest",
            tx.now,
            None,
        )
        assert numbers(found) == (90, 0, 3, 0, 87)
        assert usage.free_of(tx, "s-vlan", ["bng", "none"]) == {"bng": 69}
        then = usage.pool(tx, made.id, at=tx.now)
        assert [(b.name, b.free) for b in then.bands] == [("static", None), ("lab", None)]
        pools.create_pool(tx, "onu-serial", "HG", values=["HWTC00000001", "HWTC00000009"])
        assert usage.pool(tx, "onu-serial@HG").exclusions == ()


def test_what_has_expired_is_free_before_it_is_swept(base: Database, clock: ManualClock) -> None:
    with base.write() as tx:
        vlans(tx)
        take(tx, "o", count=4, ttl_seconds=30)
        clock.advance(MINUTE)
        assert numbers(usage.pool(tx, "s-vlan@bng")) == (100, 0, 0, 0, 100)
        assert usage.free_of(tx, "s-vlan", ["bng"]) == {"bng": 100}
        assert numbers(verify(tx, "s-vlan@bng")) == (100, 0, 0, 0, 100)
        assert verify(tx, "s-vlan@bng").sound


# -- verify -----------------------------------------------------------------------------------------


def test_verify_finds_what_is_wrong_and_where(base: Database) -> None:
    with base.write() as tx:
        vlans(tx, bands={"static": "50-59"})
        take(tx, "o", value=7)
        number = usage.pool(tx, "s-vlan@bng").number
        assert verify(tx, "s-vlan@bng").sound

        def damage() -> list[tuple[str, str, str]]:
            report = verify(tx, "s-vlan@bng")
            assert not report.sound
            return [(one.what, one.first, one.last) for one in report.discrepancies]

        tx.execute(insert(free_range), {"pool": number, "lo": 7, "hi": 7})
        assert damage() == [("twice", "7", "7")]
        tx.execute(delete(free_range).where(free_range.c.hi == 7))
        tx.execute(delete(free_range).where(free_range.c.hi == 6))
        assert damage() == [("lost", "1", "6")]
        tx.execute(insert(free_range), {"pool": number, "lo": 0, "hi": 6})
        assert damage() == [("outside", "0", "0")]
        tx.execute(update(free_range).where(free_range.c.hi == 6).values(lo=1))
        tx.execute(update(free_range).where(free_range.c.hi == 59).values(pool=number))
        assert damage() == [("misplaced", "50", "59")]
        tx.execute(delete(allocation))
        tx.execute(update(free_range).where(free_range.c.hi == 6).values(hi=7, lo=8))
        assert ("twice", "7", "8") in damage()
        with pytest.raises(PoolNotFound):
            verify(tx, "s-vlan@none")


# -- the past ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Step:
    """Something to do with one of two pools, of few owners and few values."""

    what: str
    who: int
    low: int
    high: int

    def do(self, tx: Tx, scope: str) -> None:
        here, there = (scope, f"{scope}/2") if self.who % 2 else (f"{scope}/2", scope)
        owner = f"{scope}:{self.who}"
        if self.what in SHAPING:
            SHAPING[self.what](tx, f"s-vlan@{here}", f"s-vlan@{there}", self)
        else:
            HOLDING[self.what](tx, owner, here, self)

    def part(self, tx: Tx, pool: str) -> tuple[int, int]:
        """Return a part of a pool as it is now."""
        now = usage.pool(tx, pool)
        first = min(now.first + self.low % 20, now.last)
        return first, min(first + self.high % 8, now.last)

    def rest(self, tx: Tx, pool: str) -> tuple[int, int]:
        """Return all of a pool but a few of its last values."""
        now = usage.pool(tx, pool)
        return now.first, now.last - self.low % 4

    def more(self, tx: Tx, pool: str) -> tuple[int, int]:
        """Return a few values after a pool's last one, or some that may lie in its gaps."""
        now = usage.pool(tx, pool)
        first = now.last + 1 if self.low % 2 else self.high
        return first, first + self.low % 4


HOLDING: dict[str, Callable[[Tx, str, str, Step], Any]] = {
    "take": lambda tx, owner, scope, step: take(
        tx, owner, scope, count=1 + step.low % 3, subject=owner if step.who < 3 else None
    ),
    "reserve": lambda tx, owner, scope, step: take(tx, owner, scope, ttl_seconds=step.low * 10),
    "ask": lambda tx, owner, scope, step: take(tx, owner, scope, value=step.high, state="active"),
    "confirm": lambda tx, owner, scope, step: allocator.confirm(tx, owner),
    "release": lambda tx, owner, scope, step: allocator.release(
        tx, owner, quarantine=step.low % 4 > 0
    ),
    "reassign": lambda tx, owner, scope, step: reshape.reassign(
        tx, f"s-vlan@{scope}", owner, f"{owner}'"
    ),
    "sweep": lambda tx, owner, scope, step: (allocator.expire(tx), allocator.tidy(tx)),
}
SHAPING: dict[str, Callable[[Tx, str, str, Step], Any]] = {
    "move": lambda tx, here, there, step: reshape.move(
        tx, here, to=there, first=step.part(tx, here)[0], last=step.part(tx, here)[1]
    ),
    "shrink": lambda tx, here, there, step: reshape.shrink(
        tx, here, first=step.rest(tx, here)[0], last=step.rest(tx, here)[1]
    ),
    "grow": lambda tx, here, there, step: reshape.grow(
        tx, here, first=step.more(tx, here)[0], last=step.more(tx, here)[1]
    ),
    "drain": lambda tx, here, there, step: reshape.drain(tx, here, on=step.low % 2 == 0),
    "change": lambda tx, here, there, step: reshape.change(
        tx, here, quarantine_seconds=step.high * 10
    ),
    "pressure": lambda tx, here, there, step: reshape.declare_pressure(
        tx, here, seconds=step.low * 10, reason=str(step.high)
    ),
}
STEPS = st.lists(
    st.builds(
        Step,
        st.sampled_from([*HOLDING, "release", *SHAPING]),
        st.integers(0, 5),
        st.integers(1, 40),
        st.integers(1, 40),
    ),
    min_size=20,
    max_size=40,
)


def picture(tx: Tx, ids: list[str], at: datetime | None = None) -> list[Any]:
    """Return all that is told of pools: their shape and use, and who holds what."""
    found: list[Any] = []
    for id_ in ids:
        pool = usage.pool(tx, id_, at)
        found.append(replace(pool, bands=tuple(replace(band, free=None) for band in pool.bands)))
        held = allocator.allocations(tx, pool=id_, at=at, quarantined=True)
        found.append(sorted((one.value, one.owner, one.state) for one in held))
    return found


def test_the_past_is_told_as_it_was(base: Database, clock: ManualClock) -> None:
    done: Counter[str] = Counter()

    @settings(
        max_examples=20 if base.dialect == "sqlite" else 6,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(steps=STEPS, pauses=st.lists(st.integers(1, 120), min_size=40, max_size=40))
    def told(steps: list[Step], pauses: list[int]) -> None:
        with base.write() as tx:
            done.update(_live(tx, clock, steps, pauses))

    told()
    assert done.keys() >= {
        "take",
        "reserve",
        "release",
        "move",
        "shrink",
        "grow",
        "change",
        "drain",
    }


def _live(tx: Tx, clock: ManualClock, steps: list[Step], pauses: list[int]) -> Counter[str]:
    """Do one step after the other, remember what was told after each, and ask for all of that at the end."""
    scope = f"bng-{next(_scopes)}"
    ids = [f"s-vlan@{scope}", f"s-vlan@{scope}/2"]
    vlans(tx, scope, last=20, bands={"static": "5-8"}, quarantine_seconds=90)
    vlans(tx, f"{scope}/2", first=21, last=40, exclude=["30"], quarantine_seconds=200)
    done: Counter[str] = Counter()
    pictures: list[tuple[datetime, list[Any]]] = []
    for step, pause in zip(steps, pauses, strict=False):
        clock.advance(timedelta(seconds=pause))
        try:
            with tx.savepoint():
                step.do(tx, scope)
            done[step.what] += 1
        except TurnupError:
            pass
        pictures.append((tx.now, picture(tx, ids)))
        for id_ in ids:
            report = verify(tx, id_)
            assert report.discrepancies == ()
            assert numbers(report) == numbers(usage.pool(tx, id_))
    for moment, was in pictures:
        assert picture(tx, ids, moment) == was
    return done


def test_a_pool_of_many_is_counted_without_reading_them(base: Database) -> None:
    with base.write() as tx:
        pools.create_pool(tx, "number", "n", first=0, last=99_999)
        allocator.take(tx, kind="number", scope="n", owner="o", count=20_000, state="active")
        raw = Raw(tx)
        plan = "EXPLAIN QUERY PLAN" if base.dialect == "sqlite" else "EXPLAIN"
        if base.dialect == "postgresql":
            raw.run("ANALYZE allocation")
        text = usage._NOW + "(SELECT * FROM pool p WHERE p.id = ?) p"
        found = raw.all(f"{plan} {text}", 0, 0, 0, "number@n")
        told = " ".join(str(cell) for row in found for cell in row)
        assert "ix_allocation_open" in told
        assert "uq_allocation" not in told
        assert numbers(usage.pool(tx, "number@n")) == (100_000, 20_000, 0, 0, 80_000)
