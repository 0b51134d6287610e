"""The quick way for a set: one value of each of a few known pools, in one statement.

It takes for granted what nearly always holds: the pools are as remembered, the owner has nothing of them yet, fresh
space is there. The statement itself checks all that, pool by pool; what it leaves out goes the careful way.

On PostgreSQL the statement also writes the allocations down: a set costs one round trip instead of a dozen, and round
trips are what a single worker waits for. Ranges are locked in the order of the pools' numbers, and none after the
first that would have to be waited for: that one is then waited for while only earlier pools are held, so two sets
never wait for each other in a circle. SQLite has one writer at a time: one UPDATE, one bulk insert.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from functools import cache
from weakref import WeakKeyDictionary

from sqlalchemy import Engine

from inventory.allocation import ranges
from inventory.allocation.holdings import PoolRow
from inventory.allocation.taking import COLUMNS, TYPES, Terms, Wish, row_of
from inventory.raw import Raw
from store import Rx, Tx

MOST = 8
_KNOWN = 100_000
_pools: WeakKeyDictionary[Engine, dict[str, PoolRow]] = WeakKeyDictionary()

_OPEN = (
    "EXISTS (SELECT 1 FROM pool p WHERE p.number = ? AND p.id = ? AND coalesce(p.removed, 0) = 0 "
    "AND p.draining = 0) "
    "AND NOT EXISTS (SELECT 1 FROM allocation a WHERE a.owner = ? AND a.pool = ? "
    "AND coalesce(a.valid_to, 0) = 0)"
)
_FREE = "FROM free_range WHERE pool = ? AND free_at <= ? AND "
_ORDER = " ORDER BY free_at, hi LIMIT 1"
_MOVED = f"(SELECT id {_FREE}{_OPEN}{_ORDER})"
_RANGE = (
    "f{n} AS MATERIALIZED (SELECT {n} AS nth, id, pool, lo, hi, ?::text AS owner, ?::jsonb AS reason "
    f"{_FREE}{_OPEN}{{after}}{_ORDER} FOR UPDATE SKIP LOCKED)"
)
_AFTER = " AND EXISTS (SELECT 1 FROM f{n})"
_REST = (
    "up AS (UPDATE free_range r SET lo = f.lo + 1 FROM f WHERE r.id = f.id AND f.lo < f.hi), "
    "gone AS (DELETE FROM free_range r USING f WHERE r.id = f.id AND f.lo = f.hi), "
    f"written AS (INSERT INTO allocation ({COLUMNS}) "
    "SELECT f.pool, f.lo, f.owner, 0, NULL, ?::bigint, ?::bigint, ?::bigint, f.reason, "
    "?::text, ?::text, ?::text FROM f ON CONFLICT DO NOTHING RETURNING pool, value) "
    "SELECT f.nth, f.lo, written.value FROM f LEFT JOIN written ON written.pool = f.pool"
)


def known(rx: Rx) -> MutableMapping[str, PoolRow]:
    """Return the pools, by id, that were used over this database's connections before.

    What can change of a pool is asked for again by the statement; names, which grow, are not remembered.
    """
    return _pools.setdefault(rx.engine, {})


def remember(tx: Tx, pools: Iterable[PoolRow]) -> None:
    """Remember pools for the next set, once they are there for good.

    A pool made in a simulation is gone afterwards, and SQLite gives its number to the next one: a set for the one
    was taken from the other.
    """
    seen = {pool.id: pool for pool in pools if "names" not in pool.params}
    tx.after_commit(lambda: _keep(known(tx), seen))


def _keep(mine: MutableMapping[str, PoolRow], seen: Mapping[str, PoolRow]) -> None:
    if len(mine) > _KNOWN:
        mine.clear()
    mine.update(seen)


def take_firsts(raw: Raw, wanted: Sequence[tuple[PoolRow, Wish]], terms: Terms) -> list[int | None]:
    """Take the next value for each of at most eight different pools; None where it needs the careful way."""
    order = sorted(range(len(wanted)), key=lambda index: wanted[index][0].number)
    ascending = [wanted[index] for index in order]
    values = _postgres(raw, ascending, terms) if raw.waits else _sqlite(raw, ascending, terms)
    found: list[int | None] = [None] * len(wanted)
    for index, value in zip(order, values, strict=True):
        found[index] = value
    return found


def _postgres(raw: Raw, wanted: Sequence[tuple[PoolRow, Wish]], terms: Terms) -> list[int | None]:
    found: list[int | None] = [None] * len(wanted)
    params: list[object] = []
    for pool, wish in wanted:
        params += (wish.owner, _text(wish), *_checks(pool, wish, terms))
    cause = terms.cause
    params += (terms.now, terms.confirmed_at, terms.expires_at)
    params += (cause.order_id, cause.item_id, cause.layer)
    for nth, value, written in raw.all(_statement(len(wanted)), *params):
        found[nth] = written
        if written is None:
            _settle(raw, *wanted[nth], value)
    return found


def _sqlite(raw: Raw, wanted: Sequence[tuple[PoolRow, Wish]], terms: Terms) -> list[int | None]:
    params = [param for pool, wish in wanted for param in _checks(pool, wish, terms)]
    moved: dict[int, int] = dict(raw.all(_moving(len(wanted)), *params))
    taken = [moved.get(pool.number) for pool, _ in wanted]
    rows = [
        row_of(pool.number, value - 1, 0, wish, terms, _text(wish))
        for (pool, wish), value in zip(wanted, taken, strict=True)
        if value is not None
    ]
    whole = raw.insert("allocation", COLUMNS, TYPES, rows) == len(rows)
    return [
        value - 1 if value is not None and (whole or _settle(raw, pool, wish, value - 1)) else None
        for (pool, wish), value in zip(wanted, taken, strict=True)
    ]


def _settle(raw: Raw, pool: PoolRow, wish: Wish, value: int) -> bool:
    """Say whether a value that was taken out of the free space is the owner's after all.

    Nobody has it when the same owner was first in another transaction: it goes back. A row that no range knows of
    keeps it out of the free space for good.
    """
    holder = ranges.holder(raw, pool.number, value)
    if holder is None:
        ranges.give_back(raw, pool.number, [value])
    return holder == wish.owner


def _checks(pool: PoolRow, wish: Wish, terms: Terms) -> tuple[object, ...]:
    return (pool.number, terms.now, pool.number, pool.id, wish.owner, pool.number)


def _text(wish: Wish) -> str | None:
    return None if wish.reason is None else json.dumps(wish.reason)


@cache
def _moving(count: int) -> str:
    firsts = ", ".join([_MOVED] * count)
    return (
        f"UPDATE free_range SET lo = lo + 1 WHERE id IN ({firsts}) AND lo < hi RETURNING pool, lo"
    )


@cache
def _statement(count: int) -> str:
    firsts = [_RANGE.format(n=n, after=_AFTER.format(n=n - 1) if n else "") for n in range(count)]
    together = " UNION ALL ".join(f"SELECT * FROM f{n}" for n in range(count))
    return f"WITH {', '.join(firsts)}, f AS ({together}), {_REST}"
