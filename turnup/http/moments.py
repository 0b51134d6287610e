"""`at=`: a past time in a query."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from tmf.errors import InvalidQuery

_UNESCAPED = re.compile(r" (\d\d:\d\d)$")
"""The offset of a time whose `+` came unescaped, and so as a blank."""


def instant(text: str | None) -> datetime | None:
    """Return an instant (RFC 3339: with Z or an offset), in UTC; None for none.

    A time to come is answered as now: nothing is recorded beyond it. Raises InvalidQuery (INVALID_QUERY).
    """
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(_UNESCAPED.sub(r"+\1", text) if "T" in text else text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise InvalidQuery(
        f"at={text}: write a time with Z or an offset, such as 2026-11-24T22:30:00Z or 2026-11-24T23:30:00%2B01:00."
    )
