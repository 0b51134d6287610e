"""Pools become larger and smaller, and end; see `reshape`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from inventory import journal
from inventory.counting.usage import Pool, pool
from inventory.errors import InvalidRange, PoolInUse, PoolOverlap
from inventory.pools import fill, stretch
from inventory.raw import Raw, Row
from inventory.shaping import carving, extents, gaining, shifting
from inventory.shaping.gaining import Gain
from inventory.shaping.shifting import Shape
from inventory.types import to_micros
from inventory.values.kinds import number as number_of
from inventory.values.layout import without
from inventory.values.renderings import Names, Span
from store import Tx

MOST_SHOWN = 20
"""How many values, owners or pools an error or a journal's entry names."""


@shifting.whole
def grow(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    first: int | str | None = None,
    last: int | str | None = None,
    prefix: str | None = None,
    values: Sequence[str] | None = None,
) -> Pool:
    """Add values to a pool: a range, a prefix, or single values of stock (those it has stay as they are).

    Args:
        tx: the transaction.
        id: the pool's id.
        first: lowest new value; left out: the one after the pool's last.
        last: highest new value; left out: the one before the pool's first.
        prefix: a network (administrator, leading digits …) as `create_pool` takes it.
        values: stock, or names of ports.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        PoolOverlap: POOL_OVERLAP, the pool itself or another of its domain has some of the values.
        InvalidRange, InvalidPrefix, ValueInvalid: the values are not the kind's, or cannot be numbered in this pool.
        ValueTaken, ValueOutsidePool …: a pool that was carved from another takes more there, see `carving.take`.

    """
    (shape,) = shifting.locked(tx, id)
    gain = _gain(tx, shape, first, last, prefix, values)
    if not gain.spans:
        return pool(tx, id)
    raw, now = Raw(tx), to_micros(tx.now)
    before = _renew_params(raw, shape, gain.params)
    for part in gain.occupies:
        if not _within(shape, part):
            extents.hold(tx, shape.number, *part)
    fill(tx, shape.number, gain.spans, shape.stripes)
    resting = _rest_again(raw, shape.number, gain.spans, now)
    stretch(tx, shape.number)
    journal.note(tx, shape.number, "grown", **_added(shape, gain), **resting, **before)
    return pool(tx, id)


@shifting.whole
def shrink(
    tx: Tx,
    id: str,  # noqa: A002
    *,
    first: int | str | None = None,
    last: int | str | None = None,
    values: Sequence[str] | None = None,
) -> Pool:
    """Keep only the values from first to last (what is left out stays), or take single values out of stock.

    Values that rest in quarantine may go; when the pool grows over them again, they rest on.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        PoolInUse: POOL_IN_USE, somebody holds values that would go; the details name some.
        InvalidRange: INVALID_RANGE, nothing would be left, or the pool does not reach so far.
        ValueInvalid: VALUE_INVALID.
        Contention: CONTENTION.

    """
    (shape,) = shifting.locked(tx, id)
    raw, now = Raw(tx), to_micros(tx.now)
    cuts = _cuts(raw, shape, first, last, values)
    if not cuts:
        return pool(tx, id)
    for part in cuts:
        shifting.empty(tx, shape, part, "shrunk")
        shifting.cut_spans(raw, shape.number, part, now)
    for part in places_left(raw, shape, cuts):
        extents.leave(tx, shape.number, *part)
    stretch(tx, shape.number)
    kept = shifting.spans(raw, shape.number)
    left = shape.texts((kept[0][0], kept[-1][1])) if kept else {}
    gone = [shape.texts(part) for part in cuts[:MOST_SHOWN]]
    journal.note(tx, shape.number, "shrunk", **left, removed=gone, ranges=len(cuts))
    return pool(tx, id)


@shifting.whole
def remove(tx: Tx, id: str) -> None:  # noqa: A002
    """Remove a pool that nobody holds anything of; its history can still be read.

    Raises:
        PoolNotFound: POOL_NOT_FOUND.
        PoolInUse: POOL_IN_USE, somebody holds values, or pools were carved from it.
        Contention: CONTENTION.

    """
    (shape,) = shifting.locked(tx, id)
    raw, now = Raw(tx), to_micros(tx.now)
    _refuse_children(raw, shape)
    found = shifting.spans(raw, shape.number)
    if found:
        whole = found[0][0], found[-1][1]
        shifting.empty(tx, shape, whole, "removed")
        shifting.cut_spans(raw, shape.number, whole, now)
    raw.run("UPDATE pool SET removed = ? WHERE number = ?", now, shape.number)
    journal.note(tx, shape.number, "removed", values=shifting.size(found))
    if shape.parent is not None:
        carving.give_back(tx, shape.number)
        journal.note(tx, shape.parent, "givenBack", child=shape.id)


# -- growing ----------------------------------------------------------------------------------------


def _gain(
    tx: Tx,
    shape: Shape,
    first: int | str | None,
    last: int | str | None,
    prefix: str | None,
    values: Sequence[str] | None,
) -> Gain:
    present = shifting.spans(Raw(tx), shape.number)
    given = [prefix is not None, values is not None, first is not None or last is not None]
    if sum(given) != 1:
        raise InvalidRange("Say what the pool gains: first and last, or a prefix, or values.")
    if shape.kind.stock:
        if values is None:
            raise InvalidRange(f"Pool {shape.id} holds single values; give them as values.")
        return gaining.stock(shape.kind, shape.params, present, values)
    if values is not None:
        raise InvalidRange(
            f"Pool {shape.id} is a range, not stock: give first and last, or a prefix."
        )
    if prefix is not None:
        gain = gaining.prefix(shape.kind, shape.params, prefix, None)
    else:
        low = shape.last + 1 if first is None else first
        high = shape.first - 1 if last is None else last
        gain = gaining.span(shape.kind, shape.params, low, high)
    refuse_own(shape, present, gain.spans)
    return gain


def refuse_own(shape: Shape, present: Sequence[Span], wanted: Iterable[Span]) -> None:
    """Raise PoolOverlap when a pool has some of the wanted values already."""
    together = sorted([*((*span, 0) for span in present), *((*span, 1) for span in wanted)])
    for left, right in pairwise(together):
        if right[0] <= left[1]:
            first, last = shape.text(right[0]), shape.text(min(left[1], right[1]))
            raise PoolOverlap(
                f"Pool {shape.id} has {first} to {last} already; give values that it does not have.",
                details={"pool": shape.id, "first": first, "last": last},
            )


def _within(shape: Shape, part: Span) -> bool:
    """Say whether a carved pool has these values' places from its parent already (they were excluded till now)."""
    return shape.parent is not None and shape.first <= part[0] and part[1] <= shape.last


def _renew_params(raw: Raw, shape: Shape, params: Mapping[str, Any]) -> dict[str, Any]:
    """Store a pool's parameters if they change; return what the journal keeps of the old ones."""
    if dict(params) == dict(shape.params):
        return {}
    raw.run("UPDATE pool SET params = ? WHERE number = ?", json.dumps(dict(params)), shape.number)
    # names are only ever added at the end: the old ones need no copy
    return {} if isinstance(shape.kind.form, Names) else {"before": {"params": dict(shape.params)}}


def _added(shape: Shape, gain: Gain) -> dict[str, Any]:
    ends = min(span[0] for span in gain.spans), max(span[1] for span in gain.spans)
    first, last = (shape.kind.form.render(gain.params, value) for value in ends)
    return {"values": shifting.size(gain.spans), "first": first, "last": last}


def _rest_again(raw: Raw, number: int, spans: Sequence[Span], now: int) -> dict[str, int]:
    """Put values that were cut out of the pool while they rested, and still would, back to rest."""
    rows = [
        row
        for span in spans
        for row in raw.all(
            "SELECT value, quarantine_until, subject FROM allocation WHERE pool = ? AND value >= ? AND value <= ? "
            "AND valid_to IS NOT NULL AND quarantine_until > ? ORDER BY value",
            number,
            *span,
            now,
        )
    ]
    if not rows:
        return {}
    for span in spans:
        raw.run("DELETE FROM free_range WHERE pool = ? AND hi >= ? AND hi <= ?", number, *span)
    fresh = without(spans, [(row[0], row[0]) for row in rows])
    free: list[Row] = [(number, lo, hi, 0, None) for lo, hi in fresh]
    free += [(number, value, value, until, subject) for value, until, subject in rows]
    types = ("integer", "bigint", "bigint", "bigint", "text")
    raw.insert("free_range", "pool, lo, hi, free_at, subject", types, free)
    return {"resting": len(rows)}


# -- shrinking --------------------------------------------------------------------------------------


def _cuts(
    raw: Raw,
    shape: Shape,
    first: int | str | None,
    last: int | str | None,
    values: Sequence[str] | None,
) -> list[Span]:
    """Return the parts that go: runs of values, each one within the pool's ends."""
    present = shifting.spans(raw, shape.number)
    if values is not None:
        if not shape.kind.stock or first is not None or last is not None:
            raise InvalidRange(
                f"Take single values out of stock only; give pool {shape.id} first and last."
            )
        numbers = {number_of(shape.kind.name, shape.params, value) for value in values}
        absent = {first for first, _ in without([(one, one) for one in numbers], present)}
        return [(number, number) for number in sorted(numbers - absent)]
    if first is None and last is None:
        raise InvalidRange("Say what the pool keeps: first, last, or both.")
    low, high = part_of(shape, first, last)
    if not any(begin <= high and low <= end for begin, end in present):
        raise InvalidRange(
            f"Nothing of pool {shape.id} would be left; remove it instead.",
            details={"pool": shape.id},
        )
    outside = (shape.first, low - 1), (high + 1, shape.last)
    return [part for part in outside if part[0] <= part[1]]


def part_of(shape: Shape, first: int | str | None, last: int | str | None) -> Span:
    """Return the part of a pool from first to last. Raises InvalidRange: outside the pool, or turned round."""
    ends = (shape.first, shape.last)
    low, high = (
        end if given is None else number_of(shape.kind.name, shape.params, given)
        for end, given in zip(ends, (first, last), strict=True)
    )
    if not shape.first <= low <= high <= shape.last:
        known = shape.texts(ends) if ends[0] <= ends[1] else {}
        raise InvalidRange(
            f"Pool {shape.id} goes from {known.get('first')} to {known.get('last')}; {first} to {last} is no "
            "part of it.",
            details={"pool": shape.id, **known},
        )
    return low, high


def places_left(raw: Raw, shape: Shape, cuts: Sequence[Span]) -> list[Span]:
    """Return which values' places the pool leaves: at its ends also those that it never handed out."""
    if shape.domain is None:
        return []
    row = raw.one("SELECT min(low), max(high) FROM pool_extent WHERE pool = ?", shape.number)
    if row is None or row[0] is None:
        return list(cuts)
    base, shift = shape.kind.form.origin(shape.params)
    lowest, highest = ((int(place, 16) - base) >> shift for place in row)
    return [
        (lowest if low == shape.first else low, highest if high == shape.last else high)
        for low, high in cuts
    ]


def _refuse_children(raw: Raw, shape: Shape) -> None:
    rows = raw.all(
        "SELECT id FROM pool WHERE parent = ? AND removed IS NULL ORDER BY id LIMIT ?",
        shape.number,
        MOST_SHOWN,
    )
    if rows:
        children = [row[0] for row in rows]
        raise PoolInUse(
            f"Pools were carved from {shape.id}, such as {children[0]}; remove them first.",
            details={"pool": shape.id, "pools": children},
        )
