"""A server in small: runs orders of three items and six steps until it is killed. Usage: crash_worker.py URL."""

from __future__ import annotations

import sys
from typing import Any

from sqlalchemy import Column, Integer, String, Table, insert

from orders.executor import EmbeddedExecutor, Runner
from orders.ledger import Ledger
from orders.model import Done, NewItem, NewOrder, Outcome, State, Task, TaskSpec, Wait
from store import Database, Tx, metadata

STEPS = Table(
    "crash_step",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("order_id", String(64)),
    Column("key", String(64)),
)
ITEMS = ("1", "2", "3")


class Step:
    """Leaves one row per step: a step recorded twice would leave two."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def act(self, task: Task) -> Any:
        return {"did": task.key}

    def record(self, tx: Tx, task: Task, result: Any) -> Outcome:
        if task.key.startswith("wait") and task.wake is None:
            return Wait(f"{task.order_id}:{task.key}")
        tx.execute(insert(STEPS).values(order_id=task.order_id, key=task.key))
        if task.key.startswith("end"):
            self._ledger.update_item(tx, task.order_id, task.items[0], state=State.COMPLETED)
            self._ledger.wake(tx, f"{task.order_id}:wait{int(task.items[0]) + 1}")
        return Done(result)


def submit(ledger: Ledger, tx: Tx, number: int) -> None:
    """Make one order: per item a step that waits for the end of the item before, and the item's end."""
    items = tuple(NewItem(item, "add", {}) for item in ITEMS)
    order, created = ledger.create(tx, NewOrder("rom", {}, items, key=f"order-{number}"))
    assert created
    for item in ITEMS:
        first = TaskSpec(f"wait{item}" if item != "1" else "begin1", "step@1", items=(item,))
        last = TaskSpec(f"end{item}", "step@1", needs=(first.key,), items=(item,))
        ledger.add_tasks(tx, order.id, [first, last])


def main(url: str) -> None:
    """Run until nothing is left to do, then say so."""
    database = Database(url)
    ledger = Ledger()
    ledger.register("step@1", Step(ledger))
    executor = EmbeddedExecutor(database, ledger)
    executor.start(Runner(database, ledger).run_one)
    print("started", flush=True)
    while not executor.idle(60):
        pass
    print("idle", flush=True)
    executor.stop()
    database.close()


if __name__ == "__main__":
    main(sys.argv[1])
