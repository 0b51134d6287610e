"""Values from pools: take, share, confirm, release. Never one value twice, never slower with size.

Free space is kept as ranges, one row each, so the next value, a given value and a run of values cost
O(log n) whatever the pool's size. A taken value is a row of `allocation`; its two unique indexes over present
rows are the last word, whatever other writers do. A released value goes back as a range that becomes free
when its quarantine ends, without a timer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from inventory.allocation import ranges
from inventory.allocation.giving import names_of, release_held
from inventory.allocation.holdings import Allocation, Held, allocations, held_by
from inventory.allocation.ranges import Place
from inventory.allocation.sets import take_set
from inventory.allocation.taking import Wish, take_one, terms_of
from inventory.cause import NO_CAUSE, Cause
from inventory.counting.usage import pool_id
from inventory.errors import AllocationNotFound, OwnedByOrder
from inventory.raw import Raw
from inventory.shaping import carving
from inventory.shaping.shifting import went_with
from inventory.types import to_micros
from store import Tx

__all__ = [
    "Allocation",
    "Place",
    "Wish",
    "allocations",
    "confirm",
    "expire",
    "release",
    "release_by_api",
    "release_shared",
    "take",
    "take_set",
    "take_shared",
    "tidy",
    "tidy_some",
]


def take(
    tx: Tx,
    *,
    kind: str,
    scope: str,
    owner: str,
    value: str | int | None = None,
    subject: str | None = None,
    state: Literal["reserved", "active"] = "reserved",
    ttl_seconds: int | None = None,
    count: int = 1,
    band: str | None = None,
    cause: Cause | None = None,
    reason: Mapping[str, Any] | None = None,
) -> tuple[Allocation, ...]:
    """Take values of a pool. The same owner again gets the values it holds, whatever else it says.

    Args:
        tx: the transaction; the values are taken when it commits.
        kind: the pool's kind.
        scope: the pool's scope; kinds on demand make the pool.
        owner: idempotency key, unique in the pool.
        value: this value, and no other.
        subject: for whom; its own former value is given back even while it rests in quarantine.
        state: `reserved` until `confirm`, or `active` at once.
        ttl_seconds: a reservation ends by itself after this; None: never. What is active never does.
        count: how many values.
        band: from this reserved band of the pool, which nobody else is given values of unasked.
        cause: the order item.
        reason: why these, kept with the allocation.

    Raises:
        PoolNotFound, KindUnknown: no such pool, and not one made on demand.
        PoolExhausted: POOL_EXHAUSTED, not enough values are free; nothing is taken.
        PoolDraining: POOL_DRAINING, the pool is being emptied; the owner holds nothing of it.
        BandUnknown: BAND_UNKNOWN, the pool has no such band.
        ValueTaken, ValueQuarantined, ValueOutsidePool, ValueInvalid: the given value cannot be had.
        InvalidInput: INVALID_INPUT, a value and a count.

    """
    wish = Wish(kind, scope, owner, value, count, subject, band, reason)
    if count > 1 and value is None and band is None:
        # a run is written at once, as a set is: thousands one by one took a round trip each
        return take_set(tx, (wish,), state=state, ttl_seconds=ttl_seconds, cause=cause)[0]
    terms = terms_of(tx, state=state, ttl_seconds=ttl_seconds, cause=cause)
    return take_one(tx, Raw(tx), wish, terms)


def confirm(tx: Tx, owner: str, *, pool: str | None = None) -> tuple[Allocation, ...]:
    """Make what an owner has reserved (in one pool) active: it does not expire any more. Repeating changes nothing.

    Raises:
        AllocationNotFound: ALLOCATION_NOT_FOUND, the owner holds nothing, or its reservation has expired.

    """
    raw, now = Raw(tx), to_micros(tx.now)
    for held in held_by(raw, owner):
        if held.confirmed_at is None and pool in {None, held.pool.id}:
            raw.run(
                "UPDATE allocation SET confirmed_at = ?, expires_at = NULL "
                "WHERE id = ? AND (expires_at IS NULL OR expires_at > ?)",
                now,
                held.id,
                now,
            )
    found = allocations(tx, owner=owner, pool=pool)
    if not found:
        raise AllocationNotFound(
            f"{owner!r} holds no value, or its reservation has expired; take one again.",
            details={"owner": owner},
        )
    return found


def release(
    tx: Tx, owner: str, *, quarantine: bool = True, cause: Cause | None = None
) -> tuple[Allocation, ...]:
    """Give back all that an owner holds; nothing happens when it holds nothing.

    Args:
        tx: the transaction.
        owner: the owner key.
        quarantine: let the values rest as their pools say (they were used); False: free at once (they never were).
        cause: the order item.

    """
    raw = Raw(tx)
    return release_held(raw, held_by(raw, owner), to_micros(tx.now), cause, quarantine=quarantine)


def release_by_api(tx: Tx, pool: str, owner: str) -> tuple[Allocation, ...]:
    """Give back what an owner holds in one pool, unless it belongs to an order.

    Raises:
        AllocationNotFound: ALLOCATION_NOT_FOUND.
        OwnedByOrder: OWNED_BY_ORDER, an order took it; only an order may give it back.
        PoolInUse: POOL_IN_USE, a pool was carved from it; removing that pool gives it back.

    """
    raw = Raw(tx)
    carving.refuse_child(raw, pool, owner)
    held = [one for one in held_by(raw, owner) if one.pool.id == pool]
    if not held:
        raise AllocationNotFound(
            f"{owner!r} holds no value of pool {pool}; list its allocations for the owners it has.",
            details={"owner": owner, "pool": pool},
        )
    orders = sorted({one.order_id for one in held if one.order_id is not None})
    if orders:
        raise OwnedByOrder(
            f"{owner!r} got its value from order {orders[0]}; cease or modify the product to free it.",
            details={"owner": owner, "pool": pool, "order": orders[0]},
        )
    used = any(one.confirmed_at is not None for one in held)
    return release_held(raw, held, to_micros(tx.now), None, quarantine=used)


def take_shared(
    tx: Tx, *, kind: str, scope: str, shared_by: str, user: str, cause: Cause | None = None
) -> Allocation:
    """Return the one value that all users of `shared_by` have, and count this user among them.

    Raises the errors of `take`.
    """
    raw, now = Raw(tx), to_micros(tx.now)
    owner, cause = _shared_owner(shared_by), cause or NO_CAUSE
    while not (held := _shared(raw, kind, scope, owner)):
        take(tx, kind=kind, scope=scope, owner=owner, state="active", cause=cause)
    raw.run(
        'INSERT INTO pool_user (pool, shared_by, "user", valid_from, order_id, item_id, layer) '
        "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        held[0].pool.number,
        shared_by,
        user,
        now,
        cause.order_id,
        cause.item_id,
        cause.layer,
    )
    return held[0].allocation()


def release_shared(
    tx: Tx,
    *,
    kind: str,
    scope: str,
    shared_by: str,
    user: str,
    cause: Cause | None = None,
    quarantine: bool = True,
) -> bool:
    """End one user's share; the value is released with the last. Say whether this was the last."""
    raw, now = Raw(tx), to_micros(tx.now)
    owner = _shared_owner(shared_by)
    all_held = [one for one in held_by(raw, owner) if one.pool.kind == kind]
    held = [one for one in all_held if one.pool.scope == scope]
    if not (held and _leave(raw, held[0].pool.number, shared_by, user, now, cause)):
        # the pool may have been split since, or the value moved: who shares it has gone with it
        others = [one.pool.number for one in all_held if one.pool.scope != scope]
        where = went_with(raw, pool_id(kind, scope), others, shared_by, user)
        held = [one for one in all_held if one.pool.number == where]
        if where is None or not _leave(raw, where, shared_by, user, now, cause):
            return False
    if _users(raw, held[0].pool.number, shared_by):
        return False
    release_held(raw, held, now, cause, quarantine=quarantine)
    return True


def expire(tx: Tx, *, limit: int = 1 << 31) -> int:
    """End (at most so many) reservations whose time is over (maintenance); return how many."""
    raw, now = Raw(tx), to_micros(tx.now)
    over = ranges.lapsed(raw, now, limit=limit)
    return len(release_held(raw, over, now, None, quarantine=False))


def tidy(tx: Tx) -> int:
    """Join neighbouring free ranges whose quarantine is over; return how many rows that saved."""
    saved, place = tidy_some(tx)
    while place is not None:
        more, place = tidy_some(tx, place)
        saved += more
    return saved


def tidy_some(
    tx: Tx, after: Place | None = None, *, limit: int = 5_000
) -> tuple[int, Place | None]:
    """Do a part of `tidy` (maintenance: others want to write, too); return rows saved and where to go on."""
    return ranges.tidy(Raw(tx), to_micros(tx.now), after or ranges.START, limit)


# -- sharing ----------------------------------------------------------------------------------------


def _shared_owner(shared_by: str) -> str:
    return f"shared:{shared_by}"


def _shared(raw: Raw, kind: str, scope: str, owner: str) -> list[Held]:
    """Return the shared value, if any, locked: nobody can release it as its last user meanwhile."""
    return [h for h in held_by(raw, owner) if (h.pool.kind, h.pool.scope) == (kind, scope)]


def _leave(raw: Raw, pool: int, shared_by: str, user: str, now: int, cause: Cause | None) -> bool:
    """End one user's share; say whether it had one."""
    ended = raw.run(
        "UPDATE pool_user SET valid_to = ?, end_order_id = ?, end_item_id = ?, end_layer = ? "
        'WHERE pool = ? AND shared_by = ? AND "user" = ? AND valid_to IS NULL',
        now,
        *names_of(cause),
        pool,
        shared_by,
        user,
    )
    return ended > 0


def _users(raw: Raw, pool: int, shared_by: str) -> int:
    row = raw.one(
        "SELECT count(*) FROM pool_user WHERE pool = ? AND shared_by = ? AND valid_to IS NULL",
        pool,
        shared_by,
    )
    return int(row[0]) if row else 0
