"""The journal: what happened to each task of an order, in order, in the commit that made it happen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from orders import _rows
from orders._sql import Row, dump, many, rows, run
from orders.model import JournalEntry
from store import Rx, Tx, to_text

_INSERT = "INSERT INTO task_journal (order_id, task, time, event, data) VALUES (?, ?, ?, ?, ?)"


def note(tx: Tx, order_id: str, task_id: str | None, event: str, **data: Any) -> None:
    """Write one entry; data that is None is left out."""
    kept = {name: value for name, value in data.items() if value is not None}
    run(tx, _INSERT, order_id, task_id, to_text(tx.now), event, dump(kept or None))


def note_all(tx: Tx, tasks: Sequence[Row], event: str) -> None:
    """Write the same entry for many tasks, given as (id, order id)."""
    now = to_text(tx.now)
    many(tx, _INSERT, [(order_id, task_id, now, event, None) for task_id, order_id in tasks])


def read(rx: Rx, order_id: str) -> list[JournalEntry]:
    """Return an order's entries, oldest first."""
    found = rows(
        rx,
        "SELECT time, task, event, data FROM task_journal WHERE order_id = ? ORDER BY seq",
        order_id,
    )
    return [_rows.entry(rx, row) for row in found]
