"""Which places of a domain pools hold: no place belongs to two pools, unless one was carved from the other.

A place is an address (a number, an RFC 4364 distinguisher …) as an integer of up to 128 bits, whatever prefix its
pool counts its values in. Only pools that were carved from no other are in the table: what is carved lies in its
parent's places, and the parent's allocations keep the parts apart. So the table's extents are disjoint, and an
overlap is found by one look into an index. Extents of removed pools are cleared when they are met.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inventory.errors import InvalidRange, PoolOverlap
from inventory.raw import Raw, params_of
from inventory.values.kind import Kind
from inventory.values.kinds import kind as kind_of
from inventory.values.layout import places
from inventory.values.renderings import Params, Span
from store import Rx, Tx

__all__ = ["Holder", "claim", "hold", "holder", "leave", "note", "pass_on", "refuse"]

_UNDER = (
    "SELECT e.low, e.high, e.pool, p.id, p.removed FROM pool_extent e "
    "LEFT JOIN pool p ON p.number = e.pool WHERE e.domain = ? AND e.low <= ? "
    "ORDER BY e.low DESC LIMIT 1"
)


@dataclass(frozen=True, slots=True)
class Holder:
    """A pool as its places see it."""

    number: int
    id: str
    kind: Kind
    params: Params
    domain: str | None
    parent: int | None


@dataclass(frozen=True, slots=True)
class _Extent:
    low: int
    high: int
    pool: int
    id: str | None
    """None: the pool was removed."""


def holder(rx: Rx, number: int) -> Holder:
    """Return the pool of this number."""
    row = Raw(rx).one(
        "SELECT id, kind, {text:params}, domain, parent FROM pool WHERE number = ?", number
    )
    assert row is not None
    id_, kind, params, domain, parent = row
    return Holder(number, id_, kind_of(kind, rx), params_of(params), domain, parent)


def refuse(tx: Tx, domain: str, wanted: Span, own: int | None = None) -> list[Span]:
    """Return which of the wanted places nobody holds; those of the pool with number `own` are left out.

    On PostgreSQL the domain is locked until the end of the transaction.

    Raises:
        PoolOverlap: POOL_OVERLAP, another pool of the domain holds some.

    """
    raw = Raw(tx)
    if raw.waits:
        # two engineers adding overlapping prefixes at the same moment would not see each other
        raw.one("SELECT pg_advisory_xact_lock(hashtext(?))", domain)
    found: list[Span] = []
    low, high = wanted
    while low <= high:
        met = _under(raw, domain, high)
        if met is None or met.high < low:
            return [*found, (low, high)]
        if met.id is None:
            _delete(raw, domain, met)
            continue
        if met.pool != own:
            raise PoolOverlap(
                f"The values overlap those of pool {met.id} in address domain {domain}; "
                "choose others, another domain (VRF), or carve them from that pool (parent).",
                details={"pool": met.id, "domain": domain},
            )
        if met.high < high:
            found.append((met.high + 1, high))
        high = met.low - 1
    return found


def claim(tx: Tx, number: int, domain: str, wanted: Span) -> None:
    """Note that a pool holds these places from now on. Raises PoolOverlap, and nothing is changed then."""
    note(tx, number, domain, refuse(tx, domain, wanted, number))


def note(tx: Tx, number: int, domain: str, held: Iterable[Span]) -> None:
    """Write down that a pool holds places that `refuse` returned."""
    raw = Raw(tx)
    for span in held:
        _insert(raw, domain, span, number)


def hold(tx: Tx, number: int, first: int, last: int) -> None:
    """Note that a pool now also has these values (it grows).

    A pool that was carved from another takes them there, as whole values of that pool.

    Raises:
        PoolOverlap: POOL_OVERLAP, another pool of the domain holds some.
        ValueTaken, ValueQuarantined, ValueOutsidePool, InvalidPrefix, PoolDraining: the parent cannot give them.

    """
    from inventory.shaping import carving

    pool = holder(tx, number)
    wanted = places(pool.kind, pool.params, (first, last))
    if pool.parent is not None:
        carving.extend(tx, pool.parent, pool.id, wanted)
    elif pool.domain is not None:
        claim(tx, number, pool.domain, wanted)


def leave(tx: Tx, number: int, first: int, last: int) -> None:
    """Note that a pool has these values no longer (it shrinks). What was carved goes back with the whole pool."""
    pool = holder(tx, number)
    if pool.domain is not None and pool.parent is None:
        _cut(Raw(tx), pool.domain, number, places(pool.kind, pool.params, (first, last)))


def pass_on(tx: Tx, source: int, target: int, first: int, last: int) -> None:
    """Note that a pool's values belong to another pool now (split, move). Call it when both pools are there.

    Raises:
        InvalidRange: INVALID_RANGE, one of them was carved from another pool: what was carved stays together.
        PoolOverlap: POOL_OVERLAP, a third pool of the target's domain holds some.

    """
    giving, taking = holder(tx, source), holder(tx, target)
    for pool in (giving, taking):
        if pool.parent is not None:
            raise InvalidRange(
                f"Pool {pool.id} was carved from another and stays whole; carve a further pool, "
                "or remove this one and carve it anew.",
                details={"pool": pool.id},
            )
    given = places(giving.kind, giving.params, (first, last))
    if giving.domain is not None:
        _cut(Raw(tx), giving.domain, source, given)
    if taking.domain is not None:
        claim(tx, target, taking.domain, given)


def _cut(raw: Raw, domain: str, number: int, given: Span) -> None:
    low, high = given
    while (met := _under(raw, domain, high)) is not None and met.high >= low:
        if met.pool == number:
            _delete(raw, domain, met)
            for rest in ((met.low, low - 1), (high + 1, met.high)):
                if rest[0] <= rest[1]:
                    _insert(raw, domain, rest, number)
        high = min(met.low, high) - 1


def _under(raw: Raw, domain: str, high: int) -> _Extent | None:
    """Return the last extent that begins at or before a place: of all, the only one that can reach it."""
    if high < 0:
        return None
    row = raw.one(_UNDER, domain, _text(high))
    if row is None:
        return None
    low, end, pool, id_, removed = row
    return _Extent(int(low, 16), int(end, 16), pool, None if removed is not None else id_)


def _insert(raw: Raw, domain: str, span: Span, number: int) -> None:
    raw.run(
        "INSERT INTO pool_extent (domain, low, high, pool) VALUES (?, ?, ?, ?)",
        domain,
        _text(span[0]),
        _text(span[1]),
        number,
    )


def _delete(raw: Raw, domain: str, extent: _Extent) -> None:
    raw.run("DELETE FROM pool_extent WHERE domain = ? AND low = ?", domain, _text(extent.low))


def _text(place: int) -> str:
    return f"{place:032x}"
