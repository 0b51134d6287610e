"""Taking values of one pool for one owner, step by step: the way that knows every special case.

The same owner again, a given value, reuse by the same subject, bands, drain, declared pressure, and another
transaction that was first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from inventory import journal
from inventory.allocation import ranges
from inventory.allocation.giving import release_held
from inventory.allocation.holdings import Allocation, Held, PoolRow, held_in, locate
from inventory.cause import NO_CAUSE, Cause
from inventory.errors import BandUnknown, PoolDraining, ValueOutsidePool, ValueTaken
from inventory.pools import NewPool, make, not_found
from inventory.raw import Raw
from inventory.types import from_micros, to_micros
from inventory.values.kinds import kind as kind_of
from inventory.values.kinds import parse, render
from inventory.values.layout import Content
from store import Tx, to_text
from store.errors import InvalidInput

_SECOND = 1_000_000
COLUMNS = (
    "pool, value, owner, ordinal, subject, valid_from, confirmed_at, expires_at, reason, order_id, "
    "item_id, layer"
)
TYPES = (
    *("int", "bigint", "text", "int", "text", "bigint", "bigint", "bigint"),
    *("jsonb", "text", "text", "text"),
)
_INSERT = (
    f"INSERT INTO allocation ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT DO NOTHING"
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What one owner wants of one pool; see `allocator.take`."""

    kind: str
    scope: str
    owner: str
    value: str | int | None = None
    count: int = 1
    subject: str | None = None
    band: str | None = None
    reason: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.value is not None and self.count != 1:
            raise InvalidInput("Give a value or a count, not both: a given value is one.")


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms all values of one call are taken; instants are microseconds."""

    now: int
    confirmed_at: int | None
    expires_at: int | None
    cause: Cause
    begins: datetime
    ends: datetime | None


def terms_of(
    tx: Tx,
    *,
    state: Literal["reserved", "active"],
    ttl_seconds: int | None,
    cause: Cause | None,
) -> Terms:
    """Return the terms of a call at this moment."""
    begins = tx.now
    now = to_micros(begins)
    # what is active does not expire: it was hidden after its time, yet never came back
    ttl = ttl_seconds if state == "reserved" else None
    expires_at = None if ttl is None else now + ttl * _SECOND
    return Terms(
        now=now,
        confirmed_at=now if state == "active" else None,
        expires_at=expires_at,
        cause=cause or NO_CAUSE,
        begins=begins,
        ends=None if expires_at is None else from_micros(expires_at),
    )


def take_one(tx: Tx, raw: Raw, wish: Wish, terms: Terms) -> tuple[Allocation, ...]:
    """Take what is wished; errors of `allocator.take`."""
    pool, held = _locate(tx, raw, wish)
    held = _lapse(raw, held, terms.now)
    if held:
        return same(pool, held, wish.value)
    if pool.draining:
        raise PoolDraining(
            f"Pool {pool.id} is being emptied and gives nothing new; take from another pool, or end the drain.",
            details={"pool": pool.id},
        )
    return _Taking(tx, raw, pool, wish, terms).run()


def same(pool: PoolRow, held: Sequence[Held], value: str | int | None) -> tuple[Allocation, ...]:
    """Return what the owner holds already. Raises ValueTaken when it wants another value."""
    wanted = None if value is None else _number(pool, value)
    if wanted is not None and wanted not in {one.value for one in held}:
        raise ValueTaken(
            f"{held[0].owner!r} already holds {held[0].text} of pool {pool.id}; release that first, "
            f"or ask for {value} under another owner.",
            details={"pool": pool.id, "held": held[0].text},
        )
    return tuple(one.allocation() for one in held)


def row_of(
    pool: int, number: int, ordinal: int, wish: Wish, terms: Terms, reason: str | None
) -> tuple[object, ...]:
    """Return a row of `allocation`, in the order of `COLUMNS`."""
    cause = terms.cause
    return (
        pool,
        number,
        wish.owner,
        ordinal,
        wish.subject,
        terms.now,
        terms.confirmed_at,
        terms.expires_at,
        reason,
        cause.order_id,
        cause.item_id,
        cause.layer,
    )


def allocation_of(
    pool: PoolRow, number: int, wish: Wish, terms: Terms, reason: Mapping[str, Any] | None
) -> Allocation:
    """Return a value just taken, as callers see it."""
    return Allocation(
        pool=pool.id,
        kind=pool.kind,
        scope=pool.scope,
        value=number,
        owner=wish.owner,
        state="reserved" if terms.confirmed_at is None else "active",
        expires_at=terms.ends,
        subject=wish.subject,
        reason=None if reason is None else dict(reason),
        valid_from=terms.begins,
        cause=terms.cause,
        params=pool.params,
    )


def _locate(tx: Tx, raw: Raw, wish: Wish) -> tuple[PoolRow, tuple[Held, ...]]:
    found = locate(raw, wish.kind, wish.scope, wish.owner)
    if found is None and kind_of(wish.kind).on_demand:
        make(tx, NewPool(kind_of(wish.kind), wish.scope, Content()))
        found = locate(raw, wish.kind, wish.scope, wish.owner)
    if found is None:
        raise not_found(wish.kind, wish.scope)
    return found


def _lapse(raw: Raw, held: tuple[Held, ...], now: int) -> tuple[Held, ...]:
    """Return what is still held; what has expired goes back, whether or not a sweep came by."""
    over = [one for one in held if one.expires_at is not None and one.expires_at <= now]
    release_held(raw, over, now, None, quarantine=False)
    return tuple(one for one in held if one not in over)


def _number(pool: PoolRow, value: str | int) -> int:
    return parse(pool.kind, pool.params, value) if isinstance(value, str) else value


class _Taking:
    """One wish being fulfilled from one pool."""

    def __init__(self, tx: Tx, raw: Raw, pool: PoolRow, wish: Wish, terms: Terms) -> None:
        self._tx = tx
        self._raw = raw
        self._pool = pool
        self._wish = wish
        self._terms = terms
        self._early: dict[int, int] = {}
        """Values taken before their rest was over, and when it would have been."""

    def run(self) -> tuple[Allocation, ...]:
        wish = self._wish
        if wish.value is not None:
            return self._record([self._specific(_number(self._pool, wish.value))])
        shelf = self._shelf()
        return self._record(self._own() or self._some(shelf, wish.count))

    def _shelf(self) -> int:
        pool, band = self._pool, self._wish.band
        shelf = pool.number if band is None else ranges.shelf_of_band(self._raw, pool.number, band)
        if shelf is None:
            raise BandUnknown(
                f"Pool {pool.id} has no reserved band {band!r}; show the pool for the bands it has.",
                details={"pool": pool.id, "band": band},
            )
        return shelf

    def _own(self) -> list[int]:
        """Return the value that the same subject gave back a short while ago, if it still rests."""
        wish, pool = self._wish, self._pool.number
        if wish.subject is None or wish.count != 1 or wish.band is not None:
            return []
        own = ranges.reuse(self._raw, pool, wish.subject, self._terms.now)
        if own is None:
            return []
        ranges.end_quarantine(self._raw, pool, own, self._terms.now)
        return [own]

    def _some(self, shelf: int, count: int) -> list[int]:
        raw, pool, now = self._raw, self._pool, self._terms.now
        if count > 1 and raw.waits:
            # two that each hold a range and wait for the other's would deadlock: takers of many go one by one
            raw.one("SELECT number FROM pool WHERE number = ? {lock}", pool.number)
        taken: list[int] = []
        while len(taken) < count:
            run = ranges.lowest(raw, shelf, now, count - len(taken))
            if run is not None:
                taken += run
            elif not self._sweep() and not self._hurry(shelf, taken):
                ranges.give_back(raw, pool.number, taken)
                raise ranges.exhausted(raw, shelf, pool.id, now, count, len(taken))
        return taken

    def _hurry(self, shelf: int, taken: list[int]) -> bool:
        """Under declared pressure, take what has rested longest before its time; say whether there was any."""
        until = self._pool.pressure_until
        if until is None or until <= self._terms.now:
            return False
        found = ranges.longest_resting(self._raw, shelf, self._terms.now)
        if found is None:
            return False
        value, rested_until = found
        self._early[value] = rested_until
        taken.append(value)
        return True

    def _specific(self, number: int) -> int:
        raw, pool, wish, now = self._raw, self._pool, self._wish, self._terms.now
        shelf = ranges.shelf_of(raw, pool.number, number)
        if shelf is None:
            raise ValueOutsidePool(
                f"{wish.value} does not belong to pool {pool.id}: it lies outside its range or is excluded; "
                "ask for a value of the pool.",
                details={"pool": pool.id, "value": str(wish.value)},
            )
        try:
            if ranges.cut(raw, shelf, number, now, wish.subject):
                ranges.end_quarantine(raw, pool.number, number, now)
        except ranges.Refused as refused:
            if refused.quarantined_until is None and self._sweep():
                return self._specific(number)
            raise self._refusal(number, refused) from None
        return number

    def _sweep(self) -> bool:
        """Free the pool's expired reservations, if any: a pool is only full when they are gone, too."""
        now = self._terms.now
        over = ranges.lapsed(self._raw, now, self._pool.number)
        return bool(release_held(self._raw, over, now, None, quarantine=False))

    def _refusal(self, number: int, refused: ranges.Refused) -> Exception:
        pool = self._pool
        text = render(pool.kind, pool.params, number)
        return ranges.explain(self._raw, pool.number, pool.id, number, text, refused)

    def _record(self, numbers: list[int]) -> tuple[Allocation, ...]:
        pool, taken = self._pool, list[Allocation]()
        while len(taken) < len(numbers):
            number = numbers[len(taken)]
            reason = self._reason(number)
            if self._insert(number, len(taken), reason):
                taken.append(allocation_of(pool, number, self._wish, self._terms, reason))
                self._note(number)
                continue
            others = () if taken else held_in(self._raw, pool, self._wish.owner)
            if others:
                # the same owner was first in another transaction: its values are the answer
                ranges.give_back(self._raw, pool.number, numbers)
                return tuple(one.allocation() for one in others)
            if ranges.holder(self._raw, pool.number, number) is None:
                # the same owner was first, and has released again before we could see it: the value is still ours
                continue
            if self._wish.value is not None:
                raise self._refusal(number, ranges.Refused(None))
            # a row that no range knows of holds the value: leave it out of the free space for good
            numbers[len(taken)] = self._some(self._shelf(), 1)[0]
        return tuple(taken)

    def _reason(self, number: int) -> Mapping[str, Any] | None:
        if number not in self._early:
            return self._wish.reason
        early = {
            "because": self._pool.pressure_reason,
            "restedUntil": to_text(from_micros(self._early[number])),
        }
        return {**(self._wish.reason or {}), "earlyReuse": early}

    def _note(self, number: int) -> None:
        """Keep a record of every value that was given out before its rest was over, against the rule."""
        if number not in self._early:
            return
        pool = self._pool
        ranges.end_quarantine(self._raw, pool.number, number, self._terms.now)
        journal.note(
            self._tx,
            pool.number,
            "earlyReuse",
            value=number,
            text=render(pool.kind, pool.params, number),
            owner=self._wish.owner,
            because=pool.pressure_reason,
            restedUntil=to_text(from_micros(self._early[number])),
        )

    def _insert(self, number: int, ordinal: int, reason: Mapping[str, Any] | None) -> bool:
        kept = None if reason is None else json.dumps(reason)
        row = row_of(self._pool.number, number, ordinal, self._wish, self._terms, kept)
        return self._raw.run(_INSERT, *row) == 1
