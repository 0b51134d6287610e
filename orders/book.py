"""Orders and items: created, read, changed; the order's state is folded after each change."""

# ruff: noqa: S608 - only our own column names and question marks are put into the statements

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from datetime import datetime
from types import EllipsisType
from typing import Any

from orders import _rows, journal
from orders._sql import dump, many, marks, row, rows, run, serialise_instances, value
from orders.errors import ItemNotFound, OrderFinal, OrderNotFinal, OrderNotFound
from orders.fold import fold
from orders.model import FINAL, Item, Json, Layer, NewOrder, Observers, Order, OrderObserver, State
from store import Rx, Tx, new_id, to_text

_ITEMS = f"SELECT {_rows.ITEM} FROM order_item WHERE order_id = ? ORDER BY position"
_ORDER = f"SELECT {_rows.ORDER} FROM orders WHERE id = ?"
_LIVE = ", ".join(f"'{state}'" for state in State if state not in FINAL)
_BLOCKERS = f"""
SELECT DISTINCT o.seq, o.id FROM orders mine
JOIN order_item i ON i.order_id = mine.id
JOIN order_item other ON other.instance = i.instance AND other.order_id <> i.order_id
JOIN orders o ON o.id = other.order_id AND o.layer = mine.layer AND o.seq < mine.seq
WHERE mine.id = ? AND i.instance IS NOT NULL AND o.state IN ({_LIVE})
ORDER BY o.seq"""


class OrderBook:
    """The orders of all layers. `on_final` is called in the transaction in which an order becomes final."""

    def __init__(self, observers: Observers, on_final: Callable[[Tx, Order], None]) -> None:
        self.observers: dict[Layer, OrderObserver] = dict(observers)
        self._on_final = on_final

    def create(self, tx: Tx, new: NewOrder) -> tuple[Order, bool]:
        """Store an order, or find the one that has its key."""
        serialise_instances(tx, (item.instance for item in new.items if item.instance))
        order_id = _insert(tx, new)
        if order_id is None:
            assert new.key is not None
            existing = self.by_key(tx, new.layer, new.key)
            assert existing is not None
            return existing, False
        _insert_items(tx, order_id, new)
        journal.note(tx, order_id, None, "created")
        order = self.order(tx, order_id)
        if observer := self.observers.get(order.layer):
            observer.order_changed(tx, order, None)
        return order, True

    def order(self, rx: Rx, order_id: str) -> Order:
        """Return an order with its items. Raises OrderNotFound."""
        return _read(rx, _ORDER, order_id)

    def lock(self, tx: Tx, order_id: str) -> None:
        """Lock an order until the transaction ends."""
        if tx.dialect == "postgresql":
            run(tx, "SELECT 1 FROM orders WHERE id = ? FOR UPDATE", order_id)

    def locked(self, tx: Tx, order_id: str) -> Order:
        """Return an order, locked until the transaction ends. Raises OrderNotFound."""
        return _read(tx, _ORDER + _for_update(tx), order_id)

    def by_key(self, rx: Rx, layer: Layer, key: str) -> Order | None:
        """Return the order a sender made with this key."""
        order_id = value(rx, "SELECT id FROM orders WHERE layer = ? AND key = ?", layer, key)
        return self.order(rx, order_id) if order_id else None

    def orders(
        self,
        rx: Rx,
        layer: Layer,
        *,
        state: State | None,
        offset: int,
        limit: int | None,
        newest_first: bool,
    ) -> tuple[list[Order], int]:
        """Return a page of a layer's orders and how many there are in all."""
        where, params = "layer = ?", [str(layer)]
        if state:
            where, params = "layer = ? AND state = ?", [str(layer), state.value]
        direction = "DESC" if newest_first else "ASC"
        page = rows(
            rx,
            f"SELECT {_rows.ORDER} FROM orders WHERE {where} ORDER BY seq {direction} LIMIT ? OFFSET ?",
            *params,
            (1 << 62) if limit is None else limit,
            offset,
        )
        items = items_of(rx, [found[0] for found in page])
        total = int(value(rx, f"SELECT count(*) FROM orders WHERE {where}", *params))
        return [_rows.order(rx, found, tuple(items.get(found[0], ()))) for found in page], total

    def blockers(self, rx: Rx, order_id: str) -> tuple[str, ...]:
        """Return earlier orders of the same layer that still work on one of this order's instances."""
        return tuple(found[1] for found in rows(rx, _BLOCKERS, order_id))

    def delete(self, tx: Tx, order_id: str) -> None:
        """Forget a final order, its tasks and its journal. Raises OrderNotFinal."""
        order = self.locked(tx, order_id)
        if order.state not in FINAL:
            raise OrderNotFinal(
                f"Order {order_id} is {order.state}; cancel it, or wait until it is final."
            )
        run(tx, "DELETE FROM orders WHERE id = ?", order_id)

    def update_order(
        self,
        tx: Tx,
        order_id: str,
        *,
        body: Json | None,
        plan: Json | None,
        plan_hash: str | None,
        state: State | None,
        expected: datetime | None,
    ) -> Order:
        """Change an order's attributes, then, when asked for, force its state."""
        order = self.locked(tx, order_id)
        columns = {
            "body": dump(body),
            "plan": dump(plan),
            "plan_hash": plan_hash,
            "expected": to_text(expected) if expected else None,
        }
        _set(
            tx,
            "orders",
            {name: new for name, new in columns.items() if new is not None},
            id=order_id,
        )
        if state is not None and state is not order.state:
            self._force(tx, order, state)
        return self.order(tx, order_id)

    def update_item(
        self,
        tx: Tx,
        order_id: str,
        item_id: str,
        *,
        state: State | None = None,
        before: Json | EllipsisType | None = ...,
        after: Json | EllipsisType | None = ...,
        body: Json | None = None,
        instance: str | None = None,
        result: Json | None = None,
        error: Json | EllipsisType | None = ...,
    ) -> Order:
        """Change an item, fold the order, tell the observer."""
        order = self.locked(tx, order_id)
        item = _item(order, item_id)
        if state not in {None, item.state} and order.state in FINAL:
            raise OrderFinal(
                f"Order {order_id} is {order.state}: item {item_id} cannot become {state}; send a new order."
            )
        columns: dict[str, Any] = {
            "state": state.value if state else ...,
            "before": _document(before),
            "after": _document(after),
            "body": dump(body) if body is not None else ...,
            "instance": instance or ...,
            "result": dump({**item.result, **result}) if result else ...,
            "error": _document(error),
        }
        changed = {name: new for name, new in columns.items() if new is not ...}
        _set(tx, "order_item", changed, order_id=order_id, id=item_id)
        return self._refold(tx, order, {item_id: item.state} if changed else {})

    def move_items(
        self,
        tx: Tx,
        order: Order,
        item_ids: Collection[str],
        state: State,
        error: Mapping[str, Any] | None,
        *,
        only: Collection[State] | None = None,
    ) -> Order:
        """Put items that are not final (and, given `only`, in one of these states) into a state."""
        moved = {
            item.id: item.state
            for item in order.items
            if item.id in item_ids
            and item.state not in FINAL
            and (only is None or item.state in only)
        }
        if not moved:
            return order
        run(
            tx,
            f"UPDATE order_item SET state = ?, error = ? WHERE order_id = ? AND id IN ({marks(list(moved))})",
            state.value,
            dump(error),
            order.id,
            *moved,
        )
        return self._refold(tx, order, moved)

    def counts(self, rx: Rx) -> list[tuple[Layer, State, int]]:
        """Return how many orders each layer has in each state."""
        found = rows(rx, "SELECT layer, state, count(*) FROM orders GROUP BY layer, state")
        return [(layer, State(state), int(count)) for layer, state, count in found]

    def _force(self, tx: Tx, order: Order, state: State) -> None:
        if order.state in FINAL:
            raise OrderFinal(
                f"Order {order.id} is {order.state} and cannot become {state}; send a new order."
            )
        if state in FINAL and state is not State.PARTIAL:
            live = {item.id: item.state for item in order.items if item.state not in FINAL}
            run(
                tx,
                f"UPDATE order_item SET state = ? WHERE order_id = ? AND state IN ({_LIVE})",
                state.value,
                order.id,
            )
            self._refold(tx, order, live, forced=state)
        else:
            self._refold(tx, order, {}, forced=state)

    def _refold(
        self, tx: Tx, order: Order, changed: Mapping[str, State], forced: State | None = None
    ) -> Order:
        items = tuple(_rows.item(tx, found) for found in rows(tx, _ITEMS, order.id))
        state = forced if forced in FINAL else None
        state = state or fold(forced or order.state, [item.state for item in items])
        now = replace(order, items=items, state=state)
        if state is not order.state:
            now = _enter(tx, now)
        self._tell(tx, order, now, changed)
        return now

    def _tell(self, tx: Tx, was: Order, now: Order, changed: Mapping[str, State]) -> None:
        observer = self.observers.get(now.layer)
        if observer:
            for item in now.items:
                if item.id in changed:
                    observer.item_changed(tx, now, item, changed[item.id])
        if now.state is not was.state:
            if observer:
                observer.order_changed(tx, now, was.state)
            if now.state in FINAL:
                self._on_final(tx, now)


def _enter(tx: Tx, order: Order) -> Order:
    now = tx.now
    if order.started is None and order.state is State.IN_PROGRESS:
        order = replace(order, started=now)
    if order.state in FINAL:
        order = replace(order, completed=now)
    run(
        tx,
        "UPDATE orders SET state = ?, started = ?, completed = ? WHERE id = ?",
        order.state.value,
        to_text(order.started) if order.started else None,
        to_text(order.completed) if order.completed else None,
        order.id,
    )
    return order


def _insert(tx: Tx, new: NewOrder) -> str | None:
    order_id = new.id or new_id()
    inserted = row(
        tx,
        "INSERT INTO orders (id, layer, state, key, body, priority, correlation, plan_hash, created)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (layer, key) DO NOTHING RETURNING id",
        order_id,
        new.layer,
        State.ACKNOWLEDGED.value,
        new.key,
        dump(new.body),
        new.priority,
        new.correlation,
        new.plan_hash,
        to_text(tx.now),
    )
    return order_id if inserted else None


def _insert_items(tx: Tx, order_id: str, new: NewOrder) -> None:
    many(
        tx,
        "INSERT INTO order_item (order_id, id, position, action, state, instance, spec, body, result)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, '{}')",
        [
            (
                order_id,
                item.id,
                position,
                item.action,
                State.ACKNOWLEDGED.value,
                item.instance,
                item.spec,
                dump(item.body),
            )
            for position, item in enumerate(new.items)
        ],
    )


def _read(rx: Rx, query: str, order_id: str) -> Order:
    found = row(rx, query, order_id)
    if found is None:
        raise OrderNotFound(f"There is no order {order_id}; list the orders to find its id.")
    items = rows(rx, _ITEMS, order_id)
    return _rows.order(rx, found, tuple(_rows.item(rx, item) for item in items))


def items_of(rx: Rx, order_ids: list[str]) -> dict[str, list[Item]]:
    """Return the items of many orders by order id."""
    grouped: dict[str, list[Item]] = {}
    for start in range(0, len(order_ids), 500):
        chunk = order_ids[start : start + 500]
        for found in rows(
            rx,
            f"SELECT {_rows.ITEM} FROM order_item WHERE order_id IN ({marks(chunk)}) ORDER BY order_id, position",
            *chunk,
        ):
            grouped.setdefault(found[0], []).append(_rows.item(rx, found))
    return grouped


def _item(order: Order, item_id: str) -> Item:
    try:
        return order.item(item_id)
    except KeyError:
        known = ", ".join(item.id for item in order.items) or "none"
        raise ItemNotFound(
            f"Order {order.id} has no item {item_id}; its items are: {known}."
        ) from None


def _document(given: Json | EllipsisType | None) -> str | EllipsisType | None:
    return given if isinstance(given, EllipsisType) else dump(given)


def _set(tx: Tx, table: str, columns: Mapping[str, Any], **where: str) -> None:
    if columns:
        assignments = ", ".join(f"{name} = ?" for name in columns)
        conditions = " AND ".join(f"{name} = ?" for name in where)
        run(
            tx,
            f"UPDATE {table} SET {assignments} WHERE {conditions}",
            *columns.values(),
            *where.values(),
        )


def _for_update(tx: Tx) -> str:
    return " FOR UPDATE" if tx.dialect == "postgresql" else ""
