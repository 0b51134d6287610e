"""The desk where a layer takes in orders: the same for product, service and resource orders."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from orders.errors import OrderFinal
from orders.ledger import Ledger
from orders.model import FINAL, NewOrder, Order, State, TaskSpec
from orders.wire import OrderEvents, OrderShape, cancel_body, instant, order_body
from store import Database, Rx, Tx, from_text
from store.errors import InvalidInput, NotFound
from tmf.collection import ResourceSpec
from tmf.patch import Patch, apply_patch
from tmf.ports import key_of
from tmf.query import Page, Query
from tmf.web import validate

Json = dict[str, Any]
Parse = Callable[[Rx, Json, str | None], NewOrder]
"""Check a body against catalog and inventory; raises 4xx errors, stores nothing."""

CANCEL_SUFFIX = ".cancel"
SET_BY_SERVER = frozenset(
    {
        "id",
        "href",
        "state",
        "orderDate",
        "startDate",
        "completionDate",
        "cancellationDate",
        "cancellationReason",
        "errorMessage",
        "milestone",
        "jeopardyAlert",
        "parent",
        "line",
        "correlationId",
        "planHash",
    }
)
"""What no PATCH changes, besides what the official file of the API names."""
_SHOWN_ONLY = frozenset(
    {"id", "href", "state", "orderDate", "completionDate", "cancellationDate", "errorMessage"}
)


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
                start = TaskSpec(
                    key="start", kind=f"{layer}.start@1", items=items, run_at=_begin(tx, order)
                )
                self._ledger.add_tasks(tx, order.id, [start])
            return order_body(self.shape, self._ledger.order(tx, order.id))

    def get(self, order_id: str) -> Json:
        """Return an order as its API shows it. Raises ORDER_NOT_FOUND."""
        with self._database.read() as rx:
            return order_body(self.shape, self.known(rx, order_id))

    def cancel(self, order_id: str, reason: str, body: Json | None = None) -> Json:
        """Ask for the cancellation of an order; asking again returns the same cancel task. Raises ORDER_FINAL.

        `body` is the request as it was sent: what it says beyond order and reason is kept and returned.
        """
        with self._database.write() as tx:
            self.known(tx, order_id)
            order = self._ledger.lock(tx, order_id)
            plan = dict(order.plan or {})
            if "cancel" not in plan:
                if order.state in FINAL:
                    raise OrderFinal(
                        f"Order {order_id} is {order.state}: order a modify or delete instead."
                    )
                plan["cancel"] = self._cancel_task(order_id, reason, tx) | {"body": body or {}}
                self._ledger.update_order(tx, order_id, plan=plan)
                # apart from the plan, because the observer of the state tells of the cancel task in it
                self._ledger.update_order(tx, order_id, state=State.ASSESSING_CANCELLATION)
                kind = f"{self.shape.layer}.cancel@1"
                self._ledger.add_tasks(tx, order_id, [TaskSpec(key="cancel", kind=kind)])
            return cancel_body(self.shape, order, plan["cancel"])

    def _cancel_task(self, order_id: str, reason: str, tx: Tx) -> Json:
        return {
            "id": order_id + CANCEL_SUFFIX,
            "state": self.shape.cancel_first_state,
            "reason": reason,
            "requested": instant(tx.now),
        }

    def known(self, rx: Rx, order_id: str) -> Order:
        """Return an order of this layer. Raises ORDER_NOT_FOUND, or NOT_FOUND for another layer's."""
        order = self._ledger.order(rx, order_id)
        if order.layer != self.shape.layer:
            raise NotFound(f"{order_id} is not a {self.shape.type}; look in the other order APIs.")
        return order


def _begin(rx: Rx, order: Order) -> datetime | None:
    """Return when an order was asked to begin, if that is still ahead. Raises INVALID_INPUT."""
    wished = order.body.get("requestedStartDate")
    try:
        begin = from_text(str(wished)) if wished else None
    except ValueError:
        raise InvalidInput(
            f"requestedStartDate {wished!r} is no instant; write it as 2026-12-01T08:00:00Z."
        ) from None
    begin = begin.replace(tzinfo=UTC) if begin and begin.tzinfo is None else begin
    return begin if begin and begin > rx.now else None


def close_cancelled(tx: Tx, ledger: Ledger, order_id: str) -> None:
    """Mark the cancel task of an order done and all its items cancelled."""
    order = ledger.order(tx, order_id)
    plan = dict(order.plan or {})
    plan["cancel"] = {**plan["cancel"], "state": "done", "effective": instant(tx.now)}
    ledger.update_order(tx, order_id, plan=plan)
    for item in order.items:
        ledger.update_item(tx, order_id, item.id, state=State.CANCELLED)


class OrderCollection:
    """The orders of a layer as a TMF collection."""

    def __init__(
        self, database: Database, ledger: Ledger, desk: OrderDesk, spec: ResourceSpec
    ) -> None:
        self._database = database
        self._ledger = ledger
        self._desk = desk
        self._events = OrderEvents(desk.shape)
        self._model = spec.model
        self._fixed = spec.not_patchable | SET_BY_SERVER | {desk.shape.items}

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
            shown = order_body(shape, self._desk.known(tx, key))
            changed = apply_patch(shown, patch, refused=self._fixed)
            if self._model:  # a JSON Patch can put anything anywhere
                validate(self._model, changed)
            shown_only = _SHOWN_ONLY | {shape.items}
            body = {name: value for name, value in changed.items() if name not in shown_only}
            order = self._ledger.update_order(tx, key, body=body)
            self._events.patched(tx, order)
            return order_body(shape, order)

    def delete(self, key: str, /) -> None:
        """Delete an order that has ended. Raises ORDER_NOT_FINAL."""
        with self._database.write() as tx:
            order = self._desk.known(tx, key)
            self._ledger.delete(tx, key)
            self._events.deleted(tx, order)


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
                self._body(order, order.plan["cancel"])
                for order in orders
                if order.plan and "cancel" in order.plan
            )

    def get(self, key: str, /) -> Json:
        """Return one cancel task."""
        order_id = key.removesuffix(CANCEL_SUFFIX)
        if order_id == key:
            raise NotFound(f"There is no cancel task {key}; list them for the ids there are.")
        with self._database.read() as rx:
            order = self._desk.known(rx, order_id)
            if not order.plan or "cancel" not in order.plan:
                raise NotFound(f"Nobody asked to cancel order {order.id}.")
            return self._body(order, order.plan["cancel"])

    def create(self, body: Json, /) -> Json:
        """Ask for the cancellation of the order that the body names."""
        named = body.get(self._desk.shape.key) or {}
        reason = str(body.get("cancellationReason") or "")
        return self._desk.cancel(str(named.get("id")), reason, body)

    def patch(self, key: str, patch: Patch, /) -> Json:  # noqa: ARG002
        """Refuse: the API has no such operation."""
        raise NotFound(f"{key}: a cancel task cannot be changed.")

    def delete(self, key: str, /) -> None:
        """Refuse: the API has no such operation."""
        raise NotFound(f"{key}: a cancel task cannot be deleted.")

    def _body(self, order: Order, cancel: Json) -> Json:
        return cancel_body(self._desk.shape, order, cancel)
