"""Waits and wakes. A wake that finds no wait is kept for the next one, so neither can miss the other."""
# ruff: noqa: S608 - only question marks are put into the statements

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import Any

from orders import _rows
from orders._sql import dump, load, marks, row, rows, run, serialise_key, value
from orders.board import TaskBoard
from orders.errors import WaitNotFound
from orders.model import FINAL, State, Task, TaskState, Wait, WaitInfo
from store import Rx, Tx, to_text

FINAL_PREFIX = "final:"
_WAITS = f"SELECT {_rows.WAIT} FROM task_wait w JOIN task t ON t.id = w.task"


class Waits:
    """Who waits for what."""

    def __init__(self, board: TaskBoard) -> None:
        self._board = board

    def wait(self, tx: Tx, task: Task, outcome: Wait) -> bool:
        """Let a task wait; return True when it need not, because its wake had come before."""
        serialise_key(tx, outcome.key)
        self._board.park(tx, task, TaskState.WAITING)
        found, payload = _kept_wake(tx, outcome.key)
        if found:
            self._board.woken(tx, [task.id], payload, overdue=False)
            return True
        run(
            tx,
            "INSERT INTO task_wait (task, id, key, due, external, since) VALUES (?, ?, ?, ?, ?, ?)",
            task.id,
            f"{task.id}-{hashlib.sha256(outcome.key.encode()).hexdigest()[:8]}",
            outcome.key,
            to_text(outcome.due) if outcome.due else None,
            dump(asdict(outcome.external)) if outcome.external else None,
            to_text(tx.now),
        )
        return False

    def wake(self, tx: Tx, key: str, payload: Any) -> int:
        """Wake all who wait for a key; return how many did. None: the wake is kept for the next wait."""
        serialise_key(tx, key)
        kept = {} if payload is None else payload
        waiting = [found[0] for found in rows(tx, "SELECT task FROM task_wait WHERE key = ?", key)]
        woken = self._board.woken(tx, waiting, kept, overdue=False) if waiting else []
        self.forget(tx, waiting)
        # the state of an order is its own kept wake
        if not woken and not key.startswith(FINAL_PREFIX):
            run(
                tx,
                "INSERT INTO task_wake (key, payload, created) VALUES (?, ?, ?)",
                key,
                dump(kept),
                to_text(tx.now),
            )
        return len(woken)

    def wake_overdue(self, tx: Tx) -> int:
        """Wake those whose due time has passed."""
        late = [
            found[0]
            for found in rows(
                tx, "SELECT task FROM task_wait WHERE due <= ? LIMIT 500", to_text(tx.now)
            )
        ]
        woken = self._board.woken(tx, late, None, overdue=True) if late else []
        self.forget(tx, late)
        return len(woken)

    def forget(self, tx: Tx, task_ids: list[str]) -> None:
        """Remove the waits of tasks."""
        for start in range(0, len(task_ids), 500):
            chunk = task_ids[start : start + 500]
            run(tx, f"DELETE FROM task_wait WHERE task IN ({marks(chunk)})", *chunk)

    def all(self, rx: Rx, *, external_only: bool) -> list[WaitInfo]:
        """Return the waits, the longest first."""
        where = " WHERE w.external IS NOT NULL" if external_only else ""
        return [
            _rows.wait(rx, found) for found in rows(rx, f"{_WAITS}{where} ORDER BY w.since, w.id")
        ]

    def one(self, rx: Rx, wait_id: str) -> WaitInfo:
        """Return a wait. Raises WaitNotFound."""
        found = row(rx, f"{_WAITS} WHERE w.id = ?", wait_id)
        if found is None:
            raise WaitNotFound(
                f"Nothing waits under {wait_id}: it was completed, cancelled, or never was; list the waiting ones."
            )
        return _rows.wait(rx, found)


def final_key(order_id: str) -> str:
    """Return the key that is woken when an order becomes final."""
    return FINAL_PREFIX + order_id


def _kept_wake(tx: Tx, key: str) -> tuple[bool, Any]:
    if key.startswith(FINAL_PREFIX):
        state = value(tx, "SELECT state FROM orders WHERE id = ?", key.removeprefix(FINAL_PREFIX))
        return state is None or State(state) in FINAL, {"state": state}
    found = row(tx, "SELECT seq, payload FROM task_wake WHERE key = ? ORDER BY seq LIMIT 1", key)
    if found is None:
        return False, None
    run(tx, "DELETE FROM task_wake WHERE seq = ?", found[0])
    return True, load(tx, found[1])
