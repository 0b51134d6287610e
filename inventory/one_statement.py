"""The next value of each of a few pools, taken in one statement.

On PostgreSQL it also writes them down: a set costs a round trip instead of a dozen, and round trips are what a single
worker waits for. The pools' ranges are locked in the order given, and none after the first that has to be waited
for: what was skipped is then waited for while only earlier pools are held, so that two sets never wait for each
other in a circle. SQLite has one writer at a time: one UPDATE, one bulk insert.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from inventory import ranges
from inventory.raw import Raw
from inventory.taking import COLUMNS, TYPES, Terms, Wish, row_of

MOST = 8
_RANGE = (
    "f{n} AS MATERIALIZED (SELECT {n} AS nth, id, lo, hi FROM free_range WHERE pool = ? AND free_at <= ?"
    "{after} ORDER BY free_at, hi LIMIT 1 FOR UPDATE SKIP LOCKED)"
)
_FIRST = "(SELECT id FROM free_range WHERE pool = ? AND free_at <= ? ORDER BY free_at, hi LIMIT 1)"
_AFTER = " AND EXISTS (SELECT 1 FROM f{n})"
_WISH = "({n}, ?::int, ?::text, ?::text, ?::jsonb)"
_REST = (
    "up AS (UPDATE free_range r SET lo = f.lo + 1 FROM f WHERE r.id = f.id AND f.lo < f.hi), "
    "gone AS (DELETE FROM free_range r USING f WHERE r.id = f.id AND f.lo = f.hi), "
    f"written AS (INSERT INTO allocation ({COLUMNS}) "
    "SELECT w.pool, f.lo, w.owner, 0, w.subject, ?::bigint, ?::bigint, ?::bigint, w.reason, "
    "?::text, ?::text, ?::text FROM f JOIN w ON w.nth = f.nth "
    "ON CONFLICT DO NOTHING RETURNING pool, value) "
    "SELECT f.nth, f.lo, written.value FROM f JOIN w ON w.nth = f.nth "
    "LEFT JOIN written ON written.pool = w.pool"
)


def take_firsts(raw: Raw, wanted: Sequence[tuple[int, Wish]], terms: Terms) -> list[int | None]:
    """Take one value for each (pool number, wish), numbers ascending; None where it needs another way."""
    return _statement_each(raw, wanted, terms) if raw.waits else _two(raw, wanted, terms)


def _two(raw: Raw, wanted: Sequence[tuple[int, Wish]], terms: Terms) -> list[int | None]:
    """Move the pools' first ranges on, then write all rows (SQLite)."""
    params = [param for number, _ in wanted for param in (number, terms.now)]
    taken: dict[int, int] = dict(raw.all(_moving(len(wanted)), *params))
    rows = [
        row_of(number, taken[number] - 1, 0, wish, terms, _text(wish))
        for number, wish in wanted
        if number in taken
    ]
    if raw.insert("allocation", COLUMNS, TYPES, rows) == len(rows):
        return [taken[number] - 1 if number in taken else None for number, _ in wanted]
    return [
        _written(raw, number, wish, taken[number] - 1) if number in taken else None
        for number, wish in wanted
    ]


def _written(raw: Raw, number: int, wish: Wish, value: int) -> int | None:
    """Return the value if it was written; a row that no range knows of keeps it out of the free space for good."""
    holder = ranges.holder(raw, number, value)
    if holder is None:
        ranges.give_back(raw, number, [value])
    return value if holder == wish.owner else None


@cache
def _moving(count: int) -> str:
    firsts = ", ".join([_FIRST] * count)
    return (
        f"UPDATE free_range SET lo = lo + 1 WHERE id IN ({firsts}) AND lo < hi RETURNING pool, lo"
    )


def _statement_each(raw: Raw, wanted: Sequence[tuple[int, Wish]], terms: Terms) -> list[int | None]:
    found: list[int | None] = [None] * len(wanted)
    params: list[object] = []
    for number, _ in wanted:
        params += [number, terms.now]
    for number, wish in wanted:
        params += [number, wish.owner, wish.subject, _text(wish)]
    cause = terms.cause
    params += [terms.now, terms.confirmed_at, terms.expires_at]
    params += [cause.order_id, cause.item_id, cause.layer]
    for nth, value, written in raw.all(_statement(len(wanted)), *params):
        found[nth] = written
        number = wanted[nth][0]
        if written is None and ranges.holder(raw, number, value) is None:
            # the same owner was first in another transaction; nobody got this value
            ranges.give_back(raw, number, [value])
    return found


def _text(wish: Wish) -> str | None:
    return None if wish.reason is None else json.dumps(wish.reason)


@cache
def _statement(count: int) -> str:
    firsts = [_RANGE.format(n=n, after=_AFTER.format(n=n - 1) if n else "") for n in range(count)]
    together = " UNION ALL ".join(f"SELECT * FROM f{n}" for n in range(count))
    wishes = ", ".join(_WISH.format(n=n) for n in range(count))
    return (
        f"WITH {', '.join(firsts)}, f AS ({together}), "
        f"w (nth, pool, owner, subject, reason) AS (VALUES {wishes}), {_REST}"
    )
