"""Which nodes of the connectivity graph a resource stands on, read off its own values.

A resource that carries `ponPort: olt-east-07/pon1` stands on that port, whoever wrote it: impact needs
no relation that a catalog might forget.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from inventory.relations import chunks
from inventory.tables import footprint, node
from store import Rx, Tx


def refresh(tx: Tx, instance: str, characteristics: Mapping[str, Any]) -> None:
    """Record the nodes that a resource's present characteristics name."""
    named = _known(tx, {value for value in characteristics.values() if isinstance(value, str)})
    before = {
        row.node
        for row in tx.rows(select(footprint.c.node).where(footprint.c.instance == instance))
    }
    gone = before - named
    if gone:
        which = (footprint.c.instance == instance) & footprint.c.node.in_(sorted(gone))
        tx.execute(delete(footprint).where(which))
    rows = [{"instance": instance, "node": name} for name in sorted(named - before)]
    if rows:
        tx.execute(insert(footprint), rows)


def standing_on(rx: Rx, nodes: Collection[str]) -> set[str]:
    """Return the ids of the resources that stand on any of these nodes."""
    found: set[str] = set()
    for chunk in chunks(sorted(nodes)):
        query = select(footprint.c.instance).where(footprint.c.node.in_(chunk))
        found |= {row.instance for row in rx.rows(query)}
    return found


def of(rx: Rx, instances: Collection[str]) -> set[str]:
    """Return the nodes that any of these resources stands on."""
    found: set[str] = set()
    for chunk in chunks(sorted(instances)):
        query = select(footprint.c.node).where(footprint.c.instance.in_(chunk))
        found |= {row.node for row in rx.rows(query)}
    return found


def _known(rx: Rx, names: set[str]) -> set[str]:
    found: set[str] = set()
    for chunk in chunks(sorted(names)):
        found |= {row.id for row in rx.rows(select(node.c.id).where(node.c.id.in_(chunk)))}
    return found
