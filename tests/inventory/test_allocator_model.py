"""The allocator and the reshaping of pools against a model of two dictionaries, by random operations, on both stores.

The model says of each value of each pool who holds it, or until when it rests; all else follows from that: what may
be given, what must be refused, how full pools are, and what was so at any past time. More examples than the few of an
ordinary run, and a failure reduced to its shortest form: TURNUP_MODEL_EXAMPLES=1000.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from inventory import allocator, journal, pools, reshape
from inventory.allocator import Allocation, Wish
from inventory.counting import usage
from inventory.errors import (
    AllocationNotFound,
    InvalidRange,
    PoolInUse,
    PoolNotFound,
    PoolOverlap,
    ValueTaken,
)
from store import Database, ManualClock, TurnupError
from tests.inventory.pool_model import REST, Asked, Contents, Held, Model, Picture, Resting

KIND = "s-vlan"
MAIN, SPARE, THIRD = "main", "spare", "third"
FIRST, LAST, HOLE, STATIC = 100, 107, 103, 106
FIRST_SPARE, LAST_SPARE = 200, 203
LOWEST = 98
NAMES = st.sampled_from([*[MAIN] * 6, *[SPARE] * 4, THIRD])
RARELY = st.sampled_from([False, False, False, True])
OWNERS = st.sampled_from([f"o{n}" for n in range(8)])
SUBJECTS = st.none() | st.sampled_from(["s1", "s2"])
TTLS = st.none() | st.integers(1, 40)
VALUES = st.integers(FIRST - 2, LAST + 2) | st.integers(FIRST_SPARE, LAST_SPARE + 1)
BANDS = st.sampled_from([None, None, None, "static", "none"])
MICRO = timedelta(microseconds=1)
EXAMPLES = int(os.environ.get("TURNUP_MODEL_EXAMPLES", "0"))
_scopes = count()

ASKED = st.one_of(
    st.builds(Asked, NAMES, OWNERS, st.sampled_from([1, 1, 1, 2, 3]), st.none(), BANDS),
    st.builds(Asked, NAMES, OWNERS, st.sampled_from([1, 1, 2, 3]), st.none(), st.none()),
    st.builds(Asked, NAMES, OWNERS, st.just(1), VALUES, st.none()),
)


# what customers do comes far more often than what engineers do
ACTS = st.one_of(
    st.tuples(st.just("take"), ASKED, SUBJECTS, TTLS),
    st.tuples(st.just("take"), ASKED, SUBJECTS, st.none()),
    st.tuples(st.just("take"), ASKED, st.none(), TTLS),
    st.tuples(st.just("set"), OWNERS, TTLS),
    st.tuples(st.just("set"), OWNERS, TTLS),
    st.tuples(st.just("release"), OWNERS, st.booleans()),
    st.tuples(st.just("confirm"), OWNERS, st.none() | NAMES),
)
POLICIES = st.one_of(
    st.tuples(st.just("drain"), NAMES, RARELY, st.lists(ACTS, min_size=1, max_size=4)),
    st.tuples(st.just("press"), NAMES, st.none() | st.integers(20, 120)),
    st.tuples(st.just("press"), NAMES, st.integers(60, 120)),
    st.tuples(st.just("reassign"), NAMES, OWNERS, OWNERS),
)
SHAPES = st.one_of(
    st.tuples(st.just("grow"), NAMES, st.integers(LOWEST, FIRST_SPARE), st.integers(1, 4)),
    st.tuples(st.just("shrink"), NAMES, st.integers(0, 3), st.integers(0, 3)),
    st.tuples(st.just("split"), st.sampled_from([MAIN, SPARE]), VALUES),
    st.tuples(st.just("split"), st.just(MAIN), st.integers(FIRST, LAST)),
    st.tuples(st.just("move"), NAMES, NAMES, st.integers(-1, 8), st.integers(1, 5)),
    st.tuples(st.just("move"), NAMES, NAMES, st.integers(0, 4), st.integers(1, 3)),
    st.tuples(st.just("remove"), st.sampled_from([THIRD, THIRD, THIRD, SPARE, MAIN])),
)


class Machine(RuleBasedStateMachine):
    """Two pools (a third one by splitting), six owners, a clock; each operation is done in both worlds."""

    def __init__(self, database: Database, clock: ManualClock, seen: Counter[str]) -> None:
        super().__init__()
        self.database, self.clock, self.seen = database, clock, seen
        self.scope = f"bng-{next(_scopes)}"
        self.model = Model(clock)
        self.past: list[tuple[datetime, str, Picture | None]] = []
        self.create(MAIN)
        self.create(SPARE)
        seen["examples"] += 1

    # -- names: the database serves one machine after the other ---------------------------------------

    def scope_of(self, name: str) -> str:
        return f"{self.scope}-{name}"

    def id_of(self, name: str) -> str:
        return f"{KIND}@{self.scope_of(name)}"

    def key_of(self, owner: str) -> str:
        prefix, _, rest = owner.rpartition(":")
        return f"{prefix}:{self.scope}/{rest}" if prefix else f"{self.scope}/{rest}"

    def there(self, name: str) -> bool:
        return name in self.model.pools

    def counted(self, what: str, error: object = None) -> None:
        self.seen["operations"] += 1
        self.seen[what if error is None else f"{what} refused"] += 1

    def expect(self, what: str, error: Any, work: Callable[[], Any]) -> Any:
        """Do it; it must be refused with this error, or not at all. Return None when it was refused."""
        self.counted(what, error)
        if error is None:
            return work()
        with pytest.raises(error):
            work()
        return None

    def written(self, work: Callable[..., Any], *args: Any, **more: Any) -> Any:
        with self.database.write() as tx:
            return work(tx, *args, **more)

    # -- pools ----------------------------------------------------------------------------------------

    @rule(name=st.sampled_from([MAIN, SPARE]))
    def create(self, name: str) -> None:
        if self.there(name):
            return
        scope = self.scope_of(name)
        if name == MAIN:
            static = range(STATIC, LAST + 1)
            content = Contents(
                set(range(FIRST, LAST + 1)) - {HOLE}, dict.fromkeys(static, "static"), {"static"}
            )
            more: dict[str, Any] = {
                "first": FIRST,
                "last": LAST,
                "exclude": [str(HOLE)],
                "bands": {"static": f"{STATIC}-{LAST}"},
            }
        else:
            content = Contents(set(range(FIRST_SPARE, LAST_SPARE + 1)))
            more = {"first": FIRST_SPARE, "last": LAST_SPARE, "reuse": "oldest", "stripes": 2}
        self.written(pools.create_pool, KIND, scope, quarantine_seconds=REST, **more)
        self.model.pools[name] = content
        self.counted("create")

    # -- taking ---------------------------------------------------------------------------------------

    def take(self, asked: Asked, subject: str | None, ttl: int | None) -> tuple[Allocation, ...]:
        found: tuple[Allocation, ...] = self.written(
            allocator.take,
            kind=KIND,
            scope=self.scope_of(asked.name),
            owner=self.key_of(asked.owner),
            value=asked.value,
            count=asked.how_many,
            band=asked.band,
            subject=subject,
            ttl_seconds=ttl,
        )
        return found

    def ends(self, ttl: int | None) -> datetime | None:
        return None if ttl is None else self.clock.now() + timedelta(seconds=ttl)

    @rule(acts=st.lists(ACTS, min_size=2, max_size=10))
    def customers(self, acts: list[Any]) -> None:
        self.serve(acts)

    def serve(self, acts: list[Any]) -> None:
        works: dict[str, Callable[..., None]] = {
            "take": self.take_one,
            "set": self.subscribe,
            "release": self.release,
            "confirm": self.confirm,
        }
        for what, *given in acts:
            works[what](*given)

    @rule(acts=st.lists(ACTS, min_size=2, max_size=10))
    def more_customers(self, acts: list[Any]) -> None:
        """Rules are chosen as often as each other; customers come more often than engineers."""
        self.serve(acts)

    def take_one(self, asked: Asked, subject: str | None, ttl: int | None) -> None:
        error = self.model.refusal(asked, subject)
        found = self.expect("take", error, lambda: self.take(asked, subject, ttl))
        if found is not None:
            self.settle(asked, found, subject, self.ends(ttl))

    def settle(
        self,
        asked: Asked,
        found: Sequence[Allocation],
        subject: str | None,
        ends: datetime | None,
    ) -> None:
        """Hold an answer against the model, and write it down there."""
        model, name = self.model, asked.name
        got = [one.value for one in found]
        mine = model.of(name, asked.owner)
        if mine:
            assert sorted(got) == mine
            return
        assert len(set(got)) == len(got) == asked.how_many
        resting = model.resting(name)
        early = [one for one in found if one.value in resting]
        if asked.value is not None:
            assert got == [asked.value]
        elif asked.how_many == 1 and asked.band is None and model.own(name, subject):
            assert got[0] in model.own(name, subject)
        else:
            self.settle_early(asked, found, early)
        assert set(got) <= model.free(name) | resting.keys()
        for ordinal, value in enumerate(got):
            model.give(name, value, Held(asked.owner, subject, ends, ordinal=ordinal))

    def settle_early(
        self, asked: Asked, found: Sequence[Allocation], early: Sequence[Allocation]
    ) -> None:
        """What was given before its time was due first, after all that was free, and there is a record of it."""
        model, shelf = self.model, self.model.pools[asked.name].shelf(asked.band)
        assert {one.value for one in found} <= shelf
        pressed = model.pressed(asked.name, shelf)
        assert len(early) <= len(pressed)
        resting = model.resting(asked.name)
        untils = sorted(resting[one.value].until for one in early)
        assert untils == [rest.until for rest in pressed[: len(early)]]
        if early:
            assert model.free(asked.name) & shelf <= {one.value for one in found}
        for one in found:
            assert ("earlyReuse" in (one.reason or {})) == (one in early)
        for one in early:
            with self.database.read() as rx:
                noted = journal.events(rx, self.id_of(asked.name))
            told = [event.details for event in noted if event.what == "earlyReuse"]
            assert told[-len(early) :]
            assert one.value in {details["value"] for details in told[-len(early) :]}
            self.seen["given early"] += 1

    def subscribe(self, owner: str, ttl: int | None) -> None:
        """Take the usual set: a value of each pool."""
        self.take_set([Asked(name, owner, 1, None, None) for name in self.model.pools], None, ttl)

    @rule(wishes=st.lists(ASKED, min_size=1, max_size=4), subject=SUBJECTS, ttl=TTLS)
    def take_set(self, wishes: list[Asked], subject: str | None, ttl: int | None) -> None:
        # who asks twice gets one answer: only the first wish counts
        firsts = {(asked.name, asked.owner): asked for asked in reversed(wishes)}
        refusals = [self.model.refusal(asked, subject) for asked in firsts.values()]
        wanted = [self.wish(asked, subject) for asked in wishes]
        answers: Any = ()
        try:
            answers = self.written(allocator.take_set, wanted, ttl_seconds=ttl)
        except TurnupError as error:
            self.counted("set", error)
        else:
            self.counted("set")
        if answers:
            assert not any(refusals), refusals
            self.settle_set(wishes, answers, subject, self.ends(ttl))
        else:
            assert any(refusals) or not self.model.must_fit(wishes)

    def wish(self, asked: Asked, subject: str | None) -> Wish:
        return Wish(
            KIND,
            self.scope_of(asked.name),
            self.key_of(asked.owner),
            asked.value,
            asked.how_many,
            subject,
            asked.band,
        )

    def settle_set(
        self,
        wishes: Sequence[Asked],
        answers: Sequence[Sequence[Allocation]],
        subject: str | None,
        ends: datetime | None,
    ) -> None:
        """All values are the owners', and no two have one; who asks twice gets one answer."""
        model, given = self.model, dict[tuple[str, str], list[int]]()
        for asked, answer in zip(wishes, answers, strict=True):
            got = [one.value for one in answer]
            assert {one.owner for one in answer} == {self.key_of(asked.owner)}
            if (mine := model.of(asked.name, asked.owner)) or (asked.name, asked.owner) in given:
                assert sorted(got) == (mine or sorted(given[asked.name, asked.owner]))
                continue
            given[asked.name, asked.owner] = got
            may = model.free(asked.name) | model.own(asked.name, subject).keys()
            may |= {v for v in got if asked.value == v and v in model.resting(asked.name)}
            shelf = model.pools[asked.name].shelf(asked.band)
            early = set(got) - may
            assert early <= model.resting(asked.name).keys() & shelf
            assert len(early) <= len(model.pressed(asked.name, shelf))
        taken = [(name, value) for (name, _), got in given.items() for value in got]
        assert len(set(taken)) == len(taken)
        for (name, owner), got in given.items():
            for ordinal, value in enumerate(got):
                model.give(name, value, Held(owner, subject, ends, ordinal=ordinal))

    # -- giving back, confirming, sharing -------------------------------------------------------------

    def release(self, owner: str, rest: bool) -> None:
        mine = {(name, value) for name in self.model.pools for value in self.model.of(name, owner)}
        found = self.written(allocator.release, self.key_of(owner), quarantine=rest)
        assert {(self.id_of(name), value) for name, value in mine} <= {
            (one.pool, one.value) for one in found
        }
        self.drop_lapsed()
        self.model.end(owner, rest=rest)
        self.rest_lapsed(owner, found)
        self.counted("release")

    def rest_lapsed(self, owner: str, found: Sequence[Allocation]) -> None:
        """What a reservation had that was over, but not yet swept up, goes the same way as what was held."""
        names = {self.id_of(name): name for name in self.model.pools}
        until = self.clock.now() + timedelta(seconds=REST)
        for one in found:
            if one.state == "quarantined":
                key = names[one.pool], one.value
                self.model.rests.setdefault(key, Resting(until, one.subject, owner))

    def confirm(self, owner: str, name: str | None) -> None:
        model = self.model
        names = [n for n in model.pools if name in {None, n}]
        mine = {(n, value) for n in names for value in model.of(n, owner)}
        pool = None if name is None else self.id_of(name)
        found = self.expect(
            "confirm",
            None if mine else AllocationNotFound,
            lambda: self.written(allocator.confirm, self.key_of(owner), pool=pool),
        )
        if found is None:
            return
        assert {(one.pool, one.value) for one in found} == {(self.id_of(n), v) for n, v in mine}
        for key in mine:
            model.held[key].confirmed, model.held[key].expires = True, None

    @rule(name=NAMES, user=OWNERS, on=st.booleans())
    def share_or_not(self, name: str, user: str, on: bool) -> None:
        if on:
            self.share(name, user)
        else:
            self.unshare(name, user)

    def share(self, name: str, user: str) -> None:
        asked = Asked(name, "shared:port", 1, None, None)
        error = self.model.refusal(asked, None)
        where = {"kind": KIND, "scope": self.scope_of(name), "shared_by": self.key_of("port")}
        taken = self.expect(
            "share", error, lambda: self.written(allocator.take_shared, **where, user=user)
        )
        if taken is not None:
            self.settle(asked, [taken], None, None)
            for value in self.model.of(name, asked.owner):
                self.model.held[name, value].confirmed = True
            self.model.pools[name].users.add(user)

    def unshare(self, name: str, user: str) -> None:
        where = {"kind": KIND, "scope": self.scope_of(name), "shared_by": self.key_of("port")}
        last = self.written(allocator.release_shared, **where, user=user)
        users = self.model.pools[name].users if self.there(name) else set[str]()
        assert last == (users == {user})
        users.discard(user)
        if last:
            self.model.end("shared:port", rest=True, only=name)
        self.counted("unshare")

    # -- time -----------------------------------------------------------------------------------------

    @rule(seconds=st.integers(1, 60))
    def wait(self, seconds: int) -> None:
        self.advance(timedelta(seconds=seconds))

    @rule(just_before=st.booleans(), acts=st.lists(ACTS, max_size=4))
    def wait_for_an_edge(self, just_before: bool, acts: list[Any]) -> None:
        """Go to where a reservation, a rest or a pressure ends, or to the last microsecond before; and act there."""
        edges = self.model.edges()
        if edges:
            end = edges[0] - MICRO if just_before else edges[0]
            if end > self.clock.now():
                self.advance(end - self.clock.now())
        self.serve(acts)

    def advance(self, time: timedelta) -> None:
        now = self.clock.now()
        for moment in sorted({now, now + time / 2, now + time - MICRO}):
            self.remember(moment)
        self.clock.advance(time)
        self.counted("wait")
        for which in (len(self.past) // 3, -1, -2, -3):
            self.compare(*self.past[which])

    def remember(self, moment: datetime) -> None:
        for name in (MAIN, SPARE, THIRD):
            picture = self.model.picture(name, moment) if self.there(name) else None
            self.past.append((moment, name, picture))

    @precondition(lambda self: self.past)
    @rule(which=st.integers(0, 10_000))
    def look_back(self, which: int) -> None:
        """Any past instant is as it was, whatever happened since."""
        self.compare(*self.past[which % len(self.past)])
        self.counted("look back")

    def compare(self, moment: datetime, name: str, picture: Picture | None) -> None:
        id_ = self.id_of(name)
        with self.database.read() as rx:
            held = allocator.allocations(rx, pool=id_, at=moment)
            also = allocator.allocations(rx, pool=id_, at=moment, quarantined=True)
            if picture is None:
                with pytest.raises(PoolNotFound):
                    usage.pool(rx, id_, at=moment)
                assert held == ()
                return
            pool = usage.pool(rx, id_, at=moment)
        assert {one.value: (one.owner, one.state) for one in held} == {
            value: (self.key_of(owner), state) for value, (owner, state) in picture.held.items()
        }
        inside = {value for first, last in self.spans(pool) for value in range(first, last + 1)}
        resting = {one.value: one.owner for one in also if one.state == "quarantined"}
        assert {value: owner for value, owner in resting.items() if value in inside} == {
            value: self.key_of(owner) for value, owner in picture.resting.items()
        }
        told = (pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free)
        assert told == picture.counts()
        assert pool.draining == picture.draining

    def spans(self, pool: usage.Pool) -> Iterator[tuple[int, int]]:
        first = pool.first
        for gap in pool.exclusions:
            yield first, gap[0] - 1
            first = gap[1] + 1
        yield first, pool.last

    # -- maintenance ----------------------------------------------------------------------------------

    def drop_lapsed(self) -> None:
        """A reservation that is over is nobody's, whether or not a sweep came by."""
        self.model.held = {
            (name, value): held
            for name in self.model.pools
            for value, held in self.model.alive(name).items()
        }

    @rule(tidy=st.booleans())
    def maintain(self, tidy: bool) -> None:
        if tidy:
            self.tidy()
        else:
            self.expire()

    def expire(self) -> None:
        self.written(allocator.expire)
        self.drop_lapsed()
        self.counted("expire")

    def tidy(self) -> None:
        self.written(allocator.tidy)
        self.counted("tidy")

    # -- policies -------------------------------------------------------------------------------------

    @rule(act=POLICIES)
    def policies(self, act: Any) -> None:
        works: dict[str, Callable[..., None]] = {
            "drain": self.drain,
            "press": self.press,
            "reassign": self.reassign,
        }
        works[act[0]](*act[1:])

    def drain(self, name: str, stays: bool, acts: list[Any]) -> None:
        """Let a pool give nothing new, try that, and end it again (most times)."""
        self.set_draining(name, True)
        self.serve(acts)
        if not stays:
            self.set_draining(name, False)

    def set_draining(self, name: str, on: bool) -> None:
        error = None if self.there(name) else PoolNotFound
        found = self.expect(
            "drain", error, lambda: self.written(reshape.drain, self.id_of(name), on)
        )
        if found is not None:
            self.model.pools[name].draining = on

    def press(self, name: str, seconds: int | None) -> None:
        """Declare that values are short, for a time; or that they are not any more."""
        if not self.there(name):
            return
        if seconds is None:
            self.written(reshape.end_pressure, self.id_of(name))
        else:
            self.written(
                reshape.declare_pressure, self.id_of(name), seconds=seconds, reason="storm"
            )
        self.model.pools[name].pressure = self.ends(seconds)
        self.counted("pressure")

    # -- shape ----------------------------------------------------------------------------------------

    @rule(act=SHAPES)
    def shapes(self, act: Any) -> None:
        works: dict[str, Callable[..., None]] = {
            "grow": self.grow,
            "shrink": self.shrink,
            "split": self.split,
            "move": self.move,
            "remove": self.remove,
        }
        works[act[0]](*act[1:])

    def grow(self, name: str, first: int, size: int) -> None:
        wanted = set(range(first, first + size))
        error: type[TurnupError] | None = None
        if not self.there(name):
            error = PoolNotFound
        elif wanted & self.model.pools[name].values:
            error = PoolOverlap
        found = self.expect(
            "grow",
            error,
            lambda: self.written(
                reshape.grow, self.id_of(name), first=first, last=first + size - 1
            ),
        )
        if found is not None:
            self.model.pools[name].values |= wanted

    def shrink(self, name: str, low: int, high: int) -> None:
        """Cut some values off at both ends."""
        if not self.there(name) or not self.model.pools[name].values:
            return
        model, values = self.model, self.model.pools[name].values
        first, last = min(values) + low, max(values) - high
        gone = {value for value in values if not first <= value <= last}
        error: type[TurnupError] | None = None
        if first > last or not values - gone:
            error = InvalidRange
        elif gone & model.alive(name).keys():
            error = PoolInUse
        found = self.expect(
            "shrink",
            error,
            lambda: self.written(reshape.shrink, self.id_of(name), first=first, last=last),
        )
        if found is not None:
            self.drop_lapsed()
            model.pools[name].values -= gone
            for value in gone:
                model.pools[name].band.pop(value, None)

    def split(self, name: str, at: int) -> None:
        """Give the upper part of a pool to a third one; at most one at a time."""
        if self.there(THIRD) or not self.there(name) or not self.model.pools[name].values:
            return
        values = self.model.pools[name].values
        error = None if min(values) < at <= max(values) else InvalidRange
        found = self.expect(
            "split",
            error,
            lambda: self.written(
                reshape.split, self.id_of(name), at=at, scope=self.scope_of(THIRD)
            ),
        )
        if found is not None:
            self.drop_lapsed()
            old = self.model.pools[name]
            self.model.pools[THIRD] = replace(old, values=set(), band={}, bands=set(), users=set())
            self.hand_over(name, THIRD, {value for value in values if value >= at})

    def move(self, name: str, to: str, offset: int, size: int) -> None:
        if name == to or not (self.there(name) and self.there(to)):
            return
        model = self.model
        first = min(model.pools[name].values, default=FIRST) + offset
        last = first + size - 1
        values = {v for v in model.pools[name].values if first <= v <= last}
        error = self.refuses_move(name, to, (first, last), values)
        found = self.expect(
            "move",
            error,
            lambda: self.written(
                reshape.move, self.id_of(name), to=self.id_of(to), first=first, last=last
            ),
        )
        if found is not None:
            self.drop_lapsed()
            self.hand_over(name, to, values)

    def refuses_move(
        self, source: str, target: str, part: tuple[int, int], values: set[int]
    ) -> type[TurnupError] | tuple[type[TurnupError], ...] | None:
        model = self.model
        mine = model.pools[source].values
        if not mine or not min(mine) <= part[0] <= part[1] <= max(mine) or not values:
            return InvalidRange
        errors: list[type[TurnupError]] = []
        if values & model.pools[target].values:
            errors.append(PoolOverlap)
        # what one taking got may come together again after a split, what two got may not
        coming = {(h.owner, h.ordinal) for v, h in model.alive(source).items() if v in values}
        if coming & {(held.owner, held.ordinal) for held in model.alive(target).values()}:
            errors.append(ValueTaken)
        return tuple(errors) or None

    def hand_over(self, source: str, target: str, values: set[int]) -> None:
        model = self.model
        shared = any(
            held.owner == "shared:port"
            for value, held in model.alive(source).items()
            if value in values
        )
        model.pass_on(source, target, values)
        if shared:
            model.pools[target].users |= model.pools[source].users
            model.pools[source].users = set()

    def reassign(self, name: str, owner: str, new_owner: str) -> None:
        if not self.there(name):
            return
        model = self.model
        mine, theirs = model.of(name, owner), model.of(name, new_owner)
        error: type[TurnupError] | None = None
        if not mine:
            error = AllocationNotFound
        elif theirs and owner != new_owner:
            error = ValueTaken
        found = self.expect(
            "reassign",
            error,
            lambda: self.written(
                reshape.reassign, self.id_of(name), self.key_of(owner), self.key_of(new_owner)
            ),
        )
        if found is not None:
            assert sorted(one.value for one in found) == mine
            for value in mine:
                model.held[name, value].owner = new_owner

    def remove(self, name: str) -> None:
        error: type[TurnupError] | None = None
        if not self.there(name):
            error = PoolNotFound
        elif self.model.alive(name):
            error = PoolInUse
        self.expect("remove", error, lambda: self.written(reshape.remove, self.id_of(name)))
        if error is None:
            self.drop_lapsed()
            del self.model.pools[name]
            self.model.rests = {k: rest for k, rest in self.model.rests.items() if k[0] != name}

    # -- what is always so ----------------------------------------------------------------------------

    @invariant()
    def counts_add_up(self) -> None:
        with self.database.read() as rx:
            told = {name: usage.pool(rx, self.id_of(name)) for name in self.model.pools}
        for name, pool in told.items():
            counts = (pool.capacity, pool.allocated, pool.reserved, pool.quarantined, pool.free)
            assert counts == self.model.picture(name, self.clock.now()).counts()
            assert sum(counts[1:]) == pool.capacity

    @invariant()
    def values_are_where_the_model_has_them(self) -> None:
        for name, pool in self.model.pools.items():
            with self.database.read() as rx:
                found = allocator.allocations(rx, pool=self.id_of(name))
                rows, spans = self.stored(rx, name)
            assert {one.value: (one.owner, one.state) for one in found} == {
                value: (self.key_of(held.owner), held.state())
                for value, held in self.model.alive(name).items()
            }
            free = [value for _, lo, hi in spans for value in range(lo, hi + 1)]
            assert sorted([*rows, *free]) == sorted(pool.values)
            assert self.model.alive(name).keys() <= set(rows)
            for band, lo, hi in spans:
                assert {pool.band.get(value) for value in range(lo, hi + 1)} == {band}

    def stored(self, rx: Any, name: str) -> tuple[list[int], list[tuple[str | None, int, int]]]:
        """Return the values that the tables have as held, and as free, band by band."""
        mark = "?" if rx.dialect == "sqlite" else "%s"
        there = f"SELECT number FROM pool WHERE id = {mark} AND removed IS NULL"
        cursor, params = rx.cursor(), (self.id_of(name),)
        query = f"SELECT value FROM allocation WHERE valid_to IS NULL AND pool = ({there})"
        held = [row[0] for row in cursor.execute(query, params).fetchall()]
        query = (
            "SELECT b.name, f.lo, f.hi FROM free_range f LEFT JOIN pool_band b ON b.number = -f.pool "
            f"WHERE coalesce(b.pool, f.pool) = ({there})"
        )
        return held, [tuple(row) for row in cursor.execute(query, params).fetchall()]


@pytest.mark.timeout(0 if EXAMPLES else 120)
def test_the_allocator_does_what_the_model_does(base: Database, clock: ManualClock) -> None:
    seen: Counter[str] = Counter()
    examples = EXAMPLES or (40 if base.dialect == "sqlite" else 12)
    machine: Any = lambda: Machine(base, clock, seen)  # noqa: E731
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=40,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=tuple(Phase) if EXAMPLES else (Phase.generate,),
        ),
    )
    print(f"{base.dialect}: " + ", ".join(f"{n} {what}" for what, n in seen.most_common()))
    assert seen["set"]
    assert seen["look back"]
