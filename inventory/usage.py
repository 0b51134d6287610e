"""How full pools are, now: capacity, what is allocated, reserved, quarantined and free.

At all times allocated + reserved + quarantined + free = capacity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, and_, case, func, or_, select

from inventory.errors import PoolNotFound
from inventory.tables import allocation, free_range, pool_span
from inventory.tables import pool as table
from inventory.types import to_micros
from store import Rx


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool and how full it is now; `free` counts what could be taken at this moment."""

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


def pool_id(kind: str, scope: str) -> str:
    """Return the id of the pool of this kind and scope: the same in a simulation and in the order."""
    return f"{kind}@{scope}"


def pool(rx: Rx, id: str) -> Pool:  # noqa: A002
    """Return a pool with its use. Raises PoolNotFound (POOL_NOT_FOUND)."""
    return _pools(rx, [pool_row(rx, id)])[0]


def pools(rx: Rx, kind: str | None = None, scope: str | None = None) -> list[Pool]:
    """Return the pools with their use, by kind and scope."""
    query = select(table).where(table.c.removed.is_(None)).order_by(table.c.kind, table.c.scope)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return _pools(rx, rx.execute(query).mappings().all())


def free_of(rx: Rx, kind: str, scopes: Sequence[str]) -> dict[str, int]:
    """Return how many values each of these scopes' pools could give now; scopes without pool are left out."""
    named = (table.c.kind == kind, table.c.scope.in_(scopes), table.c.removed.is_(None))
    query = select(table).where(*named)
    return {one.scope: one.free for one in _pools(rx, rx.execute(query).mappings().all())}


def pool_row(rx: Rx, id: str) -> RowMapping:  # noqa: A002
    """Return the row of a pool that is there. Raises PoolNotFound."""
    query = select(table).where(table.c.id == id, table.c.removed.is_(None))
    row = rx.execute(query).mappings().first()
    if row is None:
        raise PoolNotFound(
            f"There is no pool {id!r}; list the pools for their ids.", details={"pool": id}
        )
    return row


def _pools(rx: Rx, rows: Sequence[RowMapping]) -> list[Pool]:
    numbers = [row["number"] for row in rows]
    one = numbers if len(numbers) <= _MANY else None
    capacity, ranges, taken = _capacity(rx, one), _ranges(rx, one), _taken(rx, one)
    return [
        _pool(row, capacity.get(n, 0), ranges.get(n, (0, 0)), taken.get(n, (0, 0, 0)))
        for row, n in zip(rows, numbers, strict=True)
    ]


_MANY = 500


def _pool(
    row: RowMapping, capacity: int, ranges: tuple[int, int], taken: tuple[int, int, int]
) -> Pool:
    free, quarantined = ranges
    active, reserved, expired = taken
    return Pool(
        id=row["id"],
        kind=row["kind"],
        scope=row["scope"],
        first=row["first"],
        last=row["last"],
        quarantine_seconds=row["quarantine_seconds"],
        params=row["params"],
        capacity=capacity,
        allocated=active,
        reserved=reserved,
        quarantined=quarantined,
        free=free + expired,
    )


def _capacity(rx: Rx, numbers: list[int] | None) -> dict[int, int]:
    size = func.sum(pool_span.c.last - pool_span.c.first + 1).label("size")
    query = select(pool_span.c.pool, size).where(pool_span.c.valid_to.is_(None))
    query = query.group_by(pool_span.c.pool)
    if numbers is not None:
        query = query.where(pool_span.c.pool.in_(numbers))
    return {row.pool: int(row.size) for row in rx.rows(query)}


def _ranges(rx: Rx, numbers: list[int] | None) -> dict[int, tuple[int, int]]:
    size = free_range.c.hi - free_range.c.lo + 1
    ready = free_range.c.free_at <= to_micros(rx.now)
    free = func.sum(case((ready, size), else_=0)).label("free")
    resting = func.sum(case((ready, 0), else_=size)).label("resting")
    query = select(free_range.c.pool, free, resting).group_by(free_range.c.pool)
    if numbers is not None:
        query = query.where(free_range.c.pool.in_(numbers))
    return {row.pool: (int(row.free), int(row.resting)) for row in rx.rows(query)}


def _taken(rx: Rx, numbers: list[int] | None) -> dict[int, tuple[int, int, int]]:
    columns = allocation.c
    open_ = columns.confirmed_at.is_(None)
    lapsed = and_(open_, columns.expires_at <= rx.now)
    waiting = and_(open_, or_(columns.expires_at.is_(None), columns.expires_at > rx.now))
    query = select(
        columns.pool,
        func.count(columns.confirmed_at).label("active"),
        func.sum(case((waiting, 1), else_=0)).label("waiting"),
        func.sum(case((lapsed, 1), else_=0)).label("lapsed"),
    )
    query = query.where(columns.valid_to.is_(None)).group_by(columns.pool)
    if numbers is not None:
        query = query.where(columns.pool.in_(numbers))
    return {
        row.pool: (int(row.active), int(row.waiting), int(row.lapsed)) for row in rx.rows(query)
    }
