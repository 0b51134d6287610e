"""Pools of values by (kind, scope): making them, and filling stock."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import func, select, update

from inventory import journal
from inventory.counting.usage import Pool, free_of, pool, pool_id, pool_row, pools
from inventory.errors import InvalidPrefix, InvalidRange, PoolExists, PoolNotFound
from inventory.raw import Raw
from inventory.shaping import carving, extents
from inventory.tables import pool as table
from inventory.tables import pool_span
from inventory.types import to_micros
from inventory.values import blocks, declared
from inventory.values.kind import Kind, Reuse
from inventory.values.kinds import kind as kind_of
from inventory.values.kinds import own_kinds
from inventory.values.layout import Content, Layout, Span, layout, new_names, stock_spans, without
from inventory.values.renderings import Family, Names, Prefix
from store import Rx, Tx
from store.errors import InvalidInput

__all__ = [
    "Pool",
    "add_values",
    "create_pool",
    "ensure_pool",
    "fill",
    "free_of",
    "pool",
    "pool_id",
    "pools",
    "stretch",
]

_LONGEST = 255
_MOST_SECONDS = 10 * 366 * 86_400
_MOST_STRIPES = 256


def create_pool(
    tx: Tx,
    kind: str,
    scope: str,
    *,
    first: int | str | None = None,
    last: int | str | None = None,
    prefix: str | None = None,
    prefix_length: int | None = None,
    values: Sequence[str] | None = None,
    exclude: Sequence[str] = (),
    bands: Mapping[str, str] | None = None,
    parent: str | None = None,
    quarantine_seconds: int | None = None,
    technology: str | None = None,
    domain: str | None = None,
    stripes: int = 1,
    reuse: Reuse | None = None,
) -> Pool:
    """Make a pool from a range (first, last), a prefix, or single values; with `parent`, from a part of another.

    Args:
        tx: the transaction.
        kind: one of `kinds.yaml`, or a declared one.
        scope: where the values are unique: a PON port, a BNG, a BNG and S-VLAN, a device model …
        first: lowest value, as number or text; with `last`. Left out, the kind's own range (or all of the prefix).
        last: highest value.
        prefix: what all values begin with: the IP network whose addresses or prefixes are handed out; the
            administrator of route distinguishers and targets; leading digits; the SST of slices. With `parent`,
            `/24` is the next free prefix of that length.
        prefix_length: length of the prefixes handed out (default: the kind's); of numbers: how many digits.
            With `parent` and without `prefix`: the next free prefix of that length.
        values: stock, or the names of ports, as text.
        exclude: values, ranges and prefixes that are never handed out: `100.64.0.9`, `10-20`, `10.0.0.0/28`.
        bands: name → range in the same words: handed out only to those who name the band, or the value.
        parent: id of the pool to carve from; its values go to the owner `pool:<id>`.
        quarantine_seconds: how long a value rests after release (default: the kind's).
        technology: chooses the range of kinds that differ by access technology.
        domain: address domain (VRF), numbering plan …: pools of kinds with a domain must not overlap in one.
        stripes: into how many free ranges a pool is cut that many take from at the same time.
        reuse: `lowest` value first, or `oldest`: fresh ones, then the longest released (default: the kind's).

    Raises:
        PoolExists, PoolOverlap: POOL_EXISTS, POOL_OVERLAP.
        InvalidPrefix, InvalidRange, ValueInvalid, KindUnknown: see `layout`.
        InvalidInput: INVALID_INPUT, scope, seconds, stripes, reuse or domain that cannot be.
        PoolNotFound: no such parent. What the parent cannot give: see `carving.take`, `carving.next_free`.

    """
    content = Content(first, last, prefix, prefix_length, values, technology, exclude, bands or {})
    new = NewPool(
        kind_of(kind, tx), scope, content, quarantine_seconds, domain, stripes, parent, reuse
    )
    new.check()
    if not make(tx, new):
        raise _exists(new.id)
    return pool(tx, pool_id(kind, scope))


@dataclass(frozen=True, slots=True)
class NewPool:
    """A pool to be made; None stands for what the kind says."""

    kind: Kind
    scope: str
    content: Content
    quarantine_seconds: int | None = None
    domain: str | None = None
    stripes: int = 1
    parent: str | None = None
    reuse: Reuse | None = None

    @property
    def id(self) -> str:
        """Return the pool's id."""
        return pool_id(self.kind.name, self.scope)

    @property
    def address_domain(self) -> str | None:
        """Return within which its values must not overlap others'; None for plain numbers."""
        return self.kind.domain and f"{self.kind.domain}/{self.domain or 'default'}"

    @property
    def quarantine(self) -> int:
        """Return how many seconds a released value rests."""
        if self.quarantine_seconds is None:
            return self.kind.quarantine
        return self.quarantine_seconds

    def check(self) -> None:
        """Raise InvalidInput (INVALID_INPUT) when a word has a value that it cannot have."""
        problems = [wrong for wrong in self._problems() if wrong]
        if problems:
            raise InvalidInput(f"No such pool can be made: {'; '.join(problems)}.")

    def _problems(self) -> Iterable[str | None]:
        if not _is_name(self.scope):
            yield f"scope: write 1 to {_LONGEST} printable characters"
        if self.domain is not None and not _is_name(self.domain):
            yield f"domain: write 1 to {_LONGEST} printable characters"
        if not 0 <= self.quarantine <= _MOST_SECONDS:
            yield f"quarantineSeconds: write 0 to {_MOST_SECONDS}"
        if not 1 <= self.stripes <= _MOST_STRIPES:
            yield f"stripes: write 1 to {_MOST_STRIPES}"
        if self.reuse not in (None, "lowest", "oldest"):
            yield "reuse: write lowest or oldest"


def make(tx: Tx, new: NewPool) -> bool:
    """Make a pool unless there is one of its kind and scope; say whether it was made. Errors of `create_pool`."""
    if new.kind.name not in own_kinds():
        declared.lock(tx, new.kind.name)
    if new.parent is None:
        return _make(tx, new)
    if _number(tx, new.id) is not None:
        return False
    # what was taken from the parent goes back when the rest fails
    with tx.savepoint():
        return _carve(tx, new, carving.locked(tx, new.parent))


def ensure_pool(tx: Tx, kind: str, scope: str, **content: Any) -> Pool:
    """Return the pool of this kind and scope, made by `create_pool` when there is none; stock gains new values."""
    known = _number(tx, pool_id(kind, scope))
    if known is None:
        return create_pool(tx, kind, scope, **content)
    if content.get("values"):
        return add_values(tx, pool_id(kind, scope), content["values"])
    return pool(tx, pool_id(kind, scope))


def add_values(tx: Tx, pool_id: str, values: Sequence[str]) -> Pool:
    """Add single values to stock, or names to ports; those it has already stay as they are.

    Raises:
        PoolNotFound, ValueInvalid.
        InvalidRange: INVALID_RANGE, the pool is no stock.

    """
    row = pool_row(tx, pool_id)
    declared_kind = kind_of(row["kind"], tx)
    if not declared_kind.stock:
        raise InvalidRange(f"Pool {pool_id} is a range, not stock: single values cannot be added.")
    number = row["number"]
    # two that add names at the same time would give them the same numbers
    raw = Raw(tx)
    raw.one("SELECT number FROM pool WHERE number = ? {lock}", number)
    named = isinstance(declared_kind.form, Names)
    wanted = _named(tx, number, values) if named else list(stock_spans(declared_kind, values))
    new = without(wanted, _spans(tx, number))
    if new:
        fill(tx, number, new)
        stretch(tx, number)
        journal.note(tx, number, "grown", values=sum(last - first + 1 for first, last in new))
    return pool(tx, pool_id)


def fill(
    tx: Tx, number: int, spans: Sequence[Span], stripes: int = 1, band: int | None = None
) -> None:
    """Put values into a pool, free at once.

    Args:
        tx: the transaction.
        number: the pool's number.
        spans: values that it does not have.
        stripes: into how many free ranges they are cut.
        band: number of the reserved band that they belong to.

    """
    if not spans:
        return
    raw, now = Raw(tx), to_micros(tx.now)
    rows = [(number, first, last, band, now) for first, last in spans]
    types = ("integer", "bigint", "bigint", "integer", "bigint")
    raw.insert("pool_span", "pool, first, last, band, valid_from", types, rows)
    shelf = number if band is None else -band
    free = [(shelf, *stripe) for stripe in stripes_of(spans, stripes)]
    raw.insert("free_range", "pool, lo, hi", types[:3], free)


def stretch(tx: Tx, number: int) -> None:
    """Set a pool's first and last value to those of its spans."""
    inside = (pool_span.c.pool == number, pool_span.c.valid_to.is_(None))
    first = select(func.min(pool_span.c.first)).where(*inside).scalar_subquery()
    last = select(func.max(pool_span.c.last)).where(*inside).scalar_subquery()
    stretched = {"first": func.coalesce(first, 0), "last": func.coalesce(last, -1)}
    tx.execute(update(table).where(table.c.number == number).values(**stretched))


def not_found(kind: str, scope: str) -> PoolNotFound:
    """Return the error for a pool that was asked for by kind and scope."""
    return PoolNotFound(
        f"There is no pool of kind {kind} for {scope!r}; create it, or import the topology that has it.",
        details={"kind": kind, "scope": scope},
    )


def _number(rx: Rx, id: str) -> int | None:  # noqa: A002
    row = Raw(rx).one("SELECT number FROM pool WHERE id = ? AND removed IS NULL", id)
    return None if row is None else int(row[0])


# -- making -----------------------------------------------------------------------------------------


def _make(tx: Tx, new: NewPool) -> bool:
    made = layout(new.kind, new.content)
    domain, held = new.address_domain, []
    if domain is not None and made.places is not None:
        # a pool that exists would be found to overlap itself
        if _number(tx, new.id) is not None:
            return False
        held = extents.refuse(tx, domain, made.places)
    number = _insert(tx, new, made, domain, None)
    if number is None:
        return False
    if domain is not None:
        extents.note(tx, number, domain, held)
    _fill_all(tx, number, made, new)
    return True


def _carve(tx: Tx, new: NewPool, parent: carving.Parent) -> bool:
    carving.refuse_kind(parent, new.kind)
    if new.domain is not None and new.address_domain != parent.domain:
        raise InvalidInput(
            f"A pool carved from {parent.id} is in its domain {parent.domain}; leave the domain out."
        )
    if _number(tx, new.id) is not None:
        return False
    content, taken = _part(tx, new, parent)
    made = layout(new.kind, content)
    if not taken:
        carving.take(tx, parent, _whole_part(new.kind, content, made), new.id)
    number = _insert(tx, new, made, parent.domain, parent.number)
    if number is None:
        raise _exists(new.id)
    _fill_all(tx, number, made, new)
    journal.note(tx, parent.number, "carved", child=new.id, **_shown(new.kind, made))
    return True


def _part(tx: Tx, new: NewPool, parent: carving.Parent) -> tuple[Content, bool]:
    """Return the content with its prefix, and whether that has been taken from the parent already."""
    content, family = new.content, blocks.FAMILIES.get(new.kind.render)
    if (content.first, content.last, content.prefix, content.prefix_length) == (None,) * 4:
        raise InvalidPrefix(
            f"Say which part of pool {parent.id}: a prefix, /24 for the next free one of that length, "
            "or first and last.",
            details={"parent": parent.id},
        )
    asked = _asked(content, family)
    if asked is None:
        return content, False
    handed = content.prefix_length if content.prefix is not None else None
    if handed is None and isinstance(new.kind.form, Prefix):
        handed = max(new.kind.length or asked, asked)
    prefix = carving.next_free(tx, parent, asked, new.id)
    return replace(content, prefix=prefix, prefix_length=handed), True


def _asked(content: Content, family: Family | None) -> int | None:
    """Return the length of which the next free prefix is wanted; None: the part is given."""
    if family is None:
        return None
    if content.prefix is not None:
        return blocks.asked_length(family, content.prefix)
    return content.prefix_length if content.first is None and content.last is None else None


def _whole_part(kind: Kind, content: Content, made: Layout) -> Span:
    """Return the places to carve: all of a prefix, even when the pool hands out only a part of it."""
    family = blocks.FAMILIES.get(kind.render)
    if family is not None and content.prefix is not None:
        return blocks.network(family, content.prefix)[1]
    assert made.places is not None
    return made.places


def _insert(
    tx: Tx, new: NewPool, made: Layout, domain: str | None, parent: int | None
) -> int | None:
    # another order may make the same pool on demand at this moment: the loser waits here, then uses the winner's
    rows = Raw(tx).all(
        "INSERT INTO pool (id, kind, scope, domain, parent, first, last, quarantine_seconds, reuse, stripes, "
        "params, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING number",
        new.id,
        new.kind.name,
        new.scope,
        domain,
        parent,
        made.first,
        made.last,
        new.quarantine,
        new.reuse or new.kind.reuse,
        new.stripes,
        json.dumps(dict(made.params)),
        to_micros(tx.now),
    )
    return int(rows[0][0]) if rows else None


def _fill_all(tx: Tx, number: int, made: Layout, new: NewPool) -> None:
    fill(tx, number, made.spans, new.stripes)
    for name, spans in made.bands.items():
        (row,) = Raw(tx).all(
            "INSERT INTO pool_band (pool, name) VALUES (?, ?) RETURNING number", number, name
        )
        fill(tx, number, spans, new.stripes, int(row[0]))
    origin = {} if new.parent is None else {"parent": new.parent}
    journal.note(tx, number, "created", **_shown(new.kind, made), **origin)


def _shown(kind: Kind, made: Layout) -> dict[str, Any]:
    """Return what a pool contains, in words for its journal."""
    shown: dict[str, Any] = {"values": made.capacity}
    if made.capacity:
        ends = {"first": made.first, "last": made.last}
        shown |= {end: kind.form.render(made.params, value) for end, value in ends.items()}
    return shown | ({"bands": list(made.bands)} if made.bands else {})


def stripes_of(spans: Iterable[Span], count: int) -> list[Span]:
    """Return spans cut into so many free ranges of about the same size."""
    size = -(-sum(last - first + 1 for first, last in spans) // count)
    return [
        (start, min(start + size - 1, last))
        for first, last in spans
        for start in range(first, last + 1, size)
    ]


def _spans(rx: Rx, number: int) -> list[Span]:
    inside = (pool_span.c.pool == number, pool_span.c.valid_to.is_(None))
    rows = rx.rows(select(pool_span.c.first, pool_span.c.last).where(*inside))
    return [(row.first, row.last) for row in rows]


def _named(tx: Tx, number: int, values: Sequence[str]) -> list[Span]:
    """Give the new ones among some names numbers, and return the numbers of all of them."""
    params = dict(tx.scalar(select(table.c.params).where(table.c.number == number)))
    names = [*params.get("names", ()), *new_names(params, values)]
    changed = {"params": params | {"names": names}}
    tx.execute(update(table).where(table.c.number == number).values(**changed))
    numbers = {name: index for index, name in enumerate(names)}
    return [(numbers[value], numbers[value]) for value in dict.fromkeys(values)]


def _exists(id: str) -> PoolExists:  # noqa: A002
    return PoolExists(
        f"Pool {id} exists already; take from it, or give another scope.", details={"pool": id}
    )


def _is_name(text: str) -> bool:
    return bool(text.strip()) and len(text) <= _LONGEST and text.isprintable()
