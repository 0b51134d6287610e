"""What is in the book but has not got far: orders that have not done a step yet, with the instant they may begin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from orders import _rows
from orders._sql import Row, rows, value
from orders.book import items_of
from orders.model import Item, Layer, NewOrder, Order, State
from store import Rx, from_text

_GOING_ON = (State.ACKNOWLEDGED, State.PENDING, State.HELD, State.IN_PROGRESS)
_ORDER = ", ".join(f"o.{column.strip()}" for column in _rows.ORDER.split(","))
_FROM = (
    "FROM orders o LEFT JOIN task s ON s.order_id = o.id AND s.key = 'start' AND s.state = 'ready' "
    "WHERE o.layer = ? AND o.state IN (?, ?, ?, ?) AND "
)
_NOT_DONE = (
    "NOT EXISTS (SELECT 1 FROM task t WHERE t.order_id = o.id AND t.key = ? "
    "AND t.state IN ('done', 'skipped'))"
)
_NOT_SENT = (
    "(NOT EXISTS (SELECT 1 FROM task t WHERE t.order_id = o.id AND t.kind = ?) OR EXISTS "
    "(SELECT 1 FROM task t WHERE t.order_id = o.id AND t.kind = ? AND t.attempts = 0 "
    "AND t.state IN ('blocked', 'ready')))"
)
_CHANGING = (
    "EXISTS (SELECT 1 FROM task t WHERE t.order_id = o.id AND t.key = ? AND t.state = 'done') "
    "AND EXISTS (SELECT 1 FROM order_item i WHERE i.order_id = o.id AND i.action IN ('delete', 'modify'))"
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An order of the book, and when it may begin (now, or the start that was requested)."""

    order: Order
    starts: datetime


@dataclass(frozen=True, slots=True)
class Backlog:
    """The orders that begin first, and how many there are in all."""

    orders: tuple[Waiting, ...]
    total: int


def not_done(rx: Rx, layer: Layer, key: str, limit: int) -> Backlog:
    """Return the orders of a layer, not cancelled, whose task `key` is not done (or not there yet)."""
    return _backlog(rx, layer, _NOT_DONE, (key,), limit)


def not_sent(rx: Rx, layer: Layer, kind: str, limit: int) -> Backlog:
    """Return the orders of a layer, not cancelled, that have sent none, or not all, of their tasks of `kind`."""
    return _backlog(rx, layer, _NOT_SENT, (kind, kind), limit)


def changing(rx: Rx, layer: Layer, key: str, limit: int) -> Backlog:
    """Return the orders under way that have done `key` and end or change something that stands."""
    return _backlog(rx, layer, _CHANGING, (key,), limit)


def as_stored(new: NewOrder, now: datetime) -> Order:
    """Return an order as it would be stored, for planning what nobody has sent yet."""
    order_id = new.id or ""
    items = tuple(
        Item(order_id, i.id, i.action, State.ACKNOWLEDGED, i.instance, i.spec, i.body)
        for i in new.items
    )
    return Order(
        id=order_id,
        layer=new.layer,
        state=State.ACKNOWLEDGED,
        key=new.key,
        body=new.body,
        items=items,
        priority=new.priority,
        correlation=new.correlation,
        plan=None,
        plan_hash=None,
        created=now,
        started=None,
        completed=None,
        expected=None,
    )


def _backlog(rx: Rx, layer: Layer, condition: str, params: Sequence[str], limit: int) -> Backlog:
    given = (layer, *(state.value for state in _GOING_ON), *params)
    found = rows(
        rx,
        f"SELECT s.run_at, {_ORDER} {_FROM}{condition} ORDER BY COALESCE(s.run_at, ''), o.seq LIMIT ?",
        *given,
        limit,
    )
    items = items_of(rx, [row[1] for row in found])
    waiting = tuple(_waiting(rx, row, items) for row in found)
    if len(found) < limit:
        return Backlog(waiting, len(found))
    return Backlog(waiting, int(value(rx, f"SELECT count(*) {_FROM}{condition}", *given)))


def _waiting(rx: Rx, row: Row, items: dict[str, list[Item]]) -> Waiting:
    order = _rows.order(rx, row[1:], tuple(items.get(row[1], ())))
    starts = from_text(row[0]) if row[0] else rx.now
    return Waiting(order, max(starts, rx.now))
