"""The whole chain of an order, up and down, with its tasks, times, allocations and device edits."""

from __future__ import annotations

from typing import Any

from activation.api import Activation
from orders.dispatch import parent_in
from orders.errors import OrderNotFound
from orders.ledger import Ledger
from orders.model import Item, Order, Task
from orders.wire import instant
from store import Database, Rx

Json = dict[str, Any]


class Tracer:
    """Follows an order over the layers of this server by the references the orders carry."""

    def __init__(self, database: Database, ledger: Ledger, activation: Activation) -> None:
        self._database = database
        self._ledger = ledger
        self._activation = activation

    def trace(self, order_id: str) -> Json:
        """Return the chain that contains the order. Raises ORDER_NOT_FOUND."""
        with self._database.read() as rx:
            order = self._ledger.order(rx, order_id)
            return {"asked": order_id, "root": self._node(rx, self._root(rx, order))}

    def _root(self, rx: Rx, order: Order) -> Order:
        """Return the order at the top; a parent that is not here, or was deleted, ends the way up."""
        parent = parent_in(order.body)
        above = self._known(rx, parent["orderId"]) if parent else None
        return self._root(rx, above) if above and above.layer != order.layer else order

    def _known(self, rx: Rx, order_id: str) -> Order | None:
        try:
            return self._ledger.order(rx, order_id)
        except OrderNotFound:
            return None

    def _node(self, rx: Rx, order: Order) -> Json:
        children = list((order.plan or {}).get("children", {}).values())
        return {
            "layer": order.layer,
            "id": order.id,
            "state": order.state.value,
            "created": instant(order.created),
            "completed": instant(order.completed) if order.completed else None,
            "correlationId": order.correlation,
            "qualification": (order.plan or {}).get("qualification"),
            "waitsFor": list(self._ledger.blockers(rx, order.id)),
            "items": [_item(item) for item in order.items],
            "tasks": [_task(task) for task in self._ledger.tasks(rx, order.id)],
            "batches": self._batches(rx, order) if order.layer == "rom" else [],
            "children": [
                self._node(rx, found) for child in children if (found := self._known(rx, child))
            ],
        }

    def _batches(self, rx: Rx, order: Order) -> list[Json]:
        return [
            self._activation.batch(rx, str(batch["id"]))
            for batch in self._activation.batches(rx, order_id=order.id)
        ]


def _item(item: Item) -> Json:
    body: Json = {
        "id": item.id,
        "action": item.action,
        "state": item.state.value,
        "instance": item.instance,
        "specification": item.spec,
        "before": item.before,
        "after": item.after,
    }
    for name in ("allocations", "reasons", "checks"):
        if item.result.get(name):
            body[name] = item.result[name]
    if item.error:
        body["error"] = item.error
    return body


def _task(task: Task) -> Json:
    return {
        "key": task.key,
        "kind": task.kind,
        "state": task.state.value,
        "attempts": task.attempts,
        "needs": list(task.needs),
        "items": list(task.items),
        "started": instant(task.started) if task.started else None,
        "ended": instant(task.ended) if task.ended else None,
    }
