"""From a record of a source to a pool of ours: found again, adopted when it is the same, or made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select, update

from inventory import journal
from inventory.errors import PoolExists
from inventory.pools import create_pool, pool_id
from inventory.sources.errors import SourceConflict
from inventory.sources.objects import PoolRef, Tally, keep, known, pool_by_id, pool_ref
from inventory.sources.port import Collection
from inventory.sources.register import Source
from inventory.tables import pool as pool_table
from store import Tx
from store.errors import TurnupError


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pool that a record asks for. `content`: the words of `create_pool`; `details` are kept for writing back."""

    collection: Collection
    id: str
    kind: str
    scope: str
    shape: str
    """What it covers, as text: a prefix, a range, ranges."""
    content: Mapping[str, Any]
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Linked:
    """The pool of a record. Until it is `ready` (all that is in use there is held here) it gives nothing."""

    pool: PoolRef
    ready: bool


def link(tx: Tx, source: Source, wanted: Wanted, tally: Tally) -> Linked | None:
    """Return the record's pool, made if there is none; None when it cannot be had (the tally says why)."""
    row = known(tx, source.name, wanted.collection, wanted.id)
    if row is not None and row["role"] == "pool":
        return _again(tx, source, wanted, pool_ref(tx, row["pool"]), row["details"], tally)
    present = pool_by_id(tx, pool_id(wanted.kind, wanted.scope))
    if present is not None:
        return _adopted(tx, source, wanted, present, tally)
    return _made(tx, source, wanted, tally)


@contextmanager
def lifted(tx: Tx, pool: PoolRef) -> Iterator[None]:
    """Let this transaction, and nobody else, take values of a pool that is not ready or drains."""
    mine = pool_table.c.number == pool.number
    before = tx.scalar(select(pool_table.c.draining).where(mine))
    if before:
        tx.execute(update(pool_table).where(mine).values(draining=0))
    yield
    if before:
        tx.execute(update(pool_table).where(mine).values(draining=before))


def ready(tx: Tx, source: Source, wanted: Wanted, pool: PoolRef) -> None:
    """Let the pool give values: all that is in use there is held."""
    row = known(tx, source.name, wanted.collection, wanted.id)
    assert row is not None
    tx.execute(update(pool_table).where(pool_table.c.number == pool.number).values(draining=0))
    details = {**row["details"], "ready": True}
    keep(tx, source, wanted.collection, wanted.id, "pool", pool=pool.number, details=details)


def _again(
    tx: Tx,
    source: Source,
    wanted: Wanted,
    pool: PoolRef,
    before: Mapping[str, Any],
    tally: Tally,
) -> Linked | None:
    tally.count("known")
    kept = {**before, **wanted.details}
    keep(tx, source, wanted.collection, wanted.id, "pool", pool=pool.number, details=kept)
    if pool.removed:
        tally.find(
            SourceConflict.code,
            f"Pool {pool.id} was removed here; {wanted.shape} is still in {source.name}.",
            object=f"{wanted.collection} {wanted.id}",
        )
        return None
    if before["shape"] != wanted.shape:
        tally.find(
            SourceConflict.code,
            f"{before['shape']} of pool {pool.id} is {wanted.shape} in {source.name} now; grow or shrink the pool.",
            object=f"{wanted.collection} {wanted.id}",
        )
    return Linked(pool, before["ready"])


def _adopted(tx: Tx, source: Source, wanted: Wanted, pool: PoolRef, tally: Tally) -> Linked | None:
    if _shape(pool) != wanted.shape:
        tally.find(
            PoolExists.code,
            f"Pool {pool.id} exists with other content than {wanted.shape}; give the record another scope.",
            object=f"{wanted.collection} {wanted.id}",
        )
        return None
    tally.count("adopted")
    _keep(tx, source, wanted, pool, is_ready=True)
    return Linked(pool, ready=True)


def _made(tx: Tx, source: Source, wanted: Wanted, tally: Tally) -> Linked | None:
    try:
        with tx.savepoint():
            made = create_pool(tx, wanted.kind, wanted.scope, **wanted.content)
    except TurnupError as error:
        tally.refuse(error, wanted.collection, wanted.id)
        return None
    pool = pool_by_id(tx, made.id)
    assert pool is not None
    tally.created.append(pool.id)
    tx.execute(update(pool_table).where(pool_table.c.number == pool.number).values(draining=1))
    record = f"{wanted.collection} {wanted.id}"
    journal.note(tx, pool.number, "imported", source=source.name, object=record)
    _keep(tx, source, wanted, pool, is_ready=False)
    return Linked(pool, ready=False)


def _keep(tx: Tx, source: Source, wanted: Wanted, pool: PoolRef, *, is_ready: bool) -> None:
    details = {**wanted.details, "shape": wanted.shape, "ready": is_ready}
    keep(tx, source, wanted.collection, wanted.id, "pool", pool=pool.number, details=details)


def _shape(pool: PoolRef) -> str:
    return str(pool.params.get("prefix") or f"{pool.first}-{pool.last}")
