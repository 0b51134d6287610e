"""What pools contained, held and let rest at a past instant: readers for `usage`, by pool number, in few statements.

All instants are microseconds since 1970 UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from inventory.raw import Raw, Row, loads, marks

_THEN = "valid_from <= ? AND (valid_to IS NULL OR valid_to > ?)"
_SPANS = (
    "SELECT s.pool, s.first, s.last, b.name FROM pool_span s LEFT JOIN pool_band b ON b.number = s.band "
    "WHERE s.pool IN ({pools}) AND s.valid_from <= ? AND (s.valid_to IS NULL OR s.valid_to > ?) "
    "ORDER BY s.pool, s.first"
)
# a confirmation clears the expiry: what was confirmed later had not expired before
_USES = (
    "SELECT pool, sum(CASE WHEN confirmed_at <= ? THEN 1 ELSE 0 END), count(*) FROM allocation "
    f"WHERE pool IN ({{pools}}) AND {_THEN} AND (expires_at IS NULL OR expires_at > ?) GROUP BY pool"
)
# what rested when it was taken out of a pool rests on in the history, but is none of the pool's values
_INSIDE = (
    "(EXISTS (SELECT 1 FROM pool_span s WHERE s.pool = a.pool AND s.valid_to > ? AND s.valid_from <= ? "
    "AND s.first <= a.value AND s.last >= a.value) OR a.value <= (SELECT CASE WHEN s.valid_from <= ? "
    "THEN s.last END FROM pool_span s WHERE s.pool = a.pool AND s.valid_to IS NULL AND s.first <= a.value "
    "ORDER BY s.first DESC LIMIT 1))"
)
_RESTING = (
    "SELECT a.pool, count(*) FROM allocation a WHERE a.pool IN ({pools}) AND a.valid_to IS NOT NULL "
    f"AND a.valid_to <= ? AND a.quarantine_until > ? AND {_INSIDE} GROUP BY a.pool"
)
_EVENTS = (
    "SELECT pool, details FROM pool_event WHERE pool IN ({pools}) AND at > ? ORDER BY row DESC"
)


def spans(raw: Raw, numbers: Sequence[int], moment: int) -> dict[int, list[Row]]:
    """Return the rows (first, last, name of the band or None) of what the pools contained, in order."""
    found: dict[int, list[Row]] = {}
    for number, *span in _all(raw, _SPANS, numbers, moment, moment):
        found.setdefault(number, []).append(tuple(span))
    return found


def uses(raw: Raw, numbers: Sequence[int], moment: int) -> dict[int, tuple[int, int]]:
    """Return how many values were allocated, and how many reserved."""
    rows = raw.all(
        _USES.replace("{pools}", marks(len(numbers))), moment, *numbers, moment, moment, moment
    )
    return {number: (int(active), held - int(active)) for number, active, held in rows}


def resting(raw: Raw, numbers: Sequence[int], moment: int) -> dict[int, int]:
    """Return how many values rested after their release."""
    rows = _all(raw, _RESTING, numbers, moment, moment, moment, moment, moment)
    return {number: int(count) for number, count in rows}


def before(raw: Raw, numbers: Sequence[int], moment: int) -> dict[int, dict[str, Any]]:
    """Return the policies that were changed since, as they were: what the journal's entries call `before`."""
    found: dict[int, dict[str, Any]] = {}
    for number, details in _all(raw, _EVENTS, numbers, moment):
        found.setdefault(number, {}).update(loads(details).get("before", {}))
    return found


def _all(raw: Raw, text: str, numbers: Sequence[int], *params: object) -> Sequence[Row]:
    return raw.all(text.replace("{pools}", marks(len(numbers))), *numbers, *params)
