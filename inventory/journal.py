"""What was done to a pool, and why: its journal, never rewritten."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select

from inventory.raw import Raw
from inventory.tables import pool as pool_table
from inventory.tables import pool_event as table
from inventory.types import to_micros
from store import Rx, Tx


@dataclass(frozen=True, slots=True)
class PoolEvent:
    """One entry: what was done, when, and what belongs to it."""

    at: datetime
    what: str
    details: Mapping[str, Any]


def note(tx: Tx, number: int, what: str, **details: Any) -> None:
    """Write down what was done to the pool of this number."""
    Raw(tx).run(
        "INSERT INTO pool_event (pool, at, what, details) VALUES (?, ?, ?, ?)",
        number,
        to_micros(tx.now),
        what,
        json.dumps(details),
    )


def events(rx: Rx, pool_id: str) -> list[PoolEvent]:
    """Return what was done to the pools of this id, a removed one's too, oldest first."""
    query = select(table).join(pool_table, pool_table.c.number == table.c.pool)
    rows = rx.rows(query.where(pool_table.c.id == pool_id).order_by(table.c.row))
    return [PoolEvent(row.at, row.what, row.details) for row in rows]
