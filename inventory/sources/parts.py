"""Parts of a pool's prefix that the source uses for something else: cut out of the pool while they are there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping

from inventory.sources.errors import SourceConflict
from inventory.sources.objects import PoolRef, Tally, keep, known, pool_ref
from inventory.sources.port import Collection
from inventory.sources.register import Source
from store import Tx


@dataclass(frozen=True, slots=True)
class Part:
    """A network or range inside a pool's prefix; `whole`: cut out as it is, else it uses one value."""

    collection: Collection
    id: str
    text: str
    whole: bool


def cut(
    tx: Tx, source: Source, pool: PoolRef, parts: Sequence[Part], tally: Tally, *, new: bool
) -> None:
    """Keep parts out of the pool; a new pool was made without them."""
    for part in parts:
        row = known(tx, source.name, part.collection, part.id)
        details = {"text": part.text}
        same = row is not None and (row["role"], row["pool"]) == ("excluded", pool.number)
        if new or (same and row is not None and row["details"] == details):
            keep(
                tx, source, part.collection, part.id, "excluded", pool=pool.number, details=details
            )
            continue
        tally.find(
            SourceConflict.code,
            f"{part.text} of pool {pool.id} is used for something else in {source.name} now; shrink the pool.",
            object=f"{part.collection} {part.id}",
        )


def give_back(tx: Tx, source: Source, row: RowMapping, tally: Tally) -> None:
    """Give a part back to its pool: it is gone there."""
    pool = pool_ref(tx, row["pool"])
    tally.find(
        SourceConflict.code,
        f"{row['details']['text']} is free again in {source.name}; grow pool {pool.id} by it.",
        object=f"{row['collection']} {row['id']}",
    )
