"""Who has this address, number or prefix, now or at a past time; and the allocations of a pool, a page at a time.

A text is read as every kind of pool could have written it: `100.64.0.5` is an address of one pool, part of a prefix
of another, and of the larger prefix that the first one was carved from. All of them answer, the narrowest first.
Nothing here grows with what other values are held: each pool that can have the value is asked for that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_network
from itertools import groupby
from typing import Any, Literal

from inventory import instances
from inventory.allocation.holders import resource_of
from inventory.cause import NO_CAUSE, Cause
from inventory.counting.usage import pool as pool_of
from inventory.errors import InstanceNotFound, PoolNotFound
from inventory.raw import Raw, Row, loads, marks, params_of
from inventory.types import from_micros, to_micros
from inventory.values.kind import Kind
from inventory.values.kinds import kind as kind_of
from inventory.values.kinds import kinds, render
from inventory.values.renderings import OUTSIDE, Names, Params, Route, Span
from store import Rx

__all__ = ["Answer", "Holding", "PoolOf", "State", "count", "held_by", "page", "who"]

State = Literal["active", "reserved", "quarantined", "free", "excluded"]
MOST_USERS = 20
_CHUNK = 400


@dataclass(frozen=True, slots=True)
class PoolOf:
    """The pool that a value is of."""

    number: int
    id: str
    kind: str
    scope: str
    domain: str | None
    params: Params


@dataclass(frozen=True, slots=True)
class Holding:
    """A value of a pool: who holds it, or held it last, and on what terms.

    Of a value that is `free` or `excluded`, owner, times and causes are those of who held it last, if anybody.
    """

    pool: PoolOf
    value: int
    state: State
    owner: str | None = None
    subject: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    expires_at: datetime | None = None
    rests_until: datetime | None = None
    reason: Mapping[str, Any] | None = None
    cause: Cause = NO_CAUSE
    ended_by: Cause = NO_CAUSE
    band: str | None = None
    line: str | None = None
    resource: str | None = None
    users: tuple[str, ...] = ()
    """Who shares the value: the first `MOST_USERS`."""

    @property
    def text(self) -> str:
        """Return the value as people and devices write it."""
        return render(self.pool.kind, self.pool.params, self.value)


@dataclass(frozen=True, slots=True)
class Answer:
    """A page of what was found, and how much there is altogether."""

    holdings: tuple[Holding, ...]
    total: int


def page(
    rx: Rx,
    pool: str,
    *,
    owner: str | None = None,
    at: datetime | None = None,
    quarantined: bool = False,
    offset: int = 0,
    limit: int = 100,
) -> list[Holding]:
    """Return what is held of a pool, now or at a past time, by value; with `quarantined` also what rests.

    Raises PoolNotFound (POOL_NOT_FOUND).
    """
    asked = _Asked(Raw(rx), to_micros(at or rx.now), at is not None, quarantined)
    found = _one_pool(asked, pool)
    rows = asked.held(*_of_pool(found, owner), page=(limit, offset))
    return [_holding(found, row, asked.moment) for row in rows]


def count(
    rx: Rx,
    pool: str,
    *,
    owner: str | None = None,
    at: datetime | None = None,
    quarantined: bool = False,
) -> int:
    """Return how many `page` has altogether. Raises PoolNotFound (POOL_NOT_FOUND)."""
    if owner is None:
        use = pool_of(rx, pool, at)
        return use.allocated + use.reserved + (use.quarantined if quarantined else 0)
    asked = _Asked(Raw(rx), to_micros(at or rx.now), at is not None, quarantined)
    return asked.count(*_of_pool(_one_pool(asked, pool), owner))


def held_by(
    rx: Rx, owner: str, *, at: datetime | None = None, offset: int = 0, limit: int = 100
) -> Answer:
    """Return all that an owner holds, now or at a past time, by pool and value."""
    asked = _Asked(Raw(rx), to_micros(at or rx.now), at is not None, quarantined=False)
    rows = asked.held(_OWNER, (owner,), page=(limit, offset))
    return Answer(tuple(_told(rx, asked, rows)), asked.count(_OWNER, (owner,)))


def who(
    rx: Rx,
    text: str,
    *,
    kind: str | None = None,
    scope: str | None = None,
    at: datetime | None = None,
    offset: int = 0,
    limit: int = 100,
) -> Answer:
    """Return who has a value, as people write it: an address, a prefix (with all in it), a number, a serial, a name.

    A plain number is looked for only in kinds that number something network-wide, unless `kind` or `scope` say which
    pools are meant: each of 64,000 ports has an ONU 7.

    Returns:
        What is held or rests, the narrowest first; then the pools in which the value is free or excluded.

    Raises:
        KindUnknown: KIND_UNKNOWN.

    """
    asked = _Asked(Raw(rx), to_micros(at or rx.now), at is not None, quarantined=True)
    named = kind is not None or scope is not None
    wanted = [kind_of(kind, rx)] if kind is not None else list(kinds().values())
    places = sorted(
        place
        for one in wanted
        if named or not _everywhere(one)
        for place in _places(asked, one, scope, text)
    )
    total, rows = _rows(asked, places, offset + limit)
    found = rows[offset : offset + limit]
    idle = list(_idle(asked, places, {(row[0], row[1]) for row in rows}))
    rest = idle[max(0, offset - total) :][: limit - len(found)]
    return Answer((*_told(rx, asked, found), *rest), total + len(idle))


# -- what is held -----------------------------------------------------------------------------------

_OWNER = "a.owner = ?"
_COLUMNS = (
    "a.pool AS pool, a.value AS value, a.owner, a.subject, a.valid_from, a.confirmed_at, a.expires_at, a.valid_to, "
    "a.quarantine_until, {text:a.reason}, a.order_id, a.item_id, a.layer, a.end_order_id, a.end_item_id, "
    "a.end_layer, a.id AS id"
)
_UNEXPIRED = "(a.expires_at IS NULL OR a.expires_at > ?)"
Where = tuple[str, tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A question about one moment (microseconds), past or present, with what rests then or without."""

    raw: Raw
    moment: int
    past: bool
    quarantined: bool

    @property
    def there(self) -> Where:
        """Return the condition that pool p is, or was, there."""
        if not self.past:
            return "p.removed IS NULL", ()
        then = "p.created <= ? AND (p.removed IS NULL OR p.removed > ?)"
        return then, (self.moment, self.moment)

    def held(
        self, which: str, params: Sequence[object], page: tuple[int, int] | None = None
    ) -> Sequence[Row]:
        """Return rows of allocations by pool and value."""
        halves = self._halves(which, params)
        text = " UNION ALL ".join(
            f"SELECT {_COLUMNS} FROM allocation a WHERE {w}" for w, _ in halves
        )
        cut = " LIMIT ? OFFSET ?" if page else ""
        values = [value for _, half in halves for value in half]
        return self.raw.all(f"{text} ORDER BY pool, value, id{cut}", *values, *(page or ()))

    def count(self, which: str, params: Sequence[object]) -> int:
        """Return how many there are."""
        return sum(
            int(self.raw.all(f"SELECT count(*) FROM allocation a WHERE {where}", *values)[0][0])
            for where, values in self._halves(which, params)
        )

    def _halves(self, which: str, params: Sequence[object]) -> list[Where]:
        """Return conditions on open and on closed rows: each has a partial index, their OR has none."""
        moment = self.moment
        # each in the words of its index, see tables.HELD
        open_ = "coalesce(a.valid_to, 0) = 0" if which == _OWNER else "a.valid_to IS NULL"
        begun = " AND a.valid_from <= ?" if self.past else ""
        halves: list[Where] = [
            (
                f"{which} AND {open_} AND {_UNEXPIRED}{begun}",
                (*params, moment, *((moment,) if self.past else ())),
            )
        ]
        closed = [f"(a.valid_to > ? AND {_UNEXPIRED})"] if self.past else []
        closed += ["(a.valid_to <= ? AND a.quarantine_until > ?)"] if self.quarantined else []
        if closed:
            where = f"{which} AND a.valid_to IS NOT NULL AND a.valid_from <= ? AND ({' OR '.join(closed)})"
            halves.append((where, (*params, moment, *((moment, moment) * len(closed)))))
        return halves


def _of_pool(pool: PoolOf, owner: str | None) -> Where:
    if owner is None:
        return "a.pool = ?", (pool.number,)
    return "a.pool = ? AND a.owner = ?", (pool.number, owner)


def _told(rx: Rx, asked: _Asked, rows: Sequence[Row]) -> Iterator[Holding]:
    """Return rows as people ask for them: with the customer's line, and who shares the value."""
    pools = _pools(asked, sorted({row[0] for row in rows}))
    lines = _lines(rx, asked, {resource_of(row[2]) for row in rows})
    for row in rows:
        found = _holding(pools[row[0]], row, asked.moment)
        resource = resource_of(row[2])
        yield replace(
            found,
            resource=resource if resource in lines else None,
            line=lines.get(resource),
            users=_users(asked, found) if row[2].startswith("shared:") else (),
        )


def _lines(rx: Rx, asked: _Asked, ids: set[str]) -> dict[str, str | None]:
    if not asked.past:
        return {one.id: one.line for one in instances.by_ids(rx, ids)}
    found: dict[str, str | None] = {}
    for id_ in ids:
        try:
            found[id_] = instances.version(rx, id_, from_micros(asked.moment)).instance.line
        except InstanceNotFound:
            continue
    return found


def _users(asked: _Asked, found: Holding) -> tuple[str, ...]:
    shared_by = (found.owner or "").removeprefix("shared:")
    rows = asked.raw.all(
        'SELECT "user" FROM pool_user WHERE pool = ? AND shared_by = ? AND valid_from <= ? '
        "AND (valid_to IS NULL OR valid_to > ?) ORDER BY valid_from LIMIT ?",
        found.pool.number,
        shared_by,
        asked.moment,
        asked.moment,
        MOST_USERS,
    )
    return tuple(row[0] for row in rows)


def _holding(pool: PoolOf, row: Row, moment: int) -> Holding:
    _, value, owner, subject, since, confirmed, expires, until, rests, reason = row[:10]
    ended = until is not None and until <= moment
    held: State = "active" if confirmed is not None and confirmed <= moment else "reserved"
    return Holding(
        pool=pool,
        value=value,
        state="quarantined" if ended else held,
        owner=owner,
        subject=subject,
        since=from_micros(since),
        until=_instant(until) if ended else None,
        expires_at=None if ended else _instant(expires),
        rests_until=_instant(rests) if ended else None,
        reason=loads(reason),
        cause=Cause(*row[10:13]),
        ended_by=Cause(*row[13:16]) if ended else NO_CAUSE,
    )


def _instant(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)


# -- pools ------------------------------------------------------------------------------------------

_POOL = "SELECT p.number, p.id, p.kind, p.scope, p.domain, {text:p.params}, p.first, p.last FROM pool p WHERE "


def _one_pool(asked: _Asked, id_: str) -> PoolOf:
    there, params = asked.there
    row = asked.raw.one(f"{_POOL}p.id = ? AND {there}", id_, *params)
    if row is None:
        when = f" at {from_micros(asked.moment).isoformat()}" if asked.past else ""
        raise PoolNotFound(
            f"There is no pool {id_!r}{when}; list the pools for their ids.", details={"pool": id_}
        )
    return _pool(row)


def _pools(asked: _Asked, numbers: Sequence[int]) -> dict[int, PoolOf]:
    found: dict[int, PoolOf] = {}
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        rows = asked.raw.all(f"{_POOL}p.number IN ({marks(len(chunk))})", *chunk)
        found |= {row[0]: _pool(row) for row in rows}
    return found


def _pool(row: Row) -> PoolOf:
    number, id_, kind, scope, domain, params = row[:6]
    inside = None if domain is None else domain.partition("/")[2] or domain
    return PoolOf(number, id_, kind, scope, inside, params_of(params))


# -- where a text can be ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class _Place:
    """The values of a pool that a text names: one, or several when it is a prefix."""

    width: int
    """How many places of its domain a value covers: an address is narrower than the prefix around it."""
    id: str
    low: int
    high: int
    number: int
    plain: bool
    """Whether nothing is said about it while nobody holds it."""


def _everywhere(kind: Kind) -> bool:
    """Return whether the same number is a value of very many pools."""
    return kind.is_number and kind.domain is None


def _places(asked: _Asked, kind: Kind, scope: str | None, text: str) -> Iterator[_Place]:
    named = _named(kind, text)
    if named is None:
        return
    for pool, first, last in _candidates(asked, kind, scope, named):
        low, high = _within(kind, pool.params, named)
        low, high = (low, high) if asked.past else (max(low, first), min(high, last))
        if low <= high and low != OUTSIDE:
            plain = scope is None and _everywhere(kind)
            width = 1 << kind.form.origin(pool.params)[1]
            yield _Place(width, pool.id, low, high, pool.number, plain)


def _named(kind: Kind, text: str) -> Span | str | None:
    """Return the places of the domain, or the value, that a text names; a text for kinds that ask the pool; else None."""
    if kind.render in _FAMILIES:
        return _addresses(_FAMILIES[kind.render], text)
    if isinstance(kind.form, Names | Route):
        return text
    try:
        value = kind.form.parse({}, text)
    except ValueError:
        return None
    return value, value


_FAMILIES: Mapping[str, int] = {"ipv4": 4, "ipv4-prefix": 4, "ipv6": 6, "ipv6-prefix": 6}


def _addresses(family: int, text: str) -> Span | None:
    try:
        read = ip_network(text.strip(), strict=False)
    except ValueError:
        return None
    return (int(read[0]), int(read[-1])) if read.version == family else None


def _candidates(
    asked: _Asked, kind: Kind, scope: str | None, named: Span | str
) -> Iterator[tuple[PoolOf, int, int]]:
    there, params = asked.there
    text, values = f"{_POOL}p.kind = ? AND {there}", (kind.name, *params)
    if scope is not None:
        text, values = f"{text} AND p.scope = ?", (*values, scope)
    if kind.render not in _RELATIVE and not isinstance(named, str) and not asked.past:
        text, values = f"{text} AND p.first <= ? AND p.last >= ?", (*values, named[1], named[0])
    for row in asked.raw.all(text, *values):
        yield _pool(row), row[6], row[7]


_RELATIVE = frozenset({"ipv6", "ipv4-prefix", "ipv6-prefix"})
"""Renderings that number values within the pool's prefix."""


def _within(kind: Kind, params: Params, named: Span | str) -> Span:
    """Return which values of a pool are named. Those of a pool's prefix only; nothing is (1, 0)."""
    if isinstance(named, str):
        try:
            value = kind.form.parse(params, named)
        except ValueError:
            return 1, 0
        return value, value
    if kind.render not in _FAMILIES:
        return named
    base, shift = kind.form.origin(params)
    low, high = kind.form.limits(params)
    return max((named[0] - base) >> shift, low), min((named[1] - base) >> shift, high)


def _rows(asked: _Asked, places: Sequence[_Place], most: int) -> tuple[int, list[Row]]:
    """Return how many allocations there are of these values, and the first of them, in the order of the places."""
    total, rows = 0, list[Row]()
    for (low, high), group in groupby(places, key=lambda place: (place.low, place.high)):
        for numbers in _chunks([place.number for place in group]):
            where = f"a.pool IN ({marks(len(numbers))}) AND a.value BETWEEN ? AND ?"
            values = (*numbers, low, high)
            found = asked.held(where, values, page=(most, 0))
            rows += found
            total += len(found) if len(found) < most else asked.count(where, values)
    return total, rows


def _chunks(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    return (numbers[start : start + _CHUNK] for start in range(0, len(numbers), _CHUNK))


# -- what nobody holds ------------------------------------------------------------------------------

_SPAN = (
    "SELECT s.first, s.last, b.name FROM pool_span s LEFT JOIN pool_band b ON b.number = s.band "
    "WHERE s.pool = ? AND s.first <= ? AND s.last >= ? AND s.valid_from <= ? AND "
)
_LAST = (
    f"SELECT {_COLUMNS} FROM allocation a WHERE a.pool = ? AND a.value = ? AND a.valid_to IS NOT NULL "
    "AND a.valid_to <= ? ORDER BY a.valid_to DESC, a.id DESC LIMIT 1"
)


def _idle(
    asked: _Asked, places: Iterable[_Place], taken: set[tuple[int, int]]
) -> Iterator[Holding]:
    single = [
        place
        for place in places
        if place.low == place.high and not place.plain and (place.number, place.low) not in taken
    ]
    pools = _pools(asked, [place.number for place in single])
    for place in single:
        pool = pools[place.number]
        span = _span(asked, place)
        if span is None and (asked.past or kind_of(pool.kind).stock):
            continue
        band = None if span is None else span[2]
        yield _last(asked, pool, place.low, "excluded" if span is None else "free", band)


def _span(asked: _Asked, place: _Place) -> Row | None:
    values = (place.number, place.low, place.low, asked.moment)
    row = asked.raw.one(f"{_SPAN}s.valid_to IS NULL", *values)
    if row is None and asked.past:
        row = asked.raw.one(
            f"{_SPAN}s.valid_to > ? AND s.valid_to IS NOT NULL", *values, asked.moment
        )
    return row


def _last(asked: _Asked, pool: PoolOf, value: int, state: State, band: str | None) -> Holding:
    row = asked.raw.one(_LAST, pool.number, value, asked.moment)
    if row is None:
        return Holding(pool, value, state, band=band)
    last = _holding(pool, row, asked.moment)
    return replace(last, state=state, band=band, rests_until=None)
