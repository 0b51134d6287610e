"""Fallout records: a held task as the work queue shows it, until somebody resolves it."""
# ruff: noqa: S608 - only our own column names are put into the statements

from __future__ import annotations

from orders import _rows
from orders._sql import dump, marks, row, rows, run
from orders.errors import FalloutClosed, FalloutNotFound
from orders.model import Fallout, Hold, Resolution, Task
from store import Rx, Tx, new_id, to_text

_FALLOUTS = f"SELECT {_rows.FALLOUT} FROM fallout"


def open_fallout(tx: Tx, task: Task, hold: Hold) -> str:
    """Open a record and return its id."""
    fallout_id = new_id("f")
    run(
        tx,
        "INSERT INTO fallout (id, order_id, task, layer, items, code, explanation, remedy, details, state, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?)",
        fallout_id,
        task.order_id,
        task.id,
        task.layer,
        dump(list(task.items)),
        hold.code,
        hold.explanation,
        hold.remedy,
        dump(hold.details),
        to_text(tx.now),
    )
    return fallout_id


def close_fallout(tx: Tx, fallout_id: str, resolution: Resolution, evidence: str | None) -> None:
    """Close a record."""
    run(
        tx,
        "UPDATE fallout SET state = 'closed', closed = ?, resolution = ?, evidence = ? WHERE id = ?",
        to_text(tx.now),
        resolution,
        evidence,
        fallout_id,
    )


def close_of_tasks(tx: Tx, task_ids: list[str]) -> None:
    """Close the open records of tasks that were stopped."""
    for start in range(0, len(task_ids), 500):
        chunk = task_ids[start : start + 500]
        run(
            tx,
            "UPDATE fallout SET state = 'closed', closed = ?, resolution = 'stopped'"
            f" WHERE state = 'open' AND task IN ({marks(chunk)})",
            to_text(tx.now),
            *chunk,
        )


def still_open(fallout: Fallout) -> Fallout:
    """Return a record that is open. Raises FalloutClosed."""
    if fallout.state != "open":
        raise FalloutClosed(
            f"Fallout {fallout.id} was {fallout.resolution} before; look at the order's present state."
        )
    return fallout


def one(rx: Rx, fallout_id: str) -> Fallout:
    """Return a record. Raises FalloutNotFound."""
    found = row(rx, f"{_FALLOUTS} WHERE id = ?", fallout_id)
    if found is None:
        raise FalloutNotFound(f"There is no fallout {fallout_id}; list the open ones.")
    return _rows.fallout(rx, found)


def find(rx: Rx, *, state: str | None, order_id: str | None) -> list[Fallout]:
    """Return records, the oldest first; `state` None returns open and closed ones."""
    conditions, params = ["1 = 1"], []
    if state in {"open", "closed"}:
        conditions.append(f"state = '{state}'")
    elif state is not None:
        return []
    if order_id:
        conditions.append("order_id = ?")
        params.append(order_id)
    found = rows(rx, f"{_FALLOUTS} WHERE {' AND '.join(conditions)} ORDER BY created, id", *params)
    return [_rows.fallout(rx, each) for each in found]
