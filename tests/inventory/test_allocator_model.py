"""The allocator against a model of one dictionary, by random operations, on both stores."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from sqlalchemy import select

from inventory import allocator, pools
from inventory.errors import AllocationNotFound, PoolExhausted, ValueQuarantined, ValueTaken
from inventory.tables import free_range
from inventory.tables import pool as pool_table
from store import Database, ManualClock

FIRST, LAST, REST = 100, 111, 50
OWNERS = st.sampled_from([f"o{n}" for n in range(6)])
SUBJECTS = st.none() | st.sampled_from(["s1", "s2"])
TTLS = st.none() | st.integers(1, 40)
VALUES = st.integers(FIRST, LAST)
_scopes = count()


@dataclass
class Held:
    owner: str
    subject: str | None
    expires: datetime | None
    confirmed: bool = False


@dataclass
class Resting:
    until: datetime
    subject: str | None


class Machine(RuleBasedStateMachine):
    """One pool of twelve values; the model says of each value who holds it, or until when it rests."""

    def __init__(self, database: Database, clock: ManualClock) -> None:
        super().__init__()
        self.database, self.clock = database, clock
        self.scope = f"bng-{next(_scopes)}"
        self.held: dict[int, Held] = {}
        self.resting: dict[int, Resting] = {}
        self.shares: set[str] = set()
        with database.write() as tx:
            pools.create_pool(
                tx, "s-vlan", self.scope, first=FIRST, last=LAST, quarantine_seconds=REST
            )

    # -- the model ----------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def alive(self) -> dict[int, Held]:
        return {v: h for v, h in self.held.items() if h.expires is None or h.expires > self.now}

    def resting_now(self) -> dict[int, Resting]:
        return {v: r for v, r in self.resting.items() if r.until > self.now and v not in self.held}

    def free(self) -> set[int]:
        return set(range(FIRST, LAST + 1)) - self.alive().keys() - self.resting_now().keys()

    def of(self, owner: str) -> list[int]:
        return sorted(v for v, h in self.alive().items() if h.owner == owner)

    def give(self, value: int, held: Held) -> None:
        self.resting.pop(value, None)
        self.held[value] = held

    def end(self, owner: str, *, rest: bool) -> None:
        for value, held in list(self.held.items()):
            if held.owner == owner:
                del self.held[value]
                if rest:
                    until = self.now + timedelta(seconds=REST)
                    self.resting[value] = Resting(until, held.subject)

    # -- the operations -----------------------------------------------------------------------------

    def name(self, owner: str) -> str:
        """Return an owner of this machine alone: the database serves one machine after the other."""
        return f"{self.scope}/{owner}"

    def owner_key(self, owner: str) -> str:
        if owner.startswith("shared:"):
            return f"shared:{self.name(owner.removeprefix('shared:'))}"
        return self.name(owner)

    def take(self, owner: str, **more: Any) -> list[int]:
        with self.database.write() as tx:
            found = allocator.take(
                tx, kind="s-vlan", scope=self.scope, owner=self.name(owner), **more
            )
        return [one.value for one in found]

    def new(self, owner: str, subject: str | None, ttl: int | None) -> Held:
        return Held(owner, subject, None if ttl is None else self.now + timedelta(seconds=ttl))

    @rule(owner=OWNERS, subject=SUBJECTS, ttl=TTLS, how_many=st.integers(1, 4))
    def take_next(self, owner: str, subject: str | None, ttl: int | None, how_many: int) -> None:
        mine = self.of(owner)
        own = sorted(
            v for v, r in self.resting_now().items() if subject is not None and r.subject == subject
        )
        free = self.free() | (set(own) if how_many == 1 else set())
        if not mine and len(free) < how_many:
            with pytest.raises(PoolExhausted):
                self.take(owner, subject=subject, ttl_seconds=ttl, count=how_many)
            self.drop_expired(owner)
            return
        got = self.take(owner, subject=subject, ttl_seconds=ttl, count=how_many)
        if mine:
            assert sorted(got) == mine
            return
        assert len(set(got)) == how_many
        assert set(got) <= free
        if own and how_many == 1:
            assert got[0] in own
        for value in got:
            self.give(value, self.new(owner, subject, ttl))

    @rule(owner=OWNERS, value=VALUES, subject=SUBJECTS)
    def take_given(self, owner: str, value: int, subject: str | None) -> None:
        mine, rest = self.of(owner), self.resting_now().get(value)
        error: type[Exception] | None = None
        if mine:
            error = None if value in mine else ValueTaken
        elif value in self.alive():
            error = ValueTaken
        elif rest is not None and (subject is None or rest.subject != subject):
            error = ValueQuarantined
        if error is not None:
            with pytest.raises(error):
                self.take(owner, value=value, subject=subject)
            return
        got = self.take(owner, value=value, subject=subject)
        assert value in got
        if not mine:
            self.give(value, self.new(owner, subject, None))

    @rule(owner=OWNERS, rest=st.booleans())
    def release(self, owner: str, rest: bool) -> None:
        mine = self.of(owner)
        with self.database.write() as tx:
            found = allocator.release(tx, self.name(owner), quarantine=rest)
        assert set(mine) <= {one.value for one in found}
        self.end(owner, rest=rest)

    @rule(owner=OWNERS)
    def confirm(self, owner: str) -> None:
        mine = self.of(owner)
        with self.database.write() as tx:
            if not mine:
                with pytest.raises(AllocationNotFound):
                    allocator.confirm(tx, self.name(owner))
                return
            assert [one.value for one in allocator.confirm(tx, self.name(owner))] == mine
        for value in mine:
            self.held[value].confirmed, self.held[value].expires = True, None

    @rule(user=OWNERS)
    def share(self, user: str) -> None:
        mine = self.of("shared:port")
        if not mine and not self.free():
            return
        with self.database.write() as tx:
            taken = allocator.take_shared(
                tx, kind="s-vlan", scope=self.scope, shared_by=self.name("port"), user=user
            )
        if mine:
            assert [taken.value] == mine
        else:
            assert taken.value in self.free()
            self.give(taken.value, Held("shared:port", None, None, confirmed=True))
        self.shares.add(user)

    @rule(user=OWNERS)
    def unshare(self, user: str) -> None:
        with self.database.write() as tx:
            last = allocator.release_shared(
                tx, kind="s-vlan", scope=self.scope, shared_by=self.name("port"), user=user
            )
        assert last == (self.shares == {user})
        self.shares.discard(user)
        if last:
            self.end("shared:port", rest=True)

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds))

    @rule()
    def expire(self) -> None:
        with self.database.write() as tx:
            allocator.expire(tx)
        self.held = self.alive()

    @rule()
    def tidy(self) -> None:
        with self.database.write() as tx:
            allocator.tidy(tx)

    def drop_expired(self, owner: str) -> None:
        """A refused `take` is rolled back as a whole: nothing to do but to check that it was."""
        assert self.of(owner) == []

    # -- what is always so --------------------------------------------------------------------------

    @invariant()
    def counts_add_up(self) -> None:
        with self.database.read() as rx:
            pool = pools.pool(rx, f"s-vlan@{self.scope}")
        assert pool.allocated + pool.reserved + pool.quarantined + pool.free == pool.capacity
        confirmed = sum(held.confirmed for held in self.alive().values())
        assert (pool.allocated, pool.reserved) == (confirmed, len(self.alive()) - confirmed)
        assert pool.quarantined == len(self.resting_now())
        assert pool.free == len(self.free())

    @invariant()
    def values_are_where_the_model_has_them(self) -> None:
        with self.database.read() as rx:
            found = allocator.allocations(rx, pool=f"s-vlan@{self.scope}")
            query = select(free_range).join(pool_table, pool_table.c.number == free_range.c.pool)
            spans = rx.rows(query.where(pool_table.c.scope == self.scope))
        assert {one.value: one.owner for one in found} == {
            value: self.owner_key(held.owner) for value, held in self.alive().items()
        }
        unheld = [value for span in spans for value in range(span.lo, span.hi + 1)]
        assert len(unheld) == len(set(unheld))
        assert set(unheld) | self.held.keys() == set(range(FIRST, LAST + 1))
        assert not set(unheld) & self.alive().keys()


@pytest.fixture
def machine(base: Database, clock: ManualClock) -> Any:
    return lambda: Machine(base, clock)


def test_the_allocator_does_what_the_model_does(machine: Any, base: Database) -> None:
    examples = 20 if base.dialect == "sqlite" else 5
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=30,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
