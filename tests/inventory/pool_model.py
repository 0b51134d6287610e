"""Pools as two dictionaries say they are: who holds each value, or until when it rests. Knows nothing of databases.

All else follows from that: what may be given, what must be refused, how full a pool is, and what was so at a past time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from inventory.errors import (
    BandUnknown,
    PoolDraining,
    PoolExhausted,
    PoolNotFound,
    ValueOutsidePool,
    ValueQuarantined,
    ValueTaken,
)
from store import ManualClock, TurnupError

REST = 50
"""Seconds that a released value rests."""

Key = tuple[str, int]
"""A pool and a value of it."""


@dataclass
class Held:
    owner: str
    subject: str | None = None
    expires: datetime | None = None
    confirmed: bool = False
    ordinal: int = 0
    """Which of the values that its owner took at once."""

    def state(self) -> str:
        return "active" if self.confirmed else "reserved"


@dataclass(frozen=True)
class Resting:
    until: datetime
    subject: str | None
    owner: str


@dataclass
class Contents:
    """What a pool contains, and how it gives."""

    values: set[int]
    band: dict[int, str] = field(default_factory=dict)
    bands: set[str] = field(default_factory=set)
    draining: bool = False
    pressure: datetime | None = None
    users: set[str] = field(default_factory=set)

    def shelf(self, band: str | None) -> set[int]:
        return {value for value in self.values if self.band.get(value) == band}


class Picture(NamedTuple):
    """A pool at an instant: who held what, what rested, and whether it drained."""

    capacity: int
    held: dict[int, tuple[str, str]]
    resting: dict[int, str]
    draining: bool

    def counts(self) -> tuple[int, int, int, int, int]:
        active = sum(state == "active" for _, state in self.held.values())
        taken, resting = len(self.held), len(self.resting)
        return (
            self.capacity,
            active,
            taken - active,
            resting,
            self.capacity - taken - resting,
        )


class Asked(NamedTuple):
    """One wish of a set."""

    name: str
    owner: str
    how_many: int
    value: int | None
    band: str | None


class Model:
    """What must be so; knows nothing of databases."""

    def __init__(self, clock: ManualClock) -> None:
        self.clock = clock
        self.pools: dict[str, Contents] = {}
        self.held: dict[Key, Held] = {}
        self.rests: dict[Key, Resting] = {}

    @property
    def now(self) -> datetime:
        return self.clock.now()

    def alive(self, name: str, at: datetime | None = None) -> dict[int, Held]:
        moment = at or self.now
        return {
            value: held
            for (pool, value), held in self.held.items()
            if pool == name and (held.expires is None or held.expires > moment)
        }

    def resting(self, name: str, at: datetime | None = None) -> dict[int, Resting]:
        moment = at or self.now
        return {
            value: rest
            for (pool, value), rest in self.rests.items()
            if pool == name
            and rest.until > moment
            and value in self.pools[name].values
            and (pool, value) not in self.held
        }

    def free(self, name: str) -> set[int]:
        return self.pools[name].values - self.alive(name).keys() - self.resting(name).keys()

    def of(self, name: str, owner: str) -> list[int]:
        return sorted(v for v, held in self.alive(name).items() if held.owner == owner)

    def own(self, name: str, subject: str | None) -> dict[int, Resting]:
        """Return what rests, and was this subject's."""
        shelf = self.pools[name].shelf(None)
        return {
            value: rest
            for value, rest in self.resting(name).items()
            if value in shelf and subject is not None and rest.subject == subject
        }

    def pressed(self, name: str, shelf: set[int]) -> list[Resting]:
        """Return what rests on a shelf and may be given out before its time, soonest first."""
        until = self.pools[name].pressure
        if until is None or until <= self.now:
            return []
        resting = [rest for value, rest in self.resting(name).items() if value in shelf]
        return sorted(resting, key=lambda rest: rest.until)

    def refusal(
        self, asked: Asked, subject: str | None
    ) -> type[TurnupError] | tuple[type[TurnupError], ...] | None:
        """Return how one wish by itself must be refused; None: it must be fulfilled."""
        pool = self.pools.get(asked.name)
        if pool is None:
            return PoolNotFound
        mine = self.of(asked.name, asked.owner)
        if mine:
            return None if asked.value is None or asked.value in mine else ValueTaken
        if pool.draining:
            return PoolDraining
        if asked.value is not None:
            return self._refusal_of_value(asked, subject)
        if asked.band is not None and asked.band not in pool.bands:
            return BandUnknown
        shelf = pool.shelf(asked.band)
        room = len(self.free(asked.name) & shelf) + len(self.pressed(asked.name, shelf))
        own = asked.how_many == 1 and asked.band is None and self.own(asked.name, subject)
        return None if own or room >= asked.how_many else PoolExhausted

    def _refusal_of_value(self, asked: Asked, subject: str | None) -> type[TurnupError] | None:
        assert asked.value is not None
        if asked.value not in self.pools[asked.name].values:
            return ValueOutsidePool
        if asked.value in self.alive(asked.name):
            return ValueTaken
        rest = self.resting(asked.name).get(asked.value)
        if rest is not None and (subject is None or rest.subject != subject):
            return ValueQuarantined
        return None

    def must_fit(self, wishes: Sequence[Asked]) -> bool:
        """Say whether all of these together can be fulfilled for certain: only fresh values, and enough."""
        wanted: Counter[str] = Counter()
        for name, owner in {(asked.name, asked.owner) for asked in wishes}:
            if not self.of(name, owner):
                same = [a.how_many for a in wishes if (a.name, a.owner) == (name, owner)]
                wanted[name] += max(same)
        plain = all(asked.value is None and asked.band is None for asked in wishes)
        return plain and all(
            not self.pools[name].draining
            and number <= len(self.free(name) & self.pools[name].shelf(None))
            for name, number in wanted.items()
        )

    def give(self, name: str, value: int, held: Held) -> None:
        self.rests.pop((name, value), None)
        self.held[name, value] = held

    def end(self, owner: str, *, rest: bool, only: str | None = None) -> None:
        for key, held in list(self.held.items()):
            if held.owner == owner and only in {None, key[0]}:
                del self.held[key]
                if rest:
                    until = self.now + timedelta(seconds=REST)
                    self.rests[key] = Resting(until, held.subject, held.owner)

    def pass_on(self, source: str, target: str, values: Iterable[int]) -> None:
        old, new = self.pools[source], self.pools[target]
        for value in values:
            old.values.discard(value)
            new.values.add(value)
            if value in old.band:
                new.band[value] = old.band.pop(value)
                new.bands.add(new.band[value])
            if (source, value) in self.held:
                self.held[target, value] = self.held.pop((source, value))
            if (source, value) in self.rests:
                self.rests[target, value] = self.rests.pop((source, value))

    def picture(self, name: str, at: datetime) -> Picture:
        """Return a pool as it is at an instant until which nothing is done."""
        pool = self.pools[name]
        return Picture(
            len(pool.values),
            {v: (held.owner, held.state()) for v, held in self.alive(name, at).items()},
            {v: rest.owner for v, rest in self.resting(name, at).items()},
            pool.draining,
        )

    def edges(self) -> list[datetime]:
        """Return when something ends by itself, from now on."""
        ends = [held.expires for held in self.held.values() if held.expires is not None]
        ends += [rest.until for rest in self.rests.values()]
        ends += [pool.pressure for pool in self.pools.values() if pool.pressure is not None]
        return sorted(end for end in ends if end > self.now)
