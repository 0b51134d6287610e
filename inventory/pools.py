"""Pools of values by (kind, scope): making them, filling stock, and how full they are.

At all times allocated + reserved + quarantined + free = capacity.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sqlalchemy import RowMapping, and_, case, func, insert, or_, select, text, update

from inventory.errors import InvalidRange, PoolExists, PoolNotFound, PoolOverlap
from inventory.kinds import Kind
from inventory.kinds import kind as kind_of
from inventory.layout import Content, Layout, Span, layout, stock_spans
from inventory.raw import Raw
from inventory.tables import allocation, free_range, pool_span
from inventory.tables import pool as table
from inventory.types import to_micros
from store import Rx, Tx

__all__ = ["Pool", "add_values", "create_pool", "ensure_pool", "pool", "pool_id", "pools"]


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


def create_pool(
    tx: Tx,
    kind: str,
    scope: str,
    *,
    first: int | None = None,
    last: int | None = None,
    prefix: str | None = None,
    prefix_length: int | None = None,
    values: Sequence[str] | None = None,
    quarantine_seconds: int | None = None,
    technology: str | None = None,
    domain: str | None = None,
    stripes: int = 1,
) -> Pool:
    """Make a pool from a range (first, last), a prefix, or single values.

    Args:
        tx: the transaction.
        kind: one of `kinds.yaml`.
        scope: where the values are unique: a PON port, a BNG, a BNG and S-VLAN, a device model …
        first: lowest value; with `last`. Left out, the kind's own range is taken.
        last: highest value.
        prefix: IPv4 network whose hosts, or IPv6 network whose prefixes, are handed out.
        prefix_length: length of the prefixes handed out (default: the kind's).
        values: stock, as text.
        quarantine_seconds: how long a value rests after release (default: the kind's).
        technology: chooses the range of kinds that differ by access technology.
        domain: address domain (VRF); pools of a kind with addresses must not overlap in one.
        stripes: into how many free ranges a pool is cut that many take from at the same time.

    Raises:
        PoolExists, PoolOverlap: POOL_EXISTS, POOL_OVERLAP.
        InvalidPrefix, InvalidRange, ValueInvalid, KindUnknown: see `layout`.

    """
    content = Content(first, last, prefix, prefix_length, values, technology)
    new = NewPool(kind_of(kind), scope, content, quarantine_seconds, domain, stripes)
    if not make(tx, new):
        raise PoolExists(
            f"Pool {pool_id(kind, scope)} exists already; take from it, or give another scope.",
            details={"pool": pool_id(kind, scope)},
        )
    return pool(tx, pool_id(kind, scope))


@dataclass(frozen=True, slots=True)
class NewPool:
    """A pool to be made; None stands for what the kind says."""

    kind: Kind
    scope: str
    content: Content
    quarantine_seconds: int | None = None
    domain: str | None = None
    stripes: int = 1

    @property
    def address_domain(self) -> str | None:
        """Return within which its addresses must not overlap others; None for plain numbers."""
        return self.kind.domain and f"{self.kind.domain}/{self.domain or 'default'}"

    @property
    def quarantine(self) -> int:
        """Return how many seconds a released value rests."""
        if self.quarantine_seconds is None:
            return self.kind.quarantine
        return self.quarantine_seconds


def make(tx: Tx, new: NewPool) -> bool:
    """Make a pool unless there is one of its kind and scope; say whether it was made. Errors of `create_pool`."""
    made = layout(new.kind, new.content)
    if _number(tx, pool_id(new.kind.name, new.scope)) is not None:
        return False
    _refuse_overlap(tx, new.address_domain, made)
    if not _insert(tx, new, made):
        return False
    number = _number(tx, pool_id(new.kind.name, new.scope))
    assert number is not None
    _fill(tx, number, made.spans, new.stripes)
    return True


def _insert(tx: Tx, new: NewPool, made: Layout) -> bool:
    # another order may make the same pool on demand at this moment: the loser waits here, then uses the winner's
    added = Raw(tx).run(
        "INSERT INTO pool (id, kind, scope, domain, first, last, quarantine_seconds, reuse, stripes, "
        "params, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        pool_id(new.kind.name, new.scope),
        new.kind.name,
        new.scope,
        new.address_domain,
        made.first,
        made.last,
        new.quarantine,
        new.kind.reuse,
        new.stripes,
        json.dumps(dict(made.params)),
        to_micros(tx.now),
    )
    return added == 1


def ensure_pool(tx: Tx, kind: str, scope: str, **content: Any) -> Pool:
    """Return the pool of this kind and scope, made by `create_pool` when there is none; stock gains new values."""
    known = _number(tx, pool_id(kind, scope))
    if known is None:
        return create_pool(tx, kind, scope, **content)
    if content.get("values"):
        return add_values(tx, pool_id(kind, scope), content["values"])
    return pool(tx, pool_id(kind, scope))


def add_values(tx: Tx, pool_id: str, values: Sequence[str]) -> Pool:
    """Add single values to stock; those it has already stay as they are.

    Raises:
        PoolNotFound, ValueInvalid.
        InvalidRange: INVALID_RANGE, the pool is no stock.

    """
    row = _pool_row(tx, pool_id)
    declared = kind_of(row["kind"])
    if not declared.stock:
        raise InvalidRange(f"Pool {pool_id} is a range, not stock: single values cannot be added.")
    number = row["number"]
    known = set(tx.execute(select(pool_span.c.first).where(pool_span.c.pool == number)).scalars())
    new = [span for span in stock_spans(declared, values) if span[0] not in known]
    _fill(tx, number, new, 1)
    _stretch(tx, number)
    return pool(tx, pool_id)


def pool(rx: Rx, id: str) -> Pool:  # noqa: A002
    """Return a pool with its use. Raises PoolNotFound (POOL_NOT_FOUND)."""
    return _pools(rx, [_pool_row(rx, id)])[0]


def pools(rx: Rx, kind: str | None = None, scope: str | None = None) -> list[Pool]:
    """Return the pools with their use, by kind and scope."""
    query = select(table).order_by(table.c.kind, table.c.scope)
    if kind is not None:
        query = query.where(table.c.kind == kind)
    if scope is not None:
        query = query.where(table.c.scope == scope)
    return _pools(rx, rx.execute(query).mappings().all())


def free_of(rx: Rx, kind: str, scopes: Sequence[str]) -> dict[str, int]:
    """Return how many values each of these scopes' pools could give now; scopes without pool are left out."""
    query = select(table).where(table.c.kind == kind, table.c.scope.in_(scopes))
    return {one.scope: one.free for one in _pools(rx, rx.execute(query).mappings().all())}


def not_found(kind: str, scope: str) -> PoolNotFound:
    """Return the error for a pool that was asked for by kind and scope."""
    return PoolNotFound(
        f"There is no pool of kind {kind} for {scope!r}; create it, or import the topology that has it.",
        details={"kind": kind, "scope": scope},
    )


def _pool_row(rx: Rx, id: str) -> RowMapping:  # noqa: A002
    row = rx.execute(select(table).where(table.c.id == id)).mappings().first()
    if row is None:
        raise PoolNotFound(
            f"There is no pool {id!r}; list the pools for their ids.", details={"pool": id}
        )
    return row


def _number(rx: Rx, id: str) -> int | None:  # noqa: A002
    number: int | None = rx.scalar(select(table.c.number).where(table.c.id == id))
    return number


def _fill(tx: Tx, number: int, spans: Iterable[Span], stripes: int) -> None:
    spans = list(spans)
    if not spans:
        return
    tx.execute(insert(pool_span), [{"pool": number, "first": lo, "last": hi} for lo, hi in spans])
    cut = [stripe for span in spans for stripe in _stripes(span, stripes)]
    tx.execute(insert(free_range), [{"pool": number, "lo": lo, "hi": hi} for lo, hi in cut])


def _stripes(span: Span, count: int) -> list[Span]:
    lo, hi = span
    size = -(-(hi - lo + 1) // max(1, count))
    return [(start, min(start + size - 1, hi)) for start in range(lo, hi + 1, size)]


def _stretch(tx: Tx, number: int) -> None:
    inside = pool_span.c.pool == number
    first = select(func.min(pool_span.c.first)).where(inside).scalar_subquery()
    last = select(func.max(pool_span.c.last)).where(inside).scalar_subquery()
    stretched = {"first": func.coalesce(first, 0), "last": func.coalesce(last, -1)}
    tx.execute(update(table).where(table.c.number == number).values(**stretched))


def _refuse_overlap(tx: Tx, domain: str | None, made: Layout) -> None:
    if domain is None:
        return
    if tx.dialect == "postgresql":
        # two engineers adding overlapping prefixes at the same moment would not see each other
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtext(:domain))"), {"domain": domain})
    query = select(table).where(table.c.domain == domain)
    for row in tx.execute(query).mappings():
        if _overlap(made, row):
            raise PoolOverlap(
                f"The values overlap those of pool {row['id']} in address domain {domain}; "
                "choose others, or another domain (VRF).",
                details={"pool": row["id"], "domain": domain},
            )


def _overlap(made: Layout, other: RowMapping) -> bool:
    if "prefix" in made.params and "prefix" in other["params"]:
        mine, theirs = ip_network(made.params["prefix"]), ip_network(other["params"]["prefix"])
        return mine.version == theirs.version and mine.overlaps(theirs)
    return bool(made.first <= other["last"] and other["first"] <= made.last)


# -- use --------------------------------------------------------------------------------------------


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
    query = select(pool_span.c.pool, size).group_by(pool_span.c.pool)
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
