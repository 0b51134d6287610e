"""Who holds which value: now, at any past time, and as the allocator's hot path needs it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, RowMapping, Select, and_, literal_column, or_, select

from inventory.cause import NO_CAUSE, Cause, cause_of
from inventory.counting.usage import pool_id
from inventory.raw import Raw, Row, loads, marks, params_of
from inventory.tables import allocation as table
from inventory.tables import pool as pool_table
from inventory.types import from_micros
from inventory.values.kinds import render
from store import Rx

State = Literal["reserved", "active", "quarantined"]


@dataclass(frozen=True, slots=True)
class Allocation:
    """A value of a pool and who holds it."""

    pool: str
    kind: str
    scope: str
    value: int
    owner: str
    state: State
    expires_at: datetime | None = None
    subject: str | None = None
    reason: dict[str, Any] | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    cause: Cause = NO_CAUSE
    params: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def text(self) -> str:
        """Return the value as people and devices write it; made when asked for, a bulk has thousands."""
        return render(self.kind, self.params, self.value)


@dataclass(frozen=True, slots=True)
class PoolRow:
    """A pool as the hot path needs it."""

    number: int
    id: str
    kind: str
    scope: str
    quarantine_seconds: int
    params: Mapping[str, Any]
    draining: bool = False
    pressure_until: int | None = None
    pressure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """A present allocation as the hot path needs it; instants are microseconds."""

    id: int
    pool: PoolRow
    value: int
    owner: str
    subject: str | None
    valid_from: int
    confirmed_at: int | None
    expires_at: int | None
    reason: dict[str, Any] | None
    order_id: str | None
    item_id: str | None
    layer: str | None

    @property
    def text(self) -> str:
        """Return the value as people write it."""
        return render(self.pool.kind, self.pool.params, self.value)

    def allocation(self, *, resting: bool = False) -> Allocation:
        """Return it as callers see it; `resting` after a release with quarantine."""
        held: State = "reserved" if self.confirmed_at is None else "active"
        return Allocation(
            pool=self.pool.id,
            kind=self.pool.kind,
            scope=self.pool.scope,
            value=self.value,
            owner=self.owner,
            state="quarantined" if resting else held,
            expires_at=None if self.expires_at is None else from_micros(self.expires_at),
            subject=self.subject,
            reason=self.reason,
            valid_from=from_micros(self.valid_from),
            cause=Cause(self.order_id, self.item_id, self.layer),
            params=self.pool.params,
        )


_POOL = (
    "p.number, p.id, p.kind, p.scope, p.quarantine_seconds, {text:p.params}, p.draining, "
    "p.pressure_until, p.pressure_reason, p.removed, "
)
_POOL_WIDTH = 10
_REMOVED = 9
_VALUE = (
    "a.id, a.value, a.owner, a.subject, a.valid_from, a.confirmed_at, a.expires_at, a.reason, "
    "a.order_id, a.item_id, a.layer "
)
# "coalesce" as the index by owner has it, see tables.HELD
_LOCATE = (
    f"SELECT {_POOL}{_VALUE}FROM pool p LEFT JOIN allocation a "
    "ON a.pool = p.number AND a.owner = ? AND coalesce(a.valid_to, 0) = 0 "
    "WHERE p.id = ? AND coalesce(p.removed, 0) = 0 ORDER BY a.ordinal"
)
_HELD = f"SELECT {_POOL}{_VALUE}FROM allocation a JOIN pool p ON p.number = a.pool "
# LEFT JOIN: what was moved to another pool while this waited for its row comes without pool, not not at all
_OF_OWNER = (
    f"SELECT {_POOL}{_VALUE}FROM allocation a LEFT JOIN pool p ON p.number = a.pool "
    "WHERE a.owner = ? AND coalesce(a.valid_to, 0) = 0 ORDER BY a.pool, a.ordinal {lock:a}"
)
_LAPSED = _HELD + "WHERE a.expires_at <= ? AND a.valid_to IS NULL AND a.confirmed_at IS NULL "
_ORDERED = "ORDER BY a.pool, a.value LIMIT ? {skip:a}"
_MANY = 400


def locate(raw: Raw, kind: str, scope: str, owner: str) -> tuple[PoolRow, tuple[Held, ...]] | None:
    """Return a pool and what the owner holds of it, in one round trip; None when there is no such pool."""
    rows = raw.all(_LOCATE, owner, pool_id(kind, scope))
    if not rows:
        return None
    pool = _pool(rows[0])
    return pool, tuple(_held(pool, row) for row in rows if row[_POOL_WIDTH] is not None)


def locate_many(
    raw: Raw, pool_ids: Sequence[str], owners: Sequence[str]
) -> tuple[dict[str, PoolRow], dict[tuple[int, str], list[Held]]]:
    """Return the pools by id, and what these owners hold of them by (pool number, owner), in few round trips."""
    if len(pool_ids) * len(owners) <= _FEW:
        return _located(_together(raw, pool_ids, owners))
    pools, held = _located(
        row
        for chunk in _chunks(pool_ids)
        for row in raw.all(
            f"SELECT {_POOL}{_NO_VALUE}FROM pool p WHERE p.id IN ({marks(len(chunk))})", *chunk
        )
    )
    numbers = {pool.number: pool for pool in pools.values()}
    for chunk in _chunks(owners):
        rows = raw.all(
            f"SELECT a.pool, {_VALUE}FROM allocation a WHERE a.owner IN ({marks(len(chunk))}) "
            "AND coalesce(a.valid_to, 0) = 0 ORDER BY a.pool, a.ordinal",
            *chunk,
        )
        for number, *row in rows:
            if number in numbers:
                one = _held(numbers[number], (None,) * _POOL_WIDTH + tuple(row))
                held.setdefault((number, one.owner), []).append(one)
    return pools, held


_FEW = 64
_NO_VALUE = ", ".join(["NULL"] * 11) + " "


def _together(raw: Raw, pool_ids: Sequence[str], owners: Sequence[str]) -> Sequence[Row]:
    return raw.all(_together_text(len(pool_ids), len(owners)), *owners, *pool_ids)


@cache
def _together_text(pools: int, owners: int) -> str:
    return (
        f"SELECT {_POOL}{_VALUE}FROM pool p LEFT JOIN allocation a ON a.pool = p.number "
        f"AND a.owner IN ({marks(owners)}) AND coalesce(a.valid_to, 0) = 0 "
        f"WHERE p.id IN ({marks(pools)}) ORDER BY a.ordinal"
    )


def _located(
    rows: Iterable[Row],
) -> tuple[dict[str, PoolRow], dict[tuple[int, str], list[Held]]]:
    pools: dict[str, PoolRow] = {}
    held: dict[tuple[int, str], list[Held]] = {}
    # asked of the rows, not of the database: it thinks next to none is NULL, and reads a whole index for that
    for row in (row for row in rows if row[_REMOVED] is None):
        pool = pools.get(row[1]) or pools.setdefault(row[1], _pool(row))
        if row[_POOL_WIDTH] is not None:
            one = _held(pool, row)
            held.setdefault((pool.number, one.owner), []).append(one)
    return pools, held


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _MANY] for start in range(0, len(names), _MANY))


def held_by(raw: Raw, owner: str) -> tuple[Held, ...]:
    """Return all that an owner holds, locked until the end of the transaction."""
    rows = raw.all(_OF_OWNER, owner)
    if any(row[0] is None for row in rows):
        # the rows are locked now, and a new statement sees which pool they are in
        rows = raw.all(_OF_OWNER, owner)
    return tuple(_held(_pool(row), row) for row in rows)


def held_in(raw: Raw, pool: PoolRow, owner: str) -> tuple[Held, ...]:
    """Return what an owner holds of one pool, locked until the end of the transaction."""
    return tuple(one for one in held_by(raw, owner) if one.pool.number == pool.number)


def lapsed(raw: Raw, now: int, pool: int | None = None, limit: int = 1 << 31) -> tuple[Held, ...]:
    """Return (at most so many of) the reservations whose time is over, leaving out those that others work on."""
    if pool is None:
        rows = raw.all(_LAPSED + _ORDERED, now, limit)
    else:
        rows = raw.all(_LAPSED + "AND a.pool = ? " + _ORDERED, now, pool, limit)
    return tuple(_held(_pool(row), row) for row in rows)


def allocations(
    rx: Rx,
    *,
    owner: str | None = None,
    owner_prefix: str | None = None,
    pool: str | None = None,
    value: int | None = None,
    at: datetime | None = None,
    quarantined: bool = False,
) -> tuple[Allocation, ...]:
    """Return what is held now, or was held at a past time, by pool and value.

    Args:
        rx: the transaction.
        owner: of this owner.
        owner_prefix: of owners whose key begins so.
        pool: of the pool with this id.
        value: this value, as integer.
        at: as it was then.
        quarantined: also what had been released and rested then, with its last owner.

    """
    moment = at or rx.now
    query = select(table, *_POOL_COLUMNS).join(pool_table, pool_table.c.number == table.c.pool)
    by_owner = owner is not None or owner_prefix is not None
    present = at is None and not quarantined
    held = _PRESENT_OF_OWNER if present and by_owner else table.c.valid_to.is_(None)
    query = query.where(_held_at(moment, held, present=present, quarantined=quarantined))
    query = _narrow(rx, query, owner, owner_prefix, pool, value)
    if pool is not None and not present:
        # by its number: joined, PostgreSQL reads all allocations rather than the two indexes of present and past
        numbers = select(pool_table.c.number).where(pool_table.c.id == pool)
        query = query.where(table.c.pool.in_(rx.execute(numbers).scalars().all()))
    rows = rx.execute(query.order_by(table.c.pool, table.c.value, table.c.id)).mappings()
    return tuple(_allocation(row, moment) for row in rows)


_POOL_COLUMNS = (
    pool_table.c.id.label("pool_id"),
    pool_table.c.kind.label("kind"),
    pool_table.c.scope.label("scope"),
    pool_table.c.params.label("params"),
)


_PRESENT_OF_OWNER = literal_column("coalesce(allocation.valid_to, 0)") == literal_column("0")


def _held_at(
    moment: datetime, held: ColumnElement[bool], *, present: bool, quarantined: bool
) -> ColumnElement[bool]:
    unexpired = or_(table.c.expires_at.is_(None), table.c.expires_at > moment)
    if present:
        return and_(held, unexpired)
    until = and_(or_(held, table.c.valid_to > moment), unexpired)
    if quarantined:
        until = or_(until, and_(table.c.valid_to <= moment, table.c.quarantine_until > moment))
    return and_(table.c.valid_from <= moment, until)


def _narrow(
    rx: Rx,
    query: Select[Any],
    owner: str | None,
    owner_prefix: str | None,
    pool: str | None,
    value: int | None,
) -> Select[Any]:
    given = ((table.c.owner, owner), (pool_table.c.id, pool), (table.c.value, value))
    query = query.where(*(column == wanted for column, wanted in given if wanted is not None))
    if owner_prefix is None:
        return query
    if rx.dialect == "postgresql":
        return query.where(table.c.owner.startswith(owner_prefix, autoescape=True))
    # SQLite's LIKE ignores case and, with it, the index
    return query.where(table.c.owner.between(owner_prefix, owner_prefix + "\U0010ffff"))


def _allocation(row: RowMapping, moment: datetime) -> Allocation:
    return Allocation(
        pool=row["pool_id"],
        kind=row["kind"],
        scope=row["scope"],
        value=row["value"],
        owner=row["owner"],
        state=_state(row, moment),
        expires_at=row["expires_at"],
        subject=row["subject"],
        reason=row["reason"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        cause=cause_of(row),
        params=row["params"],
    )


def _state(row: RowMapping, moment: datetime) -> State:
    if row["valid_to"] is not None and row["valid_to"] <= moment:
        return "quarantined"
    confirmed = row["confirmed_at"]
    return "active" if confirmed is not None and confirmed <= moment else "reserved"


def _pool(row: tuple[Any, ...]) -> PoolRow:
    number, id_, kind, scope, quarantine, params, draining, until, why, _ = row[:_POOL_WIDTH]
    return PoolRow(
        number, id_, kind, scope, quarantine, params_of(params), bool(draining), until, why
    )


def _held(pool: PoolRow, row: tuple[Any, ...]) -> Held:
    id_, value, owner, subject, since, confirmed, expires, reason, order, item, layer = row[
        _POOL_WIDTH:
    ]
    return Held(
        id=id_,
        pool=pool,
        value=value,
        owner=owner,
        subject=subject,
        valid_from=since,
        confirmed_at=confirmed,
        expires_at=expires,
        reason=loads(reason),
        order_id=order,
        item_id=item,
        layer=layer,
    )
