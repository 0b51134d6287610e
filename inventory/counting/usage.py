"""How full pools are, now or at a past time: capacity, what is allocated, reserved, quarantined and free.

At all times allocated + reserved + quarantined + free = capacity. Now, nothing is counted that grows with the
values that are held: what is allocated is what neither the free ranges nor the open reservations have. That every
value is where these sums suppose it is checked by `integrity.verify`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import groupby, pairwise
from operator import itemgetter
from typing import Any

from sqlalchemy import RowMapping, select

from inventory.counting import past
from inventory.errors import PoolNotFound
from inventory.raw import Raw, Row, marks, params_of
from inventory.tables import pool as table
from inventory.types import from_micros, to_micros
from inventory.values.kinds import kinds
from store import Rx, from_text

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Band:
    """A part of a pool from which only those take who name it; `free` is not counted for the past (None)."""

    name: str
    spans: tuple[Span, ...]
    free: int | None

    @property
    def capacity(self) -> int:
        """Return the number of its values."""
        return sum(last - first + 1 for first, last in self.spans)


@dataclass(frozen=True, slots=True)
class Pressure:
    """A declared shortage: until then resting values are given out before their time, for this reason."""

    until: datetime
    reason: str | None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool and how full it is; `free` counts what could be taken, in reserved bands, too.

    `exclusions` are the gaps between its values (stock has none), `parent` is the id of the pool it was carved
    from, `domain` the address domain (VRF) within which its values must not be another pool's.
    """

    id: str
    kind: str
    scope: str
    first: int
    last: int
    quarantine_seconds: int
    params: Mapping[str, Any]
    capacity: int
    allocated: int
    reserved: int
    quarantined: int
    free: int
    domain: str | None = None
    draining: bool = False
    pressure: Pressure | None = None
    reuse: str = "lowest"
    stripes: int = 1
    bands: tuple[Band, ...] = ()
    exclusions: tuple[Span, ...] = ()
    parent: str | None = None
    created: datetime | None = None
    number: int = 0


def pool_id(kind: str, scope: str) -> str:
    """Return the id of the pool of this kind and scope: the same in a simulation and in the order."""
    return f"{kind}@{scope}"


def pool(rx: Rx, id: str, at: datetime | None = None) -> Pool:  # noqa: A002
    """Return a pool with its use, now or as it was `at` a past time. Raises PoolNotFound (POOL_NOT_FOUND)."""
    found = list(_pools(rx, _Which(("p.id = ?",), (id,)), at))
    if not found:
        when = f" at {at.isoformat()}" if at else ""
        raise PoolNotFound(
            f"There is no pool {id!r}{when}; list the pools for their ids.", details={"pool": id}
        )
    return found[0]


def pools(
    rx: Rx,
    kind: str | None = None,
    scope: str | None = None,
    domain: str | None = None,
    at: datetime | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Pool]:
    """Return the pools with their use by kind and scope, now or as they were `at` a past time."""
    return list(_pools(rx, _which(kind, scope, domain), at, offset, limit))


def count_pools(
    rx: Rx,
    kind: str | None = None,
    scope: str | None = None,
    domain: str | None = None,
    at: datetime | None = None,
) -> int:
    """Return how many pools `pools` would return without offset and limit."""
    which = _there(_which(kind, scope, domain), at)
    row = Raw(rx).one(f"SELECT count(*) FROM pool p WHERE {which.text}", *which.params)
    return int(row[0]) if row else 0


def free_of(rx: Rx, kind: str, scopes: Sequence[str]) -> dict[str, int]:
    """Return how many values each of these scopes' pools could give now to one who names no band.

    Scopes without pool are left out.
    """
    raw, now = Raw(rx), to_micros(rx.now)
    found: dict[str, int] = {}
    for start in range(0, len(scopes), _CHUNK):
        chunk = scopes[start : start + _CHUNK]
        rows = raw.all(
            f"SELECT p.scope, {_READY}, {_LAPSED} FROM pool p "
            f"WHERE p.kind = ? AND p.scope IN ({marks(len(chunk))}) AND p.removed IS NULL",
            now,
            now,
            kind,
            *chunk,
        )
        found |= {scope: int(ready) + int(lapsed) for scope, ready, lapsed in rows}
    return found


def pool_row(rx: Rx, id: str) -> RowMapping:  # noqa: A002
    """Return the row of a pool that is there. Raises PoolNotFound."""
    query = select(table).where(table.c.id == id, table.c.removed.is_(None))
    row = rx.execute(query).mappings().first()
    if row is None:
        raise PoolNotFound(
            f"There is no pool {id!r}; list the pools for their ids.", details={"pool": id}
        )
    return row


# -- which ------------------------------------------------------------------------------------------

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class _Which:
    """Conditions on `pool p`, and their values."""

    conditions: tuple[str, ...] = ()
    params: tuple[object, ...] = ()

    @property
    def text(self) -> str:
        return " AND ".join(self.conditions) or "1 = 1"


def _which(kind: str | None, scope: str | None, domain: str | None) -> _Which:
    which = _Which()
    for column, wanted in (("kind", kind), ("scope", scope)):
        if wanted is not None:
            which = _Which((*which.conditions, f"p.{column} = ?"), (*which.params, wanted))
    if domain is None:
        return which
    names = sorted({f"{one.domain}/{domain}" for one in kinds().values() if one.domain} | {domain})
    condition = f"p.domain IN ({marks(len(names))})"
    return _Which((*which.conditions, condition), (*which.params, *names))


def _there(which: _Which, at: datetime | None) -> _Which:
    if at is None:
        return replace(which, conditions=(*which.conditions, "p.removed IS NULL"))
    then = "p.created <= ? AND (p.removed IS NULL OR p.removed > ?)"
    moment = to_micros(at)
    return _Which((*which.conditions, then), (*which.params, moment, moment))


# -- reading ----------------------------------------------------------------------------------------

_COLUMNS = (
    "p.number, p.id, p.kind, p.scope, p.first, p.last, p.quarantine_seconds, {text:p.params}, p.domain, "
    "p.draining, p.pressure_until, p.pressure_reason, p.reuse, p.stripes, p.created, "
    "(SELECT u.id FROM pool u WHERE u.number = p.parent)"
)
_SIZE = "coalesce(sum(f.hi - f.lo + 1), 0) FROM free_range f"
_BANDS = "JOIN pool_band b ON f.pool = -b.number WHERE b.pool = p.number"
_READY = f"(SELECT {_SIZE} WHERE f.pool = p.number AND f.free_at <= ?)"
# "coalesce" as the index of open reservations has it, see tables.HELD
_OPEN = "FROM allocation a WHERE a.pool = p.number AND a.confirmed_at IS NULL AND coalesce(a.valid_to, 0) = 0"
_LAPSED = f"(SELECT count(*) {_OPEN} AND a.expires_at <= ?)"
_NOW = (
    f"SELECT {_COLUMNS}, "
    "(SELECT coalesce(sum(s.last - s.first + 1), 0) FROM pool_span s WHERE s.pool = p.number AND s.valid_to IS NULL), "
    f"{_READY}, (SELECT {_SIZE} WHERE f.pool = p.number), "
    f"(SELECT {_SIZE} {_BANDS} AND f.free_at <= ?), (SELECT {_SIZE} {_BANDS}), "
    f"(SELECT count(*) {_OPEN}), {_LAPSED}, "
    "(SELECT count(*) FROM pool_band b WHERE b.pool = p.number) FROM "
)
_THEN = f"SELECT {_COLUMNS} FROM "
_WIDTH = 16


def _pools(
    rx: Rx, which: _Which, at: datetime | None, offset: int = 0, limit: int | None = None
) -> Iterator[Pool]:
    raw = Raw(rx)
    moment = to_micros(at or rx.now)
    there = _there(which, at)
    page, cut = _page(offset, limit)
    # the page first: else PostgreSQL counts the pools before it, too
    chosen = f"(SELECT * FROM pool p WHERE {there.text} ORDER BY p.kind, p.scope{page}) p"
    text = f"{_NOW if at is None else _THEN}{chosen} ORDER BY p.kind, p.scope"
    counted = (moment,) * 3 if at is None else ()
    rows = raw.all(text, *counted, *there.params, *cut)
    if at is None:
        return _detailed(raw, moment, [_present(row, moment) for row in rows])
    return _then(raw, moment, rows)


def _page(offset: int, limit: int | None) -> tuple[str, tuple[int, ...]]:
    if limit is None and not offset:
        return "", ()
    # SQLite has no OFFSET without a LIMIT
    return " LIMIT ? OFFSET ?", ((1 << 62) if limit is None else limit, offset)


def _described(row: Row, moment: int) -> Pool:
    number, id_, kind, scope, first, last, rest, params, domain, draining, until, why, reuse = row[
        :13
    ]
    stripes, created, parent = row[13:_WIDTH]
    pressed = until is not None and until > moment
    return Pool(
        id=id_,
        kind=kind,
        scope=scope,
        first=first,
        last=last,
        quarantine_seconds=rest,
        params=params_of(params),
        capacity=0,
        allocated=0,
        reserved=0,
        quarantined=0,
        free=0,
        domain=None if domain is None else domain.partition("/")[2] or domain,
        draining=bool(draining),
        pressure=Pressure(from_micros(until), why) if pressed else None,
        reuse=reuse,
        stripes=stripes,
        parent=parent,
        created=from_micros(created),
        number=number,
    )


def _present(row: Row, moment: int) -> tuple[Pool, int]:
    """Return a pool as counted now, and how many bands it has."""
    capacity, ready, idle, band_ready, band_idle, open_, lapsed, bands = map(int, row[_WIDTH:])
    free, unheld = ready + band_ready, idle + band_idle
    described = replace(
        _described(row, moment),
        capacity=capacity,
        allocated=capacity - unheld - open_,
        reserved=open_ - lapsed,
        quarantined=unheld - free,
        free=free + lapsed,
    )
    return described, bands


# -- shape ------------------------------------------------------------------------------------------


def _detailed(raw: Raw, moment: int, counted: Sequence[tuple[Pool, int]]) -> Iterator[Pool]:
    """Add bands and exclusions where there are any: most pools are one piece."""
    pieces = [one.number for one, bands in counted if bands or _has_gaps(one)]
    spans = dict(_spans(raw, pieces)) if pieces else {}
    free = dict(_free_of_bands(raw, [one.number for one, bands in counted if bands], moment))
    for one, _ in counted:
        mine = spans.get(one.number)
        yield one if mine is None else _shaped(one, mine, free)


def _has_gaps(one: Pool) -> bool:
    known = kinds().get(one.kind)
    return one.capacity != one.last - one.first + 1 and not (known and known.stock)


def _shaped(one: Pool, spans: Sequence[Row], free: Mapping[tuple[int, str], int] | None) -> Pool:
    """Return a pool with the bands and exclusions of its spans: rows of first, last, band's name."""
    named: dict[str, list[Span]] = {}
    for first, last, name in spans:
        if name is not None:
            named.setdefault(name, []).append((first, last))
    bands = (
        Band(name, tuple(mine), None if free is None else free.get((one.number, name), 0))
        for name, mine in named.items()
    )
    known = kinds().get(one.kind)
    gaps = () if known and known.stock else tuple(_gaps(spans))
    return replace(one, bands=tuple(sorted(bands, key=lambda band: band.spans)), exclusions=gaps)


def _gaps(spans: Iterable[Row]) -> Iterator[Span]:
    for left, right in pairwise(spans):
        if left[1] + 1 < right[0]:
            yield left[1] + 1, right[0] - 1


def _spans(raw: Raw, numbers: Sequence[int]) -> Iterator[tuple[int, list[Row]]]:
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        rows = raw.all(
            "SELECT s.pool, s.first, s.last, b.name FROM pool_span s LEFT JOIN pool_band b ON b.number = s.band "
            f"WHERE s.pool IN ({marks(len(chunk))}) AND s.valid_to IS NULL ORDER BY s.pool, s.first",
            *chunk,
        )
        for number, mine in groupby(rows, key=itemgetter(0)):
            yield number, [tuple(row[1:]) for row in mine]


def _free_of_bands(
    raw: Raw, numbers: Sequence[int], moment: int
) -> Iterator[tuple[tuple[int, str], int]]:
    for start in range(0, len(numbers), _CHUNK):
        chunk = numbers[start : start + _CHUNK]
        rows = raw.all(
            "SELECT b.pool, b.name, sum(f.hi - f.lo + 1) FROM pool_band b JOIN free_range f ON f.pool = -b.number "
            f"WHERE b.pool IN ({marks(len(chunk))}) AND f.free_at <= ? GROUP BY b.pool, b.name",
            *chunk,
            moment,
        )
        for number, name, free in rows:
            yield (number, name), int(free)


# -- the past ---------------------------------------------------------------------------------------

_POLICIES = {
    "quarantineSeconds": 6,
    "params": 7,
    "draining": 9,
    "pressureUntil": 10,
    "pressureReason": 11,
    "reuse": 12,
}
"""What the journal's `before` may name, and where it stands in a row of `_COLUMNS`."""


def _then(raw: Raw, moment: int, rows: Sequence[Row]) -> Iterator[Pool]:
    """Count pools as they were at an instant, from the history of their spans and allocations."""
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        numbers = [row[0] for row in chunk]
        spans, uses = past.spans(raw, numbers, moment), past.uses(raw, numbers, moment)
        before, resting = past.before(raw, numbers, moment), past.resting(raw, numbers, moment)
        for row in chunk:
            n = row[0]
            was = _described(_rewound(row, before.get(n, {})), moment)
            yield _as_of(was, spans.get(n, []), uses.get(n, (0, 0)), resting.get(n, 0))


def _rewound(row: Row, before: Mapping[str, Any]) -> Row:
    """Return a pool's row with the policies it had, as the journal wrote them down."""
    cells = list(row)
    for name, value in before.items():
        cells[_POLICIES[name]] = value
    if "params" in before:
        cells[_POLICIES["params"]] = json.dumps(before["params"])
    if before.get("pressureUntil") is not None:
        cells[_POLICIES["pressureUntil"]] = to_micros(from_text(before["pressureUntil"]))
    return tuple(cells)


def _as_of(was: Pool, spans: Sequence[Row], use: tuple[int, int], resting: int) -> Pool:
    capacity = sum(row[1] - row[0] + 1 for row in spans)
    return replace(
        _shaped(was, spans, None),
        first=spans[0][0] if spans else 0,
        last=spans[-1][1] if spans else -1,
        capacity=capacity,
        allocated=use[0],
        reserved=use[1],
        quarantined=resting,
        free=capacity - sum(use) - resting,
    )
