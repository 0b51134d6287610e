"""Values from pools: take, share, confirm, release. Never one value twice, never slower with size.

Free space is kept as ranges, one row each, so the next value, a given value and a run of values cost
O(log n) whatever the pool's size. A taken value is a row of `allocation`; its two unique indexes over present
rows are the last word, whatever other writers do. A released value goes back as a range that becomes free
when its quarantine ends, without a timer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from inventory import ranges
from inventory.cause import NO_CAUSE, Cause
from inventory.errors import AllocationNotFound, OwnedByOrder, ValueOutsidePool, ValueTaken
from inventory.holdings import Allocation, Held, PoolRow, allocations, held_by, held_in, locate
from inventory.kinds import kind as kind_of
from inventory.kinds import parse, render
from inventory.layout import Content
from inventory.pools import NewPool, make, not_found
from inventory.raw import Raw
from inventory.types import from_micros, to_micros
from store import Tx

__all__ = [
    "Allocation",
    "allocations",
    "confirm",
    "expire",
    "release",
    "release_by_api",
    "release_shared",
    "take",
    "take_shared",
    "tidy",
]

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class _Wish:
    """What one caller wants of one pool."""

    owner: str
    subject: str | None
    confirmed_at: int | None
    expires_at: int | None
    now: int
    reason: str | None
    cause: Cause


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
        ttl_seconds: the reservation ends by itself after this; None: never.
        count: how many values.
        cause: the order item.
        reason: why these, kept with the allocation.

    Raises:
        PoolNotFound, KindUnknown: no such pool, and not one made on demand.
        PoolExhausted: POOL_EXHAUSTED, not enough values are free; nothing is taken.
        ValueTaken, ValueQuarantined, ValueOutsidePool, ValueInvalid: the given value cannot be had.

    """
    raw, now = Raw(tx), to_micros(tx.now)
    wish = _Wish(
        owner=owner,
        subject=subject,
        confirmed_at=now if state == "active" else None,
        expires_at=None if ttl_seconds is None else now + ttl_seconds * _SECOND,
        now=now,
        reason=None if reason is None else json.dumps(reason),
        cause=cause or NO_CAUSE,
    )
    pool, held = _locate(tx, raw, kind, scope, owner)
    held = _lapse(raw, held, now)
    if held:
        return _same(pool, held, value)
    if value is not None:
        numbers = [_specific(raw, pool, value, wish)]
    else:
        numbers = _some(raw, pool, count, wish)
    return _record(tx, raw, pool, numbers, wish, exact=value is not None)


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
    return _release(raw, held_by(raw, owner), to_micros(tx.now), cause, quarantine=quarantine)


def release_by_api(tx: Tx, pool: str, owner: str) -> tuple[Allocation, ...]:
    """Give back what an owner holds in one pool, unless it belongs to an order.

    Raises:
        AllocationNotFound: ALLOCATION_NOT_FOUND.
        OwnedByOrder: OWNED_BY_ORDER, an order took it; only an order may give it back.

    """
    raw = Raw(tx)
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
    return _release(raw, held, to_micros(tx.now), None, quarantine=used)


def take_shared(
    tx: Tx, *, kind: str, scope: str, shared_by: str, user: str, cause: Cause | None = None
) -> Allocation:
    """Return the one value that all users of `shared_by` have, and count this user among them.

    Raises the errors of `take`.
    """
    raw, now = Raw(tx), to_micros(tx.now)
    owner, cause = _shared_owner(shared_by), cause or NO_CAUSE
    while (taken := _joined(raw, kind, scope, owner)) is None:
        take(tx, kind=kind, scope=scope, owner=owner, state="active", cause=cause)
    raw.run(
        'INSERT INTO pool_user (pool, shared_by, "user", valid_from, order_id, item_id, layer) '
        "SELECT number, ?, ?, ?, ?, ?, ? FROM pool WHERE id = ? AND removed IS NULL "
        "ON CONFLICT DO NOTHING",
        shared_by,
        user,
        now,
        cause.order_id,
        cause.item_id,
        cause.layer,
        taken.pool,
    )
    return taken


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
    held = _shared(raw, kind, scope, owner)
    if not held:
        return False
    ended = raw.run(
        "UPDATE pool_user SET valid_to = ?, end_order_id = ?, end_item_id = ?, end_layer = ? "
        'WHERE pool = ? AND shared_by = ? AND "user" = ? AND valid_to IS NULL',
        now,
        *_names(cause),
        held[0].pool.number,
        shared_by,
        user,
    )
    if not ended or _users(raw, held[0].pool.number, shared_by):
        return False
    _release(raw, held, now, cause, quarantine=quarantine)
    return True


def expire(tx: Tx) -> int:
    """End all reservations whose time is over (maintenance); return how many."""
    raw, now = Raw(tx), to_micros(tx.now)
    return len(_release(raw, ranges.lapsed(raw, now), now, None, quarantine=False))


def tidy(tx: Tx) -> int:
    """Join neighbouring free ranges whose quarantine is over (maintenance); return how many rows that saved."""
    return ranges.tidy(Raw(tx), to_micros(tx.now))


# -- taking -----------------------------------------------------------------------------------------


def _locate(
    tx: Tx, raw: Raw, kind: str, scope: str, owner: str
) -> tuple[PoolRow, tuple[Held, ...]]:
    found = locate(raw, kind, scope, owner)
    if found is None and kind_of(kind).on_demand:
        make(tx, NewPool(kind_of(kind), scope, Content()))
        found = locate(raw, kind, scope, owner)
    if found is None:
        raise not_found(kind, scope)
    return found


def _lapse(raw: Raw, held: tuple[Held, ...], now: int) -> tuple[Held, ...]:
    """Return what is still held; what has expired goes back, whether or not a sweep came by."""
    over = [one for one in held if one.expires_at is not None and one.expires_at <= now]
    _release(raw, over, now, None, quarantine=False)
    return tuple(one for one in held if one not in over)


def _same(pool: PoolRow, held: tuple[Held, ...], value: str | int | None) -> tuple[Allocation, ...]:
    wanted = None if value is None else _number(pool, value)
    if wanted is not None and wanted not in {one.value for one in held}:
        raise ValueTaken(
            f"{held[0].owner!r} already holds {held[0].text} of pool {pool.id}; release that first, "
            f"or ask for {value} under another owner.",
            details={"pool": pool.id, "held": held[0].text},
        )
    return tuple(one.allocation() for one in held)


def _some(raw: Raw, pool: PoolRow, count: int, wish: _Wish) -> list[int]:
    if wish.subject is not None and count == 1:
        own = ranges.reuse(raw, pool.number, wish.subject, wish.now)
        if own is not None:
            return [own]
    if count > 1 and raw.waits:
        # two that each hold a range and wait for the other's would deadlock: takers of many go one by one
        raw.one("SELECT number FROM pool WHERE number = ? {lock}", pool.number)
    taken: list[int] = []
    while len(taken) < count:
        run = ranges.lowest(raw, pool.number, wish.now, count - len(taken))
        if run is not None:
            taken += run
        elif not _sweep(raw, pool, wish.now):
            ranges.give_back(raw, pool.number, taken)
            raise ranges.exhausted(raw, pool.number, pool.id, count, len(taken))
    return taken


def _specific(raw: Raw, pool: PoolRow, value: str | int, wish: _Wish) -> int:
    number = _number(pool, value)
    if not ranges.contains(raw, pool.number, number):
        raise ValueOutsidePool(
            f"{value} does not belong to pool {pool.id}: it lies outside its range or is excluded; "
            "ask for a value of the pool.",
            details={"pool": pool.id, "value": str(value)},
        )
    try:
        ranges.cut(raw, pool.number, number, wish.now, wish.subject)
    except ranges.Refused as refused:
        if refused.quarantined_until is None and _sweep(raw, pool, wish.now):
            return _specific(raw, pool, value, wish)
        text = render(pool.kind, pool.params, number)
        raise ranges.explain(raw, pool.number, pool.id, number, text, refused) from None
    return number


def _number(pool: PoolRow, value: str | int) -> int:
    return parse(pool.kind, pool.params, value) if isinstance(value, str) else value


def _sweep(raw: Raw, pool: PoolRow, now: int) -> bool:
    """Free the pool's expired reservations, if any: a pool is only full when they are gone, too."""
    over = ranges.lapsed(raw, now, pool.number)
    return bool(_release(raw, over, now, None, quarantine=False))


def _record(
    tx: Tx, raw: Raw, pool: PoolRow, numbers: list[int], wish: _Wish, *, exact: bool
) -> tuple[Allocation, ...]:
    taken: list[Allocation] = []
    while len(taken) < len(numbers):
        number = numbers[len(taken)]
        if _insert(raw, pool, number, len(taken), wish):
            taken.append(_allocation(tx, pool, number, wish))
            continue
        others = () if taken else held_in(raw, pool, wish.owner)
        if others:
            # the same owner was first in another transaction: its values are the answer
            ranges.give_back(raw, pool.number, numbers)
            return tuple(one.allocation() for one in others)
        if ranges.holder(raw, pool.number, number) is None:
            # the same owner was first, and has released again before we could see it: the value is still ours
            continue
        if exact:
            text = render(pool.kind, pool.params, number)
            raise ranges.explain(raw, pool.number, pool.id, number, text, ranges.Refused(None))
        # a row that no range knows of holds the value: leave it out of the free space for good
        numbers[len(taken)] = _some(raw, pool, 1, wish)[0]
    return tuple(taken)


def _allocation(tx: Tx, pool: PoolRow, number: int, wish: _Wish) -> Allocation:
    return Allocation(
        pool=pool.id,
        kind=pool.kind,
        scope=pool.scope,
        value=number,
        text=render(pool.kind, pool.params, number),
        owner=wish.owner,
        state="reserved" if wish.confirmed_at is None else "active",
        expires_at=None if wish.expires_at is None else from_micros(wish.expires_at),
        subject=wish.subject,
        reason=None if wish.reason is None else json.loads(wish.reason),
        valid_from=tx.now,
        cause=wish.cause,
    )


def _insert(raw: Raw, pool: PoolRow, number: int, ordinal: int, wish: _Wish) -> bool:
    cause = wish.cause
    added = raw.run(
        "INSERT INTO allocation (pool, value, owner, ordinal, subject, valid_from, confirmed_at, expires_at, "
        "reason, order_id, item_id, layer) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
        pool.number,
        number,
        wish.owner,
        ordinal,
        wish.subject,
        wish.now,
        wish.confirmed_at,
        wish.expires_at,
        wish.reason,
        cause.order_id,
        cause.item_id,
        cause.layer,
    )
    return added == 1


# -- giving back ------------------------------------------------------------------------------------


def _release(
    raw: Raw, held: Sequence[Held], now: int, cause: Cause | None, *, quarantine: bool
) -> tuple[Allocation, ...]:
    return tuple(
        one.allocation(resting=until is not None)
        for one, until in (
            (one, _rest(one.pool, now) if quarantine else None)
            for one in sorted(held, key=lambda one: (one.pool.number, one.value))
        )
        if _end(raw, one, now, until, cause)
    )


def _rest(pool: PoolRow, now: int) -> int | None:
    return now + pool.quarantine_seconds * _SECOND if pool.quarantine_seconds else None


def _end(raw: Raw, one: Held, now: int, until: int | None, cause: Cause | None) -> bool:
    ended = raw.run(
        "UPDATE allocation SET valid_to = ?, quarantine_until = ?, end_order_id = ?, end_item_id = ?, "
        "end_layer = ? WHERE id = ? AND valid_to IS NULL",
        now,
        until,
        *_names(cause),
        one.id,
    )
    if not ended:
        return False
    free_at = until if until is not None else 0
    ranges.add(raw, one.pool.number, one.value, free_at, one.subject if until else None)
    return True


def _names(cause: Cause | None) -> tuple[str | None, str | None, str | None]:
    cause = cause or NO_CAUSE
    return cause.order_id, cause.item_id, cause.layer


# -- sharing ----------------------------------------------------------------------------------------


def _shared_owner(shared_by: str) -> str:
    return f"shared:{shared_by}"


def _shared(raw: Raw, kind: str, scope: str, owner: str) -> list[Held]:
    """Return the shared value, if any, locked: nobody can release it as its last user meanwhile."""
    return [h for h in held_by(raw, owner) if (h.pool.kind, h.pool.scope) == (kind, scope)]


def _joined(raw: Raw, kind: str, scope: str, owner: str) -> Allocation | None:
    return next((h.allocation() for h in _shared(raw, kind, scope, owner)), None)


def _users(raw: Raw, pool: int, shared_by: str) -> int:
    row = raw.one(
        "SELECT count(*) FROM pool_user WHERE pool = ? AND shared_by = ? AND valid_to IS NULL",
        pool,
        shared_by,
    )
    return int(row[0]) if row else 0
