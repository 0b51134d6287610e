"""Pools of values by (kind, scope): making them, and filling stock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_network
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, text, update

from inventory.errors import InvalidRange, PoolExists, PoolNotFound, PoolOverlap
from inventory.kinds import Kind
from inventory.kinds import kind as kind_of
from inventory.layout import Content, Layout, Span, layout, stock_spans
from inventory.raw import Raw
from inventory.tables import free_range, pool_span
from inventory.tables import pool as table
from inventory.types import to_micros
from inventory.usage import Pool, free_of, pool, pool_id, pool_row, pools
from store import Rx, Tx

__all__ = [
    "Pool",
    "add_values",
    "create_pool",
    "ensure_pool",
    "free_of",
    "pool",
    "pool_id",
    "pools",
]


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
    row = pool_row(tx, pool_id)
    declared = kind_of(row["kind"])
    if not declared.stock:
        raise InvalidRange(f"Pool {pool_id} is a range, not stock: single values cannot be added.")
    number = row["number"]
    inside = (pool_span.c.pool == number, pool_span.c.valid_to.is_(None))
    known = set(tx.execute(select(pool_span.c.first).where(*inside)).scalars())
    new = [span for span in stock_spans(declared, values) if span[0] not in known]
    _fill(tx, number, new, 1)
    _stretch(tx, number)
    return pool(tx, pool_id)


def not_found(kind: str, scope: str) -> PoolNotFound:
    """Return the error for a pool that was asked for by kind and scope."""
    return PoolNotFound(
        f"There is no pool of kind {kind} for {scope!r}; create it, or import the topology that has it.",
        details={"kind": kind, "scope": scope},
    )


def _number(rx: Rx, id: str) -> int | None:  # noqa: A002
    query = select(table.c.number).where(table.c.id == id, table.c.removed.is_(None))
    number: int | None = rx.scalar(query)
    return number


def _fill(tx: Tx, number: int, spans: Iterable[Span], stripes: int) -> None:
    spans = list(spans)
    if not spans:
        return
    span = {"pool": number, "valid_from": tx.now}
    tx.execute(insert(pool_span), [span | {"first": lo, "last": hi} for lo, hi in spans])
    cut = [stripe for span in spans for stripe in _stripes(span, stripes)]
    tx.execute(insert(free_range), [{"pool": number, "lo": lo, "hi": hi} for lo, hi in cut])


def _stripes(span: Span, count: int) -> list[Span]:
    lo, hi = span
    size = -(-(hi - lo + 1) // max(1, count))
    return [(start, min(start + size - 1, hi)) for start in range(lo, hi + 1, size)]


def _stretch(tx: Tx, number: int) -> None:
    inside = (pool_span.c.pool == number, pool_span.c.valid_to.is_(None))
    first = select(func.min(pool_span.c.first)).where(*inside).scalar_subquery()
    last = select(func.max(pool_span.c.last)).where(*inside).scalar_subquery()
    stretched = {"first": func.coalesce(first, 0), "last": func.coalesce(last, -1)}
    tx.execute(update(table).where(table.c.number == number).values(**stretched))


def _refuse_overlap(tx: Tx, domain: str | None, made: Layout) -> None:
    if domain is None:
        return
    if tx.dialect == "postgresql":
        # two engineers adding overlapping prefixes at the same moment would not see each other
        tx.execute(text("SELECT pg_advisory_xact_lock(hashtext(:domain))"), {"domain": domain})
    query = select(table).where(table.c.domain == domain, table.c.removed.is_(None))
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
