"""The desk where a layer takes in orders: the same for product, service and resource orders."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from orders.errors import OrderFinal
from orders.ledger import Ledger
from orders.model import FINAL, NewOrder, Order, State, TaskSpec
from orders.wire import OrderShape, cancel_body, order_body
from store import Database, Rx, Tx
from store.errors import NotFound
from store.types import to_text
from tmf.patch import Patch, apply_patch
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
                    raise OrderFinal(
                        f"Order {order_id} is {order.state}: order a modify or delete instead."
                    )
                plan["cancel"] = self._cancel_task(order_id, reason, tx)
                self._ledger.update_order(
                    tx, order_id, plan=plan, state=State.ASSESSING_CANCELLATION
                )
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

    def list(self, query: Query, /) -> Page:
        """Return orders, the newest first."""
        with self._database.read() as rx:
            orders, _ = self._ledger.orders(rx, self._desk.shape.layer)
            return query.apply(order_body(self._desk.shape, order) for order in orders)

    def get(self, key: str, /) -> Json:
        """Return one order."""
        return self._desk.get(key)

    def create(self, body: Json, /) -> Json:
        """Accept an order; a submission key among its external references makes repeats harmless."""
        return self._desk.submit(body, key_of(body))

    def patch(self, key: str, patch: Patch, /) -> Json:
        """Change what describes an order (notes, external ids). Raises NOT_PATCHABLE for all else."""
        shape = self._desk.shape
        with self._database.write() as tx:
            order = self._ledger.order(tx, key)
            shown = order_body(shape, order)
            own = {shape.items, *(set(shown) - set(order.body))}
            changed = apply_patch(shown, patch, refused=own)
            body = {name: value for name, value in changed.items() if name not in own}
            self._ledger.update_order(tx, key, body=body)
            return order_body(shape, self._ledger.order(tx, key))

    def delete(self, key: str, /) -> None:
        """Delete an order that has ended. Raises ORDER_NOT_FINAL."""
        with self._database.write() as tx:
            self._ledger.delete(tx, key)


class CancelCollection:
    """The cancel tasks of a layer as a TMF collection (create, read)."""

    def __init__(self, database: Database, ledger: Ledger, desk: OrderDesk) -> None:
        self._database = database
        self._ledger = ledger
        self._desk = desk

    def list(self, query: Query, /) -> Page:
        """Return the cancel tasks of all orders."""
        with self._database.read() as rx:
            orders, _ = self._ledger.orders(rx, self._desk.shape.layer)
            return query.apply(
                self._body(order) for order in orders if "cancel" in (order.plan or {})
            )

    def get(self, key: str, /) -> Json:
        """Return one cancel task."""
        with self._database.read() as rx:
            order = self._ledger.order(rx, key.removesuffix(CANCEL_SUFFIX))
            if "cancel" not in (order.plan or {}):
                raise NotFound(f"Nobody asked to cancel order {order.id}.")
            return self._body(order)

    def create(self, body: Json, /) -> Json:
        """Ask for the cancellation of the order that the body names."""
        named = body.get(self._desk.shape.key) or {}
        return self._desk.cancel(str(named.get("id")), str(body.get("cancellationReason") or ""))

    def patch(self, key: str, patch: Patch, /) -> Json:  # noqa: ARG002
        """Refuse: the API has no such operation."""
        raise NotFound(f"{key}: a cancel task cannot be changed.")

    def delete(self, key: str, /) -> None:
        """Refuse: the API has no such operation."""
        raise NotFound(f"{key}: a cancel task cannot be deleted.")

    def _body(self, order: Order) -> Json:
        plan: Mapping[str, Any] = order.plan or {}
        return cancel_body(self._desk.shape, order, plan["cancel"])
