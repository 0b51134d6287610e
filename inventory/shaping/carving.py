"""Pools carved from pools: a run of a parent's values belongs to its child, under the owner `pool:<child's id>`.

A run is found, cut out and given back as a range, by statements whose number does not depend on its length, and
under the locks of the parent's row and of the free ranges it is cut from. A run of a parent of prefixes is a larger
prefix, so it is aligned: a /22 is four /24 that begin at a multiple of four.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from inventory.allocation.giving import release_held
from inventory.allocation.ranges import holder, lapsed
from inventory.errors import (
    InvalidPrefix,
    InvalidRange,
    PoolDraining,
    PoolExhausted,
    PoolInUse,
    PoolNotFound,
    ValueOutsidePool,
    ValueQuarantined,
    ValueTaken,
)
from inventory.raw import Raw, params_of
from inventory.types import from_micros, to_micros
from inventory.values import blocks
from inventory.values.kind import Kind
from inventory.values.kinds import kind as kind_of
from inventory.values.renderings import BITS, Params, Span
from store import Rx, Tx, to_text

MOST_VALUES = 1 << 16
"""Values of the parent that one child may take: each is a row of `allocation`."""
_TRIES = 16
_SECOND = 1_000_000
_RANGE = "SELECT id, lo, hi, free_at, subject FROM free_range WHERE pool = ? AND "


@dataclass(frozen=True, slots=True)
class Parent:
    """A pool that others are carved from, locked until the end of the transaction."""

    number: int
    id: str
    kind: Kind
    params: Params
    domain: str | None
    quarantine_seconds: int
    draining: bool


@dataclass(frozen=True, slots=True)
class _Range:
    id: int
    lo: int
    hi: int
    free_at: int
    subject: str | None


class _Blocked(Exception):
    """A run is not free as a whole: a value is taken, or rests until an instant (microseconds)."""

    def __init__(self, value: int, resting_until: int | None = None) -> None:
        super().__init__(value, resting_until)
        self.value = value
        self.resting_until = resting_until


def owner_of(child: str) -> str:
    """Return who owns the parent's values that were carved for a pool."""
    return f"pool:{child}"


def locked(tx: Tx, id: str) -> Parent:  # noqa: A002
    """Return a pool to carve from; children of one parent are made one after the other. Raises PoolNotFound."""
    found = _parent(tx, "WHERE id = ? AND removed IS NULL {lock}", id)
    if found is None:
        raise PoolNotFound(
            f"There is no pool {id!r} to carve from; list the pools for their ids.",
            details={"pool": id},
        )
    return found


def refuse_kind(parent: Parent, child: Kind) -> None:
    """Raise InvalidRange (INVALID_RANGE) unless pools of the child's kind can be carved from the parent."""
    same = parent.kind.name == child.name or (
        child.domain is not None and child.domain == parent.kind.domain
    )
    if not same or child.stock:
        raise InvalidRange(
            f"Pool {parent.id} holds {parent.kind.name}; no pool of kind {child.name} can be carved from it.",
            details={"parent": parent.id, "kind": child.name},
        )


def next_free(tx: Tx, parent: Parent, length: int, child: str) -> str:
    """Take the first free prefix of a length for a child, and return it.

    Raises:
        InvalidPrefix: INVALID_PREFIX, the parent hands out smaller parts only as wholes, or no prefixes at all.
        PoolExhausted: POOL_EXHAUSTED, no part of this size is free.
        PoolDraining: POOL_DRAINING.

    """
    size = _size(parent, length)
    raw, now = Raw(tx), to_micros(tx.now)
    _refuse_draining(parent)
    for _ in range(_TRIES):
        first = _find(raw, parent.number, size, now)
        if first is None and _sweep(raw, parent, now):
            continue
        if first is None:
            break
        try:
            _cut(raw, parent.number, (first, first + size - 1), now, owner_of(child))
        except _Blocked:
            # somebody who asked for one value was faster: look for another part
            continue
        _record(raw, parent, (first, first + size - 1), owner_of(child), now)
        return _prefix(parent, first, length)
    raise PoolExhausted(
        f"Pool {parent.id} has no free prefix of length {length}; grow it, or ask for a smaller one.",
        details={"pool": parent.id, "prefixLength": length, "wanted": size},
    )


def take(tx: Tx, parent: Parent, wanted: Span, child: str) -> None:
    """Take the parent's values that cover these places exactly for a child.

    Raises:
        InvalidPrefix, InvalidRange: INVALID_PREFIX, INVALID_RANGE, the places are no whole values of the parent.
        ValueOutsidePool: VALUE_OUTSIDE_POOL, the parent does not have them (all).
        ValueTaken, ValueQuarantined: VALUE_TAKEN, VALUE_QUARANTINED, they are not all free.
        PoolDraining: POOL_DRAINING.

    """
    run = _run(parent, wanted)
    raw, now = Raw(tx), to_micros(tx.now)
    _refuse_draining(parent)
    pieces = _pieces(raw, parent.number, run)
    if sum(last - first + 1 for _, first, last in pieces) != run[1] - run[0] + 1:
        raise ValueOutsidePool(
            f"{_text(parent, run)} does not belong to pool {parent.id} as a whole: some of it lies outside "
            "its range or is excluded; choose another part.",
            details={"pool": parent.id, "value": _text(parent, run)},
        )
    for attempt in range(_TRIES):
        try:
            with tx.savepoint():
                for shelf, first, last in pieces:
                    _cut(raw, shelf, (first, last), now, owner_of(child))
        except _Blocked as blocked:
            if attempt == 0 and _sweep(raw, parent, now):
                continue
            if (
                raw.waits
                and attempt + 1 < _TRIES
                and holder(raw, parent.number, blocked.value) is None
            ):
                continue
            raise _refusal(raw, parent, run, blocked) from None
        break
    _record(raw, parent, run, owner_of(child), now)


def extend(tx: Tx, parent: int, child: str, wanted: Span) -> None:
    """Take further values of the parent for a child that grows. Raises the errors of `take`."""
    found = _parent(tx, "WHERE number = ? {lock}", parent)
    assert found is not None
    take(tx, found, wanted, child)


def give_back(tx: Tx, pool_number: int) -> None:
    """Give back to its parent what a pool was carved from, to rest there; nothing for a pool that was not carved."""
    raw, now = Raw(tx), to_micros(tx.now)
    row = raw.one("SELECT id, parent FROM pool WHERE number = ?", pool_number)
    parent = (
        None if row is None or row[1] is None else _parent(tx, "WHERE number = ? {lock}", row[1])
    )
    if row is None or parent is None:
        return
    owner = owner_of(row[0])
    runs = _runs(raw, parent.number, owner)
    until = now + parent.quarantine_seconds * _SECOND if parent.quarantine_seconds else None
    raw.run(
        "UPDATE allocation SET valid_to = ?, quarantine_until = ? "
        "WHERE owner = ? AND pool = ? AND coalesce(valid_to, 0) = 0",
        now,
        until,
        owner,
        parent.number,
    )
    for run in runs:
        for shelf, first, last in _pieces(raw, parent.number, run):
            _free(raw, shelf, (first, last), until or 0, owner if until else None)


def refuse_child(raw: Raw, parent: str, owner: str) -> None:
    """Raise PoolInUse (POOL_IN_USE) when an owner of the parent's values is a pool that was carved from it."""
    child = owner.removeprefix(owner_of(""))
    carved = child != owner and raw.one(
        "SELECT 1 FROM pool c JOIN pool p ON p.number = c.parent "
        "WHERE c.id = ? AND p.id = ? AND c.removed IS NULL",
        child,
        parent,
    )
    if carved:
        raise PoolInUse(
            f"Pool {child} was carved from {parent}; remove that pool to give its values back.",
            details={"pool": parent, "pools": [child]},
        )


# -- the parent -------------------------------------------------------------------------------------


_PARENT = "SELECT number, id, kind, {text:params}, domain, quarantine_seconds, draining FROM pool "


def _parent(rx: Rx, where: str, value: str | int) -> Parent | None:
    row = Raw(rx).one(_PARENT + where, value)
    if row is None:
        return None
    number, id_, kind, params, domain, quarantine, draining = row
    return Parent(
        number, id_, kind_of(kind, rx), params_of(params), domain, quarantine, bool(draining)
    )


def _refuse_draining(parent: Parent) -> None:
    if parent.draining:
        raise PoolDraining(
            f"Pool {parent.id} is being emptied and gives nothing new; carve from another pool.",
            details={"pool": parent.id},
        )


def _size(parent: Parent, length: int) -> int:
    """Return how many of the parent's values a prefix of this length is."""
    family = blocks.FAMILIES.get(parent.kind.render)
    if family is None:
        raise InvalidPrefix(
            f"Pool {parent.id} of kind {parent.kind.name} has no prefixes; say first and last.",
            details={"parent": parent.id},
        )
    _, shift = parent.kind.form.origin(parent.params)
    bits = BITS[family] - length - shift
    low, high = parent.kind.form.limits(parent.params)
    if bits < 0 or (1 << bits) > high - low + 1:
        shown = parent.kind.form.render(parent.params, low)
        raise InvalidPrefix(
            f"A prefix of length {length} cannot be carved from pool {parent.id}, which hands out parts "
            f"such as {shown}; choose a length between its prefix and its parts.",
            details={"parent": parent.id, "prefixLength": length},
        )
    _refuse_size(parent, 1 << bits)
    return 1 << bits


def _refuse_size(parent: Parent, size: int) -> None:
    if size > MOST_VALUES:
        raise InvalidRange(
            f"That is {size} values of pool {parent.id}, {MOST_VALUES} at most go to one pool; "
            "carve from a pool of larger parts.",
            details={"parent": parent.id, "values": size},
        )


def _run(parent: Parent, wanted: Span) -> Span:
    """Return the values that cover these places exactly."""
    base, shift = parent.kind.form.origin(parent.params)
    low, high = wanted[0] - base, wanted[1] + 1 - base
    if low % (1 << shift) or high % (1 << shift):
        raise InvalidPrefix(
            f"Pool {parent.id} hands out prefixes of length {parent.params['prefixLength']}; "
            "carve one of these, or a shorter one that consists of them.",
            details={"parent": parent.id},
        )
    run = low >> shift, (high >> shift) - 1
    least, most = parent.kind.form.limits(parent.params)
    if run[0] < least or run[1] > most:
        raise ValueOutsidePool(
            f"The part lies outside pool {parent.id}; choose one inside.",
            details={"pool": parent.id},
        )
    _refuse_size(parent, run[1] - run[0] + 1)
    return run


def _prefix(parent: Parent, first: int, length: int) -> str:
    text = parent.kind.form.render(parent.params, first)
    return f"{text.partition('/')[0]}/{length}"


def _text(parent: Parent, run: Span) -> str:
    texts = [parent.kind.form.render(parent.params, value) for value in dict.fromkeys(run)]
    return " to ".join(texts)


def _sweep(raw: Raw, parent: Parent, now: int) -> bool:
    """Free the parent's expired reservations; say whether there were any."""
    over = lapsed(raw, now, parent.number)
    return bool(release_held(raw, over, now, None, quarantine=False))


def _refusal(
    raw: Raw, parent: Parent, run: Span, blocked: _Blocked
) -> ValueTaken | ValueQuarantined:
    text = parent.kind.form.render(parent.params, blocked.value)
    if blocked.resting_until is not None:
        until = to_text(from_micros(blocked.resting_until))
        return ValueQuarantined(
            f"{text} of pool {parent.id} was released and rests until {until}; "
            "take another part or wait.",
            details={"pool": parent.id, "value": text, "until": until},
        )
    owner = holder(raw, parent.number, blocked.value)
    return ValueTaken(
        f"{text} of pool {parent.id} belongs to {owner or 'another transaction'}, so {_text(parent, run)} "
        "is not free; take another part.",
        details={"pool": parent.id, "value": text, "owner": owner},
    )


# -- runs -------------------------------------------------------------------------------------------

# a run of so many values that begins at a multiple of their number fits between lo and hi
# neighbouring rows are one part of free space: fresh and released ones are kept apart, and so are stripes
_ISLANDS = (
    "WITH ready AS (SELECT lo, hi, lag(hi) OVER (ORDER BY hi) AS ended FROM free_range "
    "WHERE pool = ? AND free_at <= ?), "
    "marked AS (SELECT lo, hi, sum(CASE WHEN ended = lo - 1 THEN 0 ELSE 1 END) OVER (ORDER BY hi) AS island "
    "FROM ready), "
    "islands AS (SELECT min(lo) AS lo, max(hi) AS hi FROM marked GROUP BY island) "
    "SELECT lo FROM islands WHERE ((lo + ? - 1) / ?) * ? + ? - 1 <= hi ORDER BY lo LIMIT 1"
)
_FIRST_FIT = (
    "SELECT lo FROM free_range WHERE pool = ? AND free_at <= ? "
    "AND ((lo + ? - 1) / ?) * ? + ? - 1 <= hi ORDER BY free_at, hi LIMIT 1"
)


def _find(raw: Raw, shelf: int, size: int, now: int) -> int | None:
    """Return where an aligned run that is free now begins: fresh space first, then the longest released."""
    sizes = (size,) * 4
    row = raw.one(_FIRST_FIT, shelf, now, *sizes)
    if row is None and size > 1:
        row = raw.one(_ISLANDS, shelf, now, *sizes)
    return None if row is None else -(-int(row[0]) // size) * size


def _pieces(raw: Raw, pool: int, run: Span) -> list[tuple[int, int, int]]:
    """Return (shelf, first, last) of the parts of a run that belong to the pool, by the band they are in."""
    rows = raw.all(
        "SELECT band, first, last FROM pool_span WHERE pool = ? AND valid_to IS NULL AND first <= ? "
        "AND last >= ? ORDER BY first",
        pool,
        run[1],
        run[0],
    )
    return [
        (pool if band is None else -int(band), max(first, run[0]), min(last, run[1]))
        for band, first, last in rows
    ]


def _cut(raw: Raw, shelf: int, run: Span, now: int, owner: str) -> None:
    """Take a run out of the free ranges, its own resting values included. Raises _Blocked."""
    rows = _covering(raw, shelf, run)
    _refuse_gaps(rows, run)
    for row in rows:
        if row.free_at > now and row.subject != owner:
            raise _Blocked(max(row.lo, run[0]), row.free_at)
    for row in rows:
        if row.hi > run[1]:
            raw.run("UPDATE free_range SET lo = ? WHERE id = ?", run[1] + 1, row.id)
        else:
            raw.run("DELETE FROM free_range WHERE id = ?", row.id)
        if row.lo < run[0]:
            _free(raw, shelf, (row.lo, run[0] - 1), row.free_at, row.subject)


def _covering(raw: Raw, shelf: int, run: Span) -> list[_Range]:
    """Return the free ranges that touch a run, locked, in the order in which all lock them."""
    rows = list(raw.all(_RANGE + "hi >= ? AND hi < ? ORDER BY hi {lock}", shelf, run[0], run[1]))
    end = raw.one(_RANGE + "hi >= ? ORDER BY hi LIMIT 1 {lock}", shelf, run[1])
    found = [_Range(*row) for row in (*rows, *([end] if end else []))]
    return [row for row in found if row.lo <= run[1]]


def _refuse_gaps(rows: Sequence[_Range], run: Span) -> None:
    position = run[0]
    for row in rows:
        if row.lo > position:
            break
        position = row.hi + 1
    if position <= run[1]:
        raise _Blocked(position)


def _free(raw: Raw, shelf: int, run: Span, free_at: int, subject: str | None) -> None:
    raw.run(
        "INSERT INTO free_range (pool, lo, hi, free_at, subject) VALUES (?, ?, ?, ?, ?)",
        shelf,
        *run,
        free_at,
        subject,
    )


def _record(raw: Raw, parent: Parent, run: Span, owner: str, now: int) -> None:
    """Write the allocations of a run, one per value, in one statement."""
    # what this child had before and still rested is not resting any more
    raw.run(
        "UPDATE allocation SET quarantine_until = ? WHERE pool = ? AND value >= ? AND value <= ? "
        "AND valid_to IS NOT NULL AND quarantine_until > ?",
        now,
        parent.number,
        *run,
        now,
    )
    row = raw.one(
        "SELECT coalesce(max(ordinal) + 1, 0) FROM allocation WHERE owner = ? AND pool = ? "
        "AND coalesce(valid_to, 0) = 0",
        owner,
        parent.number,
    )
    assert row is not None
    written = raw.run(
        "INSERT INTO allocation (pool, value, owner, ordinal, subject, valid_from, confirmed_at) "
        "WITH RECURSIVE run(v, n) AS (SELECT CAST(? AS BIGINT), CAST(? AS INTEGER) "
        "UNION ALL SELECT v + 1, n + 1 FROM run WHERE v < ?) "
        "SELECT CAST(? AS INTEGER), v, CAST(? AS TEXT), n, CAST(? AS TEXT), CAST(? AS BIGINT), CAST(? AS BIGINT) "
        "FROM run WHERE true ON CONFLICT DO NOTHING",
        run[0],
        row[0],
        run[1],
        parent.number,
        owner,
        owner,
        now,
        now,
    )
    if written != run[1] - run[0] + 1:
        # a row that no free range knows of holds a value: nothing of the child may stay
        raise ValueTaken(
            f"Some of {_text(parent, run)} of pool {parent.id} is held; take another part.",
            details={"pool": parent.id},
        )


def _runs(raw: Raw, pool: int, owner: str) -> list[Span]:
    rows = raw.all(
        "SELECT min(value), max(value) FROM (SELECT value, value - row_number() OVER (ORDER BY value) AS island "
        "FROM allocation WHERE owner = ? AND pool = ? AND coalesce(valid_to, 0) = 0) held "
        "GROUP BY island ORDER BY 1",
        owner,
        pool,
    )
    return [(first, last) for first, last in rows]
