"""The next value of each of a few pools, taken and written down in one PostgreSQL statement.

A set costs a round trip instead of a dozen, and round trips are what a single worker waits for. The pools'
ranges are locked in the order given, and none after the first that has to be waited for: what was skipped is then
waited for while only earlier pools are held, so that two sets never wait for each other in a circle.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache

from inventory import ranges
from inventory.raw import Raw
from inventory.taking import COLUMNS, Terms, Wish

MOST = 8
_RANGE = (
    "f{n} AS MATERIALIZED (SELECT {n} AS nth, id, lo, hi FROM free_range WHERE pool = ? AND free_at <= ?"
    "{after} ORDER BY free_at, hi LIMIT 1 FOR UPDATE SKIP LOCKED)"
)
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
    found: list[int | None] = [None] * len(wanted)
    params: list[object] = []
    for number, _ in wanted:
        params += [number, terms.now]
    for number, wish in wanted:
        reason = None if wish.reason is None else json.dumps(wish.reason)
        params += [number, wish.owner, wish.subject, reason]
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


@cache
def _statement(count: int) -> str:
    firsts = [_RANGE.format(n=n, after=_AFTER.format(n=n - 1) if n else "") for n in range(count)]
    together = " UNION ALL ".join(f"SELECT * FROM f{n}" for n in range(count))
    wishes = ", ".join(_WISH.format(n=n) for n in range(count))
    return (
        f"WITH {', '.join(firsts)}, f AS ({together}), "
        f"w (nth, pool, owner, subject, reason) AS (VALUES {wishes}), {_REST}"
    )
