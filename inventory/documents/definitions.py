"""What pools are, apart from who holds their values: read from the database, or wanted by an entry of a document."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter
from typing import Any

from inventory.counting.usage import pool_id
from inventory.documents.entries import Exact, Pair, PoolEntry
from inventory.raw import Raw, Row, marks, params_of
from inventory.values.kind import Kind
from inventory.values.kinds import number as number_of
from inventory.values.layout import Content, layout, without
from inventory.values.renderings import Params, Span
from store import Rx

_CHUNK = 5_000


@dataclass(frozen=True, slots=True)
class Definition:
    """A pool without its allocations; spans in order, neighbours joined. None: an entry does not say."""

    kind: str
    scope: str
    domain: str | None
    parent: str | None
    params: Params
    spans: tuple[Span, ...]
    bands: Mapping[str, tuple[Span, ...]]
    occupies: tuple[Span, ...] | None
    quarantine_seconds: int | None
    reuse: str | None
    stripes: int | None
    draining: bool | None
    number: int = 0

    @property
    def id(self) -> str:
        """Return the pool's id."""
        return pool_id(self.kind, self.scope)

    @property
    def all_spans(self) -> tuple[Span, ...]:
        """Return the spans, those of bands included."""
        return joined([*self.spans, *(span for spans in self.bands.values() for span in spans)])

    @property
    def hull(self) -> tuple[Span, ...]:
        """Return the span from its first to its last value: what it occupies if nothing else is said."""
        found = self.all_spans
        return ((found[0][0], found[-1][1]),) if found else ()


def joined(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same values in as few spans as possible."""
    found: list[Span] = []
    for first, last in sorted(spans):
        if found and first <= found[-1][1] + 1:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return tuple(found)


# -- from the database ------------------------------------------------------------------------------

_POOLS = (
    "SELECT p.number, p.kind, p.scope, p.domain, (SELECT u.id FROM pool u WHERE u.number = p.parent), "
    "{text:p.params}, p.quarantine_seconds, p.reuse, p.stripes, p.draining FROM pool p "
    "WHERE p.removed IS NULL AND "
)


def stored(rx: Rx, kinds: Mapping[str, Kind], where: str, *params: object) -> list[Definition]:
    """Return the pools that are there, by kind and scope.

    Args:
        rx: the transaction.
        kinds: all kinds by name.
        where: a condition on `pool p`.
        params: its values.

    """
    raw = Raw(rx)
    rows = raw.all(f"{_POOLS}{where} ORDER BY p.kind, p.scope", *params)
    spans: dict[int, list[Row]] = {}
    occupied: dict[int, list[Row]] = {}
    for start in range(0, len(rows), _CHUNK):
        numbers = [row[0] for row in rows[start : start + _CHUNK]]
        spans |= _grouped(raw, _SPANS, numbers)
        occupied |= _grouped(raw, _EXTENTS, numbers)
    return [_stored(kinds, row, spans.get(row[0], []), occupied.get(row[0], [])) for row in rows]


_SPANS = (
    "SELECT s.pool, s.first, s.last, b.name FROM pool_span s LEFT JOIN pool_band b ON b.number = s.band "
    "WHERE s.pool IN ({pools}) AND s.valid_to IS NULL ORDER BY s.pool, s.first"
)
_EXTENTS = "SELECT e.pool, e.low, e.high FROM pool_extent e WHERE e.pool IN ({pools}) ORDER BY e.pool, e.low"


def _grouped(raw: Raw, text: str, numbers: Sequence[int]) -> dict[int, list[Row]]:
    rows = raw.all(text.replace("{pools}", marks(len(numbers))), *numbers)
    return {number: list(mine) for number, mine in groupby(rows, key=itemgetter(0))}


def _stored(
    kinds: Mapping[str, Kind], row: Row, spans: Sequence[Row], occupied: Sequence[Row]
) -> Definition:
    number, kind, scope, domain, parent, text, rest, reuse, stripes, draining = row
    params = params_of(text)
    plain = [(first, last) for _, first, last, name in spans if name is None]
    bands: dict[str, list[Span]] = {}
    for _, first, last, name in spans:
        if name is not None:
            bands.setdefault(name, []).append((first, last))
    base, shift = kinds[kind].form.origin(params) if occupied else (0, 0)
    places = [
        ((int(low, 16) - base) >> shift, (int(high, 16) - base) >> shift)
        for _, low, high in occupied
    ]
    found = Definition(
        kind=kind,
        scope=scope,
        domain=None if domain is None else domain.partition("/")[2],
        parent=parent,
        params=params,
        spans=joined(plain),
        bands={name: joined(mine) for name, mine in bands.items()},
        occupies=joined(places),
        quarantine_seconds=rest,
        reuse=reuse,
        stripes=stripes,
        draining=bool(draining),
        number=number,
    )
    return replace(found, occupies=found.hull) if not occupied else found


# -- from a document --------------------------------------------------------------------------------


def wanted(entry: PoolEntry, kind: Kind) -> Definition:
    """Return the pool that an entry asks for. Raises InvalidRange, InvalidPrefix, ValueInvalid."""
    if entry.exact is None:
        return _from_words(entry, kind)
    exact = entry.exact
    found = Definition(
        kind=entry.kind,
        scope=entry.scope,
        domain=entry.domain,
        parent=entry.parent,
        params=exact.params,
        spans=joined(_numbered(kind, exact, exact.ranges)),
        bands={name: joined(_numbered(kind, exact, parts)) for name, parts in exact.bands.items()},
        occupies=None,
        quarantine_seconds=entry.quarantine_seconds,
        reuse=entry.reuse,
        stripes=entry.stripes,
        draining=entry.draining,
    )
    _check(kind, found)
    occupied = (
        found.hull if exact.occupies is None else joined(_numbered(kind, exact, exact.occupies))
    )
    return replace(found, occupies=occupied)


def _from_words(entry: PoolEntry, kind: Kind) -> Definition:
    made = layout(kind, Content(**entry.words))
    base, shift = kind.form.origin(made.params)
    held = made.places
    return Definition(
        kind=entry.kind,
        scope=entry.scope,
        domain=entry.domain,
        parent=entry.parent,
        params=made.params,
        spans=joined(made.spans),
        bands={name: joined(spans) for name, spans in made.bands.items()},
        occupies=None
        if held is None
        else (((held[0] - base) >> shift, (held[1] - base) >> shift),),
        quarantine_seconds=entry.quarantine_seconds,
        reuse=entry.reuse,
        stripes=entry.stripes,
        draining=entry.draining,
    )


def _numbered(kind: Kind, exact: Exact, pairs: Iterable[Pair]) -> list[Span]:
    found = []
    for first, last in pairs:
        low, high = (number_of(kind.name, exact.params, end) for end in (first, last))
        if low > high or low < 0:
            raise ValueError(f"{first} to {last} is no range of kind {kind.name}")
        found.append((low, high))
    return found


def _check(kind: Kind, found: Definition) -> None:
    """Raise ValueError when parts overlap, or lie outside what can be written with these parameters."""
    parts = [("ranges", found.spans), *found.bands.items()]
    taken: list[Span] = []
    for name, spans in parts:
        if _size(without(spans, taken)) != _size(spans):
            raise ValueError(f"{name} overlaps another part of the pool")
        taken += spans
    low, high = kind.form.limits(found.params)
    technology = found.params.get("technology")
    if kind.range is not None or (kind.ranges and technology is not None):
        least, most = kind.limits(technology) or (low, high)
        low, high = max(low, least), min(high, most)
    if taken and not (low <= min(taken)[0] and max(last for _, last in taken) <= high):
        raise ValueError(f"values lie outside of what kind {kind.name} has")


def _size(spans: Iterable[Span]) -> int:
    return sum(last - first + 1 for first, last in spans)


def differences(entry: PoolEntry, wish: Definition, there: Definition) -> list[str]:
    """Return the columns in which an entry says other than what is there; what it does not say is no difference."""
    said: dict[str, tuple[Any, Any]] = {
        "domain": (wish.domain, there.domain),
        "parent": (wish.parent, there.parent),
        "quarantineSeconds": (wish.quarantine_seconds, there.quarantine_seconds),
        "reuse": (wish.reuse, there.reuse),
        "stripes": (wish.stripes, there.stripes),
        "draining": (wish.draining, there.draining),
    }
    found = [name for name, (mine, its) in said.items() if mine is not None and mine != its]
    if (wish.spans, dict(wish.bands)) != (there.spans, dict(there.bands)):
        found.append("ranges" if entry.exact else "first")
    if json.dumps(dict(wish.params), sort_keys=True) != json.dumps(
        dict(there.params), sort_keys=True
    ):
        found.append("params" if entry.exact else "prefix")
    return found
