"""Relations between instances, with history. The source relies on the target, whatever the type."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Row, insert, select, union, update

from inventory.cause import Cause, cause_of, closed, ending_cause_of, opened
from inventory.tables import relation as table
from inventory.temporal import halves
from store import Rx, Tx

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Relation:
    """`source` relies on `target`: realizedBy, supportingResource, uses, contains and the like."""

    source: str
    target: str
    type: str


@dataclass(frozen=True, slots=True)
class Lasting:
    """A relation from `valid_from` until `valid_to` (None: still), who made it and who ended it."""

    relation: Relation
    valid_from: datetime
    valid_to: datetime | None
    cause: Cause
    ended_by: Cause


def relate(tx: Tx, source: str, target: str, type: str, cause: Cause | None = None) -> None:  # noqa: A002
    """Relate two instances; nothing happens when they are so related already."""
    found = tx.row(select(table.c.row).where(*_is(source, target, type)))
    if found is None:
        row = {"source": source, "target": target, "type": type, "valid_from": tx.now}
        tx.execute(insert(table).values(**row, **opened(cause)))


def unrelate(tx: Tx, source: str, target: str, type: str, cause: Cause | None = None) -> None:  # noqa: A002
    """End a relation; nothing happens when there is none."""
    ended = update(table).where(*_is(source, target, type))
    tx.execute(ended.values(valid_to=tx.now, **closed(cause)))


def related(
    rx: Rx,
    id: str,  # noqa: A002
    *,
    type: str | None = None,  # noqa: A002
    reverse: bool = False,
    at: datetime | None = None,
) -> list[Relation]:
    """Return the relations from `id` (or to it, when `reverse`), in the order they were made."""
    return related_many(rx, [id], type=type, reverse=reverse, at=at)


def related_many(
    rx: Rx,
    ids: Collection[str],
    *,
    type: str | None = None,  # noqa: A002
    reverse: bool = False,
    at: datetime | None = None,
) -> list[Relation]:
    """Return the relations from any of `ids` (or to any of them), in one query per 500 ids."""
    found: list[Relation] = []
    for chunk in chunks(sorted(ids)):
        column = table.c.target if reverse else table.c.source
        rows: list[Row[Any]] = []
        for valid in halves(table.c, at):
            query = select(table).where(column.in_(chunk), valid)
            rows += rx.rows(query if type is None else query.where(table.c.type == type))
        rows.sort(key=lambda row: int(row.row))
        found += [Relation(row.source, row.target, row.type) for row in rows]
    return found


def lasting(rx: Rx, id: str, offset: int = 0, limit: int | None = None) -> list[Lasting]:  # noqa: A002
    """Return the relations that an instance has or had, in either direction, in the order they were made."""
    ends = [
        select(table).where(column == id, valid)
        for column in (table.c.source, table.c.target)
        for valid in (table.c.valid_to.is_(None), table.c.valid_to.is_not(None))
    ]
    both = union(*ends).subquery()
    query = select(both).order_by(both.c.row).offset(offset or None).limit(limit)
    rows = rx.execute(query).mappings()
    return [
        Lasting(
            Relation(row["source"], row["target"], row["type"]),
            row["valid_from"],
            row["valid_to"],
            cause_of(row),
            ending_cause_of(row),
        )
        for row in rows
    ]


def chunks(ids: list[str]) -> list[list[str]]:
    """Split a list so that no statement has more parameters than SQLite takes."""
    return [ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK)]


def _is(source: str, target: str, type: str) -> tuple[Any, ...]:  # noqa: A002
    return (
        table.c.source == source,
        table.c.target == target,
        table.c.type == type,
        table.c.valid_to.is_(None),
    )
