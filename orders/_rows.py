"""From rows to values: the column lists and their readers stand side by side."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from orders._sql import Row, load
from orders.model import (
    External,
    Fallout,
    Item,
    JournalEntry,
    Order,
    State,
    Task,
    TaskState,
    WaitInfo,
)
from store import Rx, from_text

ORDER = "id, layer, state, key, body, priority, correlation, plan, plan_hash, created, started, completed, expected"
ITEM = "order_id, id, action, state, instance, spec, body, before, after, result, error"
TASK = (
    "id, order_id, layer, key, kind, args, items, state, attempts, fence, run_at, priority, wake, overdue, "
    "stopping, result, owner, lease_until, created, started, ended"
)
FALLOUT = (
    "id, order_id, task, layer, items, code, explanation, remedy, details, state, created, closed, resolution, "
    "evidence"
)
WAIT = "w.id, w.task, t.order_id, t.layer, t.items, w.key, w.due, w.external, w.since"


def moment(stored: str | None) -> datetime | None:
    """Read an instant that may be absent."""
    return from_text(stored) if stored else None


def order(rx: Rx, row: Row, items: tuple[Item, ...]) -> Order:
    """Read a row of ORDER."""
    return Order(
        id=row[0],
        layer=row[1],
        state=State(row[2]),
        key=row[3],
        body=load(rx, row[4]),
        items=items,
        priority=row[5],
        correlation=row[6],
        plan=load(rx, row[7]),
        plan_hash=row[8],
        created=from_text(row[9]),
        started=moment(row[10]),
        completed=moment(row[11]),
        expected=moment(row[12]),
    )


def item(rx: Rx, row: Row) -> Item:
    """Read a row of ITEM."""
    order_id, item_id, action, state, instance, spec, *documents = row
    body, before, after, result, error = (load(rx, document) for document in documents)
    return Item(
        order_id, item_id, action, State(state), instance, spec, body, before, after, result, error
    )


def task(rx: Rx, row: Row, needs: tuple[str, ...] = ()) -> Task:
    """Read a row of TASK."""
    return Task(
        id=row[0],
        order_id=row[1],
        layer=row[2],
        key=row[3],
        kind=row[4],
        args=load(rx, row[5]),
        items=tuple(load(rx, row[6])),
        state=TaskState(row[7]),
        attempts=row[8],
        fence=row[9],
        run_at=from_text(row[10]),
        priority=row[11],
        wake=load(rx, row[12]),
        overdue=bool(row[13]),
        stopping=bool(row[14]),
        result=load(rx, row[15]),
        owner=row[16],
        lease_until=moment(row[17]),
        created=moment(row[18]),
        started=moment(row[19]),
        ended=moment(row[20]),
        needs=needs,
    )


def fallout(rx: Rx, row: Row) -> Fallout:
    """Read a row of FALLOUT."""
    return Fallout(
        id=row[0],
        order_id=row[1],
        task=row[2],
        layer=row[3],
        items=tuple(load(rx, row[4])),
        code=row[5],
        explanation=row[6],
        remedy=row[7],
        details=load(rx, row[8]),
        state=row[9],
        created=from_text(row[10]),
        closed=moment(row[11]),
        resolution=row[12],
        evidence=row[13],
    )


def wait(rx: Rx, row: Row) -> WaitInfo:
    """Read a row of WAIT (task_wait w joined with its task t)."""
    external = _external(load(rx, row[7]))
    items = load(rx, row[4])
    return WaitInfo(
        id=row[0],
        task=row[1],
        order_id=row[2],
        layer=row[3],
        item=(external.item if external else None) or (items[0] if len(items) == 1 else None),
        key=row[5],
        due=moment(row[6]),
        external=external,
        since=from_text(row[8]),
    )


def entry(rx: Rx, row: Row) -> JournalEntry:
    """Read a row of (time, task, event, data)."""
    return JournalEntry(from_text(row[0]), row[1], row[2], load(rx, row[3]) or {})


def _external(stored: Any) -> External | None:
    return External(**stored) if stored else None
