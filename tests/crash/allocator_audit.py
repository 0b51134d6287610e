"""What a database says about its pools, read with plain SQL and reckoned without the inventory's own functions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

from store import Rx

Span = tuple[int, int]
FOREVER = 1 << 62


class Free(NamedTuple):
    lo: int
    hi: int
    free_at: int
    shelf: int


class Held(NamedTuple):
    """A row of `allocation`, past or present; instants are microseconds."""

    pool: str
    value: int
    owner: str
    since: int
    confirmed: int | None
    expires: int | None
    until: int | None

    def end(self) -> int | None:
        """Return when it was over; None: it is not."""
        if self.confirmed is None and self.expires is not None:
            return self.expires if self.until is None else min(self.expires, self.until)
        return self.until


@dataclass
class PoolState:
    id: str
    spans: dict[int, list[Span]] = field(default_factory=dict)
    """By shelf: the pool's own number, and the negative of each band's."""
    free: list[Free] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)


def read_pools(rx: Rx) -> dict[str, PoolState]:
    """Read all pools that are there, with what they contain, what is free and what is held now."""
    cursor = rx.cursor()
    numbers = {
        number: PoolState(id_)
        for number, id_ in cursor.execute("SELECT number, id FROM pool WHERE removed IS NULL")
    }
    bands = dict(cursor.execute("SELECT number, pool FROM pool_band").fetchall())
    spans = "SELECT pool, first, last, band FROM pool_span WHERE valid_to IS NULL"
    for number, first, last, band in cursor.execute(spans):
        shelf = number if band is None else -band
        numbers[number].spans.setdefault(shelf, []).append((first, last))
    for shelf, lo, hi, free_at in cursor.execute("SELECT pool, lo, hi, free_at FROM free_range"):
        numbers[bands[-shelf] if shelf < 0 else shelf].free.append(Free(lo, hi, free_at, shelf))
    found = {state.id: state for state in numbers.values()}
    for one in read_allocations(rx, present=True):
        found[one.pool].held.append(one)
    return found


def read_allocations(rx: Rx, *, present: bool) -> Iterator[Held]:
    """Read the rows of `allocation` of pools that are there, by pool and value."""
    only = "AND a.valid_to IS NULL " if present else ""
    query = (
        "SELECT p.id, a.value, a.owner, a.valid_from, a.confirmed_at, a.expires_at, a.valid_to "
        f"FROM allocation a JOIN pool p ON p.number = a.pool WHERE p.removed IS NULL {only}"
        "ORDER BY a.pool, a.value, a.valid_from, a.id"
    )
    for row in rx.cursor().execute(query).fetchall():
        yield Held(*row)


def partition(state: PoolState) -> list[str]:
    """Return what is wrong with a pool: each of its values must be held once, or free once, and no other."""
    pieces = sorted(
        [(one.value, one.value, f"held by {one.owner}") for one in state.held]
        + [(one.lo, one.hi, "free") for one in state.free]
    )
    twice = [
        f"{state.id}: {left} and {right} overlap"
        for left, right in pairwise(pieces)
        if right[0] <= left[1]
    ]
    empty = [f"{state.id}: {one} is no range" for one in state.free if one.lo > one.hi]
    inside = joined(span for spans in state.spans.values() for span in spans)
    covered = joined((lo, hi) for lo, hi, _ in pieces)
    lost = [] if inside == covered else [f"{state.id}: contains {inside}, accounts for {covered}"]
    return twice + empty + lost + _misplaced(state)


def _misplaced(state: PoolState) -> list[str]:
    return [
        f"{state.id}: {one} lies on the wrong shelf"
        for one in state.free
        if not any(
            lo <= one.lo and one.hi <= hi for lo, hi in joined(state.spans.get(one.shelf, ()))
        )
    ]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Return the same values in as few spans as possible."""
    found: list[Span] = []
    for lo, hi in sorted(spans):
        if found and lo <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(hi, found[-1][1]))
        else:
            found.append((lo, hi))
    return found


class Counts(NamedTuple):
    capacity: int
    allocated: int
    reserved: int
    quarantined: int
    free: int


def counts(state: PoolState, now: int) -> Counts:
    """Return how full a pool is at an instant (microseconds)."""
    sizes = [hi - lo + 1 for spans in state.spans.values() for lo, hi in spans]
    alive = [one for one in state.held if (end := one.end()) is None or end > now]
    confirmed = sum(one.confirmed is not None for one in alive)
    resting = sum(one.hi - one.lo + 1 for one in state.free if one.free_at > now)
    ready = sum(one.hi - one.lo + 1 for one in state.free if one.free_at <= now)
    lapsed = len(state.held) - len(alive)
    return Counts(sum(sizes), confirmed, len(alive) - confirmed, resting, ready + lapsed)


def overlaps(rows: Iterable[Held]) -> list[int]:
    """Return for how long (microseconds) values had two owners in the history. Rows come by pool, value, time."""
    found = []
    for _, own in groupby(rows, key=attrgetter("pool", "value")):
        for left, right in pairwise(own):
            end = left.end()
            if end is None or end > right.since:
                found.append(FOREVER if end is None else end - right.since)
    return found


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1_000_000)
