"""Putting the pools of a document into the database, in bulk: what is there stays; then their allocations (`filling`)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from inventory.counting.usage import pool_id
from inventory.documents.definitions import Definition, differences, stored, wanted
from inventory.documents.entries import Entries, Line, PoolEntry, by_pool
from inventory.documents.filling import (
    EVENT_COLUMNS,
    EVENT_TYPES,
    Load,
    allocations,
    chunks,
    insert,
)
from inventory.errors import Contention
from inventory.pools import stripes_of
from inventory.raw import Raw, Row, marks
from inventory.shaping import carving, extents
from inventory.types import to_micros
from inventory.values.kind import Kind
from inventory.values.kinds import declare, load
from inventory.values.layout import places
from inventory.values.renderings import Span
from store import Tx
from store.errors import TurnupError

_CHUNK = 5_000


def run(tx: Tx, entries: Entries) -> Load:
    """Put all entries into the database, as far as they are right; the caller undoes it when they are not all."""
    found = Load(problems=entries.problems)
    for line, document in entries.kinds:
        try:
            declare(tx, document)
        except TurnupError as error:
            found.wrong(line, "params", error)
    made = _pools(tx, entries.pools, {**load(tx)}, found)
    for (kind, scope), mine in sorted(by_pool(entries.allocations).items()):
        if pool_id(kind, scope) not in found.lost:
            allocations(tx, pool_id(kind, scope), mine, found)
    for line, definition in made:
        _carve(tx, line, definition, found)
    return found


# -- pools ------------------------------------------------------------------------------------------


def _pools(
    tx: Tx, entries: Sequence[PoolEntry], kinds: Mapping[str, Kind], found: Load
) -> list[tuple[Line, Definition]]:
    """Make the pools that are not there; return them with their lines."""
    there = {one.id: one for one in _there(tx, kinds, entries)}
    new: list[tuple[Line, Definition]] = []
    for entry in entries:
        wish = _wanted(entry, kinds, found)
        if wish is None:
            found.lost.add(pool_id(entry.kind, entry.scope))
        elif wish.id not in there:
            new.append((entry.line, wish))
        elif differing := differences(entry, wish, there[wish.id]):
            text = f"pool {wish.id} is there with other {', '.join(differing)}; reshape it, or leave the line out"
            found.conflict(entry.line, differing[0], text)
        else:
            found.pools_unchanged += 1
    made = _make(tx, new, kinds, found)
    found.pools_created += len(made)
    return made


def _there(tx: Tx, kinds: Mapping[str, Kind], entries: Sequence[PoolEntry]) -> Iterator[Definition]:
    ids = [pool_id(entry.kind, entry.scope) for entry in entries]
    for start in range(0, len(ids), _CHUNK):
        chunk = ids[start : start + _CHUNK]
        yield from stored(tx, kinds, f"p.id IN ({marks(len(chunk))})", *chunk)


def _wanted(entry: PoolEntry, kinds: Mapping[str, Kind], found: Load) -> Definition | None:
    kind = kinds.get(entry.kind)
    if kind is None:
        found.wrong(entry.line, "kind", f"no pool kind {entry.kind!r} is declared")
        return None
    if entry.domain is not None and kind.domain is None:
        found.wrong(entry.line, "domain", f"pools of kind {kind.name} have no domain")
        return None
    try:
        return wanted(entry, kind)
    except (TurnupError, ValueError, KeyError, TypeError) as error:
        text = (
            error
            if isinstance(error, TurnupError | ValueError)
            else f"params lack or garble {error}"
        )
        found.wrong(entry.line, "ranges" if entry.exact else "first", text)
        return None


def _make(
    tx: Tx, new: Sequence[tuple[Line, Definition]], kinds: Mapping[str, Kind], found: Load
) -> list[tuple[Line, Definition]]:
    raw, now = Raw(tx), to_micros(tx.now)
    rows = [_pool_row(one, kinds[one.kind], now) for _, one in new]
    if insert(raw, "pool", _POOL_COLUMNS, _POOL_TYPES, rows) != len(rows):
        raise Contention(
            "Somebody made one of these pools at this moment; nothing was imported, try again."
        )
    numbers = _numbers(raw, [one.id for _, one in new])
    good = [
        (line, one) for line, one in new if _occupy(tx, line, one, numbers[one.id], kinds, found)
    ]
    found.lost |= {one.id for _, one in new} - {one.id for _, one in good}
    _adopt(raw, good, numbers, found)
    bands = _bands(raw, good, numbers)
    parts = [part for _, one in good for part in _parts(one, numbers[one.id], bands)]
    spans = ((number, *span, band, now) for number, band, mine, _ in parts for span in mine)
    insert(raw, "pool_span", "pool, first, last, band, valid_from", _SPAN_TYPES, spans)
    free = (
        (number if band is None else -band, *stripe)
        for number, band, mine, count in parts
        for stripe in stripes_of(mine, count)
    )
    insert(raw, "free_range", "pool, lo, hi", _SPAN_TYPES[:3], free)
    told = ((numbers[one.id], now, "created", _told(one)) for _, one in good)
    insert(raw, "pool_event", EVENT_COLUMNS, EVENT_TYPES, told)
    return good


_POOL_COLUMNS = "id, kind, scope, domain, first, last, quarantine_seconds, reuse, stripes, draining, params, created"
_POOL_TYPES = (
    *("text", "text", "text", "text", "bigint", "bigint", "integer", "text", "integer", "integer"),
    *("jsonb", "bigint"),
)
_SPAN_TYPES = ("integer", "bigint", "bigint", "integer", "bigint")


def _pool_row(one: Definition, kind: Kind, now: int) -> Row:
    hull = one.hull or ((0, -1),)
    rest = kind.quarantine if one.quarantine_seconds is None else one.quarantine_seconds
    return (
        one.id,
        one.kind,
        one.scope,
        kind.domain and f"{kind.domain}/{one.domain or 'default'}",
        *hull[0],
        rest,
        one.reuse or kind.reuse,
        one.stripes or 1,
        int(one.draining or False),
        json.dumps(dict(one.params)),
        now,
    )


def _numbers(raw: Raw, ids: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for chunk in chunks(ids):
        found |= dict(
            raw.all(
                f"SELECT id, number FROM pool WHERE id IN ({marks(len(chunk))}) AND removed IS NULL",
                *chunk,
            )
        )
    return found


def _occupy(
    tx: Tx, line: Line, one: Definition, number: int, kinds: Mapping[str, Kind], found: Load
) -> bool:
    """Claim the places of a pool that is carved from no other; say whether nobody else has them."""
    kind = kinds[one.kind]
    if kind.domain is None or one.parent is not None:
        return True
    domain = f"{kind.domain}/{one.domain or 'default'}"
    try:
        for span in one.hull if one.occupies is None else one.occupies:
            extents.claim(tx, number, domain, places(kind, one.params, span))
    except TurnupError as error:
        found.wrong(line, "ranges", error)
        return False
    return True


def _adopt(
    raw: Raw, made: Sequence[tuple[Line, Definition]], numbers: Mapping[str, int], found: Load
) -> None:
    """Tie pools to those they were carved from, which may be of the same document."""
    children = [(line, one, one.parent) for line, one in made if one.parent is not None]
    parents = _numbers(raw, list({parent for _, _, parent in children}))
    for line, one, parent in children:
        if parent not in parents:
            found.wrong(line, "parent", f"there is no pool {parent!r} to be carved from")
            continue
        raw.run(
            "UPDATE pool SET parent = ?, domain = (SELECT u.domain FROM pool u WHERE u.number = ?) WHERE number = ?",
            parents[parent],
            parents[parent],
            numbers[one.id],
        )


def _bands(
    raw: Raw, made: Sequence[tuple[Line, Definition]], numbers: Mapping[str, int]
) -> dict[tuple[int, str], int]:
    rows = [(numbers[one.id], name) for _, one in made for name in one.bands]
    insert(raw, "pool_band", "pool, name", ("integer", "text"), rows)
    found: dict[tuple[int, str], int] = {}
    for chunk in chunks(sorted({number for number, _ in rows})):
        for number, name, band in raw.all(
            f"SELECT pool, name, number FROM pool_band WHERE pool IN ({marks(len(chunk))})", *chunk
        ):
            found[number, name] = band
    return found


def _parts(
    one: Definition, number: int, bands: Mapping[tuple[int, str], int]
) -> Iterator[tuple[int, int | None, tuple[Span, ...], int]]:
    """Yield number, band, spans and stripes of what is outside bands, and of each band."""
    if one.spans:
        yield number, None, one.spans, one.stripes or 1
    for name, spans in one.bands.items():
        yield number, bands[number, name], spans, one.stripes or 1


def _told(one: Definition) -> str:
    values = sum(last - first + 1 for first, last in one.all_spans)
    parent = {} if one.parent is None else {"parent": one.parent}
    return json.dumps({"values": values, "imported": True, **parent})


def _carve(tx: Tx, line: Line, one: Definition, found: Load) -> None:
    """Take what a pool was carved from out of its parent, unless the document had that as an allocation."""
    if one.parent is None or found.problems:
        return
    parent = carving.locked(tx, one.parent)
    owned = Raw(tx).one(
        "SELECT 1 FROM allocation WHERE owner = ? AND pool = ? AND coalesce(valid_to, 0) = 0 LIMIT 1",
        carving.owner_of(one.id),
        parent.number,
    )
    if owned is not None:
        return
    child = extents.holder(tx, _numbers(Raw(tx), [one.id])[one.id])
    try:
        carving.refuse_kind(parent, child.kind)
        for span in one.occupies or one.hull:
            carving.take(tx, parent, places(child.kind, child.params, span), one.id)
    except TurnupError as error:
        found.wrong(line, "parent", error)
