"""Which nodes of the connectivity graph a resource stands on, read off its own values, with history.

A resource that carries `ponPort: olt-east-07/pon1` stands on that port, whoever wrote it: impact needs no relation
that a catalog might forget. Its line is kept with it, so that the customers behind a node are counted in one index.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select, update

from inventory.lineage import lifecycle
from inventory.lineage.relations import chunks
from inventory.tables import footprint, node
from inventory.temporal import halves
from store import Rx, Tx


def refresh(
    tx: Tx, instance: str, *, state: str, line: str | None, values: Mapping[str, Any]
) -> None:
    """Record the nodes that a resource's present values name; what has ended stands nowhere."""
    now = tx.now
    texts = {value for value in values.values() if isinstance(value, str)}
    named = set() if lifecycle.gone(state) else _known(tx, texts)
    query = select(footprint.c.node, footprint.c.line).where(
        footprint.c.instance == instance, footprint.c.valid_to.is_(None)
    )
    before = {(row.node, row.line) for row in tx.rows(query)}
    wanted = {(name, line) for name in named}
    gone = sorted(name for name, _ in before - wanted)
    if gone:
        ended = update(footprint).where(
            footprint.c.instance == instance,
            footprint.c.node.in_(gone),
            footprint.c.valid_to.is_(None),
        )
        tx.execute(ended.values(valid_to=now))
    rows = [
        {"instance": instance, "node": name, "line": line, "valid_from": now}
        for name, _ in sorted(wanted - before, key=str)
    ]
    if rows:
        tx.execute(insert(footprint), rows)


def standing_on(rx: Rx, nodes: Collection[str], at: datetime | None = None) -> set[str]:
    """Return the ids of the resources that stand, or stood, on any of these nodes."""
    return {row.instance for row in _found(rx, footprint.c.node, nodes, at)}


def of(rx: Rx, instances: Collection[str], at: datetime | None = None) -> set[str]:
    """Return the nodes that any of these resources stands, or stood, on."""
    return {row.node for row in _found(rx, footprint.c.instance, instances, at)}


def _found(rx: Rx, column: Any, names: Collection[str], at: datetime | None) -> Iterator[Any]:
    for chunk in chunks(sorted(names)):
        for valid in halves(footprint.c, at):
            query = select(footprint.c.instance, footprint.c.node).where(column.in_(chunk), valid)
            yield from rx.rows(query)


def _known(rx: Rx, names: set[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(sorted(names)):
        query = select(node.c.id).where(node.c.id.in_(chunk), node.c.valid_to.is_(None))
        found |= {row.id for row in rx.rows(query)}
    return found
