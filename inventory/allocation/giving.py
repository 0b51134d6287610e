"""Ending allocations: the value goes back to its free ranges, resting first when it was used."""

from __future__ import annotations

from collections.abc import Sequence

from inventory.allocation import ranges
from inventory.allocation.holdings import Allocation, Held, PoolRow
from inventory.cause import NO_CAUSE, Cause
from inventory.raw import Raw

_SECOND = 1_000_000


def release_held(
    raw: Raw, held: Sequence[Held], now: int, cause: Cause | None, *, quarantine: bool
) -> tuple[Allocation, ...]:
    """End these allocations, in order of pool and value; leave out those that another has ended meanwhile."""
    return tuple(
        one.allocation(resting=until is not None)
        for one, until in (
            (one, _rest(one.pool, now) if quarantine else None)
            for one in sorted(held, key=lambda one: (one.pool.number, one.value))
        )
        if _end(raw, one, now, until, cause)
    )


def names_of(cause: Cause | None) -> tuple[str | None, str | None, str | None]:
    """Return a cause as the columns `end_order_id`, `end_item_id`, `end_layer` have it."""
    cause = cause or NO_CAUSE
    return cause.order_id, cause.item_id, cause.layer


def _rest(pool: PoolRow, now: int) -> int | None:
    return now + pool.quarantine_seconds * _SECOND if pool.quarantine_seconds else None


def _end(raw: Raw, one: Held, now: int, until: int | None, cause: Cause | None) -> bool:
    # not `valid_to IS NULL`: a plan made while the table was empty took the index of present values instead of the
    # key, and read all of it for each value. The pool (no index either): the value may have been moved to another one
    # since it was looked up, and would be lost between the two
    ended = raw.run(
        "UPDATE allocation SET valid_to = ?, quarantine_until = ?, end_order_id = ?, end_item_id = ?, "
        "end_layer = ? WHERE id = ? AND pool + 0 = ? AND coalesce(valid_to, -1) = -1",
        now,
        until,
        *names_of(cause),
        one.id,
        one.pool.number,
    )
    if not ended:
        return False
    free_at = until if until is not None else 0
    ranges.add(raw, one.pool.number, one.value, free_at, one.subject if until else None)
    return True
