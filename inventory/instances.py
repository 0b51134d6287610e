"""Product, service and resource instances with history: every change is a version with its order item."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import RowMapping, Select, func, insert, select, update

from inventory.cause import NO_CAUSE, Cause, cause_of, closed, ending_cause_of, opened
from inventory.errors import InstanceNotFound
from inventory.lineage import footprints, lifecycle, stakes
from inventory.lineage.relations import Relation, chunks, relate, related, related_many, unrelate
from inventory.tables import instance as table
from inventory.temporal import valid_at
from store import Rx, Tx

__all__ = [
    "Cause",
    "Instance",
    "Kind",
    "Relation",
    "Version",
    "by_ids",
    "count",
    "count_versions",
    "find",
    "get",
    "history",
    "put",
    "relate",
    "related",
    "related_many",
    "unrelate",
    "version",
]

Kind = Literal["product", "service", "resource"]


@dataclass(frozen=True, slots=True)
class Instance:
    """One product, service or resource as it stands. `id` is unique over all three kinds."""

    id: str
    kind: Kind
    category: str | None = None
    """CFS, RFS, composite, port, device, stock, logical, shared …"""
    spec: str = ""
    version: str = ""
    name: str = ""
    state: str = ""
    characteristics: Mapping[str, Any] = field(default_factory=dict)
    place: str | None = None
    line: str | None = None
    key: str | None = None
    """Decomposition key, unique in the line."""
    inputs: Mapping[str, Any] = field(default_factory=dict)
    """What the decomposition gave it: the next delta compares these."""
    after: tuple[str, ...] = ()
    """Keys of the line it was sequenced after."""
    body: Mapping[str, Any] = field(default_factory=dict)
    """Other TMF attributes, as they came."""
    created: datetime | None = None
    changed: datetime | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """An instance as it stood from `valid_from` until `valid_to` (None: still), and who made it so."""

    instance: Instance
    valid_from: datetime
    valid_to: datetime | None
    cause: Cause
    ended_by: Cause = NO_CAUSE


def put(tx: Tx, new: Instance, cause: Cause | None = None) -> Instance:
    """Store an instance: first version, next version, or nothing when it is already so.

    `created` and `changed` of the argument are ignored: the store's clock says when.

    Raises:
        LifecycleInvalid: LIFECYCLE_INVALID, a resource's state does not follow from the one it has.

    """
    current = _locked_row(tx, new.id)
    if current is not None and _content(_instance(current)) == _content(new):
        return _instance(current)
    if new.kind == "resource":
        lifecycle.check(new.id, new.category, current["state"] if current else None, new.state)
    now = tx.now
    stored = replace(new, created=current["created"] if current else now, changed=now)
    if current is not None:
        _close(tx, current["row"], now, cause)
    tx.execute(insert(table).values(**_columns(stored), valid_from=now, **opened(cause)))
    _follow(tx, stored)
    return stored


def get(rx: Rx, id: str, at: datetime | None = None) -> Instance:  # noqa: A002
    """Return an instance as it stands now, or stood at a past time.

    Raises:
        InstanceNotFound: INSTANCE_NOT_FOUND, no such id, or not yet at that time.

    """
    return version(rx, id, at).instance


def version(rx: Rx, id: str, at: datetime | None = None) -> Version:  # noqa: A002
    """Return the same with its time and cause."""
    row = _current_row(rx, id) if at is None else _row_at(rx, id, at)
    if row is None:
        when = "" if at is None else f" at {at.isoformat()}"
        raise InstanceNotFound(
            f"No instance {id!r} in the inventory{when}; list the inventory for the ids it has.",
            details={"id": id},
        )
    return _version(row)


def find(
    rx: Rx,
    *,
    kind: Kind,
    line: str | None = None,
    key: str | None = None,
    spec: str | None = None,
    category: str | None = None,
    place: str | None = None,
    states: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    offset: int = 0,
    limit: int | None = None,
) -> list[Instance]:
    """Return present instances that match all that is given, oldest first."""
    query = _select(kind, line, key, spec, category, place, states, ids)
    query = query.order_by(table.c.created, table.c.id).offset(offset or None).limit(limit)
    return [_instance(row) for row in rx.execute(query).mappings()]


def by_ids(rx: Rx, ids: Collection[str]) -> list[Instance]:
    """Return the present instances of any kind with these ids, in one query per 500."""
    found: list[Instance] = []
    for chunk in chunks(sorted(ids)):
        query = select(table).where(table.c.valid_to.is_(None), table.c.id.in_(chunk))
        found += [_instance(row) for row in rx.execute(query).mappings()]
    return found


def count(
    rx: Rx,
    *,
    kind: Kind,
    line: str | None = None,
    key: str | None = None,
    spec: str | None = None,
    category: str | None = None,
    place: str | None = None,
    states: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
) -> int:
    """Return how many present instances match all that is given."""
    query = _select(kind, line, key, spec, category, place, states, ids)
    return int(rx.scalar(query.with_only_columns(func.count())))


def history(rx: Rx, id: str, offset: int = 0, limit: int | None = None) -> list[Version]:  # noqa: A002
    """Return the versions, oldest first. Raises InstanceNotFound."""
    query = select(table).where(table.c.id == id).order_by(table.c.valid_from, table.c.row)
    rows = rx.execute(query.offset(offset or None).limit(limit)).mappings().all()
    if not rows:
        get(rx, id)
    return [_version(row) for row in rows]


def count_versions(rx: Rx, id: str) -> int:  # noqa: A002
    """Return how many versions an instance has."""
    return int(rx.scalar(select(func.count()).where(table.c.id == id)))


def _version(row: RowMapping) -> Version:
    return Version(
        _instance(row), row["valid_from"], row["valid_to"], cause_of(row), ending_cause_of(row)
    )


def _select(
    kind: Kind,
    line: str | None,
    key: str | None,
    spec: str | None,
    category: str | None,
    place: str | None,
    states: Sequence[str] | None,
    ids: Sequence[str] | None,
) -> Select[Any]:
    given = {"line": line, "key": key, "spec": spec, "category": category, "place": place}
    query = select(table).where(table.c.valid_to.is_(None), table.c.kind == kind)
    query = query.where(
        *(table.c[name] == value for name, value in given.items() if value is not None)
    )
    for column, values in ((table.c.state, states), (table.c.id, ids)):
        if values is not None:
            query = query.where(column.in_(values))
    return query


def _current_row(rx: Rx, id: str) -> RowMapping | None:  # noqa: A002
    query = select(table).where(table.c.id == id, table.c.valid_to.is_(None))
    return rx.execute(query).mappings().first()


def _row_at(rx: Rx, id: str, at: datetime) -> RowMapping | None:  # noqa: A002
    query = select(table).where(table.c.id == id, valid_at(table.c, at))
    return rx.execute(query.order_by(table.c.row.desc())).mappings().first()


def _locked_row(tx: Tx, id: str) -> RowMapping | None:  # noqa: A002
    """Return the present row, locked until the end of the transaction.

    On PostgreSQL a row that another transaction has just replaced is locked in vain and not returned: ask again,
    or the second of two changes at once ends in a unique violation.
    """
    query = select(table).where(table.c.id == id, table.c.valid_to.is_(None)).with_for_update()
    while (row := tx.execute(query).mappings().first()) is None:
        if tx.dialect == "sqlite" or _current_row(tx, id) is None:
            return None
    return row


def _follow(tx: Tx, stored: Instance) -> None:
    """Bring what is looked up by index after an instance's values."""
    if stored.kind == "resource":
        values = stored.characteristics
        footprints.refresh(tx, stored.id, state=stored.state, line=stored.line, values=values)
    else:
        stakes.refresh(tx, stored.id, stored.body)


def _close(tx: Tx, row: int, now: datetime, cause: Cause | None) -> None:
    tx.execute(update(table).where(table.c.row == row).values(valid_to=now, **closed(cause)))


def _columns(stored: Instance) -> dict[str, Any]:
    return {**_content_fields(stored), "created": stored.created}


def _content(some: Instance) -> str:
    return json.dumps(_content_fields(some), sort_keys=True, default=str)


def _content_fields(some: Instance) -> dict[str, Any]:
    return {
        "id": some.id,
        "kind": some.kind,
        "category": some.category,
        "spec": some.spec,
        "version": some.version,
        "name": some.name,
        "state": some.state,
        "characteristics": dict(some.characteristics),
        "place": some.place,
        "line": some.line,
        "key": some.key,
        "inputs": dict(some.inputs),
        "after": list(some.after),
        "body": dict(some.body),
    }


def _instance(row: RowMapping) -> Instance:
    return Instance(
        id=row["id"],
        kind=row["kind"],
        category=row["category"],
        spec=row["spec"],
        version=row["version"],
        name=row["name"],
        state=row["state"],
        characteristics=row["characteristics"],
        place=row["place"],
        line=row["line"],
        key=row["key"],
        inputs=row["inputs"],
        after=tuple(row["after"]),
        body=row["body"],
        created=row["created"],
        changed=row["valid_from"],
    )
