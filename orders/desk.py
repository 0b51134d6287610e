"""The desk where a layer takes in orders: the same for product, service and resource orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orders.errors import AmendNotPossible, OrderFinal
from orders.ledger import Ledger
from orders.model import FINAL, NewOrder, Order, State, TaskSpec
from orders.wire import OrderShape, cancel_body, order_body
from store import Database, Rx, Tx
from store.errors import NotFound
from store.types import to_text
from tmf.patch import Patch
from tmf.ports import key_of
from tmf.query import Page, Query

Json = dict[str, Any]
Parse = Callable[[Rx, Json, str | None], NewOrder]
"""Check a body against catalog and inventory; raises 4xx errors, stores nothing."""

CANCEL_SUFFIX = ".cancel"


class OrderDesk:
    """Takes orders and cancel requests of one layer; everything after acceptance is tasks of the ledger."""

    def __init__(self, database: Database, ledger: Ledger, shape: OrderShape, parse: Parse) -> None:
        self._database = database
        self._ledger = ledger
        self._parse = parse
        self.shape = shape

    def submit(self, body: Json, key: str | None = None) -> Json:
        """Accept an order, or return the one that was accepted with the same key."""
        layer = self.shape.layer
        with self._database.write() as tx:
            if key and (known := self._ledger.by_key(tx, layer, key)):
                return order_body(self.shape, known)
            order, created = self._ledger.create(tx, self._parse(tx, body, key))
            if created:
                items = tuple(item.id for item in order.items)
                start = TaskSpec(key="start", kind=f"{layer}.start@1", items=items)
                self._ledger.add_tasks(tx, order.id, [start])
            return order_body(self.shape, self._ledger.order(tx, order.id))

    def get(self, order_id: str) -> Json:
        """Return an order as its API shows it. Raises ORDER_NOT_FOUND."""
        with self._database.read() as rx:
            return order_body(self.shape, self._order(rx, order_id))

    def cancel(self, order_id: str, reason: str) -> Json:
        """Ask for the cancellation of an order; asking again returns the same cancel task. Raises ORDER_FINAL."""
        with self._database.write() as tx:
            order = self._order(tx, order_id)
            plan = dict(order.plan or {})
            if "cancel" not in plan:
                if order.state in FINAL:
                    raise OrderFinal(f"Order {order_id} is {order.state}: order a modify or delete instead.")
                plan["cancel"] = self._cancel_task(order_id, reason, tx)
                self._ledger.update_order(tx, order_id, plan=plan, state=State.ASSESSING_CANCELLATION)
                kind = f"{self.shape.layer}.cancel@1"
                self._ledger.add_tasks(tx, order_id, [TaskSpec(key="cancel", kind=kind)])
            return cancel_body(self.shape, order, plan["cancel"])

    def _cancel_task(self, order_id: str, reason: str, tx: Tx) -> Json:
        return {
            "id": order_id + CANCEL_SUFFIX,
            "state": self.shape.cancel_first_state,
            "reason": reason,
            "requested": to_text(tx.now),
        }

    def _order(self, rx: Rx, order_id: str) -> Order:
        order = self._ledger.order(rx, order_id)
        if order.layer != self.shape.layer:
            raise NotFound(f"{order_id} is not a {self.shape.type}.")
        return order


def close_cancelled(tx: Tx, ledger: Ledger, order_id: str) -> None:
    """Mark the cancel task of an order done and all its items cancelled."""
    order = ledger.order(tx, order_id)
    plan = dict(order.plan or {})
    plan["cancel"] = {**plan["cancel"], "state": "done", "effective": to_text(tx.now)}
    ledger.update_order(tx, order_id, plan=plan)
    for item in order.items:
        ledger.update_item(tx, order_id, item.id, state=State.CANCELLED)


class OrderCollection:
    """The orders of a layer as a TMF collection."""

    def __init__(self, database: Database, ledger: Ledger, desk: OrderDesk) -> None:
        self._database = database
        self._ledger = ledger
        self._desk = desk

    def list(self, query: Query) -> Page:
        with self._database.read() as rx:
            orders, _ = self._ledger.orders(rx, self._desk.shape.layer)
            return query.apply([order_body(self._desk.shape, order) for order in orders])

    def get(self, id: str) -> Json:  # noqa: A002
        return self._desk.get(id)

    def create(self, body: Json) -> Json:
        return self._desk.submit(body, key_of(body))

    def patch(self, id: str, patch: Patch) -> Json:  # noqa: A002
        """Change what describes an order (notes, external ids). Items and states are not changed this way."""
        with self._database.write() as tx:
            order = self._ledger.order(tx, id)
            shape = self._desk.shape
            changed = patch.apply(order_body(shape, order))
            before = order_body(shape, order)
            for name in (shape.items, "state"):
                if changed.get(name) != before.get(name):
                    raise AmendNotPossible(
                        f"{name} of an accepted order cannot be changed; cancel it, or order a modify when it is completed."
                    )
            known = set(before) - set(order.body)
            body = {name: value for name, value in changed.items() if name not in known}
            self._ledger.update_order(tx, id, body=body)
            return order_body(shape, self._ledger.order(tx, id))

    def delete(self, id: str) -> None:  # noqa: A002
        with self._database.write() as tx:
            self._ledger.delete(tx, id)


class CancelCollection:
    """The cancel tasks of a layer as a TMF collection (create, read)."""

    def __init__(self, database: Database, ledger: Ledger, desk: OrderDesk) -> None:
        self._database = database
        self._ledger = ledger
        self._desk = desk

    def list(self, query: Query) -> Page:
        with self._database.read() as rx:
            orders, _ = self._ledger.orders(rx, self._desk.shape.layer)
            return query.apply([self._body(order) for order in orders if "cancel" in (order.plan or {})])

    def get(self, id: str) -> Json:  # noqa: A002
        with self._database.read() as rx:
            order = self._ledger.order(rx, id.removesuffix(CANCEL_SUFFIX))
            if "cancel" not in (order.plan or {}):
                raise NotFound(f"Nobody asked to cancel order {order.id}.")
            return self._body(order)

    def create(self, body: Json) -> Json:
        named = body.get(self._desk.shape.key) or {}
        return self._desk.cancel(str(named.get("id")), str(body.get("cancellationReason") or ""))

    def patch(self, id: str, patch: Patch) -> Json:  # noqa: A002
        raise NotFound("A cancel task cannot be changed.")

    def delete(self, id: str) -> None:  # noqa: A002
        raise NotFound("A cancel task cannot be deleted.")

    def _body(self, order: Order) -> Json:
        plan: Mapping[str, Any] = order.plan or {}
        return cancel_body(self._desk.shape, order, plan["cancel"])
