"""Parts of a pool's prefix that the source uses for something else: cut out of the pool while they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, select, update

from inventory import allocator, journal, reshape
from inventory.pools import stretch
from inventory.raw import Raw
from inventory.shaping import shifting
from inventory.sources.errors import SourceConflict
from inventory.sources.objects import PoolRef, Tally, forget, keep, known
from inventory.sources.port import Collection
from inventory.sources.register import Source
from inventory.tables import allocation, source_object
from inventory.types import to_micros
from inventory.values import blocks
from inventory.values.kinds import kind as kind_of
from inventory.values.layout import without
from inventory.values.renderings import Span
from store import Rx, Tx
from store.errors import TurnupError


@dataclass(frozen=True, slots=True)
class Part:
    """A network or range inside a pool's prefix; `whole`: cut out as it is, else it uses one value."""

    collection: Collection
    id: str
    text: str
    whole: bool


def cut(tx: Tx, source: Source, pool: PoolRef, parts: Sequence[Part], tally: Tally) -> None:
    """Keep parts out of the pool. What others hold in them is a finding, and tried again by the next import."""
    for part in parts:
        row = known(tx, source.name, part.collection, part.id)
        try:
            span = blocks.span(kind_of(pool.kind, tx), pool.params, part.text)
            with tx.savepoint():
                _cut(tx, source, pool, part, span, row)
        except TurnupError as error:
            tally.refuse(error, part.collection, part.id)


def give_back(tx: Tx, source: Source, pool: PoolRef, row: RowMapping) -> None:
    """Give a part, whose record is forgotten, back to its pool."""
    _include(tx, source, pool, _of(row))


def _cut(
    tx: Tx, source: Source, pool: PoolRef, part: Part, span: Span, row: RowMapping | None
) -> None:
    mine = row is not None and (row["pool"], row["role"]) == (pool.number, "excluded")
    if mine and row is not None and _of(row) != span:
        # a record that is another part now: what it kept from us before is ours again
        forget(tx, source.name, part.collection, part.id)
        _include(tx, source, pool, _of(row))
    _exclude(tx, source, pool, span, part.text)
    details = {"text": part.text, "first": span[0], "last": span[1]}
    keep(tx, source, part.collection, part.id, "excluded", pool=pool.number, details=details)


def _of(row: RowMapping) -> Span:
    return row["details"]["first"], row["details"]["last"]


def _exclude(tx: Tx, source: Source, pool: PoolRef, span: Span, text: str) -> None:
    (shape,) = shifting.locked(tx, pool.id)
    raw = Raw(tx)
    going = shifting.spans(raw, pool.number, span)
    if not going:
        return
    _let_go(tx, source, pool, span)
    shifting.empty(tx, shape, span, "shrunk")
    shifting.cut_spans(raw, pool.number, span, to_micros(tx.now))
    stretch(tx, pool.number)
    _keep_cut(tx, source, pool, [*_cut_out(tx, source, pool), *going])
    journal.note(tx, pool.number, "excluded", source=source.name, text=text)


def _let_go(tx: Tx, source: Source, pool: PoolRef, span: Span) -> None:
    """End what single objects of the source hold in a part that is to go as a whole."""
    inside = source_object.c.pool == pool.number, source_object.c.value.between(*span)
    held = select(source_object).where(
        *inside, source_object.c.source == source.name, source_object.c.role == "held"
    )
    for row in tx.execute(held).mappings().all():
        forget(tx, source.name, row["collection"], row["id"])
    owners = select(allocation.c.owner).where(
        allocation.c.pool == pool.number,
        allocation.c.value.between(*span),
        allocation.c.valid_to.is_(None),
    )
    for owner in tx.execute(owners).scalars().all():
        if owner.startswith(source.holder):
            allocator.release_by_api(tx, pool.id, owner)


def _include(tx: Tx, source: Source, pool: PoolRef, span: Span) -> None:
    """Let the pool grow by what was cut out of it there, unless another part keeps it."""
    parts = select(source_object).where(
        source_object.c.source == source.name,
        source_object.c.role == "excluded",
        source_object.c.pool == pool.number,
    )
    others = [_of(row) for row in tx.execute(parts).mappings()]
    out = _cut_out(tx, source, pool)
    back = without(_common(out, span), others)
    _keep_cut(tx, source, pool, without(out, back))
    for first, last in without(back, shifting.spans(Raw(tx), pool.number)):
        reshape.grow(tx, pool.id, first=first, last=last)


# -- what was cut out: kept with the pool's record, for parts may lie in each other ----------------------


def _cut_out(rx: Rx, source: Source, pool: PoolRef) -> list[Span]:
    return [(first, last) for first, last in _record(rx, source, pool)["details"].get("cut", ())]


def _keep_cut(tx: Tx, source: Source, pool: PoolRef, spans: Sequence[Span]) -> None:
    row = _record(tx, source, pool)
    details = {**row["details"], "cut": [list(span) for span in sorted(spans)]}
    known_as = (source_object.c.source == source.name, source_object.c.id == row["id"])
    where = update(source_object).where(*known_as, source_object.c.collection == row["collection"])
    tx.execute(where.values(details=details))


def _record(rx: Rx, source: Source, pool: PoolRef) -> RowMapping:
    query = select(source_object).where(
        source_object.c.source == source.name,
        source_object.c.role == "pool",
        source_object.c.pool == pool.number,
    )
    row = rx.execute(query).mappings().first()
    if row is None:
        raise SourceConflict(
            f"A value of pool {pool.id} rests here while {source.name} uses it; import again when it has rested.",
            details={"pool": pool.id},
        )
    return row


def _common(spans: Sequence[Span], part: Span) -> list[Span]:
    clipped = ((max(first, part[0]), min(last, part[1])) for first, last in spans)
    return [(first, last) for first, last in clipped if first <= last]
